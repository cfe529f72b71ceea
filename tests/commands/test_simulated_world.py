"""The parts of a simulation that need no server: places, tracks, percentiles, stories, the plan."""

import random
from itertools import pairwise
from typing import Any

import pytest

from dispatch.simulation.city import CITY, LANDMARKS, demo_trip
from dispatch.simulation.geo import Circle, Place, between, heading, metres
from dispatch.simulation.ledger import Story
from dispatch.simulation.plan import LEAD, invented
from dispatch.simulation.tally import Samples, Tally, percentile
from dispatch.simulation.tracks import CATCH_UP, Pings, Roaming, Whereabouts

FERRY_BUILDING, UNION_SQUARE = Place(37.7955, -122.3937), Place(37.7880, -122.4075)
CIRCLE = Circle(UNION_SQUARE, 3.0)


# --- Places ----------------------------------------------------------------------------------------------------------


def test_distances_are_those_of_the_earth() -> None:
    # On the WGS 84 spheroid it is 1473.0 m (PostGIS).
    assert metres(FERRY_BUILDING, UNION_SQUARE) == pytest.approx(1473.0, rel=0.005)


def test_headings_are_counted_clockwise_from_north() -> None:
    assert heading(Place(0, 0), Place(1, 0)) == 0
    assert heading(Place(0, 0), Place(0, 1)) == 90
    assert heading(Place(0, 0), Place(-1, 0)) == 180
    assert heading(Place(0, 0), Place(0, -1)) == 270


def test_a_share_of_the_way() -> None:
    assert between(Place(0, 0), Place(10, 20), 0.25) == Place(2.5, 5)
    assert between(Place(0, 0), Place(10, 20), 7) == Place(10, 20)


def test_somewhere_is_inside_the_circle_and_everywhere_in_it() -> None:
    chance = random.Random(1)
    distances = [metres(UNION_SQUARE, CIRCLE.somewhere(chance)) for _ in range(2000)]

    assert max(distances) < 3000 * 1.01
    # A quarter of the area lies within half the radius.
    assert sum(distance < 1500 for distance in distances) / 2000 == pytest.approx(0.25, abs=0.04)


# --- Tracks ----------------------------------------------------------------------------------------------------------


def test_roaming_never_jumps() -> None:
    track = Roaming(CIRCLE, random.Random(1))
    places = [track.at(moment) for moment in range(0, 20_000, 10)]

    steps = [metres(a, b) for a, b in pairwise(places)]
    assert max(steps) <= Roaming.SPEED * 10 * 1.01
    assert max(metres(UNION_SQUARE, place) for place in places) < 3000 * 1.01
    assert len(track.moments) < 200


def test_a_driver_with_an_order_drives_straight_and_waits_there() -> None:
    here = Whereabouts(Pings([0], [FERRY_BUILDING]))
    arrives = here.drive_to(UNION_SQUARE, now=100, speed=10)

    assert arrives == pytest.approx(100 + metres(FERRY_BUILDING, UNION_SQUARE) / 10)
    halfway = here.at(100 + (arrives - 100) / 2)
    assert metres(FERRY_BUILDING, halfway) == pytest.approx(metres(halfway, UNION_SQUARE), rel=0.001)
    assert here.at(arrives + 1000) == UNION_SQUARE
    degrees, speed = here.motion(110)
    assert (round(degrees or 0), round(speed)) == (round(heading(FERRY_BUILDING, UNION_SQUARE)), 10)
    assert here.motion(arrives + 1000) == (None, 0.0)


def test_afterwards_the_driver_meets_the_rounds_again_without_a_jump() -> None:
    rounds = Pings([0, 3000], [FERRY_BUILDING, Place(37.7793, -122.4193)])
    here = Whereabouts(Pings(rounds.moments, rounds.places))
    here.track = Pings([0, 290, 3000], [FERRY_BUILDING, FERRY_BUILDING, FERRY_BUILDING])
    arrives = here.drive_to(UNION_SQUARE, now=0, speed=10, seconds=200)
    assert arrives == 200

    here.rejoin(now=200)
    places = [here.at(moment) for moment in range(200, 400, 5)]

    assert places[0] == UNION_SQUARE
    assert places[-1] == FERRY_BUILDING
    assert max(metres(a, b) for a, b in pairwise(places)) <= CATCH_UP * 5 * 1.01


