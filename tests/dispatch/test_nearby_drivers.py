"""`nearby_drivers` against an independent brute force: geodesics by geographiclib (Karney), sorted in Python."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from geographiclib.geodesic import Geodesic

from dispatch import services
from dispatch.selectors import nearby_drivers
from drivers import services as driver_services
from drivers.errors import NotFound
from drivers.models import Driver, Presence, Vehicle
from drivers.services import Position
from orders.models import Order
from orders.services import Place
from tests import cast
from tests.dispatch import cabs

MOMENTS = 12


def metres(a: tuple[float, float], b: tuple[float, float]) -> float:
    return float(Geodesic.WGS84.Inverse(*a, *b, Geodesic.DISTANCE)["s12"])


def brute_force(order: Order, radius_km: float, positions: dict[int, tuple[float, float]]) -> list[int]:
    here = (order.pickup.y, order.pickup.x)
    ranked = sorted((metres(here, there), driver_id) for driver_id, there in positions.items())
    return [driver_id for distance, driver_id in ranked if distance <= radius_km * 1000]


@pytest.fixture
def fleet() -> dict[int, int]:
    """A driver on duty for every cab: cab → driver id."""
    numbers = sorted({ping.cab for ping in cabs.pings()})
    with transaction.atomic():
        users = User.objects.bulk_create([User(username=f"cab{number}") for number in numbers])
        drivers = Driver.objects.bulk_create([Driver(user=user, name=user.username) for user in users])
        Presence.objects.update(is_online=True)
    return {number: driver.pk for number, driver in zip(numbers, drivers, strict=True)}


def stored_positions() -> dict[int, tuple[float, float]]:
    rows = Presence.objects.exclude(location=None)
    return {row.pk: (row.location.y, row.location.x) for row in rows if row.location is not None}


def moments() -> list[list[Position]]:
    """The hour in MOMENTS pieces; each a batch of heartbeats, to be completed with driver ids."""
    everything = cabs.pings()
    size = len(everything) // MOMENTS
    return [
        [Position(ping.cab, ping.lat, ping.lng) for ping in everything[start : start + size]]
        for start in range(0, size * MOMENTS, size)
    ]


def heartbeats(batch: list[Position], fleet: dict[int, int]) -> None:
    driver_services.record_positions(
        positions=[Position(fleet[position.driver_id], position.lat, position.lng) for position in batch]
    )


@contextmanager
def positions_being_written(fleet: dict[int, int]) -> Iterator[threading.Event]:
    """Another connection that replays the hour over and over until the block ends."""
    stop, wrote = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            while not stop.is_set():
                for batch in moments():
                    for start in range(0, len(batch), 200):
                        heartbeats(batch[start : start + 200], fleet)
                        wrote.set()
                        if stop.is_set():
                            return
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            connections.close_all()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert wrote.wait(30)
        yield wrote
    finally:
        stop.set()
        writer.join(30)
    assert failures == []


PLACES = [cast.FERRY_BUILDING, cast.UNION_SQUARE, cast.OCEAN_BEACH, (37.6152, -122.3899)]


@pytest.mark.django_db
def test_it_gives_exactly_the_brute_force_answer_at_any_moment_of_the_hour(fleet: dict[int, int]) -> None:
    orders = [cast.order(pickup=Place(*place)) for place in PLACES]
    for batch in moments():
        heartbeats(batch, fleet)
        positions = stored_positions()
        for order in orders:
            for radius_km in (1, 5):
                expected = brute_force(order, radius_km, positions)
                assert [c.driver_id for c in nearby_drivers(order_id=order.pk, radius_km=radius_km)] == expected
                for limit in (1, 10, 50):
                    nearest = nearby_drivers(order_id=order.pk, radius_km=radius_km, limit=limit)
                    assert [c.driver_id for c in nearest] == expected[:limit]


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_it_gives_exactly_the_brute_force_answer_while_positions_are_written(fleet: dict[int, int]) -> None:
    order = cast.order(pickup=Place(*cast.UNION_SQUARE))
    seen: set[tuple[int, ...]] = set()
    with positions_being_written(fleet) as wrote:
        for _ in range(25):
            wrote.clear()
            assert wrote.wait(30)
            with transaction.atomic():
                with connection.cursor() as cursor:
                    # One snapshot for both, or they would see different moments.
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                expected = brute_force(order, 5, stored_positions())
                found = [c.driver_id for c in nearby_drivers(order_id=order.pk, radius_km=5, limit=50)]
            assert found == expected[:50]
            seen.add(tuple(found))
    assert len(seen) > 1, "the positions did not change while we looked"


@pytest.mark.django_db
def test_distances_are_geodesic_metres(alice: Driver, bob: Driver) -> None:
    order = cast.order()

    found = nearby_drivers(order_id=order.pk, radius_km=5)

    assert [candidate.driver_id for candidate in found] == [alice.pk, bob.pk]
    assert found[1].distance_m == pytest.approx(metres(cast.FERRY_BUILDING, cast.EMBARCADERO), abs=1e-6)


@pytest.mark.django_db
def test_only_who_could_take_it_is_found(alice: Driver) -> None:
    cast.driver("offduty", at=cast.FERRY_BUILDING, is_online=False)
    cast.driver("nowhere")
    cast.driver("cyclist", at=cast.FERRY_BUILDING, vehicle=Vehicle.BICYCLE)
    suspended = cast.driver("suspended", at=cast.FERRY_BUILDING)
    services.suspend_driver(driver_id=suspended.pk)
    silent = cast.driver("silent", at=cast.FERRY_BUILDING)
    Presence.objects.filter(pk=silent.pk).update(last_seen=cast.now() - cast.MINUTE)
    busy = cast.driver("busy", at=cast.FERRY_BUILDING)
    services.accept_order(order_id=cast.order().pk, driver_id=busy.pk)
    order = cast.order(vehicle="car")
    unwilling = cast.driver("unwilling", at=cast.FERRY_BUILDING)
    services.offer_orders(order_ids=[order.pk])
    services.decline_order(order_id=order.pk, driver_id=unwilling.pk)

    assert [c.driver_id for c in nearby_drivers(order_id=order.pk, radius_km=5)] == [alice.pk]


@pytest.mark.django_db
def test_an_unknown_order_is_not_found() -> None:
    with pytest.raises(NotFound):
        nearby_drivers(order_id=uuid4(), radius_km=5)
