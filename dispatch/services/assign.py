"""Deciding by hand: a dispatcher chooses a driver, takes an order back, or holds it out of auto-assignment."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.gis.db.models.functions import Distance
from django.db import transaction

from dispatch import live
from dispatch.errors import DriverAtCapacity
from dispatch.locks import check_capacity, lock_driver, lock_order
from dispatch.models import Offer, OfferStatus
from dispatch.selectors import nearby_drivers
from dispatch.selectors_considered import considered_for
from dispatch.services.accept import hand_over
from dispatch.services.carry import give_back
from dispatch.services.offers import offer_to_nearby, reopen
from dispatch.services.undo import Before, remember
from drivers.clock import database_now
from drivers.errors import DomainError, DriverOffline, DriverSuspended, Invalid
from drivers.models import Driver, Presence
from drivers.services import is_on_duty
from orders import changes
from orders.actors import Actor
from orders.errors import OrderNotPending
from orders.lifecycle import Kind, Status
from orders.models import Order
from orders.services import check_version

#: Drivers near the pickup that the history of a choice by hand tells of, besides the chosen one.
CONSIDERED_RECORDED = 10


def assign_order(
    *, order_id: UUID, driver_id: int, actor: Actor, version: int | None = None, how: str = "by_hand"
) -> Order:
    """A dispatcher gives a pending order to a driver; an expired one gets a new round first (event `order.reoffered`).
    The choice is pinned.

    Capacity binds dispatchers too; that the driver declined it, or was relieved of it, does not. Raises NotFound,
    VersionConflict, OrderNotPending, DriverSuspended, DriverOffline, DriverAtCapacity, Busy.
    """
    with transaction.atomic(durable=True):
        order = lock_order(order_id)
        check_version(order, version)
        if order.status != Status.PENDING:
            raise OrderNotPending(status=order.status)
        before = Before.of(order, driver_id)
        driver = _lock_chosen(driver_id)
        data = {"how": how, **_explain(order, driver_id)}
        if order.expired or order.expires_at <= database_now():
            reopen(order, actor=actor)
        choose(order, driver, actor=actor, data=data)
        remember("assign", order, before, actor=actor)
    return order


def reassign_order(*, order_id: UUID, driver_id: int, actor: Actor, version: int | None = None) -> Order:
    """A dispatcher moves an assigned order from its holder to another driver, as one act: nobody else can take it in
    between, and if the other cannot have it, the holder keeps it.

    In the history it passes through pending (`order.released`, then `order.assigned`). The earlier holder is not offered
    it again. Raises NotFound, VersionConflict, OrderNotPending (nobody holds it, or it is picked up), Invalid (`driver`
    holds it already), DriverSuspended, DriverOffline, DriverAtCapacity, Busy.
    """
    with transaction.atomic(durable=True):
        order = lock_order(order_id)
        check_version(order, version)
        if order.status != Status.ASSIGNED:
            raise OrderNotPending(status=order.status)
        if order.driver_id == driver_id:
            raise Invalid(driver="Holds it already.")
        before = Before.of(order, driver_id)
        # What becomes scarcer is locked: the new driver's room. The earlier holder's becomes freer.
        driver = _lock_chosen(driver_id)
        data = {"how": "reassigned", "from": order.driver_id, **_explain(order, driver_id)}
        give_back(
            order,
            actor=actor,
            data={"reason": "reassigned", "to": driver_id},
            now=database_now(),
            reason="reassigned",
            offer=OfferStatus.BARRED,
        )
        choose(order, driver, actor=actor, data=data)
        remember("reassign", order, before, actor=actor)
    return order


def unassign_order(*, order_id: UUID, actor: Actor, reason: str = "", version: int | None = None) -> Order:
    """A dispatcher takes an assigned order back from its holder; it is offered to the others at once, and never again to
    that driver.

    Raises NotFound, VersionConflict, OrderNotPending (nobody holds it, or it is picked up).
    """
    with transaction.atomic(durable=True):
        order = lock_order(order_id)
        check_version(order, version)
        if order.status != Status.ASSIGNED:
            raise OrderNotPending(status=order.status)
        before = Before.of(order, None)
        give_back(
            order,
            actor=actor,
            data={"reason": reason},
            now=database_now(),
            reason="unassigned",
            offer=OfferStatus.BARRED,
        )
        offer_to_nearby(order)
        remember("unassign", order, before, actor=actor)
    return order


def pin_order(*, order_id: UUID, actor: Actor, version: int | None = None) -> Order:
    """A dispatcher holds a pending order out of auto-assignment. It stays on offer, and drivers may accept it. Pinning it
    again changes nothing. Raises NotFound, VersionConflict, OrderNotPending."""
    return _set_pin(order_id, actor, version, pinned=True)


def unpin_order(*, order_id: UUID, actor: Actor, version: int | None = None) -> Order:
    """Auto-assignment may have the pending order again: at its time, or at once if that has passed. Unpinning it again
    changes nothing. Raises NotFound, VersionConflict, OrderNotPending."""
    return _set_pin(order_id, actor, version, pinned=False)


def _set_pin(order_id: UUID, actor: Actor, version: int | None, *, pinned: bool) -> Order:
    with transaction.atomic(durable=True):
        order = lock_order(order_id)
        check_version(order, version)
        if order.status != Status.PENDING:
            raise OrderNotPending(status=order.status)
        if order.pinned != pinned:
            event = changes.change(order, Kind.PINNED if pinned else Kind.UNPINNED, actor, pinned=pinned)
            live.order_changed(order, event)
    return order


def choose(order: Order, driver: Driver, *, actor: Actor, data: dict[str, Any], pinned: bool = True) -> None:
    """Hand a locked, pending order to a locked driver because a person says so. Whoever was relieved of it may have it
    again then."""
    now = database_now()
    Offer.objects.filter(order=order, driver=driver, status=OfferStatus.BARRED).update(
        status=OfferStatus.LAPSED, closed_at=now, closed_reason="order_taken"
    )
    hand_over(order, driver, actor=actor, data=data, now=now, pinned=pinned)


def _lock_chosen(driver_id: int) -> Driver:
    driver = lock_driver(driver_id)
    if driver.suspended:
        raise DriverSuspended
    check_capacity(driver)
    if not is_on_duty(driver_id):
        raise DriverOffline
    return driver


def _explain(order: Order, driver_id: int) -> dict[str, Any]:
    """For the history: how far the chosen driver is and how old their position, and who else was near."""
    near = considered_for([order.pk], radius_km=max(settings.ASSIGN_RADII_KM), limit=CONSIDERED_RECORDED + 1)
    others = [one for one in near.get(order.pk, []) if one.driver_id != driver_id][:CONSIDERED_RECORDED]
    told = [{**one.told(), "passed_over": one.verdict or "not_chosen"} for one in others]
    chosen = whereabouts(order, driver_id, now=database_now())
    return {**chosen, "candidates": sorted([{"driver": driver_id, **chosen}, *told], key=_distance)}


def _distance(told: dict[str, Any]) -> float:
    return float(told.get("distance_m", 0))


def whereabouts(order: Order, driver_id: int, *, now: datetime) -> dict[str, int]:
    """How far a driver is from the pickup, and how old that position; nothing if it is not known."""
    found = Presence.objects.filter(pk=driver_id).values_list(Distance("location", order.pickup), "located_at").first()
    if found is None or found[0] is None:
        return {}
    distance, located_at = found
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
    for candidate in nearby_drivers(order_id=order.pk, radius_km=radius_km, limit=5):
        try:
            return assign_order(
                order_id=order_id, driver_id=candidate.driver_id, actor=actor, version=version, how="nearest"
            )
        except (DriverAtCapacity, DriverOffline, DriverSuspended) as error:
            # Somebody was quicker with this driver; the next nearest will do.
            refusal = error
    raise refusal
