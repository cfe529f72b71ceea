"""A shift of yesterday that every number of the report can be worked out for by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from dispatch import services
from drivers.clock import database_now
from drivers.models import Driver, DutyChange
from orders.models import Order, OrderEvent
from tests import cast


def yesterday(hour: int, minute: int = 0, second: int = 0) -> datetime:
    day = datetime.now(UTC) - timedelta(days=1)
    return day.replace(hour=hour, minute=minute, second=second, microsecond=0)


def happened(order: Order, released: datetime, **after: float) -> None:
    """Move an order to where it was released, and its other times to so many seconds after that."""
    moved: dict[str, Any] = {f"{name}_at": released + timedelta(seconds=by) for name, by in after.items()}
    moved |= dict.fromkeys(("created_at", "release_at"), released)
    moved |= {"auto_assign_at": released + timedelta(seconds=15), "expires_at": released + timedelta(seconds=120)}
    with transaction.atomic():
        Order.objects.filter(pk=order.pk).update(version=F("version") + 1, **moved)
        version = Order.objects.values_list("version", flat=True).get(pk=order.pk)
        OrderEvent.objects.create(
            order=order, version=version, kind="order.corrected", actor_type="system", data={"test": True}
        )


def work() -> Driver:
    """From ten: two delivered and one failed by Alice, one cancelled that she declined, and one whose time ran out."""
    alice = cast.driver("alice", at=cast.FERRY_BUILDING, capacity=5)
    made = {name: cast.order(reference=name) for name in ("first", "second", "third")}
    for order in made.values():
        services.accept_order(order_id=order.pk, driver_id=alice.pk)
        services.pick_up_order(order_id=order.pk, driver_id=alice.pk)
    for name in ("first", "second"):
        services.deliver_order(order_id=made[name].pk, driver_id=alice.pk)
    services.fail_order(order_id=made["third"].pk, driver_id=alice.pk, reason="nobody there")
    happened(made["first"], yesterday(10), assigned=20, picked_up=60, delivered=600)
    happened(made["second"], yesterday(10, 10), assigned=40, picked_up=60, delivered=1200)
    happened(made["third"], yesterday(10, 20), assigned=60, picked_up=70, failed=900)

    refused = cast.order(reference="refused")
    services.decline_order(order_id=refused.pk, driver_id=alice.pk)
    services.cancel_order(order_id=refused.pk, actor=cast.DISPATCHER)
    happened(refused, yesterday(10, 50), cancelled=30)

    left = cast.order(reference="left")
    cast.let_time_pass(left, seconds=200)
    services.expire_orders()
    happened(left, yesterday(11, 5))

    for at, is_online in ((yesterday(9), True), (yesterday(10, 30), False), (yesterday(11), True)):
        DutyChange.objects.create(driver=alice, at=at, is_online=is_online)
    assert Order.objects.get(reference="left").expired
    assert yesterday(12) < database_now()
    return alice
