from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from dispatch import services
from dispatch.errors import DriverAtCapacity, NotOffered
from dispatch.models import ActionReceipt, Offer
from drivers.errors import DriverOffline, NotFound
from drivers.models import Driver
from orders.errors import IdempotencyMismatch, OrderCancelled, OrderExpired, OrderTaken
from orders.models import Order, OrderEvent
from tests import cast

pytestmark = pytest.mark.django_db


def counts() -> tuple[int, int, list[str]]:
    """What a refused act must leave alone."""
    return (
        OrderEvent.objects.count(),
        ActionReceipt.objects.count(),
        list(Offer.objects.values_list("status", flat=True)),
    )


def test_the_first_driver_to_accept_holds_the_order(alice: Driver, bob: Driver) -> None:
    order = cast.order()

    done = services.accept_order(order_id=order.pk, driver_id=alice.pk)

    order = Order.objects.get(pk=order.pk)
    assert (order.status, order.driver_id, order.version) == ("assigned", alice.pk, 3)
    assert (done.version, done.replayed) == (3, False)
    assert cast.history(order) == ["created", "offered", "assigned"]
    assert cast.offers(order) == {"alice": "accepted", "bob": "lapsed"}


def test_the_second_driver_is_told_that_it_is_taken_and_nothing_changes(alice: Driver, bob: Driver) -> None:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    before = counts()

    with pytest.raises(OrderTaken) as refusal:
        services.accept_order(order_id=order.pk, driver_id=bob.pk, tap=services.Tap("a1"))

    assert refusal.value.data == {"seconds_ago": 0}
    assert counts() == before
    assert Order.objects.get(pk=order.pk).driver_id == alice.pk


def test_the_holder_who_accepts_again_gets_the_same_answer(alice: Driver) -> None:
    order = cast.order()
    first = services.accept_order(order_id=order.pk, driver_id=alice.pk)

    assert services.accept_order(order_id=order.pk, driver_id=alice.pk) == first
    assert cast.history(order) == ["created", "offered", "assigned"]


@pytest.mark.parametrize("end", [services.deliver_order, partial(services.fail_order, reason="Nobody there")])
def test_whoever_has_carried_it_to_its_end_and_accepts_again_gets_the_order(
    alice: Driver, bob: Driver, end: Any
) -> None:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    services.pick_up_order(order_id=order.pk, driver_id=alice.pk)
    end(order_id=order.pk, driver_id=alice.pk)
    before = cast.history(order)

    done = services.accept_order(order_id=order.pk, driver_id=alice.pk, tap=services.Tap("late"))

    assert (done.order_id, done.version, done.replayed) == (order.pk, Order.objects.get(pk=order.pk).version, False)
    assert cast.history(order) == before
    with pytest.raises(OrderTaken):
        services.accept_order(order_id=order.pk, driver_id=bob.pk)


def test_the_same_action_id_is_carried_out_once_even_after_a_release(alice: Driver) -> None:
    order = cast.order()
    tap = services.Tap("tap-1")
    services.accept_order(order_id=order.pk, driver_id=alice.pk, tap=tap)
    services.release_order(order_id=order.pk, driver_id=alice.pk)

    assert services.accept_order(order_id=order.pk, driver_id=alice.pk, tap=tap) == services.Done(
        order.pk, 3, replayed=True
    )
    assert Order.objects.get(pk=order.pk).status == "pending"


def test_an_action_id_cannot_be_used_for_another_order(alice: Driver) -> None:
    first, second = cast.order(), cast.order()
    services.accept_order(order_id=first.pk, driver_id=alice.pk, tap=services.Tap("tap-1"))

    with pytest.raises(IdempotencyMismatch):
        services.accept_order(order_id=second.pk, driver_id=alice.pk, tap=services.Tap("tap-1"))


def test_an_order_past_its_deadline_is_refused_before_any_sweep_ran(alice: Driver) -> None:
    order = cast.order()
    cast.let_time_pass(order, seconds=125)
    before = counts()

    with pytest.raises(OrderExpired) as refusal:
        services.accept_order(order_id=order.pk, driver_id=alice.pk)

    assert refusal.value.data == {"seconds_ago": 5}
    assert counts() == before
    assert Order.objects.get(pk=order.pk).status == "pending"


def test_a_cancelled_order_says_so(alice: Driver) -> None:
    order = cast.order()
    services.cancel_order(order_id=order.pk, actor=cast.DISPATCHER)

    with pytest.raises(OrderCancelled):
        services.accept_order(order_id=order.pk, driver_id=alice.pk)


def test_a_driver_who_was_never_offered_it_is_told_nothing_else(alice: Driver) -> None:
    far = cast.driver("far", at=cast.OCEAN_BEACH)
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)

    with pytest.raises(NotOffered):
        services.accept_order(order_id=order.pk, driver_id=far.pk)


def test_a_driver_at_capacity_cannot_take_another(alice: Driver) -> None:
    first, second = cast.order(), cast.order()
    services.accept_order(order_id=first.pk, driver_id=alice.pk)
    before = counts()

    with pytest.raises(DriverAtCapacity):
        services.accept_order(order_id=second.pk, driver_id=alice.pk)

    assert counts() == before
    assert cast.offers(second) == {"alice": "lapsed"}


def test_a_driver_off_duty_cannot_accept(alice: Driver) -> None:
    order = cast.order()
    services.go_offline(driver_id=alice.pk)

    with pytest.raises(DriverOffline):
        services.accept_order(order_id=order.pk, driver_id=alice.pk)


def test_an_unknown_order_is_not_found(alice: Driver) -> None:
    with pytest.raises(NotFound):
        services.accept_order(order_id=uuid4(), driver_id=alice.pk)
