"""The sweeps with much to do, and with nothing: 10,000 orders due at once, and a million that are long done.

    bin/bench sweep [--drivers 5000] [--expire 10000] [--assign 1000] [--fanout 50] [--old 1000000]

The sweeps' own ticks, one after the other in this process, on orders that are poured into the tables: first `--expire`
whose time has run out, with no offer and then with offers open to `--fanout` drivers each; then `--assign` that are due to
be assigned, with the same offers. Then ticks with nothing to do, before and after `--old` delivered orders were added.
Beside them one plain statement that writes the same rows (order, event, offers), with the triggers that guard them: what
PostgreSQL alone takes for it. (Half a million offers are half a million rows, each in three indexes: no sweep can be
quicker than that.)
"""

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from benchmarks.report import Report, arguments
from benchmarks.scratch import fill, hire, keep_old_orders, scratch_database
from benchmarks.servers import cpu_of, family
from dispatch.sweeps import Sweeper
from drivers import garbage
from orders.models import Order

#: Pending orders of this minute, each on offer to drivers who stand next to each other in the table.
DUE_ORDERS = {
    "orders": """
INSERT INTO orders_order (id, reference, pickup, pickup_address, dropoff, dropoff_address, vehicle, priority, payout,
    currency, metadata, status, expired, version, created_at, release_at, auto_assign_at, expires_at, offered_at)
SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
        || substr(gen_random_uuid()::text, 16, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid,
       %(tag)s || n, location, '', location, '', '', 0, 5, 'USD', '{}', 'pending', false, 2,
       now() - interval '3 minutes', now() - interval '3 minutes', now() - make_interval(secs => 160),
       now() + make_interval(secs => %(seconds)s), now() - interval '3 minutes'
FROM (SELECT n, ST_SetSRID(ST_MakePoint(-122.40 + (random() - 0.5) * 0.34, 37.77 + (random() - 0.5) * 0.2), 4326)::geography
             AS location
      FROM generate_series(1, %(orders)s) n) o
""",
    "contacts": """
INSERT INTO orders_ordercontact (order_id, name, phone, notes)
SELECT id, 'Somebody', '1', '' FROM orders_order WHERE reference LIKE %(tag)s || '%%'
""",
    "events": """
INSERT INTO orders_orderevent (order_id, version, kind, at, actor_type, actor_id, actor_name, data, txid)
SELECT id, v, CASE v WHEN 1 THEN 'order.created' ELSE 'order.offered' END, created_at, 'system', '', '', '{}', 1
FROM orders_order, generate_series(1, 2) v WHERE reference LIKE %(tag)s || '%%'
""",
    "offers": """
INSERT INTO dispatch_offer (order_id, driver_id, status, distance_m, offered_at, closed_reason)
SELECT o.id, ids[1 + (o.n * 37 + k) %% array_length(ids, 1)], 'open', 500, o.offered_at, ''
FROM (SELECT id, offered_at, row_number() OVER (ORDER BY id) AS n FROM orders_order WHERE reference LIKE %(tag)s || '%%') o,
     generate_series(1, %(fanout)s) k, (SELECT array_agg(id ORDER BY id) AS ids FROM drivers_driver) d
""",
}

#: What an expiry writes, by itself: the guarded change, its event, and the offers.
EXPIRE_ALL = """
WITH due AS (
    UPDATE orders_order SET expired = true, version = version + 1
    WHERE status = 'pending' AND NOT expired AND expires_at <= clock_timestamp() RETURNING id, version
), told AS (
    INSERT INTO orders_orderevent (order_id, version, kind, at, actor_type, actor_id, actor_name, data, txid)
    SELECT id, version, 'order.expired', now(), 'system', '', '', '{}', pg_current_xact_id()::text::bigint FROM due
)
UPDATE dispatch_offer f SET status = 'lapsed', closed_at = now(), closed_reason = 'order_expired'
FROM due WHERE f.order_id = due.id AND f.status = 'open'
"""


