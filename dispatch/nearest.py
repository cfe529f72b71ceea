"""Who is nearest and could take it: for one order or for many at once, at a cost that does not grow with the fleet.

The walk goes outwards from each pickup along the index of live positions (`<->` on GiST), looks at each driver it meets
and stops as soon as it has met enough who could take the order. So it costs what it passes, not what is within the radius.
(Asked for the nearest within the radius, PostgreSQL expects to find one driver there, and sorts thousands.)
Where nearly everybody is busy the walk would pass a whole city; then it is quicker to read once who is free, and to look
at each of those.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.contrib.gis.geos import Point
from django.db import connection

from dispatch.models import REFUSED, OfferStatus
from orders.lifecycle import HELD

#: A distance on the sphere (`<->`) and on the spheroid differ by less than this factor (flattening is 1/298; the mean
#: sphere is off by at most 0.56 % along a meridian at the poles).
SPHERE_SLACK = 1.007
#: Steps beyond the number wanted: near ties on the sphere, and a few drivers who cannot take it.
SPARE_STEPS = 14
#: A second walk goes at least so many times as far as the first.
FARTHER = 4
#: Looking at so many drivers, of all orders together, costs about as much as reading who in the whole fleet is free.
MANY_STEPS = 5000


class Candidate(NamedTuple):
    """A driver who could take an order now."""

    driver_id: int
    #: To the pickup, metres on the WGS 84 spheroid.
    distance_m: float
    #: Server time of the position.
    located_at: datetime | None
    load: int
    capacity: int

    @property
    def room(self) -> int:
        return self.capacity - self.load


_HELD = ", ".join(f"'{status}'" for status in sorted(HELD))
_ON_DUTY = "p.is_online AND p.location IS NOT NULL"
_HEARD = "p.last_seen > clock_timestamp() - make_interval(secs => %(live)s)"

#: It sets out only if there is anybody within the radius (`&& _ST_Expand(…)` is what ST_DWithin makes of it for the index):
#: from the other side of the earth the index cannot tell near from far and would pass everybody. In the walk itself the
#: box would be a condition whose estimate makes the planner sort after all.
#: The silent are passed like anybody else who cannot take it: were they skipped in the walk, one order after an outage of a
#: whole fleet would walk through all of it (the sweep takes them off duty, but it needs its turn for that).
#: For each order those who could take it, and one row without a driver: how far the walk came (metres on the sphere) and
#: how many it passed. This shape leaves the planner nothing to choose: the walk is materialized and bounded, so the index
#: in its own order is the cheapest way to have it, and OFFSET 0 keeps it from reading all drivers to look up a few.
WALK = f"""
SELECT o.number, o.vehicle, near.*
FROM ({{wanted}}) o (number, id, pickup, vehicle)
CROSS JOIN LATERAL (
    WITH walked AS MATERIALIZED (
        SELECT p.driver_id, p.location, p.located_at, p.location <-> o.pickup AS sphere, {_HEARD} AS heard
        FROM drivers_presence p
        WHERE {_ON_DUTY} AND EXISTS (
            SELECT FROM drivers_presence WHERE is_online AND location IS NOT NULL
                AND location && _ST_Expand(o.pickup, %(metres)s)
        )
        ORDER BY p.location <-> o.pickup
        LIMIT %(steps)s
    )
    SELECT NULL::bigint AS driver_id, max(sphere) AS metres, NULL::timestamptz AS located_at, count(*) AS load,
           0::smallint AS capacity
    FROM walked
    UNION ALL
    SELECT walked.driver_id, ST_Distance(walked.location, o.pickup), walked.located_at, held.n, d.capacity
    FROM walked
    CROSS JOIN LATERAL (
        SELECT suspended, capacity, vehicle FROM drivers_driver WHERE id = walked.driver_id OFFSET 0
    ) d
    CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM orders_order h WHERE h.driver_id = walked.driver_id AND h.status IN ({_HELD})
    ) held
    WHERE walked.heard AND NOT d.suspended AND held.n < d.capacity AND (o.vehicle = '' OR o.vehicle = d.vehicle)
      AND NOT EXISTS (SELECT FROM dispatch_offer f
                      WHERE f.order_id = o.id AND f.order_id >= baton_settled_before()
                        AND f.driver_id = walked.driver_id AND f.status = ANY (%(without)s))
) near
"""

#: Live drivers with room, whatever the vehicle.
FREE = f"""
SELECT p.driver_id, coalesce(held.n, 0), d.capacity, d.vehicle
FROM drivers_presence p
JOIN drivers_driver d ON d.id = p.driver_id
LEFT JOIN (SELECT driver_id, count(*) AS n FROM orders_order WHERE status IN ({_HELD}) GROUP BY driver_id) held
    ON held.driver_id = d.id