# --- Counting --------------------------------------------------------------------------------------------------------


def test_percentiles_are_samples_by_nearest_rank() -> None:
    samples = [float(number) for number in range(100, 0, -1)]
    assert (percentile(samples, 0.5), percentile(samples, 0.95), percentile(samples, 0.99)) == (50, 95, 99)
    assert percentile([3.0], 0.5) == percentile([3.0], 0.99) == 3.0
    assert percentile([1.0, 2.0], 0.5) == 1.0
    assert percentile([1.0, 2.0], 0.51) == 2.0
    assert percentile([], 0.5) is None


def test_samples_beyond_the_reservoir_are_a_fair_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatch.simulation.tally.RESERVOIR", 1000)
    samples = Samples()
    for number in range(20_000):
        samples.add(float(number))

    assert (samples.count, len(samples.kept)) == (20_000, 1000)
    assert samples.percentiles()[0] == pytest.approx(10_000, rel=0.1)


def test_errors_and_lost_sockets_and_5xx_are_faults_and_refusals_are_not() -> None:
    tally = Tally()
    tally.receipts["order_taken"] += 5
    assert tally.faults == 0
    tally.error("x")
    tally.lost_sockets["closed with 1006"] += 1
    tally.server_errors["503 busy"] += 1
    assert tally.faults == 3


# --- Stories ---------------------------------------------------------------------------------------------------------


def story(*kinds: str, **data: Any) -> Story:
    told = Story()
    for version, kind in enumerate(kinds, start=1):
        at = f"2026-01-01T00:00:{version:02d}Z"
        told.add({"version": version, "kind": f"order.{kind}", "at": at, "data": data})
    return told


@pytest.mark.parametrize(
    ("kinds", "outcome"),
    [
        ("created", "open"),
        ("created offered", "open"),
        ("created offered assigned", "open"),
        ("created offered assigned picked_up", "open"),
        ("created offered assigned picked_up delivered", "delivered"),
        ("created offered expired", "expired"),
        ("created offered expired reoffered", "open"),
        ("created offered assigned released expired", "expired"),
        ("created cancelled", "cancelled"),
        ("created expired cancelled", "cancelled"),
        ("created assigned picked_up failed", "failed"),
    ],
)
def test_how_an_order_ends(kinds: str, outcome: str) -> None:
    assert story(*kinds.split()).outcome == outcome


def test_the_feed_may_tell_of_one_order_out_of_step() -> None:
    told = Story()
    for version, kind in ((1, "created"), (3, "assigned"), (2, "offered"), (5, "delivered"), (4, "picked_up")):
        told.add({"version": version, "kind": f"order.{kind}", "at": f"2026-01-01T00:00:{version:02d}Z", "data": {}})

    assert told.outcome == "delivered"
    assert told.state(3) == ("assigned", False)
    assert told.seconds_to_assignment() == 2.0


def test_how_somebody_came_to_hold_it() -> None:
    told = story("created", "assigned", how="auto")
    assert (told.has("order.assigned", "auto"), told.has("order.assigned", "accepted")) == (True, False)
    assert story("created").seconds_to_assignment() is None


# --- The plan --------------------------------------------------------------------------------------------------------


def test_an_invented_city_has_exactly_so_many_drivers_and_orders_and_is_the_same_again() -> None:
    def plan(seed: int) -> list[tuple[float, Place]]:
        made = invented(circle=CIRCLE, drivers=3, orders_per_minute=90, seconds=20, speed=10, seed=seed)
        assert (len(made.shifts), made.trip_count, made.lasts) == (3, 30, LEAD + 200)
        return [(trip.moment, trip.start) for trip in made.trips]

    trips = plan(1)
    assert len(trips) == 30
    assert trips == sorted(trips, key=lambda trip: trip[0])
    assert trips[0][0] >= LEAD
    assert trips[-1][0] <= LEAD + 200
    assert trips == plan(1)
    assert trips != plan(2)


def test_the_demo_orders_from_a_landmark_to_somewhere_in_the_city() -> None:
    trip = demo_trip(7, random.Random(1))
    document = trip.document(random.Random(1))

    assert trip.start in LANDMARKS.values()
    assert metres(CITY.middle, trip.goal) <= CITY.radius_km * 1010
    assert document["reference"] == "D-0007"
    assert document["pickup"]["address"] in LANDMARKS
    assert document["dropoff"]["address"].startswith("near ")
