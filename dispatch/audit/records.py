"""What the rows themselves must say, also where a constraint says so already: constraints can be dropped."""

from typing import Final

from django.db import connection

from dispatch.audit.report import Breach, Check
from orders.lifecycle import FINAL, HELD, Kind, Status

#: How long the expiry sweep may owe an order its flag. It takes 1.5 s as a rule, 10 s when its process was just killed. Counted
#: up to its last sign of life: where nothing sweeps, as in a backup that was just restored, nothing is owed. (/readyz and
#: /metrics say that nothing sweeps.)
SWEEP_OWES_SECONDS: Final = 15

CHECKS: Final = [
    Check(
        "open_offers_can_be_accepted",
        f"An open offer is of a pending, unexpired order (or one that ran out under {SWEEP_OWES_SECONDS} s ago).",
    ),
    Check("one_accepted_offer_per_order", "No order has two accepted offers."),
    Check("held_orders_have_a_holder", "A held, delivered or failed order has a driver, a pending one has none."),
    Check(
        "states_have_their_time",
        "Every state that an order is in or went through has its time; no other state has one.",
    ),
    Check("expired_orders_are_pending", "Only pending orders are expired."),
    Check(
        "refusals_were_respected",
        "Nobody holds an order that they were relieved of, and nobody holds one by the system's act that they declined.",
    ),
    Check("everybody_has_one_presence", "Every driver has a presence."),
]

_HAS_DRIVER = ", ".join(f"'{status}'" for status in sorted({*HELD, Status.DELIVERED, Status.FAILED}))
_HELD = ", ".join(f"'{status}'" for status in sorted(HELD))
_FINAL_TIMES = " OR ".join(f"(o.status = '{status}') <> (o.{status}_at IS NOT NULL)" for status in sorted(FINAL))

#: Check → a query of `(text)`.
QUERIES: Final[dict[str, str]] = {
    "open_offers_can_be_accepted": f"""
        SELECT format('offer %s to driver %s: order %s is %s%s, its deadline %s', f.id, f.driver_id, o.id, o.status,
                      CASE WHEN o.expired THEN ' and expired' END, o.expires_at)
        FROM dispatch_offer f JOIN orders_order o ON o.id = f.order_id
        WHERE f.status = 'open' AND NOT (
            o.status = '{Status.PENDING}' AND NOT o.expired
            AND o.expires_at > least(now(), (SELECT active_at FROM dispatch_sweepheartbeat))
                               - interval '{SWEEP_OWES_SECONDS} seconds'
        )
    """,
    "one_accepted_offer_per_order": """
        SELECT format('order %s: %s accepted offers', order_id, count(*))
        FROM dispatch_offer WHERE status = 'accepted' GROUP BY order_id HAVING count(*) > 1
    """,
    "held_orders_have_a_holder": f"""
        SELECT format('order %s is %s, driver %s', o.id, o.status, coalesce(o.driver_id::text, 'none'))
        FROM orders_order o
        WHERE o.status IN ({_HAS_DRIVER}) AND o.driver_id IS NULL
           OR o.status = '{Status.PENDING}' AND o.driver_id IS NOT NULL
    """,
    "states_have_their_time": f"""
        SELECT format('order %s is %s: assigned %s, picked up %s, delivered %s, cancelled %s, failed %s', o.id, o.status,
                      {", ".join(f"coalesce(o.{name}_at::text, '-')" for name in ("assigned", "picked_up", "delivered", "cancelled", "failed"))})
        FROM orders_order o
        WHERE {_FINAL_TIMES}
           OR o.status IN ({_HAS_DRIVER}) AND o.assigned_at IS NULL
           OR o.status IN ('{Status.PICKED_UP}', '{Status.DELIVERED}', '{Status.FAILED}') AND o.picked_up_at IS NULL
           OR o.status = '{Status.PENDING}' AND (o.assigned_at IS NOT NULL OR o.picked_up_at IS NOT NULL)
    """,
    "expired_orders_are_pending": f"""
        SELECT format('order %s is %s and expired', o.id, o.status)
        FROM orders_order o WHERE o.expired AND o.status <> '{Status.PENDING}'
    """,
    "refusals_were_respected": f"""
        SELECT format('order %s: held by driver %s, whose offer is %s', o.id, o.driver_id, f.status)
        FROM orders_order o JOIN dispatch_offer f ON f.order_id = o.id AND f.driver_id = o.driver_id
        WHERE o.status IN ({_HELD}) AND (f.status = 'barred' OR f.status = 'declined' AND (
            SELECT e.actor_type FROM orders_orderevent e WHERE e.order_id = o.id AND e.kind = '{Kind.ASSIGNED}'
            ORDER BY e.version DESC LIMIT 1) = 'system')
    """,
    "everybody_has_one_presence": """
        SELECT format('driver %s (%s)', d.id, d.name)
        FROM drivers_driver d WHERE NOT EXISTS (SELECT FROM drivers_presence p WHERE p.driver_id = d.id)
    """,
}


def look(rows_per_check: int) -> list[Breach]:
    breaches = []
    with connection.cursor() as cursor:
        for name, query in QUERIES.items():
            # No parameters, so that format()'s own %s stay what they are.
            cursor.execute(
                f"SELECT text, count(*) OVER () FROM ({query}) found (text) ORDER BY text LIMIT {int(rows_per_check)}"
            )
            breaches += [Breach(name, text, total) for text, total in cursor.fetchall()]
    return breaches
