"""Reads for the dispatcher's board: quick with 20,000 drivers and a million orders. Nothing here writes or locks."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from drivers.clock import database_now
from drivers.http import rfc3339
from orders.lifecycle import FINAL, HELD, Status
from orders.models import Order, OrderEvent

#: Orders on the board: of each open status the newest so many (`stats` counts them all), and so many finished ones.
OPEN_SHOWN = 500
FINAL_SHOWN = 200

#: One pass over the presence of those asked for; GEOS objects for 20,000 points would cost more than the query.
DRIVERS_SQL = """
SELECT d.id, d.name, d.vehicle, d.capacity, d.suspended, coalesce(held.n, 0), p.is_online, p.last_seen,
       ST_Y(p.location::geometry), ST_X(p.location::geometry), p.heading, p.accuracy_m
FROM drivers_driver d
JOIN drivers_presence p ON p.driver_id = d.id
LEFT JOIN (
    SELECT driver_id, count(*) AS n FROM orders_order WHERE status IN ('assigned', 'picked_up') GROUP BY driver_id
) held ON held.driver_id = d.id
"""

STATS_SQL = """
SELECT
    (SELECT count(*) FROM orders_order WHERE status = 'pending' AND NOT expired),
    (SELECT count(*) FROM orders_order WHERE status = 'pending' AND expired),
    (SELECT count(*) FROM orders_order WHERE status = 'assigned'),
    (SELECT count(*) FROM orders_order WHERE status = 'picked_up'),
    (SELECT count(DISTINCT driver_id) FROM orders_order WHERE status IN ('assigned', 'picked_up')),
    count(*) FILTER (WHERE is_online),
    count(*) FILTER (WHERE is_online AND last_seen > clock_timestamp() - make_interval(secs => %s)),
    coalesce((SELECT cardinality(broken) FROM dispatch_auditverdict), 0)
FROM drivers_presence
"""


@dataclass(frozen=True, slots=True)
class Board:
    """What a dispatcher's screen starts with."""

    server_time: datetime
    orders: list[Order]
    drivers: list[dict[str, Any]]
    stats: dict[str, int]
    #: Pending order id → its offers by state.
    offers: dict[UUID, dict[str, int]]


def board(*, with_drivers: bool = True) -> Board:
    """The orders that are not final, the latest of those that are, and everybody on duty or holding an order (left out
    without `with_drivers`)."""
    orders = board_orders()
    return Board(
        server_time=database_now(),
        orders=orders,
        drivers=board_drivers() if with_drivers else [],
        stats=board_stats(),
        offers=offer_counts([order.pk for order in orders if order.status == Status.PENDING]),
    )


def board_orders() -> list[Order]:
    """What needs attention first, then the other open orders by status, newest first, then the latest that are final.
    Each status is read from its own index."""
    found: list[Order] = []
    for status, expired in ((Status.PENDING, True), (Status.PENDING, False), *((held, False) for held in sorted(HELD))):
        found += _newest(Order.objects.filter(status=status, expired=expired), OPEN_SHOWN)
    final = [order for status in sorted(FINAL) for order in _newest(Order.objects.filter(status=status), FINAL_SHOWN)]
    final.sort(key=lambda order: (order.created_at, order.pk), reverse=True)
    return found + final[:FINAL_SHOWN]


#: What a dispatcher wants to know of a pending order's offers: how many are open, were refused, were made at all.
OFFERS_SQL = """
SELECT order_id, count(*) FILTER (WHERE status = 'open'), count(*) FILTER (WHERE status = 'declined'), count(*)
FROM dispatch_offer WHERE order_id = ANY (%s::uuid[]) GROUP BY order_id
"""
NO_OFFERS: dict[str, int] = {"open": 0, "declined": 0, "made": 0}


def offer_counts(order_ids: Collection[UUID]) -> dict[UUID, dict[str, int]]:
    """For each order how many offers are open, declined, and made in all."""
    with connection.cursor() as cursor:
        cursor.execute(OFFERS_SQL, [list(order_ids)])
        counted = {row[0]: {"open": row[1], "declined": row[2], "made": row[3]} for row in cursor.fetchall()}
    return {order_id: counted.get(order_id, NO_OFFERS) for order_id in order_ids}


def latest_event(order_id: UUID) -> OrderEvent | None:
    return OrderEvent.objects.filter(order_id=order_id).order_by("-version").first()


def _newest(orders: QuerySet[Order], limit: int) -> list[Order]:
    return list(orders.order_by("-created_at", "-id")[:limit])


def board_drivers(driver_ids: Collection[int] | None = None) -> list[dict[str, Any]]:
    """Duty, position and load of these drivers; without ids, of everybody on duty or holding an order."""
    with connection.cursor() as cursor:
        if driver_ids is None:
            cursor.execute(f"{DRIVERS_SQL} WHERE p.is_online OR held.n > 0")
        else:
            cursor.execute(f"{DRIVERS_SQL} WHERE d.id = ANY(%s)", [list(driver_ids)])
        rows = cursor.fetchall()
    return [
        {
            "id": row[0],
            "name": row[1],
            "vehicle": row[2],
            "capacity": row[3],
            "suspended": row[4],
            "load": row[5],
            "is_online": row[6],
            "last_seen": rfc3339(row[7]),
            "lat": row[8] if row[8] is None else round(row[8], 6),
            "lng": row[9] if row[9] is None else round(row[9], 6),
            "heading": row[10],
            "accuracy_m": row[11],
        }
        for row in rows
    ]


def board_stats() -> dict[str, int]:
    """The counts at the top of the board."""
    names = (
        "pending",
        "needs_attention",
        "assigned",
        "picked_up",
        "drivers_carrying",
        "drivers_on_duty",
        "drivers_live",
        "broken_promises",
    )
    with connection.cursor() as cursor:
        cursor.execute(STATS_SQL, [settings.LIVE_SECONDS])
        counts = cursor.fetchone()
    return dict(zip(names, counts, strict=True))
