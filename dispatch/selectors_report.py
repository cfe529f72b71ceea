"""Reads for the shift report: exact, and bounded also over a million orders.

Orders are counted by when they were released. Quarters of an hour whose orders are all final are read from their settled
row (`ReportQuarter`), the rest from the orders themselves, by one and the same SQL.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction

from drivers.clock import database_now

QUARTER = timedelta(minutes=15)
#: A report covers at most this (and the hour that clocks may be put back).
LONGEST = timedelta(days=31, hours=1)
#: Up to this long it is told by the hour, then by the day.
BY_HOUR = timedelta(days=3)
#: No order is in hand for longer than this after its release, as far as the drivers' hours go.
LONGEST_IN_HAND = timedelta(days=3)

#: The order's time runs from when it could first be offered; a release in the past is as good as one at once.
_WAITED = "extract(epoch FROM o.{}_at - greatest(o.release_at, o.created_at))"
#: Per quarter, of the orders released within any of the given spans; the counts of orders that are not final come last.
#: (LATERAL, so that each span is one short look at the index.)
QUARTERS_SQL = f"""
SELECT date_bin('15 minutes', o.release_at, 'epoch') AS starts_at,
       count(*) AS orders,
       count(*) FILTER (WHERE o.status = 'delivered') AS delivered,
       count(*) FILTER (WHERE o.status = 'failed') AS failed,
       count(*) FILTER (WHERE o.status = 'cancelled') AS cancelled,
       count(*) FILTER (WHERE o.expired OR o.ran_out) AS ran_out,
       coalesce(sum(f.made), 0)::int AS offers,
       coalesce(sum(f.seen), 0)::int AS offers_seen,
       coalesce(sum(f.accepted), 0)::int AS offers_accepted,
       coalesce(sum(f.declined), 0)::int AS offers_declined,
       coalesce(array_agg(greatest(0, {_WAITED.format("assigned")})::int) FILTER (WHERE o.assigned_at IS NOT NULL), '{{}}')
           AS to_assign,
       coalesce(array_agg(greatest(0, {_WAITED.format("delivered")})::int) FILTER (WHERE o.delivered_at IS NOT NULL), '{{}}')
           AS to_deliver,
       count(*) FILTER (WHERE o.status = 'pending' AND NOT o.expired) AS waiting,
       count(*) FILTER (WHERE o.expired) AS expired,
       count(*) FILTER (WHERE o.status = 'assigned') AS assigned,
       count(*) FILTER (WHERE o.status = 'picked_up') AS picked_up
FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS span (starts_at, ends_at)
CROSS JOIN LATERAL (
    SELECT found.*, found.version > 2 AND EXISTS (
        SELECT FROM orders_orderevent e WHERE e.order_id = found.id AND e.kind = 'order.expired'
    ) AS ran_out
    FROM orders_order found WHERE found.release_at >= span.starts_at AND found.release_at < span.ends_at
) o
CROSS JOIN LATERAL (
    SELECT count(*) AS made, count(*) FILTER (WHERE f.seen_at IS NOT NULL) AS seen,
           count(*) FILTER (WHERE f.status = 'accepted') AS accepted,
           count(*) FILTER (WHERE f.status = 'declined') AS declined
    FROM dispatch_offer f WHERE f.order_id = o.id
) f
GROUP BY 1
"""
_COUNTS = (
    "orders",
    "delivered",
    "failed",
    "cancelled",
    "waiting",
    "expired",
    "assigned",
    "picked_up",
    "ran_out",
    "offers",
    "offers_seen",
    "offers_accepted",
    "offers_declined",
)
#: The bins of the report and, with `bin` NULL, its total.
BINS_SQL = f"""
WITH quarters AS MATERIALIZED (
    SELECT starts_at, orders, delivered, failed, cancelled, ran_out, offers, offers_seen, offers_accepted, offers_declined,
           to_assign, to_deliver, 0 AS waiting, 0 AS expired, 0 AS assigned, 0 AS picked_up
    FROM dispatch_reportquarter WHERE starts_at = ANY(%(settled)s::timestamptz[])
    UNION ALL ({QUARTERS_SQL})
), binned AS MATERIALIZED (SELECT date_trunc(%(bin)s, starts_at, %(zone)s) AS bin, * FROM quarters)
SELECT counts.*, assign.p, deliver.p
FROM (SELECT bin, {", ".join(f"coalesce(sum({name}), 0)::int AS {name}" for name in _COUNTS)}
      FROM binned GROUP BY GROUPING SETS ((bin), ())) counts
