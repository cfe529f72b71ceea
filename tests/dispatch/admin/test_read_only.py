"""What may be looked at and never touched: history, offers, schedules, tasks, sweeps. Not even by a superuser."""

from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client
from django_q.models import OrmQ, Schedule, Task

from dispatch.models import Offer, SweepHeartbeat
from drivers.models import Driver
from orders.models import ContactAccess, OrderEvent
from tests import cast, staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(db: None) -> Client:
    return staff.signed_in(User.objects.create_superuser("root"))


@pytest.fixture
def rows(alice: Driver) -> dict[str, Any]:
    """One row of everything that is read-only, by its place in the admin."""
    order = cast.order(reference="A-17")
    Task.objects.create(id="t1", name="ok", func="f", started=cast.now(), stopped=cast.now(), success=True)
    Task.objects.create(id="t2", name="bad", func="f", started=cast.now(), stopped=cast.now(), success=False)
    return {
        "orders/orderevent": OrderEvent.objects.filter(order=order)[0],
        "orders/contactaccess": ContactAccess.objects.create(order=order, actor_type="dispatcher", via="admin"),
        "dispatch/offer": Offer.objects.get(order=order),
        "dispatch/sweepheartbeat": SweepHeartbeat.objects.get_or_create(pk=1)[0],
        "django_q/schedule": Schedule.objects.create(name="sweeps", func="dispatch.tasks.run_sweeps"),
        "django_q/success": Task.objects.get(pk="t1"),
        "django_q/failure": Task.objects.get(pk="t2"),
        "django_q/ormq": OrmQ.objects.create(key="jobs", payload="not even signed", lock=cast.now()),
        "axes/accessattempt": AccessAttempt.objects.create(
            username="dora", ip_address="10.0.0.1", failures_since_start=10, user_agent="x", path_info="/admin/login/"
        ),
    }


def test_they_can_be_seen_and_neither_added_changed_nor_deleted(root: Client, rows: dict[str, Any]) -> None:
    for place, row in rows.items():
        before = list(type(row).objects.filter(pk=row.pk).values())
        assert root.get(f"/admin/{place}/").status_code == 200, place
        page = root.get(f"/admin/{place}/{row.pk}/change/")
        assert page.status_code == 200, place
        assert 'name="_save"' not in page.content.decode(), place
        assert root.get(f"/admin/{place}/add/").status_code == 403, place
        assert root.post(f"/admin/{place}/{row.pk}/change/", {"name": "x"}).status_code == 403, place
        assert root.post(f"/admin/{place}/{row.pk}/delete/", {"post": "yes"}).status_code == 403, place
        deleted = {"action": "delete_selected", "index": 0, "_selected_action": [row.pk], "post": "yes"}
        root.post(f"/admin/{place}/", deleted)
        assert list(type(row).objects.filter(pk=row.pk).values()) == before, place


def test_history_and_offers_are_found_by_order(root: Client, rows: dict[str, Any]) -> None:
    cast.order(reference="B-1")

    def orders_of(query: str) -> set[str]:
        return {row.order.reference for row in root.get(f"/admin/{query}").context["cl"].result_list}

    assert orders_of("orders/orderevent/?q=a-17") == {"A-17"}
    assert orders_of("dispatch/offer/?q=a-17") == {"A-17"}
    assert orders_of(f"orders/orderevent/?q={rows['dispatch/offer'].order_id}") == {"A-17"}
    assert orders_of("dispatch/offer/?q=alice") == {"A-17", "B-1"}
    assert orders_of("orders/orderevent/?q=zzz") == set()
    assert orders_of("orders/orderevent/?kind=order.offered&q=a-17") == {"A-17"}
    assert orders_of("orders/orderevent/?actor_type=driver") == set()
    assert orders_of("dispatch/offer/?status=open") == {"A-17", "B-1"}


def test_a_lock_out_is_lifted(root: Client, rows: dict[str, Any]) -> None:
    attempt = rows["axes/accessattempt"]
    assert "locked out" in staff.page_text(root.get("/admin/axes/accessattempt/"))

    posted = {"action": "unlock", "index": 0, "_selected_action": [attempt.pk]}
    response = root.post("/admin/axes/accessattempt/", posted, follow=True)

    assert staff.lines(response) == ["Unlocked: dora from 10.0.0.1."]
    assert AccessAttempt.objects.count() == 0


def test_a_supervisor_unlocks_a_dispatcher_who_forgot_the_password(supervisor: Client, settings: Any) -> None:
    staff.member("dora", "dispatcher")
    desk, right = Client(), {"username": "dora", "password": cast.PASSWORD}
    for _ in range(settings.AXES_FAILURE_LIMIT):
        desk.post("/admin/login/", {"username": "dora", "password": "wrong"})
    locked = desk.post("/admin/login/", right)
    assert locked.status_code == 429
    assert "Too many attempts" in staff.page_text(locked)

    attempt = AccessAttempt.objects.get()
    posted = {"action": "unlock", "index": 0, "_selected_action": [attempt.pk]}
    supervisor.post("/admin/axes/accessattempt/", posted)

    assert desk.post("/admin/login/", right).status_code == 302
