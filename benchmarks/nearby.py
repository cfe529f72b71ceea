"""The nearest drivers to an order, as the fleet grows: the service, plain SQL, and what an index spares.

    bin/bench nearby [--drivers 1000,10000,100000] [--calls 150]

A city of thirty by twenty-two kilometres, more and more live drivers in it, each able to take an order; asked for the 50
nearest within 5 km of a hundred places. Beside `nearby_drivers`, in turns:

- the same question by hand in SQL, with the same conditions, knowing the place;
- the nearest 50 positions alone, whoever they belong to and whether they could take anything or not;
- `earth_distance(ll_to_earth(…), …) <= 5000 ORDER BY …` over plain latitude and longitude, as it is done without PostGIS
  and without an index (PostgreSQL's own formulas).
"""

import random
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection

from benchmarks.report import Report, arguments
from benchmarks.scratch import CENTRE, as_owner, hire, scratch_database
from dispatch import services
from orders import actors
from orders.models import Order
from orders.services import Contact, NewOrder, Place

RADIUS_KM = 5
LIMIT = 50
PLACES = 100

HERE = "ST_SetSRID(ST_MakePoint(%(lng)s, %(lat)s), 4326)::geography"
NEAREST = f"""
SELECT driver_id, ST_Distance(location, {HERE}) FROM drivers_presence
WHERE is_online AND location IS NOT NULL ORDER BY location <-> {HERE} LIMIT {LIMIT}
"""
COULD_TAKE_IT = """
  AND p.last_seen > clock_timestamp() - interval '60 seconds' AND NOT d.suspended
  AND (SELECT count(*) FROM orders_order h WHERE h.driver_id = p.driver_id AND h.status IN ('assigned', 'picked_up'))
      < d.capacity
  AND NOT EXISTS (SELECT FROM dispatch_offer f
                  WHERE f.order_id = %(order)s AND f.driver_id = p.driver_id AND f.status = 'declined')
"""
BY_HAND = f"""
SELECT p.driver_id, ST_Distance(p.location, {HERE}), p.located_at, d.capacity
FROM drivers_presence p JOIN drivers_driver d ON d.id = p.driver_id
WHERE p.is_online AND p.location IS NOT NULL {COULD_TAKE_IT}
ORDER BY p.location <-> {HERE} LIMIT {LIMIT}
"""
#: The extension `earthdistance` itself needs a superuser to be installed; these are its functions, word for word what they
#: compute. `cube` may be installed by the owner of the database.
EARTH = """
CREATE EXTENSION IF NOT EXISTS cube;
CREATE FUNCTION bench_ll_to_earth(float8, float8) RETURNS cube LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT cube(cube(cube(6378168 * cos(radians($1)) * cos(radians($2))), 6378168 * cos(radians($1)) * sin(radians($2))),
        6378168 * sin(radians($1))) $$;
CREATE FUNCTION bench_earth_distance(cube, cube) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
$$ SELECT CASE WHEN cube_distance($1, $2) / (2 * 6378168) > 1 THEN pi() * 6378168
          ELSE 2 * 6378168 * asin(cube_distance($1, $2) / (2 * 6378168)) END $$;
CREATE TABLE bench_presence (driver_id bigint PRIMARY KEY, is_online boolean, last_seen timestamptz, located_at timestamptz,
    lat float8, lng float8);
GRANT SELECT ON bench_presence TO PUBLIC;
"""
COPY = """
TRUNCATE bench_presence;
INSERT INTO bench_presence
SELECT driver_id, is_online, last_seen, located_at, ST_Y(location::geometry), ST_X(location::geometry) FROM drivers_presence;
ANALYZE bench_presence;
"""
_AWAY = "bench_earth_distance(bench_ll_to_earth(p.lat, p.lng), bench_ll_to_earth(%(lat)s, %(lng)s))"
UNINDEXED = f"""
SELECT p.driver_id, {_AWAY}, p.located_at, d.capacity
FROM bench_presence p JOIN drivers_driver d ON d.id = p.driver_id
WHERE p.is_online AND {_AWAY} <= {RADIUS_KM * 1000} {COULD_TAKE_IT}
ORDER BY {_AWAY} LIMIT {LIMIT}
"""


def timed(act: Callable[[], Any]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def run(sql: str, order: Order) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"lng": order.pickup.x, "lat": order.pickup.y, "order": order.pk})
        rows: list[Any] = cursor.fetchall()
        return rows


def serve(order: Order) -> list[Any]:
    return services.nearby_drivers(order_id=order.pk, radius_km=RADIUS_KM, limit=LIMIT)


def places() -> list[Order]:
    dice = random.Random(5)
    settings.OFFER_FANOUT = 1
    made = []
    for _ in range(PLACES):
        spot = Place(CENTRE[0] + dice.uniform(-0.05, 0.05), CENTRE[1] + dice.uniform(-0.1, 0.1))
        new = NewOrder(pickup=spot, dropoff=spot, contact=Contact(name="Bench", phone="1"))
        made.append(services.place_order(new=new, actor=actors.SYSTEM)[0])
    return made


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--drivers", default="1000,10000,100000")
    parser.add_argument("--calls", type=int, default=150)
    given = parser.parse_args()
    levels = [int(word) for word in given.drivers.split(",")]
    report = Report("nearby")
    medians: dict[tuple[str, int], float] = {}
    with scratch_database("nearby"):
        with as_owner() as login:
            login.execute(EARTH)
        orders = places()
        for before, level in zip([0, *levels], levels, strict=False):
            hire(level - before, first=before)
            with as_owner() as login:
                login.execute(COPY)
            ways: dict[str, tuple[Callable[[Order], Any], int]] = {
                "service": (serve, 1),
                "same in SQL": (lambda order: run(BY_HAND, order), 1),
                "positions alone": (lambda order: run(NEAREST, order), 1),
                "earthdistance": (lambda order: run(UNINDEXED, order), max(1, level // 5000)),
            }
            took: dict[str, list[float]] = {name: [] for name in ways}
            for turn in range(given.calls):
                order = orders[turn % len(orders)]
                for name, (way, every) in ways.items():
                    if turn % every == 0:
                        took[name].append(timed(partial(way, order)))
            for name, seconds in took.items():
                medians[name, level] = report.times(f"{name}, {level:,} drivers", seconds[len(seconds) // 10 :])
            by_hand = {driver_id for driver_id, *_ in run(BY_HAND, orders[0])}
            same = len(by_hand & {found.driver_id for found in serve(orders[0])})
            # SQL ranks on the sphere: at the end of the list it may swap near ties.
            report.bar(f"of the {LIMIT} the same drivers as in SQL, {level:,}", same, at_least=LIMIT - 2)
    most, fewest = max(levels), min(levels)
    service = medians["service", most]
    report.bar(f"service, {most:,} drivers : {fewest:,}", service / medians["service", fewest], at_most=1.5)
    report.bar(f"service : same in SQL, {most:,}", service / medians["same in SQL", most], at_most=3)
    report.bar(f"earthdistance : service, {most:,}", medians["earthdistance", most] / service, at_least=100)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
