"""Offers that lapse because their order or their driver left the market: one statement, and one message for each order.

At a fan-out of 50 this is most of what an assignment writes (49 offers of the order, and the driver's own of other orders),
so it is done in SQL: offers come back as one row for each order, not as one for each offer.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection

from dispatch import live
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
#: or answered by somebody else, and the check under the lock decides whatever is left.
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
