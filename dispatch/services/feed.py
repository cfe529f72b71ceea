"""What becomes of offers on their way to a driver's screen: delivered, seen. Many at once, from the sockets."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import connection, transaction

#: Offers are locked by whoever answers or closes them; here nobody waits (dispatch/locks.py, rule 3).
MARK_SQL = """
WITH free AS (
    SELECT o.id, o.order_id FROM dispatch_offer o
    JOIN unnest(%s::bigint[], %s::uuid[]) AS card (driver_id, order_id) USING (driver_id, order_id)
    WHERE o.{field} IS NULL AND o.order_id >= baton_settled_before()
    ORDER BY o.id
    FOR NO KEY UPDATE OF o SKIP LOCKED
)
UPDATE dispatch_offer SET {changes} FROM free
WHERE dispatch_offer.order_id = free.order_id AND dispatch_offer.id = free.id
  AND dispatch_offer.order_id >= baton_settled_before()
"""
LEFT_SQL = """
SELECT driver_id, order_id FROM dispatch_offer
JOIN unnest(%s::bigint[], %s::uuid[]) AS card (driver_id, order_id) USING (driver_id, order_id)
WHERE dispatch_offer.{field} IS NULL AND dispatch_offer.order_id >= baton_settled_before()
"""


def mark_offers_delivered(*, cards: Collection[tuple[int, UUID]]) -> set[tuple[int, UUID]]:
    """A socket of the driver took these offers, given as (driver id, order id); the first time counts.

    Returns those that are left because somebody has them locked: try again in a moment. Unknown ones are passed over.
    """
    return _mark(cards, "delivered_at", "delivered_at = clock_timestamp()")


def mark_offers_seen(*, cards: Collection[tuple[int, UUID]]) -> set[tuple[int, UUID]]:
    """The app said that these offers are on screen; as `mark_offers_delivered`, which it implies."""
    changes = "seen_at = clock_timestamp(), delivered_at = coalesce(delivered_at, clock_timestamp())"
    return _mark(cards, "seen_at", changes)


def _mark(cards: Collection[tuple[int, UUID]], field: str, changes: str) -> set[tuple[int, UUID]]:
    given: list[Any] = [[driver_id for driver_id, _ in cards], [order_id for _, order_id in cards]]
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        # Only the history reads it: this commit need not wait for the disk.
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute(MARK_SQL.format(field=field, changes=changes), given)
        cursor.execute(LEFT_SQL.format(field=field), given)
        return set(cursor.fetchall())
