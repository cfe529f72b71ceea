from datetime import timedelta

import pytest
from django.db import connection

from drivers.models import Driver, Presence
from drivers.services import Position, record_positions
from tests import cast

pytestmark = pytest.mark.django_db

NORTH, SOUTH = (37.80, -122.41), (37.70, -122.41)


def ping(driver: Driver, at: tuple[float, float], *, age: float | None = None) -> None:
    recorded_at = None if age is None else cast.now() - timedelta(seconds=age)
    record_positions(positions=[Position(driver.pk, *at, recorded_at=recorded_at)])


def where(driver: Driver) -> tuple[float, float]:
    location = Presence.objects.get(pk=driver.pk).location
    assert location is not None
    return location.y, location.x


@pytest.fixture
def dan() -> Driver:
    return cast.driver("dan")


def test_an_older_position_never_overwrites_a_newer_one(dan: Driver) -> None:
    ping(dan, NORTH, age=5)

    ping(dan, SOUTH, age=10)

    assert where(dan) == NORTH


def test_an_older_position_is_still_a_sign_of_life(dan: Driver) -> None:
    ping(dan, NORTH, age=5)
    Presence.objects.update(last_seen=cast.now() - cast.MINUTE)

    ping(dan, SOUTH, age=10)

    last_seen = Presence.objects.get(pk=dan.pk).last_seen
    assert last_seen is not None
    assert (cast.now() - last_seen).total_seconds() < 5


def test_a_device_clock_a_day_ahead_counts_as_now_and_freezes_nobody(dan: Driver) -> None:
    ping(dan, NORTH, age=-86400)

    ping(dan, SOUTH)

    assert where(dan) == SOUTH
    recorded_at = Presence.objects.get(pk=dan.pk).recorded_at
    assert recorded_at is not None
    assert recorded_at <= cast.now()


def test_a_device_clock_that_jumps_a_day_back_holds_positions_up_for_a_minute_at_most(dan: Driver) -> None:
    ping(dan, NORTH)

    ping(dan, SOUTH, age=86400)
    assert where(dan) == NORTH
    Presence.objects.update(located_at=cast.now() - cast.MINUTE)
    ping(dan, SOUTH, age=86400)

    assert where(dan) == SOUTH


def test_a_device_clock_a_day_behind_moves_the_driver_like_any_other(dan: Driver) -> None:
    ping(dan, NORTH, age=86400)
    ping(dan, SOUTH, age=86380)

    assert where(dan) == SOUTH


def test_a_heartbeat_without_a_position_leaves_the_position(dan: Driver) -> None:
    ping(dan, NORTH)

    record_positions(positions=[Position(dan.pk)])

    assert where(dan) == NORTH


def test_many_are_written_at_once_and_the_last_of_a_driver_wins(dan: Driver) -> None:
    eve = cast.driver("eve")

    recorded = record_positions(
        positions=[Position(dan.pk, *NORTH), Position(eve.pk, *NORTH, heading=90.0), Position(dan.pk, *SOUTH)]
    )

    assert [(row.driver_id, row.lat, row.is_online) for row in recorded] == [
        (dan.pk, SOUTH[0], True),
        (eve.pk, NORTH[0], True),
    ]
    assert Presence.objects.get(pk=eve.pk).heading == 90.0


def test_unknown_drivers_are_passed_over() -> None:
    assert record_positions(positions=[Position(0, *NORTH)]) == []
    assert record_positions(positions=[]) == []


@pytest.mark.django_db(transaction=True)
def test_a_ping_that_did_not_move_the_driver_is_a_hot_update(dan: Driver) -> None:
    ping(dan, NORTH)
    before = hot_updates()

    for _ in range(10):
        ping(dan, NORTH)

    assert hot_updates() - before == 10


def hot_updates() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
        cursor.execute("SELECT pg_stat_get_tuples_hot_updated('drivers_presence'::regclass)")
        return int(cursor.fetchone()[0])
