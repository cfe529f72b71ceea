"""What needs a dispatcher, the most urgent first: every open order that is in trouble or will be, and since when.

Trouble has a time of its own, so a row does not change while nothing happens, and a screen counts down by itself:

| reason | trouble at |
|---|---|
| `expired` | its deadline: no driver may take it any more |
| `all_declined` | its deadline: everybody in reach refused it |
| `no_candidate` | its deadline: nobody free within the widest radius of auto-assignment |
| `expiring` | its deadline, at most EXPIRING_SECONDS ahead |
| `holder_silent` | the holder was last heard of, and LIVE_SECONDS: then they were silent |
| `holder_not_moving` | they have been within STILL_METRES for STILL_MINUTES, and are not where they are expected |
| `holder_moving_away` | when they were nearest: they are AWAY_METRES farther now |
| `late` | when the leg should have been done: its length at the start, by the vehicle's SPEED_KMH and DETOUR, and \
LATE_GRACE_MINUTES. Told as soon as the rest of the way takes longer than what is left |

Set-wise, over open orders only, so its cost does not grow with the history; computed by each process that serves
dispatchers, once for all of them, while somebody watches.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection

from dispatch.models import REFUSED
from dispatch.nearest import nearest_drivers
from drivers.clock import database_now
from drivers.http import rfc3339

#: Orders of one kind that are looked at, and rows that are told: bounds what one look costs in the worst of days.
LOOKED_AT: Final = 2000
TOLD: Final = 500

EXPIRED_SQL = """
SELECT id, expires_at FROM orders_order
WHERE status = 'pending' AND expired ORDER BY created_at DESC, id DESC LIMIT %(limit)s
"""
WAITING_SQL = """
SELECT o.id, o.expires_at, coalesce(f.closed_at, o.release_at), f.open, f.declined, f.made
FROM (
    SELECT id, expires_at, release_at FROM orders_order
    WHERE status = 'pending' AND NOT expired AND release_at <= clock_timestamp() AND expires_at > clock_timestamp()
    ORDER BY expires_at LIMIT %(limit)s
) o
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status = 'open') AS open, count(*) FILTER (WHERE status = 'declined') AS declined,
           count(*) AS made, max(closed_at) AS closed_at
    FROM dispatch_offer WHERE order_id = o.id AND order_id >= baton_settled_before()
) f
"""
HELD_SQL = """
SELECT o.id, o.driver_id, d.vehicle,
       CASE o.status WHEN 'assigned' THEN o.assigned_at ELSE o.picked_up_at END,
       p.is_online AND p.last_seen > clock_timestamp() - make_interval(secs => %(live)s),
       p.is_online OR p.silent_since IS NOT NULL, p.last_seen,
       ST_Distance(p.location, CASE o.status WHEN 'assigned' THEN o.pickup ELSE o.dropoff END),
       t.start_m, t.spot_at, t.nearest_m, t.nearest_at
