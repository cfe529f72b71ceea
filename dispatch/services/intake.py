"""An order enters, is corrected, is cancelled: the verbs of integrators and dispatchers."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from dispatch import live
from dispatch.locks import lock_order
from dispatch.services.closing import close_offers_of_order
from dispatch.services.offers import offer_to_nearby, revise_offers
from drivers.clock import database_now
from drivers.errors import Invalid, NotFound
from orders import changes
from orders import services as orders
from orders.actors import Actor
from orders.errors import OrderNotPending
from orders.lifecycle import Kind, Status
from orders.models import Order


def place_order(
    *,
    new: orders.NewOrder,
    actor: Actor,
    integrator_id: int | None = None,
    idempotency_key: str = "",
    fingerprint: str = "",
) -> tuple[Order, bool]:
    """Create an order and offer it to the nearest drivers in the same transaction; (order, whether it is new).

    With an `idempotency_key`, the same key and fingerprint again return the first order. Raises Invalid,
    IdempotencyMismatch.
    """
    owner = f"{actor.type}:{actor.id}"

    def known() -> Order | None:
        if not idempotency_key:
            return None
        return orders.find_by_key(owner=owner, key=idempotency_key, fingerprint=fingerprint)

    try:
        with transaction.atomic(durable=True):
            if (order := known()) is not None:
                return order, False
            order, event = orders.create_order(new=new, actor=actor, integrator_id=integrator_id)
            if idempotency_key:
                orders.remember_key(owner=owner, key=idempotency_key, fingerprint=fingerprint, order=order)
            live.order_changed(order, event)
            offer_to_nearby(order)
    except IntegrityError as error:
        # The same request arrived twice at once and the other one has just committed; ours was rolled back whole.
        if changes.constraint_name(error) != "one_order_per_idempotency_key" or (order := known()) is None:
            raise
        return order, False
    return order, True


def correct_order(
    *,
    order_id: UUID,
    corrections: dict[str, Any],
    actor: Actor,
    contact: orders.Contact | None = None,
    integrator_id: int | None = None,
    version: int | None = None,
) -> Order:
    """Change details of a pending order; drivers who have it in their feed see it as it is now, or lose it when it is no
    longer near them or for their vehicle. Raises NotFound, VersionConflict, OrderNotPending, Invalid."""
    with transaction.atomic(durable=True):
        order = _lock_own(order_id, integrator_id)
        orders.check_version(order, version)
        event = orders.correct_order(order=order, corrections=corrections, contact=contact, actor=actor)
        if event is not None:
            live.order_changed(order, event)
            revise_offers(order, event.data["fields"], now=database_now())
            offer_to_nearby(order)
    return order


def extend_order(*, order_id: UUID, seconds: int, actor: Actor, version: int | None = None) -> Order:
    """Give a pending, not yet expired order more time. Raises NotFound, VersionConflict, OrderNotPending, Invalid."""
    if seconds < 1:
        raise Invalid(seconds="Must be at least 1.")
    with transaction.atomic(durable=True):
        order = lock_order(order_id)
        orders.check_version(order, version)
        if order.status != Status.PENDING or order.expired or order.expires_at <= database_now():
            raise OrderNotPending(status=order.status, expired=True)
        corrections = {"expires_at": order.expires_at + timedelta(seconds=seconds)}
        event = orders.correct_order(order=order, corrections=corrections, contact=None, actor=actor)
        if event is not None:
            live.order_changed(order, event)
            revise_offers(order, event.data["fields"], now=database_now())
    return order


def cancel_order(
    *,
    order_id: UUID,
    actor: Actor,
    reason: str = "",
    integrator_id: int | None = None,
    version: int | None = None,
) -> Order:
    """Withdraw an order that is not final yet. Cancelling again is fine and changes nothing.

    Raises NotFound, VersionConflict, OrderNotPending (already delivered or failed).
    """
    with transaction.atomic(durable=True):
        order = _lock_own(order_id, integrator_id)
        if order.status == Status.CANCELLED:
            return order
        orders.check_version(order, version)
        if order.is_final:
            raise OrderNotPending(status=order.status)
        now = database_now()
        holder_id = order.driver_id
        event = changes.change(
            order,
            Kind.CANCELLED,
            actor,
            data={"reason": reason},
            at=now,
            status=Status.CANCELLED,
            cancelled_at=now,
            expired=False,
        )
        close_offers_of_order(order, "order_cancelled", now=now)
        live.order_changed(order, event)
        if holder_id is not None:
            live.order_removed(order, holder_id, "order_cancelled")
            live.driver_changed(holder_id)
    return order


def _lock_own(order_id: UUID, integrator_id: int | None) -> Order:
    """The order, locked; an integrator's only if it is theirs. NotFound."""
    order = lock_order(order_id)
    if integrator_id is not None and order.integrator_id != integrator_id:
        raise NotFound
    return order
