import sys
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from dispatch import services
from dispatch.models import Offer
from dispatch.services.auto_assign import Round
from drivers.models import Driver, Presence, Vehicle
from orders.models import Order, OrderEvent
from orders.services import Place
from tests import cast

pytestmark = pytest.mark.django_db

#: The module; in its package the name is the function's.
MODULE: Any = sys.modules["dispatch.services.auto_assign"]

#: On one line to the east of the ferry building, metres by the spheroid: 88.0 to every thousandth of a degree.
SOUTH = 37.7955
WEST = -122.3937


def at(thousandths: float) -> tuple[float, float]:
    return SOUTH, WEST + thousandths / 1000


def pickup(thousandths: float) -> Place:
    return Place(*at(thousandths))


def due(**changes: Any) -> Order:
    """An order that nobody took for twenty seconds."""
    order = cast.order(**changes)
    cast.let_time_pass(order, seconds=20)
    return order


def holder(order: Order) -> str | None:
    fresh = Order.objects.select_related("driver__user").get(pk=order.pk)
    return fresh.driver.user.username if fresh.driver else None


def explained(order: Order) -> dict[str, Any]:
    data: dict[str, Any] = OrderEvent.objects.get(order=order, kind="order.assigned").data
    return data


def test_the_nearest_driver_gets_the_order_and_the_history_says_why(alice: Driver, bob: Driver) -> None:
    order = due()

    assert services.auto_assign() == 1

    assert holder(order) == "alice"
    assert cast.history(order) == ["created", "offered", "corrected", "assigned"]
    assert cast.offers(order) == {"alice": "lapsed", "bob": "lapsed"}
    event = OrderEvent.objects.get(order=order, kind="order.assigned")
    assert (event.actor_type, event.actor_name) == ("system", "Baton")
    # Whole seconds since the heartbeat: none, on a machine that is not busy.
    ages = [candidate.pop("position_age_s") for candidate in event.data["candidates"]]
    assert all(0 <= age < 10 for age in ages)
    assert event.data == {
        "driver": alice.pk,
        "driver_name": "Alice",
        "capacity": 1,
        "how": "auto",
        "distance_m": 0,
        "radius_km": 5,
        "considered": 2,
        "matched_together": 1,
        "candidates": [
            {"driver": alice.pk, "distance_m": 0, "load": 0, "capacity": 1},
            {"driver": bob.pk, "distance_m": 416, "load": 0, "capacity": 1, "passed_over": "farther"},
        ],
    }


def test_an_order_whose_time_has_not_come_is_left_to_the_drivers(alice: Driver) -> None:
    order = cast.order()

    assert services.auto_assign() == 0

    assert cast.history(order) == ["created", "offered"]


def test_orders_due_together_are_matched_for_the_least_total_distance() -> None:
    cast.driver("near", at=at(0))
    cast.driver("far", at=at(-4))
    # One by one, the first would take `near` (88 m) and leave the second with `far` (528 m).
    first, second = due(pickup=pickup(-1)), due(pickup=pickup(2))

    assert services.auto_assign() == 2

    assert (holder(first), holder(second)) == ("far", "near")
    assert explained(first)["matched_together"] == 2
    assert [c.get("passed_over") for c in explained(first)["candidates"]] == ["other_order", None]


def test_a_contested_driver_goes_to_the_higher_priority(alice: Driver) -> None:
    near, urgent = due(), due(priority=1, pickup=pickup(10))

    assert services.auto_assign() == 1

    assert (holder(near), holder(urgent)) == (None, "alice")
    assert Order.objects.get(pk=near.pk).status == "pending"


def test_a_driver_gets_as_many_as_there_is_room_for() -> None:
    cast.driver("vera", at=at(0), capacity=2)
    orders = [due() for _ in range(3)]

    assert services.auto_assign() == 2
    assert services.auto_assign() == 0

    assert sorted(str(holder(order)) for order in orders) == ["None", "vera", "vera"]


def test_a_driver_who_is_full_loses_the_other_offers(alice: Driver) -> None:
    mine, other = due(), cast.order()

    services.auto_assign()

    assert holder(mine) == "alice"
    assert cast.offers(other) == {"alice": "lapsed"}
    assert Offer.objects.get(order=other).closed_reason == "driver_at_capacity"


def test_nobody_gets_what_they_declined(alice: Driver, bob: Driver) -> None:
    order = due()
    services.decline_order(order_id=order.pk, driver_id=alice.pk)

    services.auto_assign()

    assert holder(order) == "bob"
    assert explained(order)["considered"] == 1


def test_the_vehicle_must_be_right(alice: Driver) -> None:
    cast.driver("van", at=cast.UNION_SQUARE, vehicle=Vehicle.VAN)
    order = due(vehicle="van")

    services.auto_assign()

    assert holder(order) == "van"


