"""What needs a dispatcher, and when: each reason, its time, and the order of urgency."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from dispatch import services
from dispatch.attention import Attention, attention
from dispatch.models import Progress
from drivers.models import Driver, Presence
from orders.models import Order, OrderEvent
from tests import cast

pytestmark = pytest.mark.django_db

#: Latitudes; a hundredth of a degree is 1110 m.
NORTH = (cast.FERRY_BUILDING[0] + 0.01, cast.FERRY_BUILDING[1])
FARTHER_NORTH = (cast.FERRY_BUILDING[0] + 0.02, cast.FERRY_BUILDING[1])


def reasons(found: Attention | None = None) -> list[tuple[str, str]]:
    """(reference, reason), the most urgent first."""
    found = found or attention()
    names = dict(Order.objects.values_list("pk", "reference"))
    return [(names[row.order_id], row.reason) for row in found.rows]


def minutes_ago(minutes: float) -> datetime:
    at: datetime = cast.now() - timedelta(minutes=minutes)
    return at


def held_by(driver: Driver, reference: str = "A") -> Order:
    order = cast.order(reference=reference)
    return services.assign_order(order_id=order.pk, driver_id=driver.pk, actor=cast.DISPATCHER)


def held_since(order: Order, minutes: float) -> None:
    """As if it had been assigned so long ago."""
    with transaction.atomic():
        Order.objects.filter(pk=order.pk).update(assigned_at=minutes_ago(minutes), version=order.version + 1)
        OrderEvent.objects.create(order=order, version=order.version + 1, kind="order.corrected", actor_type="system")


def known(order: Order, **changes: Any) -> None:
    """Change what is remembered of the holder, as time would."""
    Progress.objects.filter(pk=order.pk).update(**changes)


# --- Orders that nobody has ------------------------------------------------------------------------------------------


def test_an_order_that_drivers_can_take_needs_nobody(alice: Driver) -> None:
    cast.order()

    assert attention().rows == ()


def test_nobody_in_reach_everybody_declined_about_to_expire_and_expired(alice: Driver) -> None:
    far = cast.order(reference="far", pickup=cast.new_order().dropoff.__class__(40.0, -122.0, "Nowhere"))
    refused = cast.order(reference="refused")
    services.decline_order(order_id=refused.pk, driver_id=alice.pk)
    soon, gone = cast.order(reference="soon"), cast.order(reference="gone")
    cast.let_time_pass(soon, seconds=70)
    cast.let_time_pass(gone, seconds=200)
    services.expire_orders()

    found = attention()

    assert reasons(found) == [
        ("gone", "expired"),
        ("soon", "expiring"),
        ("far", "no_candidate"),
        ("refused", "all_declined"),
    ]
    gone.refresh_from_db()
    assert (found.rows[0].trouble_at, found.rows[0].since) == (gone.expires_at, gone.expires_at)
    assert found.rows[2].trouble_at == Order.objects.get(pk=far.pk).expires_at
    minutes = [row["minutes"] for row in found.told()]
    assert minutes[0] < 0 < minutes[1] < 1 < minutes[2] <= minutes[3] <= 2
    assert found.offers[refused.pk] == {"open": 0, "declined": 1, "made": 1}
    assert set(found.offers) == {far.pk, refused.pk, soon.pk}


def test_a_free_driver_farther_than_offers_go_is_a_candidate_still() -> None:
    cast.driver("far", at=cast.OCEAN_BEACH)
    cast.order()

    assert attention().rows == ()


def test_an_order_for_later_needs_nobody_yet() -> None:
    cast.order(release_at=cast.now() + timedelta(hours=1))

    assert attention().rows == ()


def test_rows_do_not_change_while_nothing_happens() -> None:
    cast.order()

    assert attention().rows == attention().rows != ()


# --- Orders on their way ---------------------------------------------------------------------------------------------


def test_a_holder_on_the_way_needs_nobody(alice: Driver) -> None:
    held_by(alice)
    services.follow_holders()

    assert attention().rows == ()


def test_a_silent_holder(alice: Driver, bob: Driver) -> None:
    silent, off = held_by(alice, "silent"), held_by(bob, "off")
    held_since(silent, 30)
    held_since(off, 30)
    last_seen = minutes_ago(3)
    Presence.objects.filter(pk=alice.pk).update(last_seen=last_seen)
    services.go_offline(driver_id=bob.pk)

    found = attention()

    assert reasons(found) == [("silent", "holder_silent"), ("off", "holder_silent")]
    assert (found.rows[0].since, found.rows[0].trouble_at) == (last_seen, last_seen + timedelta(minutes=1))
    assert dict(found.rows[0].detail) == {"driver": alice.pk, "metres": 0}
    assert dict(found.rows[1].detail)["off_duty"] is True
    services.mark_silent_drivers_offline()
    assert attention().rows[0] == found.rows[0]


def test_a_holder_who_stays_where_they_are(alice: Driver) -> None:
    cast.move(alice, NORTH)
    order = held_by(alice)
    services.follow_holders()
    assert attention().rows == ()

    known(order, spot_at=minutes_ago(6))
    cast.move(alice, (NORTH[0] + 0.0002, NORTH[1]))
    services.follow_holders()

    (row,) = attention().rows
    assert row.reason == "holder_not_moving"
    assert row.trouble_at - row.since == timedelta(minutes=5)
    assert 1050 < dict(row.detail)["metres"] < 1150

    cast.move(alice, (NORTH[0] - 0.002, NORTH[1]))
    services.follow_holders()
    assert attention().rows == ()


def test_a_holder_who_waits_where_they_are_expected_is_not_stuck(alice: Driver) -> None:
    order = held_by(alice)
    services.follow_holders()
    known(order, spot_at=minutes_ago(30))

    assert attention().rows == ()


def test_a_holder_who_moves_away(alice: Driver) -> None:
    cast.move(alice, NORTH)
    order = held_by(alice)
    services.follow_holders()
    nearest_at = Progress.objects.get().nearest_at

    cast.move(alice, FARTHER_NORTH)
    services.follow_holders()

    (row,) = attention().rows
    assert (row.reason, row.since, row.order_id) == ("holder_moving_away", nearest_at, order.pk)
    assert 2150 < dict(row.detail)["metres"] < 2300


def test_who_is_late_by_the_way_that_is_left(alice: Driver) -> None:
    cast.move(alice, NORTH)
    order = held_by(alice)
    services.follow_holders()
    # 1110 m by car, at 24 km/h and 1.4 times as far on roads: 3.9 minutes; with 5 of grace, 8.9.
    held_since(order, 4)
    known(order, began_at=minutes_ago(4), nearest_m=1110, start_m=1110)
    assert attention().rows == ()

    order.refresh_from_db()
    held_since(order, 6)

    found = attention()
    assert reasons(found) == [("A", "late")]
    assert 2.8 < found.told()[0]["minutes"] < 3.0
    # Once they are there, it is in time again: until that is over, too.
    cast.move(alice, cast.FERRY_BUILDING)
    assert attention().rows == ()
    order.refresh_from_db()
    held_since(order, 10)
    found = attention()
    assert reasons(found) == [("A", "late")]
    assert found.told()[0]["minutes"] < 0


def test_a_new_leg_and_a_new_holder_begin_anew_and_a_finished_order_is_forgotten(alice: Driver, bob: Driver) -> None:
    order = held_by(alice)
    services.follow_holders()
    known(order, spot_at=minutes_ago(60), nearest_at=minutes_ago(60))

    moved = services.reassign_order(order_id=order.pk, driver_id=bob.pk, actor=cast.DISPATCHER)
    services.follow_holders()
    to_pickup = Progress.objects.get()
    assert (to_pickup.driver_id, to_pickup.status) == (bob.pk, "assigned")
    assert to_pickup.began_at == moved.assigned_at == to_pickup.spot_at

    services.pick_up_order(order_id=order.pk, driver_id=bob.pk)
    services.follow_holders()
    to_dropoff = Progress.objects.get()
    assert to_dropoff.status == "picked_up"
    assert to_dropoff.began_at > to_pickup.began_at
    assert to_dropoff.start_m is not None
    assert 1000 < to_dropoff.start_m < 1300

    services.deliver_order(order_id=order.pk, driver_id=bob.pk)
    services.follow_holders()
    assert not Progress.objects.exists()


def test_nothing_is_written_while_nothing_changes(alice: Driver) -> None:
    held_by(alice)

    assert services.follow_holders() == 1
    assert services.follow_holders() == 0


def test_a_holder_whose_place_was_never_known_is_followed_from_the_first_position() -> None:
    ghost = cast.driver("ghost")
    order = held_by(ghost)
    services.follow_holders()
    first = Progress.objects.get()
    assert (first.spot, first.nearest_m, first.start_m) == (None, None, None)

    cast.move(ghost, NORTH)
    services.follow_holders()

    known_now = Progress.objects.get(pk=order.pk)
    assert known_now.spot is not None
    assert known_now.start_m == known_now.nearest_m
    assert known_now.start_m is not None
    assert 1050 < known_now.start_m < 1150
