"""Orders whose time has run out."""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from dispatch import live
from dispatch.locks import lock_available_orders
from dispatch.services.batches import together
from dispatch.services.closing import close_offers_of_orders
from drivers.clock import ClockTimestamp, database_now
from orders import changes
from orders.actors import SYSTEM
from orders.lifecycle import Kind, Status
from orders.models import Order

EXPIRE_BATCH = 500


def expire_orders(order_ids: Sequence[UUID] | None = None) -> int:
    """Flag the pending orders whose `expires_at` has passed, lapse their offers and tell everybody; how many were, of
    `order_ids` or of the EXPIRE_BATCH that are longest overdue.

    Nothing depends on when this runs: accepting compares `expires_at` with the clock itself. Orders that somebody is busy
    with are skipped and looked at again by the next tick.
    """
    expired: list[UUID] = []
    batch = overdue_orders(limit=EXPIRE_BATCH) if order_ids is None else order_ids
    together(lambda order_ids: expired.extend(_expire(order_ids)), batch)
    return len(expired)


def overdue_orders(*, limit: int) -> list[UUID]:
    """Those to be expired now, longest overdue first."""
    return list(_overdue().order_by("expires_at", "pk").values_list("pk", flat=True)[:limit])


def _overdue() -> QuerySet[Order]:
    return Order.objects.filter(status=Status.PENDING, expired=False, expires_at__lte=ClockTimestamp())


def _expire(order_ids: Sequence[UUID]) -> list[UUID]:
    with transaction.atomic(durable=True):
        orders = lock_available_orders(_overdue().filter(pk__in=order_ids).order_by("pk"))
        if orders:
            now = database_now()
            data = {order.pk: {"offered": order.offered_at is not None} for order in orders}
            events = changes.change_all(orders, Kind.EXPIRED, SYSTEM, data=data, at=now, expired=True)
            close_offers_of_orders(orders, "order_expired", now=now)
            for order, event in zip(orders, events, strict=True):
                live.order_changed(order, event)
    return [order.pk for order in orders]