WHERE {_ON_DUTY} AND {_HEARD} AND NOT d.suspended AND coalesce(held.n, 0) < d.capacity
  AND (%(among)s::bigint[] IS NULL OR p.driver_id = ANY (%(among)s::bigint[]))
"""

#: The nearest of a handful, looked at one by one.
NEAREST_OF = """
WITH free AS MATERIALIZED (
    SELECT p.driver_id, p.location, p.located_at, d.vehicle
    FROM drivers_presence p JOIN drivers_driver d ON d.id = p.driver_id
    WHERE p.driver_id = ANY (%(free)s::bigint[])
)
SELECT o.number, near.*
FROM ({wanted}) o (number, id, pickup, vehicle)
CROSS JOIN LATERAL (
    SELECT free.driver_id, ST_Distance(free.location, o.pickup) AS metres, free.located_at
    FROM free
    WHERE ST_DWithin(free.location, o.pickup, %(metres)s)
      AND (o.vehicle = '' OR o.vehicle = free.vehicle)
      AND NOT EXISTS (SELECT FROM dispatch_offer f
                      WHERE f.order_id = o.id AND f.order_id >= baton_settled_before()
                        AND f.driver_id = free.driver_id AND f.status = ANY (%(without)s))
    ORDER BY metres, free.driver_id
    LIMIT (%(limits)s::int[])[o.number]
) near
"""

OF_ORDERS = """
SELECT given.number, o.id, o.pickup, o.vehicle
FROM unnest(%(orders)s::uuid[]) WITH ORDINALITY AS given (id, number) JOIN orders_order o USING (id)
"""
OF_PLACE = "SELECT 1, NULL::uuid, ST_SetSRID(ST_MakePoint(%(lng)s, %(lat)s), 4326)::geography, %(vehicle)s::text"
#: Stands for the order that does not exist yet.
NO_ORDER = UUID(int=0)


class FreeDrivers:
    """The live drivers with room (of some, if given), driver id → (load, capacity): read when first asked for, and only
    once."""

    def __init__(self, among: Collection[int] | None = None) -> None:
        self._among = None if among is None else list(among)

    @cached_property
    def rooms(self) -> dict[int, tuple[int, int]]:
        return {driver_id: room for driver_id, (room, _) in self._everybody.items()}

    def with_vehicle(self, vehicle: str) -> list[int]:
        """The ids of those with this vehicle; empty: of all."""
        return [driver_id for driver_id, (_, theirs) in self._everybody.items() if vehicle in ("", theirs)]

    @cached_property
    def _everybody(self) -> dict[int, tuple[tuple[int, int], str]]:
        with connection.cursor() as cursor:
            cursor.execute(FREE, {"live": settings.LIVE_SECONDS, "among": self._among})
            return {driver_id: ((load, capacity), vehicle) for driver_id, load, capacity, vehicle in cursor.fetchall()}


def nearest_drivers(
    wanted: Mapping[UUID, int | None],
    *,
    radius_km: float,
    without: Collection[OfferStatus],
    free: FreeDrivers | None = None,
) -> dict[UUID, list[Candidate]]:
    """For each order id the nearest drivers who could take it, at most as many as wanted (None: all): live, with room and
    the right vehicle, within the radius, and without an offer of it in one of the states `without`.

    Nearest first by geodesics on the WGS 84 spheroid, ties by driver id. An order without any has an empty list; one that
    does not exist is absent. `free` may be shared by calls that follow one another within a moment. Nothing is locked.
    """
    return _nearest(_Question(OF_ORDERS, {}, radius_km * 1000, without), wanted, free or FreeDrivers())


def nearest_to(pickup: Point, *, vehicle: str, radius_km: float, limit: int | None) -> list[Candidate]:
    """The same for an order that does not exist yet; `vehicle` empty: any will do."""
    place = {"lat": pickup.y, "lng": pickup.x, "vehicle": vehicle}
    question = _Question(OF_PLACE, place, radius_km * 1000, [])
    return _nearest(question, {NO_ORDER: limit}, FreeDrivers())[NO_ORDER]


def near_among(driver_ids: Collection[int], *, order_id: UUID, radius_km: float) -> list[Candidate]:
    """Those of the drivers who could take the order now, as `nearest_drivers` would find them."""
    question = _Question(OF_ORDERS, {}, radius_km * 1000, REFUSED)
    free = FreeDrivers(driver_ids)
    return _nearest_of(question, {order_id: None}, free, list(free.rooms))[order_id]


@dataclass(frozen=True, slots=True)
class _Question:
    """From where, how far, and who is out of it."""

    source: str
    place: Mapping[str, Any]
    radius_m: float
    without: Collection[OfferStatus]

    def ask(self, sql: str, orders: Sequence[UUID], **more: Any) -> list[tuple[Any, ...]]:
        """The rows, each with its order's number from 1 on first."""
        given = {"orders": orders, "without": [str(status) for status in self.without], **self.place, **more}
        with connection.cursor() as cursor:
            cursor.execute(sql.format(wanted=self.source), given)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _nearest(question: _Question, wanted: Mapping[UUID, int | None], free: FreeDrivers) -> dict[UUID, list[Candidate]]:
    left = dict(wanted)
    found: dict[UUID, list[Candidate]] = {}
    steps = SPARE_STEPS + max((limit or MANY_STEPS for limit in left.values()), default=0)
    while left:
        walks = _walks(question, list(left), steps)
        left = {order_id: limit for order_id, limit in left.items() if order_id in walks}
        for order_id, walk in walks.items():
            limit = left[order_id]
            within = [candidate for candidate in walk.met if candidate.distance_m <= question.radius_m]
            # Ranked by the spheroid: it ends where nobody beyond could be among the nearest.
            last_m = within[limit - 1].distance_m if limit and len(within) >= limit else question.radius_m
            if walk.passed < steps or walk.reach_m > last_m * SPHERE_SLACK:
                found[order_id] = within[:limit]
                del left[order_id]
        # As far as it takes if the rest of the way is like this part of it.
        rarity = sum(walk.passed for walk in walks.values()) / max(1, sum(len(walk.met) for walk in walks.values()))
        steps = int(steps * max(FARTHER, 1.5 * rarity))
        if len(left) * steps > MANY_STEPS:
            # Each vehicle apart: the few vans of a city are looked at one by one, instead of passing everybody else.
            for vehicle in {walks[order_id].vehicle for order_id in left}:
                if len(able := free.with_vehicle(vehicle)) < steps:
                    alike = {pk: limit for pk, limit in left.items() if walks[pk].vehicle == vehicle}
                    found |= _nearest_of(question, alike, free, able)
                    left = {pk: limit for pk, limit in left.items() if pk not in alike}
    return found


