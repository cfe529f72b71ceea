"""The act that Baton exists for: a driver accepts an offered order. And its opposite, declining."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from dispatch import live, selectors
from dispatch.errors import NotOffered
from dispatch.locks import check_capacity, load_of, loads_of, lock_driver, lock_order
from dispatch.models import Offer, OfferStatus
from dispatch.services.closing import (
    close_offers_of_driver,
    close_offers_of_drivers,
    close_offers_of_order,
    close_offers_of_orders,
)
from dispatch.services.receipts import NO_TAP, Done, Tap, act_once
from drivers.clock import database_now
from drivers.errors import DriverOffline, DriverSuspended, NotFound
from drivers.models import Driver
from drivers.rows import Rows, prepared
from drivers.services import is_on_duty
from orders import actors, changes
from orders.errors import OrderCancelled, OrderExpired, OrderNotPending, OrderTaken
from orders.lifecycle import HELD, Kind, Status
from orders.models import Order, OrderContact

#: What an accepted order may have become in the hands of the driver who accepts again.
ACCEPTED = {*HELD, Status.DELIVERED, Status.FAILED}
#: Offers that the history of an acceptance tells of.
OFFERS_RECORDED = 10

# By hand, as every accept runs them (drivers/rows.py).
OFFERS = Rows(Offer)
OFFER_OF = (
    f"SELECT clock_timestamp(), {OFFERS.columns} FROM dispatch_offer AS row WHERE order_id = %s AND driver_id = %s"
)
WHO_ELSE = """
SELECT driver_id, distance_m, status, seen_at FROM dispatch_offer WHERE order_id = %s AND driver_id <> %s
ORDER BY distance_m, id LIMIT %s
"""
MARK_ACCEPTED = """
UPDATE dispatch_offer SET status = 'accepted', answered_at = %(now)s, closed_at = %(now)s, closed_reason = 'accepted'
WHERE order_id = %(order)s AND driver_id = %(driver)s AND status = 'open'
"""


def accept_order(*, order_id: UUID, driver_id: int, tap: Tap = NO_TAP) -> Done:
    """The first driver to accept an offered order holds it; everybody else gets an honest refusal.

    Order row, then driver row, are locked before anything is judged, and the deadline is compared with the database's
    clock under the lock, so it does not matter whether a sweep ran. Whoever holds it, or has carried it to its end, and
    accepts again gets the same answer.
    Raises NotFound, NotOffered, OrderTaken, OrderExpired, OrderCancelled, OrderNotPending, DriverAtCapacity,
    DriverOffline, DriverSuspended, Busy.
    """
    seen = selectors.sight_of_order(order_id=order_id, driver_id=driver_id, action_id=tap.action_id)
    if seen is not None and not seen.has_acted and seen.order.driver_id != driver_id:
        # Most of a crowd come after the order is gone, and some were never offered it: they are told so from one look
        # without a lock, instead of queueing for the row only to hear the same. Whoever this lets through is judged under
        # the lock.
        if not seen.is_offered:
            raise NotOffered
        check_available(seen.order, now=seen.now)
    return act_once(
        driver_id=driver_id,
        order_id=order_id,
        verb="accept",
        tap=tap,
        act=lambda: _accept(order_id=order_id, driver_id=driver_id, tap=tap),
        is_new=seen is not None and not seen.has_acted,
    )


def _accept(*, order_id: UUID, driver_id: int, tap: Tap) -> Order:
    order = lock_order(order_id)
    if order.driver_id == driver_id and order.status in ACCEPTED:
        return order
    offer, now = _offer_of(order, driver_id)
    check_available(order, now=now)
    driver = lock_driver(driver_id)
    if driver.suspended:
        raise DriverSuspended
    check_capacity(driver)
    if not is_on_duty(driver_id):
        raise DriverOffline
    if offer.status != OfferStatus.OPEN:
        raise NotOffered
    data: dict[str, Any] = {
        "how": "accepted",
        "distance_m": round(offer.distance_m),
        "offered_at": offer.offered_at.isoformat(),
        "candidates": _who_was_offered(offer),
    }
    if tap.tapped_at is not None:
        data["tapped_at"] = tap.tapped_at.isoformat()
    mark_accepted(offer, now=now)
    hand_over(order, driver, actor=actors.driver(driver.pk, driver.name), data=data, now=now)
    return order


def _offer_of(order: Order, driver_id: int) -> tuple[Offer, datetime]:
    """The driver's offer of the locked order, and the database's time, which is later than the lock. Raises NotOffered."""
    with prepared() as cursor:
        cursor.execute(OFFER_OF, [order.pk, driver_id])
        found = cursor.fetchone()
    if found is None:
        raise NotOffered
    return OFFERS.of(found[1:]), found[0]


def _who_was_offered(accepted: Offer) -> list[dict[str, Any]]:
    """For the history: the nearest of those who could have accepted, and what became of it until somebody did."""
    told: list[dict[str, Any]] = [{"driver": accepted.driver_id, "distance_m": round(accepted.distance_m)}]
    with prepared() as cursor:
        cursor.execute(WHO_ELSE, [accepted.order_id, accepted.driver_id, OFFERS_RECORDED])
        nearest = cursor.fetchall()
    for driver_id, metres, status, seen_at in nearest:
        became = status if status != OfferStatus.OPEN else "not_answered" if seen_at else "not_seen"
        told.append({"driver": driver_id, "distance_m": round(metres), "passed_over": str(became)})
    return sorted(told, key=lambda one: (one["distance_m"], "passed_over" in one))


def mark_accepted(offer: Offer, *, now: datetime) -> None:
    """The driver's answer, on an offer whose order is locked."""
    with prepared() as cursor:
        cursor.execute(MARK_ACCEPTED, {"order": offer.order_id, "driver": offer.driver_id, "now": now})