FROM orders_order o
JOIN drivers_driver d ON d.id = o.driver_id
JOIN drivers_presence p ON p.driver_id = o.driver_id
LEFT JOIN dispatch_progress t ON t.order_id = o.id AND t.driver_id = o.driver_id AND t.status = o.status
WHERE o.status IN ('assigned', 'picked_up')
"""


@dataclass(frozen=True, slots=True)
class Row:
    """An order that needs somebody."""

    order_id: UUID
    reason: str
    trouble_at: datetime
    since: datetime
    #: What explains it: `driver` (id), `metres` to where they are expected, `off_duty`.
    detail: tuple[tuple[str, int | bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Attention:
    at: datetime
    rows: tuple[Row, ...]
    #: Waiting order id → its offers: open, declined, made.
    offers: dict[UUID, dict[str, int]]

    def told(self) -> list[dict[str, Any]]:
        """As it goes to the screens; `minutes` as of now."""
        return [
            {
                "order": str(row.order_id),
                "reason": row.reason,
                "minutes": round((row.trouble_at - self.at).total_seconds() / 60, 1),
                "trouble_at": rfc3339(row.trouble_at),
                "since": rfc3339(row.since),
                "detail": dict(row.detail),
            }
            for row in self.rows
        ]


def attention() -> Attention:
    """Look at all open orders. Reads only."""
    now = database_now()
    waiting = _rows(WAITING_SQL)
    rows = [
        *(Row(order_id, "expired", expires_at, expires_at) for order_id, expires_at in _rows(EXPIRED_SQL)),
        *_waiting(waiting, now),
        *_held(now),
    ]
    rows.sort(key=lambda row: (row.trouble_at, row.order_id))
    offers = {row[0]: {"open": row[3], "declined": row[4], "made": row[5]} for row in waiting}
    return Attention(at=now, rows=tuple(rows[:TOLD]), offers=offers)


def _rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"limit": LOOKED_AT, "live": settings.LIVE_SECONDS})
        return list(cursor.fetchall())


def _waiting(waiting: list[tuple[Any, ...]], now: datetime) -> Iterable[Row]:
    # Whoever has an open offer could take it; only of the others it is asked whether anybody can.
    forlorn = {order_id: 1 for order_id, _, _, offers, _, _ in waiting if not offers}
    in_reach = _in_reach(forlorn) if forlorn else set()
    soon = now + timedelta(seconds=settings.EXPIRING_SECONDS)
    for order_id, expires_at, since, _, declined, _ in waiting:
        if order_id in forlorn and order_id not in in_reach:
            yield Row(order_id, "all_declined" if declined else "no_candidate", expires_at, since)
        elif expires_at <= soon:
            yield Row(order_id, "expiring", expires_at, expires_at - timedelta(seconds=settings.EXPIRING_SECONDS))


def _in_reach(wanted: dict[UUID, int]) -> set[UUID]:
    radius_km = max(settings.ASSIGN_RADII_KM)
    nearest = nearest_drivers(wanted, radius_km=radius_km, without=REFUSED)
    return {order_id for order_id, candidates in nearest.items() if candidates}


@dataclass(frozen=True, slots=True)
class _Holder:
    """A row of HELD_SQL."""

    order_id: UUID
    driver_id: int
    vehicle: str
    began_at: datetime
    live: bool
    on_duty: bool
    last_seen: datetime | None
    metres: float | None
    start_m: float | None
    spot_at: datetime | None
    nearest_m: float | None
    nearest_at: datetime | None


def _held(now: datetime) -> Iterable[Row]:
    for values in _rows(HELD_SQL):
        if (row := _judge(_Holder(*values), now)) is not None:
            yield row


def _judge(holder: _Holder, now: datetime) -> Row | None:
    """The first thing that is wrong: what a holder does who is not heard of is anybody's guess, so that comes first."""
    where = (("metres", round(holder.metres)),) if holder.metres is not None else ()
    detail = (("driver", holder.driver_id), *where)

    def row(reason: str, trouble_at: datetime, since: datetime) -> Row:
        return Row(holder.order_id, reason, trouble_at, since, detail)

    if not holder.live:
        heard = max(holder.last_seen or holder.began_at, holder.began_at - timedelta(seconds=settings.LIVE_SECONDS))
        if not holder.on_duty:
            return Row(holder.order_id, "holder_silent", heard, heard, (*detail, ("off_duty", True)))
        return row("holder_silent", heard + timedelta(seconds=settings.LIVE_SECONDS), heard)
    if holder.metres is None:
        return None
    if holder.metres > settings.ARRIVED_METRES and holder.spot_at is not None:
        still_until = holder.spot_at + timedelta(minutes=settings.STILL_MINUTES)
        if still_until <= now:
            return row("holder_not_moving", still_until, holder.spot_at)
    if holder.nearest_m is not None and holder.metres > holder.nearest_m + settings.AWAY_METRES:
        nearest_at = holder.nearest_at or holder.began_at
        return row("holder_moving_away", nearest_at, nearest_at)
    if holder.start_m is not None:
        due = holder.began_at + timedelta(minutes=settings.LATE_GRACE_MINUTES) + _ride(holder.start_m, holder.vehicle)
        if now + _ride(holder.metres, holder.vehicle) > due:
            return row("late", due, holder.began_at)
    return None


def _ride(metres: float, vehicle: str) -> timedelta:
    """How long a vehicle takes for a distance as the crow flies."""
    return timedelta(hours=metres / 1000 * settings.DETOUR / settings.SPEED_KMH[vehicle])
