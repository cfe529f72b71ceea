"""What years of history cost: the same acts with 1, 6, 12 and 24 months stored.

    bin/bench partitions [--months 1,6,12,24] [--per-month 10000] [--rounds 40]

Fills a scratch database month by month, backwards, with delivered orders (five events and two offers each) and carries out
the same acts at each stage: placing an order and offering it to 50 drivers, accepting it, a driver's sync, a look
at the feeds of fifty drivers, expiring orders with their offers, a page of the feed, an order's story. In the end the two
tables are made one piece again, with all that is in them, as a rival.

Times are of the processor: of this process and of PostgreSQL's, so that a busy machine spoils them less. The bars: with
the most months an act takes hardly more than with the fewest, and hardly more than without partitions.
"""

import importlib
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.scratch import as_owner, fill, scratch_database  # isort: skip
from django.conf import settings
from django.db import connection, connections

from benchmarks.report import Report, arguments
from dispatch import selectors, services, story
from dispatch.models import Offer
from drivers.models import Driver
from orders.migrations import _partitioning
from orders.models import Order, OrderEvent
from orders.selectors import FeedPosition, read_feed
from tests import cast
from tests.conftest import connected_as_owner

#: How much more an act may take with the most months than with the fewest, and than in one piece.
MORE = 1.25
TABLES = ("orders_orderevent", "dispatch_offer")
EXPIRED_AT_ONCE = 10

CREW = {
    "users": """
INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
SELECT '!', false, 'bench' || n, '', '', '', false, true, now() FROM generate_series(1, %(drivers)s) n
""",
    "drivers": """
INSERT INTO drivers_driver (user_id, name, phone, vehicle, capacity, suspended, created_at)
SELECT id, username, '', 'car', 2, false, now() FROM auth_user WHERE username LIKE 'bench%%'
""",
    # Half a kilometre around the middle: every order is offered to as many as may be.
    "presence": """
INSERT INTO drivers_presence (driver_id, is_online, last_seen, location, recorded_at, located_at)
SELECT id, true, now() + interval '1 day', ST_SetSRID(ST_MakePoint(%(lng)s + (random() - 0.5) * 0.01,
       %(lat)s + (random() - 0.5) * 0.01), 4326)::geography, now(), now() FROM drivers_driver
""",
}
#: Delivered orders, evenly over one month; with five events and two offers each.
MONTH = {
    "orders": """
WITH pool AS (SELECT array_agg(id ORDER BY id) AS ids FROM drivers_driver)
INSERT INTO orders_order (id, reference, pickup, pickup_address, dropoff, dropoff_address, vehicle, priority, payout,
    currency, metadata, status, expired, driver_id, version, created_at, release_at, auto_assign_at, expires_at,
    offered_at, assigned_at, picked_up_at, delivered_at)
SELECT (lpad(to_hex((extract(epoch FROM made) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8'
        || substr(md5(n::text), 4, 15))::uuid, 'old-' || n,
       ST_SetSRID(ST_MakePoint(%(lng)s, %(lat)s), 4326)::geography, '',
       ST_SetSRID(ST_MakePoint(%(lng)s, %(lat)s), 4326)::geography, '',
       '', 0, 5, 'USD', '{}', 'delivered', false, ids[1 + (n::bigint * 7919) %% array_length(ids, 1)], 5,
       made, made, made + interval '15 seconds', made + interval '2 minutes', made, made + interval '20 seconds',
       made + interval '8 minutes', made + interval '25 minutes'
FROM (SELECT n, %(begins)s::timestamptz + (%(ends)s::timestamptz - %(begins)s::timestamptz) * n / (%(orders)s + 1) AS made
      FROM generate_series(1, %(orders)s) n) o, pool
""",
    "events": """
INSERT INTO orders_orderevent (order_id, version, kind, at, actor_type, actor_id, actor_name, data)
SELECT o.id, step.version, step.kind, o.created_at + step.version * interval '10 seconds', 'driver', o.driver_id::text, '',
       '{"how": "accepted", "distance_m": 310}'
FROM orders_order o CROSS JOIN LATERAL (VALUES (1, 'order.created'), (2, 'order.offered'), (3, 'order.assigned'),
    (4, 'order.picked_up'), (5, 'order.delivered')) AS step (version, kind)
WHERE o.id >= baton_month_id(%(begins)s::timestamptz) AND o.id < baton_month_id(%(ends)s::timestamptz)
ORDER BY o.id, step.version
""",
    "offers": """
INSERT INTO dispatch_offer (order_id, driver_id, status, distance_m, offered_at, answered_at, closed_at, closed_reason)
SELECT o.id,
       CASE k WHEN 1 THEN o.driver_id ELSE (SELECT min(id) FROM drivers_driver) + (o.driver_id * 31) %% %(drivers)s END,
       CASE k WHEN 1 THEN 'accepted' ELSE 'lapsed' END, 500, offered_at, assigned_at, assigned_at, 'order_taken'
FROM orders_order o CROSS JOIN generate_series(1, 2) k
WHERE o.id >= baton_month_id(%(begins)s::timestamptz) AND o.id < baton_month_id(%(ends)s::timestamptz)
ON CONFLICT DO NOTHING
""",
}


