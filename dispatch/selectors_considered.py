"""Who is near an order, and why each of them may or may not have it: for the console, and for the history of a choice."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.gis.geos import Point
from django.db import connection

from dispatch.models import OfferStatus
from dispatch.nearest import Candidate, nearest_to
from dispatch.selectors import nearby_drivers
from drivers.clock import database_now
from drivers.models import Driver
from orders.models import Order


class Verdict(StrEnum):
    """What rules a driver out; empty: nothing does."""

    ELIGIBLE = ""
    SUSPENDED = "suspended"
    #: On duty, but not heard of within LIVE_SECONDS.
    SILENT = "silent"
    WRONG_VEHICLE = "wrong_vehicle"
    AT_CAPACITY = "at_capacity"
    #: They said no, or gave it back.
    DECLINED = "declined"
    #: A dispatcher took it from them.
    BARRED = "barred"


@dataclass(frozen=True, slots=True)
class Considered:
    driver_id: int
    name: str
    vehicle: str
    #: To the pickup, metres on the WGS 84 spheroid.
    distance_m: float
    #: Server time of the position.
    located_at: datetime | None
    position_age_s: int | None
    load: int
    capacity: int
    verdict: Verdict

    def told(self) -> dict[str, Any]:
        """For the history. Names are not in it: they may change, and people may have to be forgotten."""
        return {
            "driver": self.driver_id,
            "distance_m": round(self.distance_m),
            "position_age_s": self.position_age_s,
            "load": self.load,
            "capacity": self.capacity,
        }


#: The nearest by the indexes of those on duty and of those who fell silent, whoever they are, and then each of them is
#: judged. Those who are off duty by their own choice are nobody's candidates and would only be in the way. (As in
#: dispatch/nearest.py, ST_DWithin comes afterwards: in the walk, PostgreSQL would read everybody within the radius.)
CONSIDERED_SQL = """
SELECT wanted.id, near.driver_id, d.name, d.vehicle, near.metres, near.located_at,
       round(extract(epoch FROM clock_timestamp() - near.located_at))::int,
       (SELECT count(*) FROM orders_order h WHERE h.driver_id = near.driver_id AND h.status IN ('assigned', 'picked_up')),
       d.capacity,
       CASE WHEN d.suspended THEN 'suspended' WHEN NOT near.live THEN 'silent'
            WHEN wanted.vehicle NOT IN ('', d.vehicle) THEN 'wrong_vehicle' ELSE '' END,
       coalesce(f.status, '')
FROM ({wanted}) wanted (id, pickup, vehicle)
CROSS JOIN LATERAL (
    SELECT p.driver_id, ST_Distance(p.location, wanted.pickup) AS metres, p.located_at,
           p.is_online AND p.last_seen > clock_timestamp() - make_interval(secs => %(live)s) AS live
    FROM (
        (SELECT * FROM drivers_presence on_duty
         WHERE is_online AND location IS NOT NULL AND EXISTS (
             SELECT FROM drivers_presence WHERE is_online AND location IS NOT NULL
                 AND location && _ST_Expand(wanted.pickup, %(metres)s))
         ORDER BY location <-> wanted.pickup LIMIT %(limit)s)
        UNION ALL
        (SELECT * FROM drivers_presence silent
         WHERE NOT is_online AND silent_since IS NOT NULL AND location IS NOT NULL
           AND EXISTS (
             SELECT FROM drivers_presence WHERE NOT is_online AND silent_since IS NOT NULL AND location IS NOT NULL
                 AND location && _ST_Expand(wanted.pickup, %(metres)s))
         ORDER BY location <-> wanted.pickup LIMIT %(limit)s)
    ) p
    WHERE ST_DWithin(p.location, wanted.pickup, %(metres)s)
    ORDER BY p.location <-> wanted.pickup
    LIMIT %(limit)s
) near
JOIN drivers_driver d ON d.id = near.driver_id
LEFT JOIN dispatch_offer f ON f.order_id = wanted.id AND f.driver_id = near.driver_id
    AND f.order_id >= baton_settled_before()
