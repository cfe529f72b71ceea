"""Candidates for many orders at once, for the sweeps: a few queries, however many orders and drivers there are.

`selectors.nearby_drivers` asks of each driver near one order whether they have room. Asked for hundreds of orders every
second, in a city where most drivers are busy, that is the same question over and over; here it is asked once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from dispatch.locks import loads_of
from dispatch.models import OfferStatus
from dispatch.selectors import Candidate, live_presences
from orders.models import Order

#: `<->` ranks on the sphere, which may swap drivers whose distances differ by less than half a percent; here it does not
#: matter which of two such drivers is the last one in. They are ranked again by the spheroid.
NEAREST_BY_INDEX = """
WITH free AS NOT MATERIALIZED (
    SELECT p.driver_id, p.location, p.located_at, d.vehicle
    FROM drivers_presence p JOIN drivers_driver d ON d.id = p.driver_id
    WHERE p.driver_id = ANY (%(free)s::bigint[])
)
SELECT wanted.id, near.driver_id, near.metres, near.located_at
FROM unnest(%(orders)s::uuid[], %(limits)s::int[]) AS wanted (id, n)
JOIN orders_order o USING (id)
CROSS JOIN LATERAL (
    SELECT free.driver_id, ST_Distance(free.location, o.pickup) AS metres, free.located_at
    FROM free
    WHERE ST_DWithin(free.location, o.pickup, %(metres)s)
      AND (o.vehicle = '' OR o.vehicle = free.vehicle)
      AND NOT EXISTS (SELECT FROM dispatch_offer f
                      WHERE f.order_id = o.id AND f.driver_id = free.driver_id AND f.status = ANY (%(without)s))
    ORDER BY free.location <-> o.pickup
    LIMIT wanted.n
) near
"""
#: The index finds the near ones, but must pass over every busy driver on the way; a handful of free ones is looked at one
#: by one instead.
NEAREST_OF_FEW = NEAREST_BY_INDEX.replace("NOT MATERIALIZED", "MATERIALIZED")


@dataclass(frozen=True, slots=True)
class Room:
    load: int
    capacity: int

    @property
    def left(self) -> int:
        return self.capacity - self.load


@dataclass(frozen=True, slots=True)
class Free:
    """The live drivers with room, and among how many live ones they are."""

    rooms: Mapping[int, Room]
    live: int
    vehicles: Mapping[int, str]

    def with_vehicle(self, vehicle: str) -> "Free":
        """Those with this vehicle; empty: all."""
        if not vehicle:
            return self
        rooms = {pk: room for pk, room in self.rooms.items() if self.vehicles[pk] == vehicle}
        return Free(rooms=rooms, live=self.live, vehicles=self.vehicles)

    @property
    def are_few(self) -> bool:
        """One by one costs as many steps per order as there are free drivers; by the index, as many as it takes to meet
        about 64 free ones on the way."""
        return len(self.rooms) ** 2 < 64 * self.live


def free_drivers() -> Free:
    """Live drivers who hold fewer orders than they can, as of now; nothing is locked."""
    rows = list(live_presences().order_by("pk").values_list("pk", "driver__capacity", "driver__vehicle"))
    capacities = {pk: capacity for pk, capacity, _ in rows}
    loads = loads_of(capacities)
    rooms = {pk: Room(load=loads[pk], capacity=capacity) for pk, capacity in capacities.items() if loads[pk] < capacity}
    return Free(rooms=rooms, live=len(capacities), vehicles={pk: str(vehicle) for pk, _, vehicle in rows})


def nearest_free_drivers(
    wanted: Mapping[UUID, int], free: Free, *, radius_km: float, without: Collection[OfferStatus]
) -> dict[UUID, list[Candidate]]:
    """For each order id the nearest of the free drivers, as many as wanted: within the radius, with the right vehicle, and
    without an offer of the order in one of the states `without`. Nearest first, ties by driver id. An order without any
    candidate is absent."""
    if not wanted or not free.rooms:
        return {}
    # Each vehicle apart: the few vans of a city are looked at one by one, instead of passing over everybody else.
    alike: dict[str, dict[UUID, int]] = {}
    for order_id, vehicle in Order.objects.filter(pk__in=wanted).order_by().values_list("pk", "vehicle"):
        alike.setdefault(vehicle, {})[order_id] = wanted[order_id]
    found: dict[UUID, list[Candidate]] = {}
    for vehicle, some in alike.items():
        found |= _nearest(some, free.with_vehicle(vehicle), radius_km, without)
    return found


def _nearest(
    wanted: Mapping[UUID, int], free: Free, radius_km: float, without: Collection[OfferStatus]
) -> dict[UUID, list[Candidate]]:
    if not free.rooms:
        return {}
    parameters: dict[str, Any] = {
        "orders": list(wanted),
        "limits": list(wanted.values()),
        "free": list(free.rooms),
        "metres": radius_km * 1000,
        "without": [str(status) for status in without],
    }
    with connection.cursor() as cursor:
        cursor.execute(NEAREST_OF_FEW if free.are_few else NEAREST_BY_INDEX, parameters)
        rows = cursor.fetchall()
    found: dict[UUID, list[Candidate]] = {}
    for order_id, driver_id, metres, located_at in rows:
        room = free.rooms[driver_id]
        found.setdefault(order_id, []).append(Candidate(driver_id, metres, located_at, room.load, room.capacity))
    for candidates in found.values():
        candidates.sort(key=lambda candidate: (candidate.distance_m, candidate.driver_id))
    return found
