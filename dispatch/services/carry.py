"""What the holder does with an order: give it back, pick it up, deliver it, or fail to."""

from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils.crypto import constant_time_compare

from dispatch import live
from dispatch.locks import lock_order
from dispatch.models import OfferStatus
from dispatch.services.offers import offer_to_nearby
from dispatch.services.receipts import NO_TAP, Done, Tap, act_once
from drivers.clock import database_now
from drivers.errors import Invalid, NotFound, Throttled
from drivers.limits import Limit
from orders import actors, changes
from orders.errors import OrderCancelled, OrderNotPending
from orders.lifecycle import Kind, Status
from orders.models import DeliveryPin, Order, OrderContact

#: Wrong PINs, per order and driver: five at once, five a minute.
PIN_TRIES: Final = Limit("pin", per_second=5 / 60, burst=5, fail_closed=True)


def pick_up_order(*, order_id: UUID, driver_id: int, tap: Tap = NO_TAP) -> Done:
    """The holder has the goods. Raises NotFound (not yours), OrderCancelled, OrderNotPending."""
    return _act_as_holder(
        "pick_up", order_id, driver_id, tap, Status.ASSIGNED, Status.PICKED_UP, Kind.PICKED_UP, "picked_up_at"
    )


def deliver_order(
    *,
    order_id: UUID,
    driver_id: int,
    proof: dict[str, Any] | None = None,
    note: str = "",
    recipient: str = "",
    pin: str = "",
    tap: Tap = NO_TAP,
) -> Done:
    """Handed over. `proof` says how (`kind`: photo, signature, pin, name, none) and goes into the history, so it must hold
    nothing about the customer; `note`, the driver's own words, and `recipient`, who took it, are kept with the contact
    instead. With the kind `pin`, `pin` must be the order's, if it has one.
    Raises NotFound, OrderCancelled, OrderNotPending, Invalid (proof.pin), Throttled."""
    if proof is not None and proof.get("kind") == "pin" and check_pin(order_id=order_id, driver_id=driver_id, pin=pin):
        proof = {**proof, "checked": True}
    return _act_as_holder(
        "deliver",
        order_id,
        driver_id,
        tap,
        Status.PICKED_UP,
        Status.DELIVERED,
        Kind.DELIVERED,
        "delivered_at",
        {"proof": proof} if proof else {},
        kept={name: text for name, text in (("proof_note", note), ("recipient", recipient)) if text},
    )


def check_pin(*, order_id: UUID, driver_id: int, pin: str) -> bool:
    """Whether the order that this driver has picked up has a PIN, and it is this one; False: it has none, or is not theirs
    to deliver, which is judged under the lock.

    Raises Invalid naming `proof.pin` when it is another one, Throttled after PIN_TRIES: a PIN of four digits holds only
    while nobody can try them all.
    """
    is_theirs = {"contact__order__driver": driver_id, "contact__order__status": Status.PICKED_UP}
    kept = DeliveryPin.objects.filter(pk=order_id, **is_theirs).values_list("digits", flat=True).first()
    if kept is None:
        return False
    if not pin:
        raise Invalid(**{"proof.pin": "The receiver has a PIN; ask for it."})
    asker = f"{order_id}:{driver_id}"
    if wait := PIN_TRIES.spend(asker):
        raise Throttled(retry_after=ceil(wait))
    if not constant_time_compare(pin, kept):
        raise Invalid(**{"proof.pin": "This is not the receiver's PIN."})
    PIN_TRIES.give_back(asker)
    return True


def fail_order(*, order_id: UUID, driver_id: int, reason: str, tap: Tap = NO_TAP) -> Done:
    """Could not be handed over, with the reason. Raises NotFound, OrderCancelled, OrderNotPending."""
    return _act_as_holder(
        "fail",
        order_id,
        driver_id,
        tap,
        Status.PICKED_UP,
        Status.FAILED,
        Kind.FAILED,
        "failed_at",
        {"reason": reason},
    )