LEFT JOIN (SELECT bin, percentile_disc(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY seconds) AS p
           FROM binned, unnest(to_assign) seconds GROUP BY GROUPING SETS ((bin), ())) assign
     ON assign.bin IS NOT DISTINCT FROM counts.bin
LEFT JOIN (SELECT bin, percentile_disc(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY seconds) AS p
           FROM binned, unnest(to_deliver) seconds GROUP BY GROUPING SETS ((bin), ())) deliver
     ON deliver.bin IS NOT DISTINCT FROM counts.bin
ORDER BY counts.bin NULLS FIRST
"""

#: A driver's time as sets of ranges: what overlaps counts once, and idle is duty without work. Duty is told by changes, so
#: what held at the start is the last change before it.
DRIVERS_SQL = """
WITH period AS (SELECT tstzrange(%(start)s, %(end)s) AS span),
held AS (
    SELECT o.driver_id,
           range_agg(tstzrange(o.assigned_at, greatest(o.assigned_at, o.until)) * span) AS work,
           count(*) FILTER (WHERE o.status = 'delivered' AND o.delivered_at >= %(start)s AND o.delivered_at < %(end)s)
               AS delivered,
           count(*) FILTER (WHERE o.status = 'failed' AND o.failed_at >= %(start)s AND o.failed_at < %(end)s) AS failed
    FROM period, (
        SELECT *, coalesce(delivered_at, failed_at, cancelled_at, 'infinity') AS until FROM orders_order
        WHERE release_at >= %(earliest)s AND release_at < %(end)s
    ) o
    WHERE o.driver_id IS NOT NULL AND o.assigned_at < %(end)s AND o.until > %(start)s
    GROUP BY o.driver_id
), known AS (
    SELECT c.driver_id, c.at, c.id, c.is_online FROM drivers_dutychange c WHERE c.at >= %(start)s AND c.at < %(end)s
    UNION ALL
    SELECT d.id, before.at, before.id, before.is_online
    FROM drivers_driver d CROSS JOIN LATERAL (
        SELECT c.at, c.id, c.is_online FROM drivers_dutychange c
        WHERE c.driver_id = d.id AND c.at < %(start)s ORDER BY c.at DESC, c.id DESC LIMIT 1
    ) before
), spells AS (
    SELECT driver_id, is_online, at, lead(at, 1, %(end)s) OVER (PARTITION BY driver_id ORDER BY at, id) AS until FROM known
), duty AS (
    SELECT driver_id, range_agg(tstzrange(at, until) * span) AS duty
    FROM spells, period WHERE is_online GROUP BY driver_id
), both_known AS (
    SELECT driver_id, coalesce(duty, '{}') AS duty, coalesce(work, '{}') AS work, coalesce(delivered, 0) AS delivered,
           coalesce(failed, 0) AS failed
    FROM duty FULL JOIN held USING (driver_id)
), summed AS (
    SELECT driver_id, delivered, failed,
           (SELECT coalesce(sum(upper(r) - lower(r)), interval '0') FROM unnest(duty) r) AS on_duty,
           (SELECT coalesce(sum(upper(r) - lower(r)), interval '0') FROM unnest(work) r) AS working,
           (SELECT coalesce(sum(upper(r) - lower(r)), interval '0') FROM unnest(duty - work) r) AS idle
    FROM both_known
)
SELECT s.driver_id, d.name, d.vehicle, extract(epoch FROM on_duty)::int, extract(epoch FROM working)::int,
       extract(epoch FROM idle)::int, delivered, failed, count(*) OVER ()
FROM summed s JOIN drivers_driver d ON d.id = s.driver_id
"""
#: What drivers can be sorted by → SQL.
ORDERS_OF_DRIVERS = {
    "name": "d.name, s.driver_id",
    "on_duty": "on_duty DESC, s.driver_id",
    "working": "working DESC, s.driver_id",
    "idle": "idle DESC, s.driver_id",
    "delivered": "delivered DESC, s.driver_id",
}


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds; None when there was nothing to measure."""

    p50: int | None
    p90: int | None


@dataclass(frozen=True, slots=True)
class Bin:
    """An hour, a day, or all of a report: the orders that were released in it, as they are now."""

    #: None: the whole report.
    starts_at: datetime | None
    orders: int = 0
    delivered: int = 0
    failed: int = 0
    cancelled: int = 0
    #: Still waiting for a driver, time not run out.
    waiting: int = 0
    #: Waiting for a dispatcher: their time has run out.
    expired: int = 0
    assigned: int = 0
    picked_up: int = 0
    #: Whose time ran out at least once, whatever became of them.
    ran_out: int = 0
    offers: int = 0
    offers_seen: int = 0
    offers_accepted: int = 0
    offers_declined: int = 0
    to_assign: Times = field(default=Times(None, None))
    to_deliver: Times = field(default=Times(None, None))

    @property
    def expiry_rate(self) -> float | None:
        """Orders whose time ran out at least once, of all; 0 to 1."""
        return self.ran_out / self.orders if self.orders else None

    @property
    def decline_rate(self) -> float | None:
        """Noes (and orders given back) of all answers to offers; 0 to 1."""
        answers = self.offers_accepted + self.offers_declined
        return self.offers_declined / answers if answers else None


