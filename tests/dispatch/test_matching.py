from collections.abc import Iterator, Mapping
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.matching import match_orders

A, B, C = (UUID(int=n) for n in (1, 2, 3))

Costs = dict[UUID, dict[int, float]]


@st.composite
def markets(draw: st.DrawFn) -> tuple[Costs, dict[int, int], dict[UUID, int]]:
    orders = [UUID(int=n) for n in range(draw(st.integers(1, 4)))]
    drivers = list(range(draw(st.integers(1, 4))))
    metres = st.floats(0, 20_000)
    costs = {order: {driver: draw(metres) for driver in drivers if draw(st.booleans())} for order in orders}
    rooms = {driver: draw(st.integers(0, 2)) for driver in drivers}
    priorities = {order: draw(st.integers(0, 9)) for order in orders}
    return costs, rooms, priorities


def every_matching(costs: Costs, rooms: Mapping[int, int]) -> Iterator[dict[UUID, int]]:
    choices: list[list[int | None]] = [[None, *drivers] for drivers in costs.values()]
    for chosen in product(*choices):
        taken = [driver for driver in chosen if driver is not None]
        if all(taken.count(driver) <= rooms.get(driver, 0) for driver in taken):
            yield {order: driver for order, driver in zip(costs, chosen, strict=True) if driver is not None}


def worth(matching: dict[UUID, int], costs: Costs, priorities: Mapping[UUID, int]) -> tuple[int, int, float]:
    """First as many as possible, then the higher priorities, then the least distance."""
    total = sum(costs[order][driver] for order, driver in matching.items())
    return len(matching), sum(priorities[order] for order in matching), -total


@given(markets())
@settings(max_examples=300, deadline=None)
def test_it_is_as_good_as_the_best_of_all_matchings(market: tuple[Costs, dict[int, int], dict[UUID, int]]) -> None:
    costs, rooms, priorities = market

    matched = match_orders(costs, rooms, priorities)

    assert matched in list(every_matching(costs, rooms))
    best = max(worth(matching, costs, priorities) for matching in every_matching(costs, rooms))
    got = worth(matched, costs, priorities)
    assert got[:2] == best[:2]
    assert got[2] == pytest.approx(best[2], abs=1e-3)


@given(markets())
@settings(deadline=None)
def test_the_order_in_which_things_are_given_does_not_matter(
    market: tuple[Costs, dict[int, int], dict[UUID, int]],
) -> None:
    costs, rooms, priorities = market
    shuffled = {order: dict(reversed(drivers.items())) for order, drivers in reversed(costs.items())}

    assert match_orders(shuffled, dict(reversed(rooms.items())), priorities) == match_orders(costs, rooms, priorities)


def test_the_total_counts_not_the_single_order() -> None:
    # Order by order, A would take driver 1 and leave B with 9 km.
    costs: Costs = {A: {1: 100, 2: 200}, B: {1: 150, 2: 9000}}

    assert match_orders(costs, {1: 1, 2: 1}) == {A: 2, B: 1}


def test_as_many_as_possible_even_if_that_is_far() -> None:
    costs: Costs = {A: {1: 1}, B: {1: 2, 2: 20_000}}

    assert match_orders(costs, {1: 1, 2: 1}) == {A: 1, B: 2}


def test_a_contested_driver_goes_to_the_higher_priority() -> None:
    costs: Costs = {A: {1: 1}, B: {1: 9000}}

    assert match_orders(costs, {1: 1}, {A: 0, B: 1}) == {B: 1}


def test_a_driver_takes_as_many_as_there_is_room_for() -> None:
    costs: Costs = {A: {1: 1}, B: {1: 2}, C: {1: 3}}

    assert match_orders(costs, {1: 2}) == {A: 1, B: 1}


def test_a_driver_without_known_room_takes_none() -> None:
    assert match_orders({A: {1: 5.0}}, {}) == {}


def test_equal_costs_are_decided_by_the_ids() -> None:
    costs: Costs = {B: {2: 7, 1: 7}, A: {2: 7, 1: 7}}

    assert match_orders(costs, {1: 1, 2: 1}) == match_orders(dict(sorted(costs.items())), {2: 1, 1: 1})


def test_nothing_to_match_is_fine() -> None:
    assert match_orders({}, {1: 1}) == {}
    assert match_orders({A: {}}, {1: 1}) == {}