"""
OF_ORDERS = "SELECT id, pickup, vehicle FROM orders_order WHERE id = ANY (%(orders)s::uuid[])"
OF_PLACE = "SELECT NULL::uuid, ST_SetSRID(ST_MakePoint(%(lng)s, %(lat)s), 4326)::geography, %(vehicle)s::text"


def considered_for(order_ids: Collection[UUID], *, radius_km: float, limit: int) -> Mapping[UUID, list[Considered]]:
    """For each order the nearest drivers on duty within the radius, nearest first, eligible or not; at most `limit`
    each. An order without any is absent."""
    found: dict[UUID, list[Considered]] = {}
    for order_id, considered in _ask(OF_ORDERS, {"orders": list(order_ids)}, radius_km, limit):
        found.setdefault(order_id, []).append(considered)
    return found


def considered_at(pickup: Point, *, vehicle: str, radius_km: float, limit: int) -> list[Considered]:
    """The same for an order that does not exist yet; `vehicle` empty: any will do."""
    given = {"lat": pickup.y, "lng": pickup.x, "vehicle": vehicle}
    return [considered for _, considered in _ask(OF_PLACE, given, radius_km, limit)]


def _ask(wanted: str, given: dict[str, Any], radius_km: float, limit: int) -> list[tuple[UUID, Considered]]:
    parameters = {**given, "live": settings.LIVE_SECONDS, "metres": radius_km * 1000, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(CONSIDERED_SQL.format(wanted=wanted), parameters)
        rows = cursor.fetchall()
    rows.sort(key=lambda row: (row[4], row[1]))
    return [(row[0], Considered(*(*row[1:9], _judge(*row[7:11])))) for row in rows]


def _judge(load: int, capacity: int, barrier: str, offer: str) -> Verdict:
    if barrier:
        return Verdict(barrier)
    if offer in {OfferStatus.DECLINED, OfferStatus.BARRED}:
        return Verdict(offer)
    return Verdict.AT_CAPACITY if load >= capacity else Verdict.ELIGIBLE


#: Nearest drivers that the console looks at for one order, and of either kind that it shows.
LOOKED_AT = 100
SHOWN = 20

Candidates = tuple[list[Considered], list[Considered]]


def candidates_for(order: Order, *, radius_km: float) -> Candidates:
    """The nearest who could take the order, and the nearest who could not; nearest first."""
    near = considered_for([order.pk], radius_km=radius_km, limit=LOOKED_AT).get(order.pk, [])
    return _sort_out(near, order, radius_km)


def candidates_at(pickup: Point, *, vehicle: str, radius_km: float) -> Candidates:
    """The same for an order that does not exist yet."""
    near = considered_at(pickup, vehicle=vehicle, radius_km=radius_km, limit=LOOKED_AT)
    return _sort_out(near, Order(pickup=pickup, vehicle=vehicle), radius_km)


def _sort_out(near: list[Considered], order: Order, radius_km: float) -> Candidates:
    free = [one for one in near if one.verdict is Verdict.ELIGIBLE]
    if len(free) < SHOWN and len(near) == LOOKED_AT:
        # Everybody near is busy: those who are not are farther than this looked.
        farther = (
            nearest_to(order.pickup, vehicle=order.vehicle, radius_km=radius_km, limit=SHOWN)
            if order._state.adding
            else nearby_drivers(order_id=order.pk, radius_km=radius_km, limit=SHOWN)
        )
        drivers = Driver.objects.in_bulk([candidate.driver_id for candidate in farther])
        now = database_now()
        free = [_free(drivers[one.driver_id], one, now) for one in farther if one.driver_id in drivers]
    return free[:SHOWN], [one for one in near if one.verdict is not Verdict.ELIGIBLE][:SHOWN]


def _free(driver: Driver, candidate: Candidate, now: datetime) -> Considered:
    age = round((now - candidate.located_at).total_seconds()) if candidate.located_at else None
    return Considered(
        driver_id=driver.pk,
        name=driver.name,
        vehicle=str(driver.vehicle),
        distance_m=candidate.distance_m,
        located_at=candidate.located_at,
        position_age_s=age,
        load=candidate.load,
        capacity=candidate.capacity,
        verdict=Verdict.ELIGIBLE,
    )
