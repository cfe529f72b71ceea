"""The walk to the nearest drivers: right when hardly anybody can take the order, quick whatever the size of the fleet."""

import random
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dispatch import nearest, services
from dispatch.models import Offer, OfferStatus
from dispatch.nearest import Candidate, nearest_drivers
from dispatch.selectors import nearby_drivers
from drivers import services as driver_services
from drivers.models import Driver, Presence, Vehicle
from drivers.services import Position
from orders.models import Order
from orders.services import Place
from tests import cast
from tests.dispatch.test_nearby_drivers import brute_force

pytestmark = pytest.mark.django_db


def crowd(count: int, *, vehicle: Vehicle = Vehicle.CAR, within: float = 0.05, seed: int = 7) -> list[int]:
    """Live drivers around Union Square, at most `within` degrees away; their ids."""
    chance = random.Random(seed)
    start = User.objects.count()
    users = User.objects.bulk_create([User(username=f"crowd{start + n}") for n in range(count)])
    drivers = Driver.objects.bulk_create([Driver(user=user, name=user.username, vehicle=vehicle) for user in users])
    ids = [driver.pk for driver in drivers]
    Presence.objects.filter(pk__in=ids).update(is_online=True)
    driver_services.record_positions(
        positions=[
            Position(
                pk,
                cast.UNION_SQUARE[0] + chance.uniform(-within, within),
                cast.UNION_SQUARE[1] + chance.uniform(-within, within),
            )
            for pk in ids
        ]
    )
    return ids


def positions(of: set[int]) -> dict[int, tuple[float, float]]:
    rows = Presence.objects.filter(pk__in=of)
    return {row.pk: (row.location.y, row.location.x) for row in rows if row.location is not None}


def ids(found: list[Candidate]) -> list[int]:
    return [candidate.driver_id for candidate in found]


def an_order(**changes: Any) -> Order:
    return cast.order(pickup=Place(*cast.UNION_SQUARE), **changes)


@pytest.fixture
def thin_crowd() -> set[int]:
    """Six hundred live drivers of whom seven, spread over all of them, could take an order; the others are suspended, full,
    or drive something else. The seven."""
    everybody = crowd(300) + crowd(300, vehicle=Vehicle.BICYCLE, seed=8)
    cars = set(everybody[:300])
    able = set(everybody[13:300:43])
    rest = sorted(cars - able)
    Driver.objects.filter(pk__in=rest[:200]).update(suspended=True)
    for pk in rest[200:]:
        hold_one(pk)
    return able


def hold_one(driver_id: int) -> None:
    """The driver holds an order from somewhere else."""
    order = cast.order(pickup=Place(10, 10))
    services.assign_order(order_id=order.pk, driver_id=driver_id, actor=cast.DISPATCHER)


@pytest.mark.parametrize(
    "many_steps", [10, nearest.MANY_STEPS, 10**9], ids=["one by one", "as it is", "always walking"]
)
def test_who_could_take_it_is_found_among_many_who_could_not(
    thin_crowd: set[int], many_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "MANY_STEPS", many_steps)
    order = an_order(vehicle="car")
    unwilling = min(thin_crowd)
    services.decline_order(order_id=order.pk, driver_id=unwilling)
    able = positions(thin_crowd - {unwilling})

    for radius_km in (1, 3, 5, 20):
        expected = brute_force(order, radius_km, able)
        for limit in (1, 3, 6, 50, None):
            assert ids(nearby_drivers(order_id=order.pk, radius_km=radius_km, limit=limit)) == expected[:limit]
    assert len(brute_force(order, 20, able)) == len(thin_crowd) - 1


def test_many_orders_at_once_find_what_each_would_find_alone(thin_crowd: set[int]) -> None:
    for pk in crowd(60, within=0.01, seed=9):
        thin_crowd.add(pk)
    spots = [cast.UNION_SQUARE, cast.FERRY_BUILDING, cast.OCEAN_BEACH, (37.7880, -122.4200)]
    orders = [cast.order(pickup=Place(*spot), vehicle="car") for spot in spots]
    able = positions(thin_crowd)
    wanted = {order.pk: limit for order, limit in zip(orders, (3, 40, 7, 1), strict=True)}

    found = nearest_drivers(wanted, radius_km=5, without=[OfferStatus.DECLINED])

    assert {pk: ids(candidates) for pk, candidates in found.items()} == {
        order.pk: brute_force(order, 5, able)[: wanted[order.pk]] for order in orders
    }


def test_those_who_have_it_open_make_room_for_the_next_nearest() -> None:
    able = positions(set(crowd(120)))
    order = Order.objects.get(pk=an_order().pk)
    expected = brute_force(order, 5, able)
    assert set(Offer.objects.values_list("driver_id", flat=True)) == set(expected[:50])

    found = nearest_drivers({order.pk: 30}, radius_km=5, without=[OfferStatus.OPEN, OfferStatus.DECLINED])

    assert ids(found[order.pk]) == expected[50:80]