def test_what_finds_nobody_near_is_given_to_somebody_farther() -> None:
    cast.driver("far", at=cast.OCEAN_BEACH)
    order = due()

    assert services.auto_assign() == 1

    assert holder(order) == "far"
    assert (explained(order)["distance_m"], explained(order)["radius_km"]) == (11059, 20)


def test_a_near_driver_is_not_taken_from_a_near_order_for_the_sake_of_a_far_one(alice: Driver) -> None:
    near = due()
    far = due(pickup=Place(*cast.OCEAN_BEACH), priority=9)

    services.auto_assign()

    assert (holder(near), holder(far)) == ("alice", None)


def test_an_order_that_finds_nobody_is_tried_again_until_somebody_is_there() -> None:
    order = due()
    assert services.auto_assign() == 0
    assert services.auto_assign() == 0
    assert cast.history(order) == ["created", "corrected"]

    cast.driver("late", at=cast.FERRY_BUILDING)

    assert services.auto_assign() == 1
    assert holder(order) == "late"


def test_orders_that_nobody_can_take_do_not_keep_others_waiting(alice: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "ASSIGN_BATCH", 1)
    monkeypatch.setattr(MODULE, "ASSIGN_AT_MOST", 2)
    for_vans = [due(priority=9, vehicle=Vehicle.VAN) for _ in range(3)]
    for_anybody, told = due(), Round()

    # The most urgent one each time, and one of the others in turns.
    assert [services.auto_assign(told) for _ in range(3)] == [0, 0, 1]

    assert holder(for_anybody) == "alice"
    cast.driver("van", at=cast.FERRY_BUILDING, vehicle=Vehicle.VAN, capacity=3)
    assert [services.auto_assign(told) for _ in range(2)] == [2, 1]
    assert [holder(order) for order in for_vans] == ["van"] * 3


def test_the_most_urgent_order_is_looked_at_in_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "ASSIGN_BATCH", 1)
    monkeypatch.setattr(MODULE, "ASSIGN_AT_MOST", 2)
    urgent, others, told = due(priority=9), [due() for _ in range(3)], Round()
    assert services.auto_assign(told) == 0

    cast.driver("alice", at=cast.FERRY_BUILDING)

    assert services.auto_assign(told) == 1
    assert (holder(urgent), [holder(order) for order in others]) == ("alice", [None] * 3)


def test_a_run_whose_time_is_over_leaves_the_rest_to_the_next(alice: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "ASSIGN_SECONDS", 0)
    monkeypatch.setattr(MODULE, "ASSIGN_BATCH", 1)
    for_vans = [due(priority=9, vehicle=Vehicle.VAN) for _ in range(2)]
    for_anybody, told = due(), Round()

    assert [services.auto_assign(told) for _ in range(2)] == [0, 1]

    assert holder(for_anybody) == "alice"
    assert [holder(order) for order in for_vans] == [None, None]


def test_orders_that_fail_do_not_keep_others_waiting(alice: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "ASSIGN_BATCH", 1)
    bad, good = due(priority=9), due()
    assign_batch = MODULE._assign_batch

    def fails(versions: dict[UUID, int], free: Any) -> Any:
        if bad.pk in versions:
            raise OperationalError("statement timeout")
        return assign_batch(versions, free)

    monkeypatch.setattr(MODULE, "_assign_batch", fails)

    with pytest.raises(OperationalError):
        services.auto_assign(Round())

    assert (holder(bad), holder(good)) == (None, "alice")


def test_an_expired_order_is_not_assigned(alice: Driver) -> None:
    order = due()
    cast.let_time_pass(order, seconds=105)

    assert services.auto_assign() == 0

    assert holder(order) is None


@pytest.mark.parametrize("state", ["silent", "off duty", "suspended"])
def test_only_live_drivers_are_considered(alice: Driver, bob: Driver, state: str) -> None:
    order = due()
    match state:
        case "silent":
            Presence.objects.filter(pk=alice.pk).update(last_seen=cast.now() - cast.MINUTE)
        case "off duty":
            services.go_offline(driver_id=alice.pk)
        case _:
            services.suspend_driver(driver_id=alice.pk)

    services.auto_assign()

    assert holder(order) == "bob"


def test_a_crowd_of_orders_from_one_place_is_assigned_in_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    # However slow the machine is; a run that has used up its second leaves the rest to the next tick.
    monkeypatch.setattr(MODULE, "ASSIGN_SECONDS", 60.0)
    # More than are weighed per order: all of them want the same nearest drivers first.
    for n in range(45):
        cast.driver(f"d{n}", at=at(n / 10))
    orders = [due() for _ in range(45)]

    assert services.auto_assign() == 45

    assert len({holder(order) for order in orders}) == 45


def test_the_number_of_queries_does_not_grow_with_the_orders() -> None:
    def queries_for(orders: int) -> int:
        for n in range(orders):
            cast.driver(f"d{orders}-{n}", at=at(n))
            due(pickup=pickup(n))
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert services.auto_assign() == orders
        return len(captured)

    assert queries_for(12) == queries_for(1)
