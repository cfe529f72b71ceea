"""Many drivers at one order, one driver at many orders. Each test of a guard is preceded by the proof that the rig sees
the race when the guard is gone."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.test import override_settings

from dispatch import services
from dispatch.errors import NotOffered
from dispatch.locks import check_capacity
from dispatch.models import ActionReceipt, Offer
from drivers.models import Driver
from orders import changes
from orders.models import Order
from tests import cast
from tests.race import rig

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]

CROWD = 12


@pytest.fixture
def crowd() -> list[Driver]:
    """Live drivers in one place, each offered whatever comes."""
    return [cast.driver(f"d{number}", at=cast.FERRY_BUILDING) for number in range(CROWD)]


def everybody_accepts(order: Order, crowd: list[Driver]) -> dict[str, int]:
    acts: list[Callable[[], Any]] = [
        partial(services.accept_order, order_id=order.pk, driver_id=driver.pk) for driver in crowd
    ]
    return rig.codes(rig.at_once(acts))


def accept_many(driver: Driver, orders: list[Order]) -> dict[str, int]:
    acts: list[Callable[[], Any]] = [
        partial(services.accept_order, order_id=order.pk, driver_id=driver.pk) for order in orders
    ]
    return rig.codes(rig.at_once(acts))


# --- Many drivers, one order -----------------------------------------------------------------------------------------


def test_two_drivers_win_one_order_when_every_guard_is_removed(
    crowd: list[Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = cast.order()
    rig.read_together(monkeypatch, "dispatch.services.accept.lock_order", Order, CROWD)
    rig.no_offer_bookkeeping(monkeypatch)
    rig.unguarded_changes(monkeypatch)

    with rig.without_triggers():
        outcome = everybody_accepts(order, crowd)

    assert outcome == {"done": CROWD}
    assert sorted(rig.holders(order)) == sorted(driver.pk for driver in crowd)


def test_the_guarded_update_alone_leaves_one_winner_without_the_lock_and_the_triggers(
    crowd: list[Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = cast.order()
    rig.read_together(monkeypatch, "dispatch.services.accept.lock_order", Order, CROWD)
    rig.no_offer_bookkeeping(monkeypatch)

    with rig.without_triggers():
        outcome = everybody_accepts(order, crowd)

    assert outcome == {"done": 1, "version_conflict": CROWD - 1}
    assert len(rig.holders(order)) == 1


def test_the_triggers_alone_leave_one_winner_without_the_lock_and_the_guarded_update(
    crowd: list[Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = cast.order()
    rig.read_together(monkeypatch, "dispatch.services.accept.lock_order", Order, CROWD)

    def change(order: Order, kind: object, actor: object, **fields: object) -> object:
        """By id alone, as a careless `.save()` would."""
        with changes.refusals():
            Order.objects.filter(pk=order.pk).update(
                version=order.version + 1,
                status=fields["status"],
                driver_id=fields["driver_id"],
                assigned_at=fields["assigned_at"],
            )
        order.version += 1
        return changes.record(order, kind, actor, {"driver": fields["driver_id"]})  # type: ignore[arg-type]

    monkeypatch.setattr("orders.changes.change", change)
    rig.no_offer_bookkeeping(monkeypatch)

    outcome = everybody_accepts(order, crowd)

    assert outcome["done"] == 1
    assert len(rig.holders(order)) == 1


def test_one_driver_wins_and_the_others_are_told_that_it_is_taken(crowd: list[Driver]) -> None:
    order = cast.order()

    outcome = everybody_accepts(order, crowd)

    assert outcome == {"done": 1, "order_taken": CROWD - 1}
    held = Order.objects.get(pk=order.pk)
    assert rig.holders(order) == [held.driver_id]
    assert cast.history(order) == ["created", "offered", "assigned"]
    assert sorted(Offer.objects.filter(order=order).values_list("status", flat=True)) == ["accepted"] + ["lapsed"] * 11


def test_whoever_was_never_offered_it_neither_waits_for_the_order_nor_holds_it_up(crowd: list[Driver]) -> None:
    order = cast.order()
    stranger = cast.driver("stranger", at=cast.FERRY_BUILDING)

    with rig.somebody_locks("orders_order", order.pk), pytest.raises(NotOffered):
        services.accept_order(order_id=order.pk, driver_id=stranger.pk, tap=services.Tap("t1"))

    assert cast.history(order) == ["created", "offered"]
    assert not ActionReceipt.objects.exists()


# --- One driver, many orders -----------------------------------------------------------------------------------------


@pytest.fixture
def orders(alice: Driver) -> list[Order]:
    return [cast.order() for _ in range(CROWD)]


def test_a_driver_ends_up_over_capacity_when_every_guard_is_removed(
    alice: Driver, orders: list[Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.read_together(monkeypatch, "dispatch.services.accept.lock_driver", Driver, CROWD)
    rig.judge_together(monkeypatch, "dispatch.services.accept.check_capacity", check_capacity, CROWD)
    rig.no_offer_bookkeeping(monkeypatch)

    with rig.without_triggers():
        outcome = accept_many(alice, orders)

    assert outcome == {"done": CROWD}
    assert rig.held_by(alice) == CROWD


def test_the_trigger_alone_keeps_a_driver_within_capacity(
    alice: Driver, orders: list[Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.read_together(monkeypatch, "dispatch.services.accept.lock_driver", Driver, CROWD)
    rig.judge_together(monkeypatch, "dispatch.services.accept.check_capacity", check_capacity, CROWD)
    rig.no_offer_bookkeeping(monkeypatch)

    outcome = accept_many(alice, orders)

    assert outcome == {"done": 1, "driver_at_capacity": CROWD - 1}
    assert rig.held_by(alice) == 1


@pytest.mark.parametrize("capacity", [1, 3])
def test_a_driver_never_gets_more_than_the_capacity(alice: Driver, orders: list[Order], capacity: int) -> None:
    Driver.objects.filter(pk=alice.pk).update(capacity=capacity)

    outcome = accept_many(alice, orders)

    assert outcome == {"done": capacity, "driver_at_capacity": CROWD - capacity}
    assert rig.held_by(alice) == capacity


# --- Other meetings --------------------------------------------------------------------------------------------------


def test_accept_and_cancel_at_once_leave_one_story(crowd: list[Driver]) -> None:
    for _ in range(5):
        order = cast.order()
        acts: list[Callable[[], Any]] = [
            partial(services.accept_order, order_id=order.pk, driver_id=driver.pk) for driver in crowd[:3]
        ]
        acts.append(partial(services.cancel_order, order_id=order.pk, actor=cast.DISPATCHER))
        rig.at_once(acts)

        assert Order.objects.get(pk=order.pk).status == "cancelled"
        assert cast.history(order) in (
            ["created", "offered", "cancelled"],
            ["created", "offered", "assigned", "cancelled"],
        )
        assert Offer.objects.filter(order=order, status="open").count() == 0


def test_the_same_tap_sent_twice_at_once_is_carried_out_once(alice: Driver) -> None:
    order = cast.order()
    tap = services.Tap("tap-1")

    results = rig.at_once(
        [lambda: services.accept_order(order_id=order.pk, driver_id=alice.pk, tap=tap) for _ in range(6)]
    )

    assert sorted(result.replayed for result in results) == [False] + [True] * 5
    assert {result.version for result in results} == {3}
    assert cast.history(order) == ["created", "offered", "assigned"]


def test_the_same_release_sent_twice_at_once_is_done_once_and_nobody_is_told_that_it_was_not(alice: Driver) -> None:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    tap = services.Tap("tap-2")

    results = rig.at_once(
        [
            lambda: services.release_order(order_id=order.pk, driver_id=alice.pk, tap=tap, reason="flat tyre")
            for _ in range(6)
        ]
    )

    assert rig.codes(results) == {"done": 6}
    assert sorted(result.replayed for result in results) == [False] + [True] * 5
    assert cast.history(order)[:4] == ["created", "offered", "assigned", "released"]


@override_settings(AUTO_ASSIGN_AFTER_SECONDS=0)
def test_several_sweepers_and_accepting_drivers_give_each_order_to_one_driver(crowd: list[Driver]) -> None:
    orders = [cast.order() for _ in range(CROWD)]
    acts: list[Callable[[], Any]] = [
        partial(services.accept_order, order_id=order.pk, driver_id=driver.pk)
        for driver, order in zip(crowd, orders, strict=True)
    ]
    acts += [services.auto_assign for _ in range(3)]

    rig.at_once(acts)
    services.auto_assign()

    assert [len(rig.holders(order)) for order in orders] == [1] * CROWD
    assert sorted(Order.objects.values_list("driver_id", flat=True)) == sorted(driver.pk for driver in crowd)


def test_idempotent_orders_posted_at_once_are_one_order() -> None:
    def post() -> tuple[Order, bool]:
        return services.place_order(new=cast.new_order(), actor=cast.DISPATCHER, idempotency_key="k1", fingerprint="f1")

    results = rig.at_once([post for _ in range(8)])

    assert len({order.pk for order, _ in results}) == 1
    assert sorted(is_new for _, is_new in results) == [False] * 7 + [True]
    assert Order.objects.count() == 1
