"""Assigning by hand: one driver, chosen by a dispatcher."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.gis.db.models.functions import Distance
from django.db import transaction

from dispatch.errors import DriverAtCapacity
from dispatch.locks import (
    check_capacity,
    lock_driver,
    lock_order,
)
from dispatch.selectors import nearby_drivers
from dispatch.services.accept import hand_over
from dispatch.services.carry import give_back
from dispatch.services.offers import reopen
from drivers.clock import database_now
from drivers.errors import DomainError, DriverOffline, DriverSuspended
from drivers.models import Presence
from orders.actors import Actor
from orders.errors import OrderNotPending
from orders.lifecycle import Status
from orders.models import Order
from orders.services import check_version


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
    for candidate in nearby_drivers(order_id=order.pk, radius_km=radius_km, limit=5):
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
