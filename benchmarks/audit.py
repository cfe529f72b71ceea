"""What an audit of a long history takes, beside only counting the same rows.

    bin/bench audit [--orders 1000000]

Delivered orders with their whole history (five events, two offers, three receipts each). The audit replays all of it in one
snapshot and must find nothing; then one row is changed behind its back, and it must find exactly that.
"""

import sys
import time

from django.db import connection

from benchmarks.report import Report, arguments
from benchmarks.scratch import OLD_ORDERS, as_owner, fill, hire, scratch_database
from dispatch import audit

HISTORY = {
    "orders": OLD_ORDERS["orders"],
    # In the order in which they came: what a driver had in hand is counted along the ids.
    "events": """
INSERT INTO orders_orderevent (order_id, version, kind, at, actor_type, actor_id, actor_name, data, txid)
SELECT o.id, step.version, step.kind, step.at, step.actor, step.who, step.actor, step.data,
       pg_current_xact_id()::text::bigint
FROM orders_order o CROSS JOIN LATERAL (VALUES
    (1, 'order.created', created_at, 'integrator', '1', jsonb_build_object('expires_at', expires_at)),
    (2, 'order.offered', offered_at, 'system', '', '{"drivers": 2}'::jsonb),
    (3, 'order.assigned', assigned_at, 'driver', driver_id::text,
        jsonb_build_object('driver', driver_id, 'how', 'accepted', 'capacity', 1)),
    (4, 'order.picked_up', picked_up_at, 'driver', driver_id::text, '{}'),
    (5, 'order.delivered', delivered_at, 'driver', driver_id::text, '{}')
) step (version, kind, at, actor, who, data) ORDER BY o.id, step.version
""",
    "accepted": OLD_ORDERS["offers"],
    "lapsed": """
INSERT INTO dispatch_offer (order_id, driver_id, status, distance_m, offered_at, closed_at, closed_reason)
SELECT o.id, (SELECT min(id) FROM drivers_driver WHERE id <> o.driver_id), 'lapsed', 900, offered_at, assigned_at,
       'order_taken'
FROM orders_order o
""",
    "receipts": """
INSERT INTO dispatch_actionreceipt (driver_id, action_id, verb, order_id, version, created_at)
SELECT driver_id, id || verb, verb, id, act.version, assigned_at
FROM orders_order CROSS JOIN (VALUES ('accept', 3), ('pick_up', 4), ('deliver', 5)) act (verb, version)
""",
}
COUNTING = """
SELECT (SELECT count(*) FROM orders_order), (SELECT count(*) FROM orders_orderevent), (SELECT count(*) FROM dispatch_offer),
       (SELECT count(*) FROM dispatch_actionreceipt)
"""


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--drivers", type=int, default=2000)
    given = parser.parse_args()
    report = Report("audit")
    with scratch_database("audit"):
        hire(given.drivers)
        began = time.monotonic()
        fill(HISTORY, orders=given.orders, batch=0)
        report.value("filled", time.monotonic() - began, "s")
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            began = time.monotonic()
            cursor.execute(COUNTING)
            counted = report.value("only counting the rows", time.monotonic() - began, "s")
        clean = audit.audit()
        report.note(clean.verdict)
        took = report.value("audit", clean.seconds, "s")
        with as_owner() as owner:
            owner.execute("ALTER TABLE orders_order DISABLE TRIGGER USER")
            owner.execute("UPDATE orders_order SET version = 6 WHERE reference = 'old-0-1'")
            owner.execute("ALTER TABLE orders_order ENABLE TRIGGER USER")
        damaged = audit.audit()
        report.note(damaged.verdict)
    report.bar("broken promises in a history without fault", len(clean.broken), at_most=0)
    report.bar(
        "rows found after one was changed", sum(found.broken for found in damaged.outcomes), at_most=1, at_least=1
    )
    report.bar("audit : only counting", took / counted, at_most=100)
    report.bar("seconds for each million orders, in proportion", took * 1e6 / given.orders, at_most=120)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