class Cpu:
    """Seconds of CPU of this process and of all of PostgreSQL, sessions that have ended included; or of this session."""

    def __init__(self, *, of_session: bool = False) -> None:
        self.of_session = of_session
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            self.session = Path(f"/proc/{cursor.fetchone()[0]}")
        parent = re.search(r"^PPid:\t(\d+)$", (self.session / "status").read_text(), re.MULTILINE)
        assert parent is not None
        self.postmaster = int(parent[1])

    def __call__(self) -> tuple[float, float]:
        if self.of_session:
            # To the nanosecond: idle ticks take little.
            return time.process_time(), int((self.session / "schedstat").read_text().split()[0]) / 1e9
        return time.process_time(), cpu_of(family(self.postmaster), of_children=True)


def due_orders(tag: str, orders: int, fanout: int, *, seconds: int) -> None:
    fill(DUE_ORDERS, orders=orders, fanout=fanout, seconds=seconds, tag=tag)


def expire_in_one_statement(report: Report, orders: int, fanout: int) -> float:
    due_orders("plain-", orders, fanout, seconds=-1)
    began = time.perf_counter()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(EXPIRE_ALL)
    name = f"{orders:,} expired in one statement, {fanout} offers each"
    return report.value(name, time.perf_counter() - began, "s")


def work_off(report: Report, name: str, sweep: Callable[[], None], left: Callable[[], int]) -> float:
    """Seconds until nothing is left, tick after tick without a pause."""
    cpu = Cpu()
    here, there = cpu()
    began = time.perf_counter()
    ticks = 0
    before = left()
    count = before
    while count and ticks < 100:
        sweep()
        ticks += 1
        if (now := left()) == count:
            break
        count = now
    took = time.perf_counter() - began
    after_here, after_there = cpu()
    report.value(name, took, "s")
    report.note(
        f"{name}: {before - count:,} of {before:,} in {ticks} ticks; CPU {after_here - here:.2f} s here,"
        f" {after_there - there:.2f} s in PostgreSQL"
    )
    return took


def idle(report: Report, name: str, sweeper: Sweeper) -> float:
    """Share of a core that ticks with nothing to do take, at one a second."""
    for _ in range(3):
        sweeper.tick()
    cpu = Cpu(of_session=True)
    before, ticks = sum(cpu()), 40
    for _ in range(ticks):
        sweeper.tick()
    return report.value(name, 100 * (sum(cpu()) - before) / ticks, "% of a core")


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--drivers", type=int, default=5000)
    parser.add_argument("--expire", type=int, default=10_000)
    parser.add_argument("--assign", type=int, default=1000)
    parser.add_argument("--fanout", type=int, default=50)
    parser.add_argument("--old", type=int, default=1_000_000)
    given = parser.parse_args()
    report = Report("sweep")
    garbage.settle()
    with scratch_database("sweep"):
        hire(given.drivers)
        sweeper: Any = Sweeper(beat=lambda: None)
        pending = Order.objects.filter(status="pending", expired=False)

        plain = expire_in_one_statement(report, given.expire, given.fanout)
        due_orders("lone-", given.expire, 0, seconds=-1)
        lone = work_off(report, f"{given.expire:,} expired, no offers", sweeper._expire, pending.count)
        due_orders("expire-", given.expire, given.fanout, seconds=-1)
        name = f"{given.expire:,} expired, {given.fanout} offers each"
        expired = work_off(report, name, sweeper._expire, pending.count)

        due_orders("assign-", given.assign, given.fanout, seconds=3600)
        name = f"{given.assign:,} assigned, {given.fanout} offers each"
        assigned = work_off(report, name, sweeper._auto_assign, pending.count)

        few = idle(report, "idle ticks, few orders", sweeper)
        keep_old_orders(given.old)
        many = idle(report, f"idle ticks, {given.old:,} old orders", sweeper)
    report.bar("seconds to expire all, no offers", lone, at_most=2)
    report.bar("expired with offers, by the sweep : in one statement", expired / plain, at_most=2)
    report.bar("seconds to assign all", assigned, at_most=5)
    report.bar("idle, % of a core", many, at_most=1)
    report.note(f"idle with old orders : without {many / few:.2f}")
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