@dataclass(slots=True)
class _Walk:
    """How many drivers one walk passed, how far off the last of them is on the sphere, and who of them could take it."""

    #: What the order asks for.
    vehicle: str
    passed: int
    reach_m: float
    met: list[Candidate]


def _walks(question: _Question, orders: Sequence[UUID], steps: int) -> dict[UUID, _Walk]:
    """One walk for each of the orders that exist."""
    walks: dict[UUID, _Walk] = {}
    for number, vehicle, driver_id, metres, located_at, load, capacity in question.ask(
        WALK, orders, steps=steps, live=settings.LIVE_SECONDS, metres=question.radius_m * SPHERE_SLACK
    ):
        walk = walks.setdefault(orders[number - 1], _Walk(vehicle, 0, 0.0, []))
        if driver_id is None:
            walk.passed, walk.reach_m = load, metres or 0.0
        else:
            walk.met.append(Candidate(driver_id, metres, located_at, load, capacity))
    for walk in walks.values():
        walk.met.sort(key=_rank)
    return walks


def _nearest_of(
    question: _Question, wanted: Mapping[UUID, int | None], free: FreeDrivers, able: Sequence[int]
) -> dict[UUID, list[Candidate]]:
    """One by one: those of the free drivers whose ids are in `able`."""
    found: dict[UUID, list[Candidate]] = {order_id: [] for order_id in wanted}
    if not able:
        return found
    orders = list(wanted)
    for number, driver_id, metres, located_at in question.ask(
        NEAREST_OF, orders, limits=list(wanted.values()), free=able, metres=question.radius_m
    ):
        found[orders[number - 1]].append(Candidate(driver_id, metres, located_at, *free.rooms[driver_id]))
    for candidates in found.values():
        candidates.sort(key=_rank)
    return found


def _rank(candidate: Candidate) -> tuple[float, int]:
    return candidate.distance_m, candidate.driver_id
