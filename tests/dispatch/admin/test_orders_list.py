"""The list of orders: what it shows by default, how it is filtered and searched, and that it stays cheap."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import Q
from django.test import Client

from dispatch import services
from dispatch.models import AuditVerdict
from drivers.backoffice import BoundedPaginator
from drivers.clock import database_now
from drivers.models import Driver
from orders.models import Order
from tests import cast, staff

pytestmark = pytest.mark.django_db
LIST = "/admin/orders/order/"


def shown(client: Client, query: str = "") -> list[str]:
    response = client.get(f"{LIST}{query}")
    assert response.status_code == 200
    return sorted(order.reference for order in response.context["cl"].result_list)


@pytest.fixture
def orders(alice: Driver) -> dict[str, Order]:
    """A: waiting; B: held by Alice; C: expired; D: cancelled; E: for a van."""
    made = {name: cast.order(reference=f"{name}-1") for name in "ABCD"}
    made["E"] = cast.order(reference="E-1", vehicle="van")
    services.assign_order(order_id=made["B"].pk, driver_id=alice.pk, actor=cast.DISPATCHER)
    services.cancel_order(order_id=made["D"].pk, actor=cast.DISPATCHER)
    cast.let_time_pass(made["C"], seconds=200)
    services.expire_orders()
    return made


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["A-1", "B-1", "C-1", "E-1"]),
        ("?status=open", ["A-1", "B-1", "C-1", "E-1"]),
        ("?status=all", ["A-1", "B-1", "C-1", "D-1", "E-1"]),
        ("?status=assigned", ["B-1"]),
        ("?status=cancelled", ["D-1"]),
        ("?expired=yes", ["C-1"]),
        ("?status=pending&expired=no", ["A-1", "E-1"]),
        ("?vehicle=van", ["E-1"]),
        ("?vehicle=any&status=pending", ["A-1", "C-1"]),
        ("?created_from=2020-01-01&created_to=2020-01-02", []),
        ("?created_from=2020-01-01", ["A-1", "B-1", "C-1", "E-1"]),
        ("?created_from=nonsense&created_to=9999-12-31", ["A-1", "B-1", "C-1", "E-1"]),
        ("?holder=silent", []),
        # A search looks everywhere, unless asked otherwise; any case, from the start.
        ("?q=d-1", ["D-1"]),
        ("?q=d-1&status=open", []),
        ("?q=-1", []),
        ("?q=alice", ["B-1"]),
        ("?q=nobody", []),
        ("?q=%25", []),
        ("?q=_", []),
    ],
)
def test_what_the_list_shows(dispatcher: Client, orders: dict[str, Order], query: str, expected: list[str]) -> None:
    assert shown(dispatcher, query) == expected


def test_orders_held_by_somebody_who_is_not_heard_of(dispatcher: Client, orders: dict[str, Order]) -> None:
    services.go_offline(driver_id=Driver.objects.get(name="Alice").pk)

    assert shown(dispatcher, "?holder=silent") == ["B-1"]


def test_an_order_is_found_by_its_id_and_by_the_start_of_it(dispatcher: Client, orders: dict[str, Order]) -> None:
    pk = str(orders["D"].pk)

    assert shown(dispatcher, f"?q={pk}") == ["D-1"]
    assert shown(dispatcher, f"?q={pk.upper()}") == ["D-1"]
    assert "D-1" in shown(dispatcher, f"?q={pk[:18]}")


@pytest.mark.parametrize("query", ["?pickup_address__icontains=x", "?status__in=x", "?o=99", "?p=x", "?p=999"])
def test_no_other_question_can_be_asked_through_the_address(dispatcher: Client, query: str) -> None:
    response = dispatcher.get(f"{LIST}{query}")

    assert response.status_code in {200, 302, 400}


def test_the_list_takes_the_same_few_queries_however_long_it_is(
    dispatcher: Client, orders: dict[str, Order], django_assert_num_queries: Any
) -> None:
    # Session, user, permissions (2), bounded count, rows.
    with django_assert_num_queries(7):
        dispatcher.get(LIST)
    for _ in range(10):
        cast.order()
    with django_assert_num_queries(7):
        dispatcher.get(LIST)


def test_no_list_counts_further_than_its_pages_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedPaginator, "LIMIT", 2)
    for _ in range(4):
        cast.order()

    pages = BoundedPaginator(Order.objects.all(), 1)

    assert (pages.count, pages.num_pages, pages.is_cut) == (2, 2, True)


def test_a_cut_list_says_so(dispatcher: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedPaginator, "LIMIT", 2)
    for _ in range(4):
        cast.order()

    assert "more than 2 orders; filter or search to reach the others" in staff.page_text(dispatcher.get(LIST))


def test_every_way_of_searching_has_an_index(alice: Driver) -> None:
    """Asked of the planner itself; reading everything is made unattractive because the table is small here."""
    asked = Q(reference__istartswith="a-1") | Q(pk__range=(UUID(int=1), UUID(int=2))) | Q(driver__in=[alice.pk])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")

    plan = Order.objects.order_by().filter(asked).explain()

    # Which index on the driver or the id is the planner's own affair.
    assert "order_by_reference_start" in plan
    assert plan.count("Bitmap Index Scan") == 3


def test_the_front_page_counts_what_matters(dispatcher: Client, orders: dict[str, Order]) -> None:
    tiles = {tile["title"]: tile["count"] for tile in dispatcher.get("/admin/").context["tiles"]}

    assert tiles == {
        "Needs attention": 1,
        "Held in silence": 0,
        "Waiting": 2,
        "Assigned": 1,
        "Picked up": 0,
        "Live drivers": 1,
        "Silent drivers": 0,
    }


def test_supervisors_see_the_last_verdict_on_the_front_page(supervisor: Client, dispatcher: Client) -> None:
    AuditVerdict.objects.create(looked_at=database_now(), seconds=1, broken=["moves_are_legal"], verdict="BROKEN: it")

    tiles = {tile["title"]: tile for tile in supervisor.get("/admin/").context["tiles"]}

    assert (tiles["Broken promises"]["count"], tiles["Broken promises"]["alarm"]) == (1, True)
    assert b"BROKEN: it" in supervisor.get(tiles["Broken promises"]["url"]).content
    assert "Broken promises" not in {tile["title"] for tile in dispatcher.get("/admin/").context["tiles"]}
