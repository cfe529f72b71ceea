"""Offers that lapse because their order or their driver left the market: one statement, and one message for each order.

At a fan-out of 50 this is most of what an assignment writes (49 offers of the order, and the driver's own of other orders),
so it is done in SQL: offers come back as one row for each order, not as one for each offer.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from dispatch import live
from dispatch.locks import loads_of, lock_available_drivers
from drivers.clock import database_now
from drivers.models import Presence
from orders.models import Order

OF_ORDERS = """
WITH closed AS (
    UPDATE dispatch_offer SET status = 'lapsed', closed_at = %(now)s, closed_reason = %(reason)s
    WHERE order_id = ANY (%(orders)s::uuid[]) AND status = 'open'
    RETURNING order_id, driver_id
)
SELECT order_id, array_agg(driver_id ORDER BY driver_id) FROM closed GROUP BY order_id
"""

#: Offers of other orders are not ours to wait for (dispatch/locks.py, rule 3): one that is locked right now is being closed
#: or answered by somebody else, and the check under the lock decides whatever is left. If it was only being marked as
#: delivered, or was opened this very moment, a sweep takes it away (`withdraw_left_over_offers`).
OF_DRIVERS = """
WITH available AS (
    SELECT id, order_id FROM dispatch_offer
    WHERE driver_id = ANY (%(drivers)s::bigint[]) AND status = 'open' AND order_id >= baton_settled_before()
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
), closed AS (
    UPDATE dispatch_offer AS offer SET status = 'lapsed', closed_at = %(now)s, closed_reason = %(reason)s
    FROM available
    WHERE offer.order_id = available.order_id AND offer.id = available.id AND offer.status = 'open'
      AND offer.order_id >= baton_settled_before()
    RETURNING offer.order_id, offer.driver_id
)
SELECT closed.order_id, o.version, array_agg(closed.driver_id ORDER BY closed.driver_id)
FROM closed JOIN orders_order o ON o.id = closed.order_id GROUP BY closed.order_id, o.version ORDER BY closed.order_id
"""


def close_offers_of_order(order: Order, reason: str, *, now: datetime, holder_id: int | None = None) -> None:
    """The order left the market: every open offer lapses. `holder_id`, who now holds it, needs no telling."""
    close_offers_of_orders([order], reason, now=now, holders={} if holder_id is None else {order.pk: holder_id})


def close_offers_of_orders(
    orders: Sequence[Order], reason: str, *, now: datetime, holders: Mapping[UUID, int] | None = None
) -> None:
    """`close_offers_of_order` for many locked orders; `holders` is order id → driver id."""
    with connection.cursor() as cursor:
        cursor.execute(OF_ORDERS, {"orders": [order.pk for order in orders], "now": now, "reason": reason})
        lost: dict[UUID, list[int]] = dict(cursor.fetchall())
    for order in orders:
        if drivers := lost.get(order.pk):
            holder_id = (holders or {}).get(order.pk)
            live.offers_closed(order.pk, order.version, [d for d in drivers if d != holder_id], reason)


def close_offers_of_driver(driver_id: int, reason: str, *, now: datetime) -> None:
    """The driver left the market (no room, off duty, suspended): their open offers lapse, but for those that somebody else
    is at work on right now."""
    close_offers_of_drivers([driver_id], reason, now=now)


def close_offers_of_drivers(driver_ids: Sequence[int], reason: str, *, now: datetime) -> None:
    """`close_offers_of_driver` for many; each order is told of once."""
    if not driver_ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(OF_DRIVERS, {"drivers": list(driver_ids), "now": now, "reason": reason})
        for order_id, version, drivers in cursor.fetchall():
            live.offers_closed(order_id, version, drivers, reason)


LEFT_OVER = """
WITH offered AS (
    SELECT DISTINCT driver_id FROM dispatch_offer WHERE status = 'open' AND order_id >= baton_settled_before()
), held AS (
    SELECT driver_id, count(*) AS load FROM orders_order WHERE status IN ('assigned', 'picked_up') GROUP BY driver_id
)
SELECT driver.id FROM offered
JOIN drivers_driver driver ON driver.id = offered.driver_id
JOIN drivers_presence presence ON presence.driver_id = driver.id
LEFT JOIN held ON held.driver_id = driver.id
WHERE NOT presence.is_online OR held.load >= driver.capacity
ORDER BY driver.id LIMIT %s
"""
LEFT_OVER_BATCH = 500


def withdraw_left_over_offers() -> int:
    """Withdraw what drivers are still offered who have left the market: it was locked when they left, or was opened at that
    moment. How many drivers were looked at. Waits for nobody: what is locked now is for the next time."""
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute(LEFT_OVER, [LEFT_OVER_BATCH])
            found = [driver_id for (driver_id,) in cursor.fetchall()]
        if not found:
            return 0
        drivers = lock_available_drivers(found)
        # What was seen before may have changed: only what holds under the lock counts.
        on_duty = set(Presence.objects.filter(pk__in=drivers, is_online=True).values_list("pk", flat=True))
        off_duty = [driver_id for driver_id in drivers if driver_id not in on_duty]
        loads = loads_of(on_duty)
        full = [driver_id for driver_id in sorted(on_duty) if loads[driver_id] >= drivers[driver_id].capacity]
        now = database_now()
        close_offers_of_drivers(off_duty, "driver_offline", now=now)
        close_offers_of_drivers(full, "driver_at_capacity", now=now)
    return len(off_duty) + len(full)
