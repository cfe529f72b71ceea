from datetime import timedelta

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django_q.models import Task

from dispatch import services
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
    cast.order()
    session(timedelta(seconds=-1))
    good_session = session(timedelta(hours=1))
    DeviceToken.objects.create(user=alice.user, expiry=timedelta(seconds=-1))
    good_token, _ = DeviceToken.objects.create(user=alice.user, expiry=timedelta(hours=1))
    failed_task("old", timedelta(days=31))
    failed_task("new", timedelta(days=29))

    assert services.clean_up() == {"sessions": 1, "device tokens": 1, "task records": 1}

    assert list(Session.objects.values_list("session_key", flat=True)) == [good_session]
    assert list(DeviceToken.objects.all()) == [good_token]
    assert list(Task.objects.values_list("name", flat=True)) == ["new"]
    assert OrderEvent.objects.count() == 2


def test_cleaning_twice_finds_nothing_more() -> None:
    assert services.clean_up() == {"sessions": 0, "device tokens": 0, "task records": 0}