@dataclass(frozen=True, slots=True)
class DriverHours:
    """A driver's time within a report, in seconds. Work is at least one order in hand, idle is on duty without any."""

    driver_id: int
    name: str
    vehicle: str
    on_duty: int
    working: int
    idle: int
    delivered: int
    failed: int


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` up to but without `end`, told in the hours or days of `zone`."""

    start: datetime
    end: datetime
    zone: ZoneInfo

    @property
    def bin(self) -> str:
        return "hour" if self.end - self.start <= BY_HOUR else "day"


def report_bins(period: Period) -> tuple[Bin, list[Bin]]:
    """The whole period and each hour or day of it in which an order was released. Seconds, exact percentiles."""
    start, end = _ceil(period.start), _floor(period.end)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT starts_at FROM dispatch_reportquarter WHERE starts_at >= %s AND starts_at < %s", [start, end]
        )
        # By name from here on: what is settled meanwhile must not be counted twice.
        settled = {row[0] for row in cursor.fetchall()}
        by_index(cursor)
        cursor.execute(
            BINS_SQL,
            {
                "settled": list(settled),
                "bin": period.bin,
                "zone": str(period.zone),
                **in_spans(_without(settled, period.start, period.end)),
            },
        )
        rows = [_bin(row) for row in cursor.fetchall()]
    return rows[0], rows[1:]


def _bin(row: tuple[Any, ...]) -> Bin:
    return Bin(
        row[0], **dict(zip(_COUNTS, row[1:-2], strict=True)), to_assign=_times(row[-2]), to_deliver=_times(row[-1])
    )


def _times(found: list[int] | None) -> Times:
    return Times(*(found or (None, None)))


def _floor(moment: datetime) -> datetime:
    return datetime.fromtimestamp(moment.timestamp() // 900 * 900, tz=UTC)


def _ceil(moment: datetime) -> datetime:
    floor = _floor(moment)
    return floor if floor == moment else floor + QUARTER


def _without(settled: set[datetime], start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The parts of a period that are not settled."""
    quarter = _floor(start)
    while quarter < end:
        part = (max(quarter, start), min(quarter + QUARTER, end))
        if quarter not in settled or part != (quarter, quarter + QUARTER):
            yield part
        quarter += QUARTER


def in_spans(parts: Iterable[tuple[datetime, datetime]]) -> dict[str, list[datetime]]:
    """Parameters of QUARTERS_SQL: the parts, joined to as few spans as there can be."""
    spans: list[tuple[datetime, datetime]] = []
    for start, end in sorted(parts):
        if spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return {"starts": [start for start, _ in spans], "ends": [end for _, end in spans]}


def by_index(cursor: Any) -> None:
    """For the rest of the transaction: QUARTERS_SQL by its indexes. The planner cannot know how short the spans are, and
    takes the whole table for cheaper (measured: 6 s against 0.2 s for a day in quarters)."""
    cursor.execute("SET LOCAL enable_seqscan = off")


def driver_hours(period: Period, *, by: str = "working", limit: int | None = None) -> tuple[list[DriverHours], int]:
    """Drivers who were on duty or had an order in hand within the period, and how many there are without the limit."""
    with connection.cursor() as cursor:
        rows = _ask_for_drivers(cursor, period, by=by, limit=limit).fetchall()
    return [DriverHours(*row[:-1]) for row in rows], rows[0][-1] if rows else 0


def each_driver(period: Period) -> Iterator[DriverHours]:
    """All of them by name, a few hundred at a time."""
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        _ask_for_drivers(cursor, period, by="name", limit=None)
        while rows := cursor.fetchmany(500):
            yield from (DriverHours(*row[:-1]) for row in rows)


def _ask_for_drivers(cursor: Any, period: Period, *, by: str, limit: int | None) -> Any:
    # What is going on now has lasted until now.
    end = max(period.start, min(period.end, database_now()))
    cursor.execute(
        f"{DRIVERS_SQL} ORDER BY {ORDERS_OF_DRIVERS[by]} LIMIT %(limit)s",
        {"start": period.start, "end": end, "earliest": period.start - LONGEST_IN_HAND, "limit": limit},
    )
    return cursor
