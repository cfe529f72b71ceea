"""A picture from the door: kept for the order, apart from the act of delivering, which never waits for it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from dispatch.locks import lock_order
from drivers.clock import database_now
from drivers.errors import DomainError, Invalid, NotFound
from orders import proofs
from orders.changes import constraint_name
from orders.errors import IdempotencyMismatch, OrderCancelled, OrderNotPending
from orders.lifecycle import Status
from orders.models import DeliveryProof, Order

#: How long after the handing over a picture may still come: a phone may have been in a tunnel, or off for the weekend.
LATE_DAYS: Final = 7
#: Pictures of one order.
MOST_PROOFS: Final = 12


@dataclass(frozen=True, slots=True)
class Kept:
    proof: DeliveryProof
    #: It had been sent before, under the same name; nothing was kept now.
    replayed: bool = False


def keep_proof(
    *,
    order_id: UUID,
    driver_id: int,
    action_id: str,
    kind: str,
    content: bytes,
    media_type: str,
    taken_at: datetime | None = None,
) -> Kept:
    """Keep a picture that the driver took of an order they have picked up, or delivered or failed in the last LATE_DAYS.

    The same `action_id` again changes nothing. Judged before the picture is even looked at, and again under the order's
    lock. Raises NotFound, OrderNotPending, OrderCancelled, IdempotencyMismatch, Invalid (body, order).
    """
    if known := _find(order_id, driver_id, action_id, kind):
        return known
    _check(Order.objects.filter(pk=order_id).first(), driver_id)
    picture = proofs.make_picture(content=content, media_type=media_type)
    name = proofs.write_file(picture.content)
    proof = DeliveryProof(
        order_id=order_id,
        driver_id=driver_id,
        action_id=action_id,
        kind=kind,
        file=name,
        media_type=picture.media_type,
        width=picture.width,
        height=picture.height,
        taken_at=taken_at,
    )
    try:
        with transaction.atomic(durable=True):
            _check(lock_order(order_id), driver_id)
            if DeliveryProof.objects.filter(order=order_id).count() >= MOST_PROOFS:
                raise Invalid(order=f"Has {MOST_PROOFS} pictures already.")
            proof.save(force_insert=True)
    except IntegrityError as error:
        # The same picture arrived twice at once and the other one has just committed.
        proofs.remove_files([name])
        if constraint_name(error) != "one_proof_per_action":
            raise
        if (known := _find(order_id, driver_id, action_id, kind)) is None:
            raise
        return known
    except DomainError:
        proofs.remove_files([name])
        raise
    # Any other error may have come after the commit: the file stays, and the sweep asks whether it has a row.
    return Kept(proof)


def _find(order_id: UUID, driver_id: int, action_id: str, kind: str) -> Kept | None:
    known = DeliveryProof.objects.filter(driver=driver_id, action_id=action_id).first()
    if known is None:
        return None
    if (known.order_id, known.kind) != (order_id, kind):
        raise IdempotencyMismatch
    return Kept(known, replayed=True)


def _check(order: Order | None, driver_id: int) -> None:
    """Raises unless a picture of this order may come from this driver now."""
    if order is None or order.driver_id != driver_id:
        raise NotFound
    if order.status == Status.CANCELLED:
        raise OrderCancelled
    if order.status == Status.PICKED_UP:
        return
    ended_at = order.delivered_at or order.failed_at
    # What would be erased by the next run is not kept in the first place.
    days = min(LATE_DAYS, settings.CONTACT_RETENTION_DAYS)
    if ended_at is None or ended_at < database_now() - timedelta(days=days):
        raise OrderNotPending(status=order.status)