class Processor:
    """Time on the processor, of this process and of PostgreSQL's that serves it. In nanoseconds, from Linux's scheduler."""

    def __init__(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            self.backend = Path(f"/proc/{cursor.fetchone()[0]}/schedstat")

    def read(self) -> float:
        return int(self.backend.read_text().split()[0]) / 1e9 + time.process_time()


class City:
    """The acts, each timed; what an act needs is prepared before."""

    def __init__(self, report: Report, rounds: int) -> None:
        self.report, self.rounds = report, rounds

    def look(self, stage: str) -> dict[str, float]:
        """Every act, --rounds times and once before to warm up; the medians by the act's name."""
        connections.close_all()
        self.processor = Processor()
        for count in (1, self.rounds):
            self.taken: dict[str, list[float]] = {}
            for number in range(count):
                self.day()
                if number % 4 == 0:
                    self.night()
        return {what: self.report.times(f"{what}, {stage}", taken) for what, taken in self.taken.items()}

    def timed(self, what: str, act: Callable[[], Any], *, each: int = 1) -> Any:
        before = self.processor.read()
        result = act()
        self.taken.setdefault(what, []).append((self.processor.read() - before) / each)
        return result

    def day(self) -> None:
        order = self.timed("place and offer", cast.order)
        offer = order.offers.order_by("distance_m").first()
        assert order.offers.count() == settings.OFFER_FANOUT
        driver_id = offer.driver_id
        self.timed("sync of an offered driver", lambda: selectors.sync_driver(driver_id=driver_id))
        self.timed("accept", lambda: services.accept_order(order_id=order.pk, driver_id=driver_id))
        self.timed("sync of a holder", lambda: selectors.sync_driver(driver_id=driver_id))
        self.timed("order, by its driver", lambda: selectors.order_for_driver(driver_id=driver_id, order_id=order.pk))
        crew = list(Driver.objects.order_by("pk").values_list("pk", flat=True)[:50])
        self.timed("heartbeats of 50", lambda: selectors.feed_states(crew))
        self.timed("story of an order", lambda: story.of_order(order.pk))
        near_the_end = self.position()
        page = self.timed("page of the feed", lambda: read_feed(after=near_the_end, limit=100))
        assert page.events
        services.cancel_order(order_id=order.pk, actor=cast.DISPATCHER)

    def night(self) -> None:
        orders = [cast.order() for _ in range(EXPIRED_AT_ONCE)]
        for order in orders:
            cast.let_time_pass(order, seconds=125)
        self.timed("expire, each", services.expire_orders, each=EXPIRED_AT_ONCE)
        assert Order.objects.filter(pk__in=[order.pk for order in orders], expired=True).count() == EXPIRED_AT_ONCE
        for order in orders:
            services.cancel_order(order_id=order.pk, actor=cast.DISPATCHER)

    def position(self) -> FeedPosition:
        """Where a reader is who has read all but the last events."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT txid, id FROM orders_orderevent ORDER BY txid DESC, id DESC OFFSET 60 LIMIT 1")
            return FeedPosition(*cursor.fetchone())


def begin_months_anew() -> None:
    """No history yet: the partition of all that was before goes, and this month has one of its own."""
    with as_owner() as login:
        for table in TABLES:
            login.execute(f"DROP TABLE {table}_past")
        login.execute("SELECT baton_make_months(2)")


def pour(ago: int, orders: int, drivers: int) -> None:
    """The month so many months ago."""
    now = datetime.now(UTC)
    first = [datetime(*divmod_month(now, n), 1, tzinfo=UTC) for n in (ago, ago - 1)]
    with as_owner() as login:
        login.execute("SELECT baton_make_month(%s)", [first[0]])
    lat, lng = cast.FERRY_BUILDING
    fill(
        MONTH, begins=first[0].isoformat(), ends=first[1].isoformat(), orders=orders, drivers=drivers, lat=lat, lng=lng
    )


def divmod_month(now: datetime, ago: int) -> tuple[int, int]:
    year, index = divmod(now.year * 12 + now.month - 1 - ago, 12)
    return year, index + 1


def in_one_piece() -> None:
    """Both tables as they were before they were partitioned, with all that is in them."""
    of_offers = importlib.import_module("dispatch.migrations.0014_partition_offers")
    with connected_as_owner():
        _partitioning.unpartition(connection, "orders_orderevent")
        _partitioning.unpartition(
            connection,
            "dispatch_offer",
            before=of_offers.LET_GO,
            after=of_offers.POLICY + of_offers.SYNC + of_offers.SYNC_GRANTS,
        )
    with as_owner() as login:
        login.execute("VACUUM (ANALYZE)")


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--months", default="1,6,12,24")
    parser.add_argument("--per-month", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=40)
    asked = parser.parse_args()
    stages = sorted(int(number) for number in asked.months.split(","))
    report = Report("partitions")
    with scratch_database("partitions"):
        drivers = settings.OFFER_FANOUT + 10
        lat, lng = cast.FERRY_BUILDING
        begin_months_anew()
        fill(CREW, drivers=drivers, lat=lat, lng=lng)
        city, medians, ago = City(report, asked.rounds), {}, 0
        for months in stages:
            while ago < months:
                ago += 1
                pour(ago, asked.per_month, drivers)
            services.turn_months()
            medians[months] = city.look(f"{months} months")
        in_one_piece()
        whole = city.look(f"{stages[-1]} months in one piece")
        report.note(
            f"{Order.objects.count():,} orders, {OrderEvent.objects.count():,} events, {Offer.objects.count():,} offers"
        )
    first, last = medians[stages[0]], medians[stages[-1]]
    for what in last:
        report.bar(f"{what}: {stages[-1]} months / {stages[0]}", last[what] / first[what], at_most=MORE)
        report.bar(f"{what}: in {stages[-1]} months / in one piece", last[what] / whole[what], at_most=MORE)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
