"""Drivers on and off duty, and their heartbeats."""

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction

from dispatch import live
from dispatch.locks import lock_driver
from dispatch.selectors import FeedState, feed_states
from dispatch.services.closing import close_offers_of_driver, close_offers_of_drivers
from drivers import services as drivers
from drivers.clock import ClockTimestamp, database_now
from drivers.models import DeviceToken, Driver, Presence, PushSubscription

SILENT_BATCH = 500


def go_online(*, driver_id: int) -> None:
    """On duty: from now on this driver is offered orders nearby (by the next sweep, within a second or two).

    Raises NotFound, DriverSuspended.
    """
    with transaction.atomic(durable=True):
        if drivers.set_duty(driver=lock_driver(driver_id), is_online=True):
            live.driver_changed(driver_id)


def go_offline(*, driver_id: int) -> None:
    """Off duty: open offers are withdrawn. Orders that the driver holds stay theirs. Raises NotFound."""
    with transaction.atomic(durable=True):
        if drivers.set_duty(driver=lock_driver(driver_id), is_online=False):
            close_offers_of_driver(driver_id, "driver_offline", now=database_now())
            live.driver_changed(driver_id)


def sign_out(*, driver_id: int, token_digest: str) -> None:
    """The device's token is gone, its sockets are closed and the driver is off duty, all at once. Orders that the driver
    holds stay theirs. Signing out again is fine. Raises NotFound."""
    with transaction.atomic(durable=True):
        driver = lock_driver(driver_id)
        DeviceToken.objects.filter(pk=token_digest, user__driver=driver).delete()
        drivers.set_duty(driver=driver, is_online=False)
        close_offers_of_driver(driver_id, "driver_offline", now=database_now())
        live.driver_changed(driver_id)
        live.driver_signed_out(driver_id, token_digest)


def suspend_driver(*, driver_id: int) -> None:
    """No more offers, no more sign-ins: off duty, open offers withdrawn, sockets closed, no device woken. Held orders stay
    for a dispatcher to decide. Raises NotFound."""
    with transaction.atomic(durable=True):
        driver = lock_driver(driver_id)
        Driver.objects.filter(pk=driver.pk, suspended=False).update(suspended=True)
        drivers.set_duty(driver=driver, is_online=False)
        PushSubscription.objects.filter(driver_id=driver_id).delete()
        close_offers_of_driver(driver_id, "driver_suspended", now=database_now())
        live.driver_changed(driver_id)
        live.driver_signed_out(driver_id)


def reinstate_driver(*, driver_id: int) -> None:
    """A suspended driver may sign in and go on duty again. Raises NotFound."""
    with transaction.atomic(durable=True):
        lock_driver(driver_id)
        if Driver.objects.filter(pk=driver_id, suspended=True).update(suspended=False):
            live.driver_changed(driver_id)


def mark_silent_drivers_offline() -> int:
    """Take drivers off duty who have not been heard of for LIVE_SECONDS, and withdraw their offers; how many were.

    They were not live already; this only makes it visible. The next heartbeat puts them back on duty.
    """
    silent_since = ClockTimestamp() - timedelta(seconds=settings.LIVE_SECONDS)
    with transaction.atomic(durable=True):
        silent = list(
            Presence.objects.filter(is_online=True, last_seen__lt=silent_since)
            .select_for_update(no_key=True, of=("self",), skip_locked=True)
            .order_by("pk")
            .values_list("pk", flat=True)[:SILENT_BATCH]
        )
        now = database_now()
        Presence.objects.filter(pk__in=silent, is_online=True).update(is_online=False, silent_since=now)
        close_offers_of_drivers(silent, "driver_offline", now=now)
        for driver_id in silent:
            live.driver_changed(driver_id)
    return len(silent)


def record_heartbeats(*, positions: Sequence[drivers.Position]) -> dict[int, FeedState]:
    """Write any number of heartbeats at once, tell the map, and say for each driver what their feed should hold."""
    recorded = drivers.record_positions(positions=positions)
    live.drivers_moved(recorded)
    # A position alone has no name: whoever is back is told of as a whole.
    live.drivers_changed([row.driver_id for row in recorded if row.came_back])
    return feed_states([row.driver_id for row in recorded])
