"""On and off duty goes on record, whoever changes it, and stays there."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

from dispatch import services
from drivers.clock import database_now
from drivers.models import Driver, DutyChange, Presence
from tests import cast

pytestmark = pytest.mark.django_db(transaction=True)


def record(driver: Driver) -> list[tuple[bool, bool]]:
    changes = DutyChange.objects.filter(driver=driver).order_by("at", "id")
    return [(change.is_online, change.silent) for change in changes]


def test_going_on_and_off_duty_is_recorded_once_each() -> None:
    alice = cast.driver("alice", is_online=False)
    assert record(alice) == []

    for _ in range(2):
        services.go_online(driver_id=alice.pk)
    for _ in range(2):
        services.go_offline(driver_id=alice.pk)

    assert record(alice) == [(True, False), (False, False)]


def test_a_suspended_driver_is_recorded_as_off_duty(alice: Driver) -> None:
    services.suspend_driver(driver_id=alice.pk)

    assert record(alice) == [(True, False), (False, False)]


def test_silence_and_coming_back_are_recorded(alice: Driver) -> None:
    Presence.objects.filter(pk=alice.pk).update(last_seen=database_now() - timedelta(minutes=2))

    services.mark_silent_drivers_offline()
    cast.move(alice, cast.FERRY_BUILDING)

    assert record(alice) == [(True, False), (False, True), (True, False)]


def test_a_position_alone_records_nothing(alice: Driver) -> None:
    before = record(alice)

    for place in (cast.EMBARCADERO, cast.UNION_SQUARE):
        cast.move(alice, place)

    assert record(alice) == before == [(True, False)]


@pytest.mark.parametrize("verb", ["update", "delete"])
def test_what_is_on_record_cannot_be_changed(alice: Driver, verb: str) -> None:
    changes = DutyChange.objects.filter(driver=alice)

    with pytest.raises(DatabaseError, match="Cannot update or delete"), transaction.atomic():
        changes.update(silent=True) if verb == "update" else changes.delete()

    assert record(alice) == [(True, False)]
