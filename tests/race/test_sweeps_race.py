"""Sweeps beside everybody else: they wait for nobody, and any number of them may run together."""

import time
from functools import partial

import pytest

from dispatch import services
from dispatch.models import Offer
from drivers.models import Driver
from orders.models import Order, OrderEvent
from tests import cast
from tests.race.rig import at_once, codes, held_by, holders, somebody_locks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]


def due(seconds: float = 20) -> Order:
    order = cast.order()
    cast.let_time_pass(order, seconds=seconds)
    return order


def test_an_order_that_somebody_is_busy_with_expires_with_the_next_tick() -> None:
    busy, free = due(125), due(125)
    began = time.monotonic()

    with somebody_locks("orders_order", busy.pk):
        assert services.expire_orders() == 1

    assert time.monotonic() - began < 1, "it did not wait"
    assert Order.objects.get(pk=free.pk).expired
    assert services.expire_orders() == 1
    assert Order.objects.get(pk=busy.pk).expired


def test_an_order_that_somebody_is_busy_with_is_assigned_with_the_next_tick(alice: Driver, bob: Driver) -> None:
    busy, free = due(), due()

    with somebody_locks("orders_order", busy.pk):
        assert services.auto_assign() == 1

    assert Order.objects.get(pk=free.pk).status == "assigned"
    assert services.auto_assign() == 1
    assert Order.objects.get(pk=busy.pk).status == "assigned"


def test_a_driver_whom_somebody_is_busy_with_is_passed_over(alice: Driver, bob: Driver) -> None:
    order = due()

    with somebody_locks("drivers_driver", alice.pk):
        assert services.auto_assign() == 1

    assert holders(order) == [bob.pk]
    candidates = OrderEvent.objects.get(order=order, kind="order.assigned").data["candidates"]
    assert [(c["driver"], c.get("passed_over")) for c in candidates] == [(alice.pk, "busy"), (bob.pk, None)]


def test_when_the_only_driver_is_busy_the_order_waits(alice: Driver) -> None:
    order = due()

    with somebody_locks("drivers_driver", alice.pk):
        assert services.auto_assign() == 0

    assert cast.history(order) == ["created", "offered", "corrected"]


def test_an_order_that_somebody_is_busy_with_is_offered_with_the_next_tick() -> None:
    order = cast.order()
    cast.driver("late", at=cast.FERRY_BUILDING)

    with somebody_locks("orders_order", order.pk):
        services.offer_orders()
        assert cast.offers(order) == {}

    services.offer_orders()
    assert cast.offers(order) == {"late": "open"}


def test_sweeps_of_several_processes_do_everything_once() -> None:
    for n in range(12):
        cast.driver(f"d{n}", at=cast.FERRY_BUILDING)
    orders = [due() for _ in range(8)]
    old = [due(125) for _ in range(8)]

    results = at_once([services.auto_assign, services.expire_orders, services.offer_orders] * 3)

    assert codes(results) == {"done": 9}
    while services.auto_assign() + services.expire_orders():
        pass
    assert [cast.history(order).count("assigned") for order in orders] == [1] * 8
    assert [cast.history(order).count("expired") for order in old] == [1] * 8
    assert len({holders(order)[0] for order in orders}) == 8


def test_assigning_while_drivers_accept_never_overfills_anybody_nor_gives_an_order_twice() -> None:
    drivers = [cast.driver(f"d{n}", at=cast.FERRY_BUILDING) for n in range(8)]
    orders = [due() for _ in range(8)]

    accepts = [
        partial(services.accept_order, order_id=order.pk, driver_id=driver.pk)
        for order, driver in zip(orders, reversed(drivers), strict=True)
    ]
    results = at_once([*accepts, services.auto_assign, services.auto_assign])
    services.auto_assign()

    assert set(codes(results)) <= {"done", "order_taken", "driver_at_capacity", "not_offered"}
    assert [len(holders(order)) for order in orders] == [1] * 8
    assert [held_by(driver) for driver in drivers] == [1] * 8
    assert Offer.objects.filter(status="open").count() == 0
