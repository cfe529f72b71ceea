"""Assigning by hand and by the system: one driver, chosen by somebody other than the driver."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.gis.db.models.functions import Distance
from django.db import transaction

from dispatch.errors import DriverAtCapacity
from dispatch.locks import (
    check_capacity,
    load_of,
    lock_available_drivers,
    lock_available_orders,
    lock_driver,
    lock_order,
)
from dispatch.matching import match_orders
from dispatch.selectors import Candidate, live_presences, nearby_drivers_of
from dispatch.services.accept import hand_over
from dispatch.services.carry import give_back
from dispatch.services.offers import orders_on_offer, reopen
from drivers.clock import ClockTimestamp, database_now
from drivers.errors import DomainError, DriverOffline, DriverSuspended
from drivers.models import Presence
from orders.actors import SYSTEM, Actor
from orders.errors import OrderNotPending
from orders.lifecycle import Status
from orders.models import Order
from orders.services import check_version

#: Due orders matched together in one run: bounds how long one tick takes; the rest is taken by the next.
ASSIGN_BATCH = 100
#: Candidates per order that are weighed against each other and, for the history, told of.
CANDIDATES_WEIGHED = 50
CANDIDATES_RECORDED = 10


def assign_order(
    *, order_id: UUID, driver_id: int, actor: Actor, version: int | None = None, how: str = "by_hand"
) -> Order:
    """A dispatcher gives a pending order to a driver; an expired one gets a new round first (event `order.reoffered`).

    Capacity binds dispatchers too. Raises NotFound, VersionConflict, OrderNotPending, DriverSuspended, DriverOffline,
    DriverAtCapacity, Busy.
    """
    with transaction.atomic(durable=True):
        order = lock_order(order_id)
        check_version(order, version)
        if order.status != Status.PENDING:
            raise OrderNotPending(status=order.status)
        driver = lock_driver(driver_id)
        if driver.suspended:
            raise DriverSuspended
        check_capacity(driver)
        now = database_now()
        data: dict[str, Any] = {"how": how, **_whereabouts(order, driver_id, now=now)}
        if order.expired or order.expires_at <= now:
            reopen(order, actor=actor)
        hand_over(order, driver, actor=actor, data=data, now=database_now())
    return order


def _whereabouts(order: Order, driver_id: int, *, now: datetime) -> dict[str, int]:
    """For the history: how far the chosen driver is and how old their position. DriverOffline when off duty."""
    on_duty = Presence.objects.filter(pk=driver_id, is_online=True)
    found = on_duty.values_list(Distance("location", order.pickup), "located_at").first()
    if found is None:
        raise DriverOffline
    distance, located_at = found
    if distance is None:
        return {}
    age = {"position_age_s": round((now - located_at).total_seconds())} if located_at else {}
    return {"distance_m": round(distance.m), **age}


def assign_order_to_nearest(*, order_id: UUID, actor: Actor, version: int | None = None) -> Order:
    """A dispatcher gives a pending order to the nearest eligible driver. Raises as `assign_order`; DriverOffline with
    `within_km` when there is nobody within the widest radius."""
    order = Order.objects.filter(pk=order_id).first()
    if order is None or order.status != Status.PENDING:
        # The act itself says which, under the lock.
        return assign_order(order_id=order_id, driver_id=0, actor=actor, version=version)
    radius_km = max(settings.ASSIGN_RADII_KM)
    refusal: DomainError = DriverOffline(within_km=radius_km)
    for candidate in nearby_drivers_of(order, radius_km=radius_km, limit=5):
        try:
            return assign_order(
                order_id=order_id, driver_id=candidate.driver_id, actor=actor, version=version, how="nearest"
            )
        except (DriverAtCapacity, DriverOffline, DriverSuspended) as error:
            # Somebody was quicker with this driver; the next nearest will do.
            refusal = error
    raise refusal


def unassign_order(*, order_id: UUID, actor: Actor, reason: str = "", version: int | None = None) -> Order:
    """A dispatcher takes an assigned order back from its holder; it is offered again at once.

    Raises NotFound, VersionConflict, OrderNotPending (nobody holds it, or it is picked up).
    """
    with transaction.atomic(durable=True):
        order = lock_order(order_id)
        check_version(order, version)
        if order.status != Status.ASSIGNED:
            raise OrderNotPending(status=order.status)
        give_back(order, actor=actor, data={"reason": reason}, now=database_now(), reason="unassigned", declined=False)
    return order


def auto_assign() -> int:
    """Assign the pending orders whose `auto_assign_at` has come; how many were.

    All due orders and all their candidates are matched together, at the least total distance (dispatch/matching.py), first
    within the smallest radius, then what is left within the wider ones. Orders and drivers that somebody else is busy with
    are skipped, not waited for: the next tick, or that somebody, deals with them.
    """
    due = orders_on_offer().filter(auto_assign_at__lte=ClockTimestamp()).order_by("-priority", "auto_assign_at", "pk")
    assigned = 0
    left: Sequence[UUID] = list(due.values_list("pk", flat=True)[:ASSIGN_BATCH])
    for radius_km in settings.ASSIGN_RADII_KM:
        if not left:
            break
        done = _assign_together(left, radius_km)
        assigned += len(done)
        left = [order_id for order_id in left if order_id not in done]
    return assigned


def _assign_together(order_ids: Sequence[UUID], radius_km: int) -> set[UUID]:
    with transaction.atomic(durable=True):
        orders = {
            order.pk: order
            for order in lock_available_orders(orders_on_offer().filter(pk__in=order_ids).order_by("pk"))
        }
        candidates = {
            order.pk: nearby_drivers_of(order, radius_km=radius_km, limit=CANDIDATES_WEIGHED)
            for order in orders.values()
        }
        drivers = lock_available_drivers({c.driver_id for found in candidates.values() for c in found})
        # Under the lock the load is exact; what was read above was only a first look.
        on_duty = set(live_presences().filter(pk__in=drivers).values_list("pk", flat=True))
        rooms = {pk: driver.capacity - load_of(pk) for pk, driver in drivers.items() if pk in on_duty}
        matched = match_orders(
            {pk: {c.driver_id: c.distance_m for c in found} for pk, found in candidates.items()},
            rooms,
            {pk: order.priority for pk, order in orders.items()},
        )
        now = database_now()
        done: set[UUID] = set()
        for order_id, driver_id in matched.items():
            order = orders[order_id]
            if order.expires_at <= now:
                continue
            data = _explain(candidates[order_id], driver_id, rooms, matched, order_id, radius_km)
            hand_over(order, drivers[driver_id], actor=SYSTEM, data=data, now=now)
            done.add(order_id)
    return done


def _explain(
    found: Sequence[Candidate],
    chosen: int,
    rooms: dict[int, int],
    matched: dict[UUID, int],
    order_id: UUID,
    radius_km: int,
) -> dict[str, Any]:
    """For the history: who was considered, how far and how fresh their position was, and why they were passed over."""
    now = database_now()
    given_away = {driver_id for other, driver_id in matched.items() if other != order_id}

    def why_not(candidate: Candidate) -> str:
        if candidate.driver_id not in rooms:
            return "busy"
        if rooms[candidate.driver_id] < 1:
            return "no_room"
        return "other_order" if candidate.driver_id in given_away else "farther"

    considered = [
        {
            "driver": candidate.driver_id,
            "distance_m": round(candidate.distance_m),
            "position_age_s": round((now - candidate.located_at).total_seconds()) if candidate.located_at else None,
            "load": candidate.load,
            **({} if candidate.driver_id == chosen else {"passed_over": why_not(candidate)}),
        }
        for candidate in found
    ]
    kept = considered[:CANDIDATES_RECORDED]
    kept += [row for row in considered[CANDIDATES_RECORDED:] if row["driver"] == chosen]
    distance = next(c.distance_m for c in found if c.driver_id == chosen)
    return {
        "how": "auto",
        "distance_m": round(distance),
        "radius_km": radius_km,
        "considered": len(found),
        "matched_together": len(matched),
        "candidates": kept,
    }