def _act_as_holder(
    verb: str,
    order_id: UUID,
    driver_id: int,
    tap: Tap,
    before: Status,
    after: Status,
    kind: Kind,
    time_field: str,
    data: dict[str, Any] | None = None,
    kept: dict[str, str] | None = None,
) -> Done:
    def act() -> Order:
        order, now = _lock_held(order_id, driver_id)
        if order.status == after:
            # Done already: without an action_id, the same tap again.
            return order
        if order.status != before:
            raise OrderNotPending(status=order.status)
        explained = {**(data or {}), **_tapped(tap)}
        event = changes.change(order, kind, _actor(order), data=explained, at=now, status=after, **{time_field: now})
        if kept:
            OrderContact.objects.filter(order=order).update(**kept)
        live.order_changed(order, event)
        live.driver_changed(driver_id)
        return order

    return act_once(driver_id=driver_id, order_id=order_id, verb=verb, tap=tap, act=act)


def release_order(*, order_id: UUID, driver_id: int, reason: str = "", tap: Tap = NO_TAP) -> Done:
    """The holder gives an order back before picking it up; it is offered to the others at once, never again to them.
    Raises NotFound, OrderCancelled, OrderNotPending."""

    def act() -> Order:
        order, now = _lock_held(order_id, driver_id)
        if order.status != Status.ASSIGNED:
            raise OrderNotPending(status=order.status)
        data = {"reason": reason, **_tapped(tap)}
        give_back(order, actor=_actor(order), data=data, now=now, reason="released", offer=OfferStatus.DECLINED)
        offer_to_nearby(order)
        return order

    return act_once(driver_id=driver_id, order_id=order_id, verb="release", tap=tap, act=act)


#: Also for a holder who was never offered the order, but assigned: without a row the sweeps would not know.
CLOSE_OFFER = """
INSERT INTO dispatch_offer (order_id, driver_id, distance_m, status, offered_at, closed_at, closed_reason)
SELECT o.id, %(driver)s, coalesce(ST_Distance(p.location, o.pickup), 0), %(status)s, %(now)s, %(now)s, %(reason)s
FROM orders_order o JOIN drivers_presence p ON p.driver_id = %(driver)s
WHERE o.id = %(order)s
ON CONFLICT (order_id, driver_id) DO UPDATE SET
    status = excluded.status, closed_at = excluded.closed_at, closed_reason = excluded.closed_reason
"""


def give_back(
    order: Order,
    *,
    actor: actors.Actor,
    data: dict[str, Any],
    now: datetime,
    reason: str,
    offer: OfferStatus,
    deadlines: dict[str, datetime] | None = None,
    pinned: bool = False,
) -> None:
    """The one place where a locked, assigned order loses its holder and is pending again, with fresh deadlines if its own
    have passed (or with those given). What becomes of that driver's own `offer`: declined or barred, never made again;
    lapsed, as anybody's. Offering it to the others is the caller's."""
    driver_id = order.driver_id
    assert driver_id is not None
    with connection.cursor() as cursor:
        given: dict[str, Any] = {
            "order": order.pk,
            "driver": driver_id,
            "status": str(offer),
            "now": now,
            "reason": reason,
        }
        cursor.execute(CLOSE_OFFER, given)
    event = changes.change(
        order,
        Kind.RELEASED,
        actor,
        data={"driver": driver_id, **data},
        at=now,
        status=Status.PENDING,
        driver_id=None,
        assigned_at=None,
        offered_at=None,
        pinned=pinned,
        **(deadlines or fresh_deadlines(order, now=now)),
    )
    live.order_changed(order, event)
    live.order_removed(order, driver_id, reason)
    live.driver_changed(driver_id)


def fresh_deadlines(order: Order, *, now: datetime) -> dict[str, datetime]:
    """A returned order gets a full round again: whoever waits for it should not lose it to the first holder's delay."""
    expires_at = max(order.expires_at, now + timedelta(seconds=settings.EXPIRE_AFTER_SECONDS))
    return {
        "auto_assign_at": min(now + timedelta(seconds=settings.AUTO_ASSIGN_AFTER_SECONDS), expires_at),
        "expires_at": expires_at,
    }


def _lock_held(order_id: UUID, driver_id: int) -> tuple[Order, datetime]:
    """The order, locked, if this driver holds it or finished it. Anybody else's is not to be seen: NotFound."""
    order = lock_order(order_id)
    if order.driver_id != driver_id:
        raise NotFound
    if order.status == Status.CANCELLED:
        raise OrderCancelled
    return order, database_now()


def _actor(order: Order) -> actors.Actor:
    assert order.driver is not None
    return actors.driver(order.driver.pk, order.driver.name)


def _tapped(tap: Tap) -> dict[str, str]:
    return {"tapped_at": tap.tapped_at.isoformat()} if tap.tapped_at else {}