def check_available(order: Order, *, now: datetime) -> None:
    """Raises, in the words that a driver is owed, unless the locked order can be taken now."""
    match order.status:
        case Status.PENDING:
            if order.expired or order.expires_at <= now:
                raise OrderExpired(seconds_ago=_seconds(now, order.expires_at))
        case Status.CANCELLED:
            raise OrderCancelled(seconds_ago=_seconds(now, order.cancelled_at))
        case Status.ASSIGNED | Status.PICKED_UP | Status.DELIVERED | Status.FAILED:
            raise OrderTaken(seconds_ago=_seconds(now, order.assigned_at))
        case _:
            raise OrderNotPending(status=order.status)


def _seconds(now: datetime, then: datetime | None) -> int:
    return max(0, int((now - then).total_seconds())) if then else 0


def hand_over(
    order: Order,
    driver: Driver,
    *,
    actor: actors.Actor,
    data: dict[str, Any],
    now: datetime,
    pinned: bool = False,
) -> None:
    """The one place where somebody comes to hold an order: both rows locked and judged by the caller.

    The other drivers' offers of it lapse, and so do this driver's other offers once there is no room left. `pinned`: a
    dispatcher chose this driver by hand.
    """
    event = changes.change(
        order,
        Kind.ASSIGNED,
        actor,
        data={**_who(driver), **data},
        at=now,
        status=Status.ASSIGNED,
        driver_id=driver.pk,
        assigned_at=now,
        pinned=pinned,
    )
    close_offers_of_order(order, "order_taken", now=now, holder_id=driver.pk)
    if load_of(driver.pk) >= driver.capacity:
        close_offers_of_driver(driver.pk, "driver_at_capacity", now=now)
    live.order_changed(order, event)
    live.driver_changed(driver.pk)


def _who(driver: Driver) -> dict[str, object]:
    # The capacity as it was: the audit holds the driver's load of that moment against it.
    return {"driver": driver.pk, "driver_name": driver.name, "capacity": driver.capacity}


@dataclass(frozen=True, slots=True)
class Handover:
    """A locked order, the locked driver who shall hold it, and what explains it in the history."""

    order: Order
    driver: Driver
    data: dict[str, Any]


def hand_over_all(handovers: Sequence[Handover], *, actor: actors.Actor, now: datetime) -> None:
    """`hand_over` for many at once, in as many statements as for one."""
    orders = [handover.order for handover in handovers]
    events = changes.change_all(
        orders,
        Kind.ASSIGNED,
        actor,
        data={h.order.pk: {**_who(h.driver), **h.data} for h in handovers},
        at=now,
        each={h.order.pk: {"driver_id": h.driver.pk} for h in handovers},
        status=Status.ASSIGNED,
        assigned_at=now,
    )
    for handover in handovers:
        handover.order.driver = handover.driver
    drivers = {h.driver.pk: h.driver for h in handovers}
    close_offers_of_orders(orders, "order_taken", now=now, holders={h.order.pk: h.driver.pk for h in handovers})
    loads = loads_of(drivers)
    full = [pk for pk, driver in drivers.items() if loads[pk] >= driver.capacity]
    close_offers_of_drivers(full, "driver_at_capacity", now=now)
    contacts = OrderContact.objects.in_bulk([order.pk for order in orders])
    for order, event in zip(orders, events, strict=True):
        live.order_changed(order, event, contact=contacts.get(order.pk))
    for driver_id in drivers:
        live.driver_changed(driver_id)


def decline_order(*, order_id: UUID, driver_id: int, tap: Tap = NO_TAP) -> Done:
    """The driver does not want this order: it leaves their feed and is never offered to them again.

    Declining what has lapsed or was declined already is fine and changes at most the note. Raises NotFound when it was
    never offered, OrderNotPending when the driver holds it (that is a release).
    """
    return act_once(
        driver_id=driver_id,
        order_id=order_id,
        verb="decline",
        tap=tap,
        act=lambda: _decline(order_id=order_id, driver_id=driver_id),
    )


def _decline(*, order_id: UUID, driver_id: int) -> Order:
    # The offer's own row is all that changes. It is locked through the order, so that it cannot be re-opened meanwhile.
    order = lock_order(order_id)
    offer = Offer.objects.filter(order=order, driver_id=driver_id).first()
    if offer is None:
        raise NotFound
    if order.driver_id == driver_id and order.status in HELD:
        raise OrderNotPending(status=order.status)
    if offer.status in {OfferStatus.OPEN, OfferStatus.LAPSED}:
        now = database_now()
        was_open = offer.status == OfferStatus.OPEN
        Offer.objects.filter(pk=offer.pk, order=order).update(
            status=OfferStatus.DECLINED, answered_at=now, closed_at=now, closed_reason="declined"
        )
        if was_open:
            live.offers_closed(order.pk, order.version, [driver_id], "declined")
    return order
