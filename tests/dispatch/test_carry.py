"""What the holder does: pick up, deliver, fail, release; and what everybody else may not."""

from collections.abc import Callable
from typing import Any

import pytest

from dispatch import services
from dispatch.models import ActionReceipt
from drivers.errors import NotFound
from drivers.models import Driver
from orders.errors import OrderCancelled, OrderNotPending
from orders.models import Order, OrderEvent
from tests import cast

pytestmark = pytest.mark.django_db


@pytest.fixture
def held(alice: Driver) -> Order:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    return Order.objects.get(pk=order.pk)


def status_of(order: Order) -> tuple[str, int | None]:
    fresh = Order.objects.get(pk=order.pk)
    return fresh.status, fresh.driver_id


def test_an_order_is_picked_up_and_delivered_by_its_holder(held: Order, alice: Driver) -> None:
    services.pick_up_order(order_id=held.pk, driver_id=alice.pk)
    assert status_of(held) == ("picked_up", alice.pk)

    services.deliver_order(order_id=held.pk, driver_id=alice.pk, proof={"kind": "signature"})

    delivered = Order.objects.get(pk=held.pk)
    assert (delivered.status, delivered.driver_id) == ("delivered", alice.pk)
    assert delivered.picked_up_at is not None
    assert delivered.delivered_at is not None
    assert cast.history(held) == ["created", "offered", "assigned", "picked_up", "delivered"]
    assert OrderEvent.objects.get(order=held, version=5).data == {"proof": {"kind": "signature"}}


def test_an_order_that_could_not_be_delivered_fails_with_a_reason(held: Order, alice: Driver) -> None:
    services.pick_up_order(order_id=held.pk, driver_id=alice.pk)

    services.fail_order(order_id=held.pk, driver_id=alice.pk, reason="nobody there")

    assert status_of(held) == ("failed", alice.pk)
    assert OrderEvent.objects.get(order=held, version=5).data == {"reason": "nobody there"}


def test_a_released_order_is_offered_to_the_others_and_never_again_to_who_gave_it_back(
    held: Order, alice: Driver, bob: Driver
) -> None:
    services.release_order(order_id=held.pk, driver_id=alice.pk, reason="flat tyre")

    assert status_of(held) == ("pending", None)
    assert cast.history(held) == ["created", "offered", "assigned", "released", "offered"]
    assert cast.offers(held) == {"alice": "declined", "bob": "open"}


def test_a_released_order_gets_a_full_round_again(held: Order, alice: Driver) -> None:
    cast.let_time_pass(held, seconds=118)

    services.release_order(order_id=held.pk, driver_id=alice.pk)

    order = Order.objects.get(pk=held.pk)
    assert round((order.expires_at - cast.now()).total_seconds()) == 120
    assert round((order.auto_assign_at - cast.now()).total_seconds()) == 15


ACTS: dict[str, Callable[..., Any]] = {
    "pick_up": services.pick_up_order,
    "deliver": services.deliver_order,
    "release": services.release_order,
    "fail": lambda **ids: services.fail_order(reason="no", **ids),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_nobody_but_the_holder_can_act_on_it(held: Order, bob: Driver, act: Callable[..., Any]) -> None:
    before = status_of(held), cast.history(held)

    with pytest.raises(NotFound):
        act(order_id=held.pk, driver_id=bob.pk)

    assert (status_of(held), cast.history(held)) == before


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_the_holder_of_a_cancelled_order_is_told_so(held: Order, alice: Driver, act: Callable[..., Any]) -> None:
    services.cancel_order(order_id=held.pk, actor=cast.DISPATCHER)

    with pytest.raises(OrderCancelled):
        act(order_id=held.pk, driver_id=alice.pk)

    assert cast.history(held) == ["created", "offered", "assigned", "cancelled"]


def test_what_is_picked_up_can_no_longer_be_released(held: Order, alice: Driver) -> None:
    services.pick_up_order(order_id=held.pk, driver_id=alice.pk)

    with pytest.raises(OrderNotPending):
        services.release_order(order_id=held.pk, driver_id=alice.pk)

    assert status_of(held) == ("picked_up", alice.pk)


def test_what_is_not_picked_up_cannot_be_delivered(held: Order, alice: Driver) -> None:
    with pytest.raises(OrderNotPending):
        services.deliver_order(order_id=held.pk, driver_id=alice.pk, tap=services.Tap("a"))

    assert status_of(held) == ("assigned", alice.pk)
    assert ActionReceipt.objects.count() == 0


@pytest.mark.parametrize("tap", [services.Tap(), services.Tap("same")])
def test_an_act_sent_twice_is_carried_out_once(held: Order, alice: Driver, tap: services.Tap) -> None:
    first = services.pick_up_order(order_id=held.pk, driver_id=alice.pk, tap=tap)
    second = services.pick_up_order(order_id=held.pk, driver_id=alice.pk, tap=tap)

    assert (first.version, second.version) == (4, 4)
    assert cast.history(held) == ["created", "offered", "assigned", "picked_up"]


def test_a_driver_who_delivered_has_room_again_and_is_offered_what_waits(held: Order, alice: Driver) -> None:
    waiting = cast.order()
    assert cast.offers(waiting) == {}
    services.pick_up_order(order_id=held.pk, driver_id=alice.pk)
    services.deliver_order(order_id=held.pk, driver_id=alice.pk)

    services.offer_orders()

    assert cast.offers(waiting) == {"alice": "open"}
