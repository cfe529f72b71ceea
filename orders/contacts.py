"""The customer's data after the delivery: who of the staff looked at it is on record, and it is erased in time."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from drivers.clock import database_now
from orders.actors import Actor
from orders.lifecycle import FINAL
from orders.models import ContactAccess, Order, OrderContact

ERASE_BATCH = 500


def look_at_contact(*, order_id: UUID, actor: Actor, via: str) -> OrderContact | None:
    """An order's contact, for somebody on the staff; that they looked is on record before they see it. None when it is
    erased. `via` is the door: `admin`, `api`."""
    with transaction.atomic():
        contact = OrderContact.objects.filter(pk=order_id).first()
        if contact is not None:
            ContactAccess.objects.create(
                order_id=order_id, actor_type=actor.type, actor_id=actor.id, actor_name=actor.name, via=via
            )
    return contact


def erase_contacts() -> int:
    """Delete the contacts of orders that have been final for CONTACT_RETENTION_DAYS; how many. Runs from a schedule, any
    number of times; each batch is a transaction of its own."""
    erased = 0
    while batch := _erase_batch():
        erased += batch
    return erased


def _erase_batch() -> int:
    with transaction.atomic(durable=True):
        before = database_now() - timedelta(days=settings.CONTACT_RETENTION_DAYS)
        is_old = Q(delivered_at__lt=before) | Q(cancelled_at__lt=before) | Q(failed_at__lt=before)
        old = Order.objects.filter(is_old, status__in=sorted(FINAL), contact__isnull=False).order_by()
        batch = list(old.values_list("pk", flat=True)[:ERASE_BATCH])
        _, deleted = OrderContact.objects.filter(pk__in=batch).delete()
    return deleted.get("orders.OrderContact", 0)
