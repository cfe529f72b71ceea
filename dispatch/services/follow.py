"""How the holders of orders come along: remembered from one look to the next, in a table, so that a restart forgets
nothing and it does not matter who watches, or whether anybody does."""

from django.conf import settings
from django.db import connection, transaction

#: A holder is nearer than ever when it is by so much, metres: less is the noise of positions.
NEARER_METRES = 25

#: One row per held order. It is begun anew with each leg of the way, and written only when there is something to tell:
#: the holder left the spot, or came nearer.
FOLLOW_SQL = """
INSERT INTO dispatch_progress AS known
    (order_id, driver_id, status, began_at, start_m, spot, spot_at, nearest_m, nearest_at)
SELECT held.id, held.driver_id, held.status, held.began_at, coalesce(metres, way_m), location,
       CASE WHEN location IS NOT NULL THEN greatest(located_at, held.began_at) END, metres,
       CASE WHEN metres IS NOT NULL THEN greatest(located_at, held.began_at) END
FROM (
    SELECT o.id, o.driver_id, o.status, p.location, p.located_at,
           CASE o.status WHEN 'assigned' THEN o.assigned_at ELSE o.picked_up_at END AS began_at,
           ST_Distance(p.location, CASE o.status WHEN 'assigned' THEN o.pickup ELSE o.dropoff END) AS metres,
           CASE WHEN o.status = 'picked_up' THEN ST_Distance(o.pickup, o.dropoff) END AS way_m
    FROM orders_order o JOIN drivers_presence p ON p.driver_id = o.driver_id
    WHERE o.status IN ('assigned', 'picked_up')
) held
ORDER BY held.id
ON CONFLICT (order_id) DO UPDATE SET
    driver_id = excluded.driver_id, status = excluded.status, began_at = excluded.began_at,
    start_m = CASE WHEN known.began_at <> excluded.began_at THEN excluded.start_m
                   ELSE coalesce(known.start_m, excluded.start_m) END,
    spot = CASE WHEN known.began_at <> excluded.began_at OR known.spot IS NULL
                     OR ST_Distance(known.spot, excluded.spot) > %(still)s THEN excluded.spot ELSE known.spot END,
    spot_at = CASE WHEN known.began_at <> excluded.began_at OR known.spot IS NULL
                        OR ST_Distance(known.spot, excluded.spot) > %(still)s
                   THEN excluded.spot_at ELSE known.spot_at END,
    nearest_m = CASE WHEN known.began_at <> excluded.began_at OR known.nearest_m IS NULL
                          OR excluded.nearest_m < known.nearest_m THEN excluded.nearest_m ELSE known.nearest_m END,
    nearest_at = CASE WHEN known.began_at <> excluded.began_at OR known.nearest_m IS NULL
                           OR excluded.nearest_m < known.nearest_m THEN excluded.nearest_at ELSE known.nearest_at END
WHERE known.began_at <> excluded.began_at OR known.driver_id <> excluded.driver_id OR known.status <> excluded.status
   OR (known.spot IS NULL AND excluded.spot IS NOT NULL)
   OR ST_Distance(known.spot, excluded.spot) > %(still)s
   OR excluded.nearest_m < known.nearest_m - %(nearer)s
"""
FORGET_SQL = """
DELETE FROM dispatch_progress known
WHERE NOT EXISTS (SELECT FROM orders_order o WHERE o.id = known.order_id AND o.status IN ('assigned', 'picked_up'))
"""


def follow_holders() -> int:
    """Note where the holders of all orders have got to; how many rows changed. Runs every few seconds from the sweeps, any
    number of times."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        # What a crash loses is noted again by the next look.
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute(FORGET_SQL)
        cursor.execute(FOLLOW_SQL, {"still": settings.STILL_METRES, "nearer": NEARER_METRES})
        return int(cursor.rowcount)
