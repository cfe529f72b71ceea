"""Fill a scratch database: a city of drivers and years of orders, in a few minutes, for timing pages and queries.

    python -m benchmarks.fill --dsn postgresql://postgres@127.0.0.1:5432/scratch --drivers 20000 --orders 1000000

The database must be migrated and empty of orders, and the login a superuser: triggers and foreign keys are switched off
while rows are poured in (`session_replication_role`), so the SQL below keeps the invariants itself.
"""

import sys
import time

import psycopg

from benchmarks.report import Report, arguments

# A twelfth of the open orders are expired and wait for a dispatcher; the rest of the past is mostly delivered.
STEPS: dict[str, str] = {
    "users": """
INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
SELECT '!', false, 'fill' || n, '', '', '', false, true, now() FROM generate_series(1, %(drivers)s) n
""",
    "drivers": """
INSERT INTO drivers_driver (user_id, name, phone, vehicle, capacity, suspended, created_at)
SELECT id, (ARRAY['Ada','Ben','Chloe','Dan','Eve','Finn','Gwen','Hugo','Ida','Jon'])[1 + id %% 10] || ' '
       || (ARRAY['Smith','Jones','Brown','Khan','Lopez','Nguyen','Kim','Rossi','Novak'])[1 + id / 10 %% 9] || ' ' || id,
       '+1 415 555 ' || lpad((id %% 10000)::text, 4, '0'), (ARRAY['bicycle','motorbike','car','van'])[1 + id %% 4],
       1 + id %% 3, id %% 200 = 0, now() - random() * interval '2 years'
FROM auth_user WHERE username LIKE 'fill%%'
""",
    "presence": """
INSERT INTO drivers_presence (driver_id, is_online, last_seen, location, recorded_at, located_at)
SELECT id, id %% 5 < 3, seen, ST_SetSRID(ST_MakePoint(-122.4 + (random() - 0.5) * 0.3, 37.77 + (random() - 0.5) * 0.2),
       4326)::geography, seen, seen
FROM (SELECT id, now() - random() * interval '50 seconds' - (id %% 11 / 10) * interval '1 hour' AS seen
      FROM drivers_driver) d
""",
    "orders": """
WITH pool AS (SELECT array_agg(id ORDER BY id) AS ids FROM drivers_driver WHERE NOT suspended),
numbered AS (
    SELECT n, n > %(orders)s - least(%(orders)s / 10, 15000) AS is_open,
           now() - (%(orders)s - n) * interval '7 seconds' - random() * interval '5 seconds' AS made,
           ids[1 + (n::bigint * 7919) %% array_length(ids, 1)] AS somebody,
           ids[1 + n %% array_length(ids, 1)] AS nobody_else
    FROM generate_series(1, %(orders)s) n, pool
), judged AS (
    SELECT *, CASE WHEN is_open THEN (ARRAY['pending','pending','assigned','assigned','picked_up'])[1 + n %% 5]
                   WHEN n %% 50 = 0 THEN 'cancelled' WHEN n %% 173 = 0 THEN 'failed' ELSE 'delivered' END AS state
    FROM numbered
)
INSERT INTO orders_order (id, reference, pickup, pickup_address, dropoff, dropoff_address, vehicle, priority, payout,
    currency, metadata, status, expired, driver_id, version, created_at, release_at, auto_assign_at, expires_at,
    offered_at, assigned_at, picked_up_at, delivered_at, cancelled_at, failed_at)
SELECT (lpad(to_hex((extract(epoch FROM made) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8'
        || substr(md5(n::text), 4, 15))::uuid,
       CASE WHEN n %% 4 = 0 THEN '' ELSE 'A-' || n END,
       ST_SetSRID(ST_MakePoint(-122.4 + (random() - 0.5) * 0.3, 37.77 + (random() - 0.5) * 0.2), 4326)::geography,
       n %% 990 || ' Market Street',
       ST_SetSRID(ST_MakePoint(-122.4 + (random() - 0.5) * 0.3, 37.77 + (random() - 0.5) * 0.2), 4326)::geography,
       n %% 880 || ' Valencia Street',
       CASE WHEN n %% 10 = 0 THEN 'van' WHEN n %% 10 = 1 THEN 'bicycle' ELSE '' END,
       n %% 40 / 36, 5 + n %% 2000 / 100.0, 'USD', '{}', state, state = 'pending' AND n %% 5 = 0 AND n %% 3 = 0,
       CASE WHEN state IN ('assigned', 'picked_up') THEN nobody_else
            WHEN state IN ('delivered', 'failed') THEN somebody END,
       CASE state WHEN 'pending' THEN 2 WHEN 'assigned' THEN 3 WHEN 'cancelled' THEN 3 WHEN 'picked_up' THEN 4
            ELSE 5 END,
       made, made, made + interval '15 seconds',
       CASE WHEN state = 'pending' AND NOT (n %% 5 = 0 AND n %% 3 = 0) THEN now() + random() * interval '6 hours'
            ELSE made + interval '2 minutes' END,
       made, CASE WHEN state NOT IN ('pending', 'cancelled') THEN made + interval '20 seconds' END,
       CASE WHEN state NOT IN ('pending', 'cancelled', 'assigned') THEN made + interval '8 minutes' END,
       CASE WHEN state = 'delivered' THEN made + interval '25 minutes' END,
       CASE WHEN state = 'cancelled' THEN made + interval '1 minute' END,
       CASE WHEN state = 'failed' THEN made + interval '25 minutes' END
FROM judged
""",
    "contacts": """
INSERT INTO orders_ordercontact (order_id, name, phone, notes)
SELECT id, 'Customer ' || left(md5(id::text), 6), '+1 628 555 0199', 'Ring twice' FROM orders_order
""",
    "events": """
INSERT INTO orders_orderevent (order_id, version, kind, at, actor_type, actor_id, actor_name, data, txid)
SELECT o.id, step.version, step.kind, o.created_at + (step.version - 1) * interval '10 seconds', step.actor,
       coalesce(o.driver_id::text, ''), step.actor, step.data::jsonb, pg_current_xact_id()::text::bigint
FROM orders_order o CROSS JOIN LATERAL (VALUES
    (1, 'order.created', 'integrator', '{"reference": ""}'),
    (2, 'order.offered', 'system', '{"drivers": 12, "nearest_m": 310}'),
    (3, CASE WHEN o.status = 'cancelled' THEN 'order.cancelled' ELSE 'order.assigned' END, 'driver',
     '{"how": "accepted", "distance_m": 310}'),
    (4, 'order.picked_up', 'driver', '{}'),
    (5, CASE WHEN o.status = 'failed' THEN 'order.failed' ELSE 'order.delivered' END, 'driver', '{}')
) AS step (version, kind, actor, data)
WHERE step.version <= o.version ORDER BY o.created_at, step.version
""",
    "offers": """
INSERT INTO dispatch_offer (order_id, driver_id, status, distance_m, offered_at, answered_at, closed_at, closed_reason)
SELECT o.id, d.id, CASE WHEN o.status = 'pending' AND NOT o.expired THEN 'open' WHEN d.id = o.driver_id THEN 'accepted'
           WHEN k = 2 THEN 'declined' ELSE 'lapsed' END,
       random() * 4000, o.created_at, NULL,
       CASE WHEN o.status = 'pending' AND NOT o.expired THEN NULL ELSE o.created_at + interval '20 seconds' END,
       CASE WHEN o.status = 'pending' AND NOT o.expired THEN '' WHEN k = 2 THEN 'declined' ELSE 'order_taken' END
FROM (SELECT *, row_number() OVER (ORDER BY created_at) AS n FROM orders_order) o
CROSS JOIN generate_series(1, 2) k
JOIN drivers_driver d ON d.id = CASE WHEN k = 1 AND o.driver_id IS NOT NULL THEN o.driver_id
    ELSE (SELECT min(id) FROM drivers_driver) + (o.n * 31 + k * 17) %% %(drivers)s END
ON CONFLICT DO NOTHING
""",
}


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--dsn", required=True, help="a superuser's login to a migrated scratch database")
    parser.add_argument("--drivers", type=int, default=20_000)
    parser.add_argument("--orders", type=int, default=1_000_000)
    sizes = vars(parser.parse_args())
    report = Report("fill")
    with psycopg.connect(sizes.pop("dsn"), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM orders_order LIMIT 1").fetchone():
            parser.error("there are orders in this database already")
        connection.execute("SET session_replication_role = replica")
        for name, sql in STEPS.items():
            started = time.monotonic()
            rows = connection.execute(sql, sizes).rowcount
            report.value(f"{name}, {rows:,} rows", time.monotonic() - started, "s")
        connection.execute("VACUUM (ANALYZE)")
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
