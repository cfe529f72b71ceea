"""Orders in a driver's hands, and what becomes of them."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from dispatch import services
from drivers.models import Driver
from orders.models import Order, OrderEvent
from orders.services import Contact
from tests import cast

pytestmark = pytest.mark.django_db


def in_hand(driver: Driver, **contact: Any) -> Order:
    """An order that the driver has picked up."""
    order = cast.order(contact=Contact(name="Carol", phone="1", **contact))
    services.accept_order(order_id=order.pk, driver_id=driver.pk)
    services.pick_up_order(order_id=order.pk, driver_id=driver.pk)
    return order


def deliver(order: Order, driver: Driver) -> None:
    services.deliver_order(order_id=order.pk, driver_id=driver.pk)


def fail(order: Order, driver: Driver) -> None:
    services.fail_order(order_id=order.pk, driver_id=driver.pk, reason="nobody there")


def let_days_pass(order: Order, days: float) -> None:
    fresh = Order.objects.get(pk=order.pk)
    with transaction.atomic():
        Order.objects.filter(pk=order.pk).update(
            version=fresh.version + 1, delivered_at=cast.now() - timedelta(days=days)
        )
        OrderEvent.objects.create(order=order, version=fresh.version + 1, kind="order.corrected", actor_type="system")
