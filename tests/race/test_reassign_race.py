"""Two dispatchers move orders at once: to one driver with room for one, and one order to two drivers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from dispatch import audit, services
from dispatch.locks import check_capacity
from drivers.models import Driver
from orders.models import Order
from tests import cast
from tests.race import rig

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]

MANY = 6


@pytest.fixture
def held() -> list[Order]:
    """Orders, each held by a driver of its own."""
    orders = []
    for number in range(MANY):
        driver = cast.driver(f"d{number}", at=cast.FERRY_BUILDING)
        order = cast.order()
        orders.append(services.assign_order(order_id=order.pk, driver_id=driver.pk, actor=cast.DISPATCHER))
    return orders


def reassign(order: Order, driver: Driver) -> Callable[[], Any]:
    return partial(
        services.reassign_order,
        order_id=order.pk,
        driver_id=driver.pk,
        actor=cast.DISPATCHER,
        version=order.version,
    )


def test_without_the_drivers_lock_and_the_triggers_everybody_moves_an_order_to_a_driver_with_room_for_one(
    held: list[Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = cast.driver("target", at=cast.FERRY_BUILDING)
    rig.read_together(monkeypatch, "dispatch.services.assign.lock_driver", Driver, MANY)
    rig.judge_together(monkeypatch, "dispatch.services.assign.check_capacity", check_capacity, MANY)

    with rig.without_triggers():
        outcome = rig.codes(rig.at_once([reassign(order, target) for order in held]))

    assert outcome == {"done": MANY}
    assert rig.held_by(target) == MANY


def test_only_one_order_is_moved_to_a_driver_with_room_for_one_and_the_others_stay(held: list[Order]) -> None:
    target = cast.driver("target", at=cast.FERRY_BUILDING)

    outcome = rig.codes(rig.at_once([reassign(order, target) for order in held]))

    assert outcome == {"done": 1, "driver_at_capacity": MANY - 1}
    assert rig.held_by(target) == 1
    assert Order.objects.filter(status="assigned").count() == MANY
    assert sum(Order.objects.get(pk=order.pk).driver_id == order.driver_id for order in held) == MANY - 1
    assert audit.audit().broken == []


def test_one_order_is_moved_by_one_of_two_dispatchers_and_the_other_is_told(held: list[Order]) -> None:
    targets = [cast.driver(f"target{number}", at=cast.FERRY_BUILDING) for number in range(MANY)]

    outcome = rig.codes(rig.at_once([reassign(held[0], target) for target in targets]))

    assert outcome == {"done": 1, "version_conflict": MANY - 1}
    assert sum(rig.held_by(target) for target in targets) == 1
    assert audit.audit().broken == []


def test_an_undo_that_is_tapped_many_times_happens_once(held: list[Order]) -> None:
    undo = services.undo_of(order=held[0], actor=cast.DISPATCHER)
    assert undo is not None

    outcome = rig.codes(
        rig.at_once([partial(services.undo_act, undo_id=undo.pk, actor=cast.DISPATCHER) for _ in range(MANY)])
    )

    assert outcome == {"done": 1, "undo_too_late": MANY - 1}
    assert Order.objects.get(pk=held[0].pk).status == "pending"
    assert audit.audit().broken == []