def test_an_order_with_nobody_near_has_none_and_one_that_is_unknown_is_absent() -> None:
    crowd(80)
    order = cast.order(pickup=Place(10, 10))

    found = nearest_drivers({order.pk: 5, UUID(int=1): 5}, radius_km=5, without=[])

    assert found == {order.pk: []}


def test_one_look_is_one_query_when_most_could_take_it() -> None:
    crowd(200)
    order = an_order()

    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert len(nearby_drivers(order_id=order.pk, radius_km=5, limit=50)) == 50

    assert len(queries) == 1


def test_a_city_without_a_free_driver_is_not_walked_to_its_end() -> None:
    Driver.objects.filter(pk__in=crowd(300)).update(suspended=True)
    orders = [an_order() for _ in range(30)]

    with CaptureQueriesContext(connection) as queries:
        found = nearest_drivers(dict.fromkeys([order.pk for order in orders], 50), radius_km=20, without=[])

    assert found == {order.pk: [] for order in orders}
    # One walk of 64 steps, then who is free: nobody.
    assert len(queries) == 2


def test_the_few_vans_of_a_city_are_looked_at_one_by_one() -> None:
    crowd(300)
    vans = positions(set(crowd(3, vehicle=Vehicle.VAN, seed=11)))
    orders = [an_order(vehicle="van") for _ in range(30)]

    with CaptureQueriesContext(connection) as queries:
        found = nearest_drivers(dict.fromkeys([order.pk for order in orders], 50), radius_km=20, without=[])

    expected = brute_force(Order.objects.get(pk=orders[0].pk), 20, vans)
    assert {tuple(ids(candidates)) for candidates in found.values()} == {tuple(expected)}
    # One walk of 64 steps, who is free, and the vans.
    assert (len(expected), len(queries)) == (3, 3)


def test_the_walk_follows_the_index_and_passes_no_more_than_it_needs() -> None:
    crowd(5000)
    offduty = crowd(1000, within=0.001)
    Presence.objects.filter(pk__in=offduty).update(is_online=False)
    order = an_order()
    plan = plan_of_walk(order, metres=5000)

    walk = node(plan, lambda it: it.get("Alias") == "p")
    assert (walk["Node Type"], walk["Index Name"]) == ("Index Scan", "presence_on_duty_location")
    assert "<->" in walk["Order By"]
    # A thousand who went home stand nearer than anybody on duty.
    assert (walk["Actual Rows"], walk.get("Rows Removed by Filter", 0)) == (64, 0)
    drivers = node(plan, lambda it: it.get("Relation Name") == "drivers_driver")
    assert (drivers["Node Type"], drivers["Actual Loops"]) == ("Index Scan", 64)


def test_a_fleet_that_fell_silent_is_not_walked_to_its_end() -> None:
    """As after an outage, until the sweep has taken all of them off duty."""
    Presence.objects.filter(pk__in=crowd(3000)).update(last_seen=cast.now() - cast.MINUTE)
    order = an_order()
    plan = plan_of_walk(order, metres=5000)

    walk = node(plan, lambda it: it.get("Alias") == "p")
    assert (walk["Actual Rows"], walk.get("Rows Removed by Filter", 0)) == (64, 0)
    assert nearest_drivers({order.pk: 50}, radius_km=20, without=[]) == {order.pk: []}


def test_those_heard_of_are_found_behind_many_silent_ones() -> None:
    Presence.objects.filter(pk__in=crowd(300, within=0.001)).update(last_seen=cast.now() - cast.MINUTE)
    heard = positions(set(crowd(20, seed=11)))
    order = an_order()

    found = nearest_drivers({order.pk: 5}, radius_km=20, without=[])

    assert ids(found[order.pk]) == brute_force(order, 20, heard)[:5]


def test_a_walk_from_the_other_side_of_the_earth_passes_nobody() -> None:
    crowd(2000)
    order = cast.order(pickup=Place(-36.8485, 174.7633))
    plan = plan_of_walk(order, metres=20_000)

    # Without a look whether anybody is there it would be every page of the index and of the table.
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 50
    assert plan["Actual Rows"] == 1


def plan_of_walk(order: Order, *, metres: float) -> dict[str, Any]:
    """What PostgreSQL did for a walk of 64 steps from the order's pickup."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {nearest.WALK.format(wanted=nearest.OF_ORDERS)}",
            {"orders": [order.pk], "steps": 64, "live": 60, "without": ["declined"], "metres": metres},
        )
        plan: dict[str, Any] = cursor.fetchone()[0][0]["Plan"]
    return plan


def node(plan: dict[str, Any], is_wanted: Any) -> dict[str, Any]:
    """The first node of a plan that is wanted."""
    waiting = [plan]
    while waiting:
        here = waiting.pop(0)
        if is_wanted(here):
            return here
        waiting += here.get("Plans", [])
    raise AssertionError("no such node")
