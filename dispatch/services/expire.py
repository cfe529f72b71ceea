"""Orders whose time has run out."""

from django.db import transaction

from dispatch import live
from dispatch.locks import lock_available_orders
from dispatch.services.offers import close_offers_of_order
from drivers.clock import ClockTimestamp, database_now
from orders import changes
from orders.actors import SYSTEM
from orders.lifecycle import Kind, Status
from orders.models import Order

EXPIRE_BATCH = 200


def expire_orders() -> int:
    """Flag the pending orders whose `expires_at` has passed, lapse their offers and tell everybody; how many were.

    Nothing depends on when this runs: accepting compares `expires_at` with the clock itself. Orders that somebody is busy
    with are skipped and looked at again by the next tick.
    """
    overdue = Order.objects.filter(status=Status.PENDING, expired=False, expires_at__lte=ClockTimestamp())
    with transaction.atomic(durable=True):
        orders = lock_available_orders(overdue.order_by("expires_at", "pk"), limit=EXPIRE_BATCH)
        now = database_now() if orders else None
        for order in orders:
            assert now is not None
            data = {"offered": order.offered_at is not None}
            event = changes.change(order, Kind.EXPIRED, SYSTEM, data=data, at=now, expired=True)
            close_offers_of_order(order, "order_expired", now=now)
            live.order_changed(order, event)
    return len(orders)
