"""Writes to who can carry: positions and duty. What duty means for offers is in dispatch/services/duty.py."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction

from drivers.clock import ClockTimestamp
from drivers.errors import DriverSuspended
from drivers.models import Driver, Presence, Vehicle
from drivers.rows import array_of, prepared


class Position(NamedTuple):
    """A heartbeat of one driver. Without `lat` and `lng` it is a sign of life that moves nobody."""

    driver_id: int
    #: Degrees, WGS 84.
    lat: float | None = None
    lng: float | None = None
    accuracy_m: float | None = None
    heading: float | None = None
    speed_mps: float | None = None
    #: By the device's clock; None: now.
    recorded_at: datetime | None = None


class Recorded(NamedTuple):
    """What a heartbeat left in the row."""

    driver_id: int
    is_online: bool
    #: The heartbeat ended a silence: the sweep had taken the driver off duty.
    came_back: bool
    lat: float | None
    lng: float | None
    heading: float | None
    accuracy_m: float | None
    last_seen: datetime


#: One statement for any number of heartbeats. A position moves the driver unless it was taken before the stored one; a
#: stored one that the server received over a minute ago no longer holds anything back, whatever clock it was taken by,
#: so no device clock can freeze a driver. Times in the future are taken as now.
RECORD_SQL = """
WITH ping AS (
    SELECT driver_id, accuracy_m, heading, speed_mps,
           least(coalesce(recorded_at, clock_timestamp()), clock_timestamp()) AS recorded_at,
           CASE WHEN lat IS NOT NULL THEN ST_SetSRID(ST_MakePoint(lng, lat), 4326)::geography END AS location
    FROM unnest(%s::bigint[], %s::float8[], %s::float8[], %s::float8[], %s::float8[], %s::float8[], %s::timestamptz[])
         AS t (driver_id, lat, lng, accuracy_m, heading, speed_mps, recorded_at)
), judged AS (
    SELECT ping.*, old.silent_since,
           ping.location IS NOT NULL AND (
               old.recorded_at IS NULL OR ping.recorded_at >= old.recorded_at
               OR old.located_at < clock_timestamp() - make_interval(secs => %s)
           ) AS is_newer
    FROM ping JOIN drivers_presence old USING (driver_id)
    ORDER BY driver_id
    FOR NO KEY UPDATE OF old
)
UPDATE drivers_presence AS p SET
    last_seen = %s,
    is_online = p.is_online OR p.silent_since IS NOT NULL,
    silent_since = NULL,
    location = CASE WHEN is_newer THEN judged.location ELSE p.location END,
    accuracy_m = CASE WHEN is_newer THEN judged.accuracy_m ELSE p.accuracy_m END,
    heading = CASE WHEN is_newer THEN judged.heading ELSE p.heading END,
    speed_mps = CASE WHEN is_newer THEN judged.speed_mps ELSE p.speed_mps END,
    recorded_at = CASE WHEN is_newer THEN judged.recorded_at ELSE p.recorded_at END,
    located_at = CASE WHEN is_newer THEN clock_timestamp() ELSE p.located_at END
FROM judged WHERE p.driver_id = judged.driver_id
RETURNING p.driver_id, p.is_online, judged.silent_since IS NOT NULL, ST_Y(p.location::geometry),
          ST_X(p.location::geometry), p.heading, p.accuracy_m
"""


def record_positions(*, positions: Sequence[Position]) -> list[Recorded]:
    """Write the heartbeats of any number of drivers in one statement and say what each left behind.

    The last entry of a driver wins. Unknown drivers are passed over. Rows are locked by driver id, so two processes that
    write overlapping batches cannot deadlock. Coordinates must be in range; the doors check that.
    """
    latest = {position.driver_id: position for position in positions}
    if not latest:
        return []
    rows = [latest[driver_id] for driver_id in sorted(latest)]
    with transaction.atomic(), connection.cursor() as cursor:
        # A position that a crash loses is replaced by the next one: this one commit need not wait for the disk.
        cursor.execute("SELECT clock_timestamp() FROM set_config('synchronous_commit', 'off', true)")
        now = cursor.fetchone()[0]
        # A column of the statement's `unnest` for each member, in their order.
        columns = map(array_of, zip(*rows, strict=True))
        cursor.execute(RECORD_SQL, [*columns, settings.LIVE_SECONDS, now])
        return [Recorded._make((*row, now)) for row in cursor.fetchall()]


def is_on_duty(driver_id: int) -> bool:
    """Whether the driver is on duty, heard of or not."""
    with prepared() as cursor:
        cursor.execute("SELECT FROM drivers_presence WHERE driver_id = %s AND is_online", [driver_id])
        return cursor.fetchone() is not None


def set_duty(*, driver: Driver, is_online: bool) -> bool:
    """Put a driver on or off duty; True if that changed anything. Requires a transaction and a locked driver.

    Raises DriverSuspended when a suspended driver would go on duty.
    """
    if is_online and driver.suspended:
        raise DriverSuspended
    presences = Presence.objects.filter(pk=driver.pk)
    if is_online:
        changed = presences.filter(is_online=False).update(
            is_online=True, silent_since=None, last_seen=ClockTimestamp()
        )
        if not changed:
            presences.update(last_seen=ClockTimestamp())
    else:
        changed = presences.exclude(is_online=False, silent_since=None).update(is_online=False, silent_since=None)
    return bool(changed)


def create_driver(
    *,
    username: str,
    password: str | None,
    name: str,
    phone: str = "",
    vehicle: Vehicle = Vehicle.CAR,
    capacity: int = 1,
) -> Driver:
    """A driver and the user they sign in as; without a password nobody can, until one is set. Requires a transaction."""
    user = User.objects.create_user(username=username, password=password)
    return Driver.objects.create(user=user, name=name, phone=phone, vehicle=vehicle, capacity=capacity)
