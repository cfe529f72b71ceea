from datetime import timedelta

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django_q.models import Task

from dispatch import services
from dispatch.models import Message, Undo
from drivers.models import DeviceToken, Driver
from orders.models import OrderEvent
from tests import cast

pytestmark = pytest.mark.django_db


def session(expires_in: timedelta) -> str:
    store = SessionStore()
    store.set_expiry(expires_in)
    store.save()
    assert store.session_key is not None
    return store.session_key


def failed_task(name: str, ago: timedelta) -> None:
    at = cast.now() - ago
    Task.objects.create(id=name, name=name, func="f", started=at, stopped=at, success=False)


def test_what_has_run_out_is_forgotten_and_everything_else_is_kept(alice: Driver) -> None:
    order = cast.order()
    services.assign_order(order_id=order.pk, driver_id=alice.pk, actor=cast.DISPATCHER)
    services.unassign_order(order_id=order.pk, actor=cast.DISPATCHER)
    Undo.objects.filter(verb="assign").update(until=cast.now() - timedelta(hours=25))
    for text in ("old", "new"):
        services.send_message(driver_id=alice.pk, text=text, actor=cast.DISPATCHER)
    Message.objects.filter(text="old").update(at=cast.now() - timedelta(days=31))
    session(timedelta(seconds=-1))
    good_session = session(timedelta(hours=1))
    DeviceToken.objects.create(user=alice.user, expiry=timedelta(seconds=-1))
    good_token, _ = DeviceToken.objects.create(user=alice.user, expiry=timedelta(hours=1))
    failed_task("old", timedelta(days=31))
    failed_task("new", timedelta(days=29))

    assert services.clean_up() == {
        "sessions": 1,
        "device tokens": 1,
        "ways back": 1,
        "messages": 1,
        "task records": 1,
    }

    assert list(Session.objects.values_list("session_key", flat=True)) == [good_session]
    assert list(DeviceToken.objects.all()) == [good_token]
    assert list(Task.objects.values_list("name", flat=True)) == ["new"]
    assert list(Undo.objects.values_list("verb", flat=True)) == ["unassign"]
    assert list(Message.objects.values_list("text", flat=True)) == ["new"]
    assert OrderEvent.objects.count() == 4


def test_cleaning_twice_finds_nothing_more() -> None:
    assert set(services.clean_up().values()) == {0}
