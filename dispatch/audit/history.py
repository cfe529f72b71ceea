"""What the history must prove: the events of every order, replayed.

All checks share one pass over `orders_orderevent` (the CTE `walk`): each event with the state of its order just before
it. PostgreSQL has no "last value that is not null" for windows, so a state is carried as `max(ARRAY[version, value])`
over the events that set it: the greatest version is the latest.
"""

from typing import Final

from django.db import connection

from dispatch.audit.report import Breach, Check
from orders.lifecycle import FINAL, HELD, MOVES, STATUS_AFTER, Kind, Status

CHECKS: Final = [
    Check("one_holder_at_a_time", "Between two assignments of an order it was released: it never had two holders."),
    Check("moves_are_legal", "Every event was allowed in the state that its order was in."),
    Check("versions_have_no_gaps", "The events of an order are numbered 1, 2, 3 … without a gap."),
    Check("histories_begin_with_created", "Every history begins with `created`, which comes once."),
    Check(
        "rows_equal_their_history", "Replaying its events gives each order's status, holder, pin, version and times."
    ),
    Check("events_name_the_holder", "Whoever accepted, released, picked up or finished an order held it."),
    Check(
        "no_assignment_after_the_deadline", "No order was assigned while expired or at or past its round's deadline."
    ),
    Check("pins_were_respected", "Only people pinned an order, and no act of the system ended or overrode that."),
    Check("capacity_was_never_exceeded", "No driver ever held more orders than the capacity at that moment."),
    Check(
        "accepted_offers_are_assignments", "An offer is accepted exactly when its driver holds the order by accepting."
    ),
    Check("receipts_point_to_events", "Every receipt of a driver's act points to the event of that act."),
]

#: Orders with smaller ids have no history any more (BATON_HISTORY_MONTHS): nothing can be proved of them.
KEPT_FROM: Final = """(SELECT coalesce(max(before::text)::uuid, '00000000-0000-0000-0000-000000000000')
                      FROM dispatch_forgottenmonth)"""

_CODES: Final = {status: code for code, status in enumerate(Status, start=1)}


def _kinds(*kinds: Kind) -> str:
    return ", ".join(f"'{kind}'" for kind in kinds)


def _statuses(statuses: frozenset[Status]) -> str:
    return ", ".join(str(_CODES[status]) for status in sorted(statuses))


_STATUS_AFTER = "CASE kind " + " ".join(
    f"WHEN '{kind}' THEN {_CODES[status]}" for kind, status in STATUS_AFTER.items() if status is not None
)
_STATUS_NAMES = "(ARRAY[" + ", ".join(f"'{status}'" for status in Status) + "])"
_MOVES = ", ".join(f"({_CODES[before]}, {_CODES[after]})" for before, after in sorted(MOVES))
_ENDS = _kinds(Kind.RELEASED, *(kind for kind, status in STATUS_AFTER.items() if status in FINAL))
_PENDING_ONLY = _kinds(*(kind for kind, status in STATUS_AFTER.items() if status is None))
_VERBS: Final = {
    "accept": Kind.ASSIGNED,
    "release": Kind.RELEASED,
    "pick_up": Kind.PICKED_UP,
    "deliver": Kind.DELIVERED,
    "fail": Kind.FAILED,
}
_PINNING = _kinds(Kind.ASSIGNED, Kind.RELEASED, Kind.PINNED, Kind.UNPINNED)
_NUMBER = "'^[0-9]{1,18}$'"
_TIME = r"'^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d$'"


def _micros(time: str) -> str:
    return f"(extract(epoch FROM {time}) * 1000000)::bigint"


WALK: Final = f"""
event AS (
    SELECT id, order_id, version, kind, at, actor_type, actor_id, data->>'how' AS how,
           coalesce(data->>'pinned' = 'true', false) AS pins,
           {_STATUS_AFTER} END AS status,
           CASE WHEN data->>'driver' ~ {_NUMBER} THEN (data->>'driver')::bigint END AS driver,
           CASE WHEN data->>'capacity' ~ {_NUMBER} THEN (data->>'capacity')::bigint END AS capacity,
           CASE WHEN data->>'expires_at' ~ {_TIME} THEN (data->>'expires_at')::timestamptz END AS deadline
    FROM orders_orderevent WHERE order_id >= {KEPT_FROM}
),
carried AS (
    SELECT event.*,
           lag(version) OVER earlier AS version_before,
           lead(version) OVER earlier IS NULL AS is_last,
           max(ARRAY[version, status, {_micros("at")}]) FILTER (WHERE status IS NOT NULL) OVER before AS was,
           max(ARRAY[version, CASE kind WHEN '{Kind.ASSIGNED}' THEN coalesce(driver, 0) ELSE 0 END,
                     (how = 'accepted')::int, {_micros("at")}])
               FILTER (WHERE kind IN ({_kinds(Kind.ASSIGNED, Kind.RELEASED)})) OVER before AS held,
           max(ARRAY[version, (kind = '{Kind.EXPIRED}')::int])
               FILTER (WHERE status IS NOT NULL OR kind IN ({_kinds(Kind.EXPIRED, Kind.REOFFERED)})) OVER before AS lapse,
           max(ARRAY[version, pins::int]) FILTER (WHERE kind IN ({_PINNING})) OVER before AS pin,
           max(ARRAY[version, {_micros("deadline")}]) FILTER (WHERE deadline IS NOT NULL) OVER before AS due
    FROM event
    WINDOW earlier AS (PARTITION BY order_id ORDER BY version),
           before AS (PARTITION BY order_id ORDER BY version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
walk AS MATERIALIZED (
    SELECT id, order_id, version, kind, at, actor_type, actor_id, how, status, driver, capacity, version_before, is_last, pins,
           coalesce(pin[2], 0) = 1 AS pinned_before,
           was[2] AS status_before, was[3] AS status_since, nullif(held[2], 0) AS holder_before, held[3] = 1 AS by_accepting,
           held[4] AS holder_since, coalesce(lapse[2], 0) = 1 AS expired_before, due[2] AS deadline_before
    FROM carried
),
final AS (
    SELECT order_id, version,
           coalesce(status, status_before) AS status,
           CASE WHEN status IS NULL THEN status_since ELSE {_micros("at")} END AS status_since,
           CASE kind WHEN '{Kind.ASSIGNED}' THEN driver WHEN '{Kind.RELEASED}' THEN NULL ELSE holder_before END AS holder,
           CASE kind WHEN '{Kind.ASSIGNED}' THEN how = 'accepted' ELSE by_accepting END AS by_accepting,
           CASE kind WHEN '{Kind.ASSIGNED}' THEN {_micros("at")} ELSE holder_since END AS holder_since,
           CASE WHEN kind = '{Kind.EXPIRED}' THEN true
                WHEN status IS NOT NULL OR kind = '{Kind.REOFFERED}' THEN false ELSE expired_before END AS expired,
           CASE WHEN kind IN ({_PINNING}) THEN pins ELSE pinned_before END AS pinned
    FROM walk WHERE is_last
)
"""

#: Check → (what is wrong with an event of `walk`, and how that is said).
EVENT_RULES: Final[dict[str, tuple[str, str]]] = {
    "one_holder_at_a_time": (
        f"kind = '{Kind.ASSIGNED}' AND status_before IN ({_statuses(HELD)})",
        "format('assigned to driver %s while driver %s held it', coalesce(driver::text, '?'), holder_before)",
    ),
    "moves_are_legal": (
        f"""version_before IS NOT NULL AND NOT (kind = '{Kind.ASSIGNED}' AND status_before IN ({_statuses(HELD)})) AND (
                status IS NULL AND kind NOT IN ({_PENDING_ONLY})
                OR status IS NOT NULL AND kind <> '{Kind.CREATED}' AND (status_before, status) NOT IN ({_MOVES})
                OR kind IN ({_PENDING_ONLY}) AND status_before <> {_CODES[Status.PENDING]}
                OR kind IN ({_kinds(Kind.OFFERED, Kind.EXPIRED)}) AND expired_before)""",
        f"format('while %s%s', {_STATUS_NAMES}[status_before], CASE WHEN expired_before THEN ' and expired' END)",
    ),
    "versions_have_no_gaps": (
        "version <> coalesce(version_before, 0) + 1",
        "format('follows version %s', coalesce(version_before, 0))",
    ),
    "histories_begin_with_created": (
        f"(version_before IS NULL) <> (kind = '{Kind.CREATED}')",
        "CASE WHEN version_before IS NULL THEN 'is the first event' ELSE 'is not the first event' END",
    ),
    "events_name_the_holder": (
        f"""kind = '{Kind.ASSIGNED}' AND (driver IS NULL
                OR how = 'accepted' AND (actor_type <> 'driver' OR actor_id <> driver::text))
            OR kind = '{Kind.RELEASED}' AND driver IS DISTINCT FROM holder_before
            OR kind IN ({_kinds(Kind.RELEASED, Kind.PICKED_UP, Kind.DELIVERED, Kind.FAILED)})
                AND actor_type = 'driver' AND actor_id IS DISTINCT FROM holder_before::text""",
        """format('by %s %s, names driver %s, held by driver %s', actor_type, actor_id, coalesce(driver::text, '?'),
                  coalesce(holder_before::text, '?'))""",
    ),
    "no_assignment_after_the_deadline": (
        f"kind = '{Kind.ASSIGNED}' AND (expired_before OR {_micros('at')} >= deadline_before)",
        f"""CASE WHEN expired_before THEN 'assigned while expired'
            ELSE format('assigned %s s after its deadline', ({_micros("at")} - deadline_before) / 1000000.0) END""",
    ),
    "pins_were_respected": (
        f"""pins AND actor_type IN ('system', 'driver')
            OR pinned_before AND actor_type = 'system' AND kind IN ({_PINNING})""",
        "format('by %s while %s', actor_type, CASE WHEN pinned_before THEN 'pinned' ELSE 'not pinned' END)",
    ),
}

_SAID = "format('order %s, event %s (%s): %s', order_id, version, kind, {text})"

#: Check → a query of `(check, text)` over `walk` and `final`.
QUERIES: Final[dict[str, str]] = {
    "rows_equal_their_history": f"""
        SELECT format('order %s: the row says %s, driver %s, version %s%s%s; its history %s, driver %s, version %s%s%s',
                      coalesce(o.id, f.order_id), o.status, coalesce(o.driver_id::text, 'none'), o.version,
                      CASE WHEN o.expired THEN ', expired' END, CASE WHEN o.pinned THEN ', pinned' END,
                      coalesce({_STATUS_NAMES}[f.status], 'nothing'), coalesce(f.holder::text, 'none'), f.version,
                      CASE WHEN f.expired THEN ', expired' END, CASE WHEN f.pinned THEN ', pinned' END)
        FROM (SELECT * FROM orders_order WHERE id >= {KEPT_FROM}) o FULL JOIN final f ON f.order_id = o.id
        WHERE o.id IS NULL OR f.order_id IS NULL OR o.status <> {_STATUS_NAMES}[f.status] OR o.version <> f.version
           OR o.driver_id IS DISTINCT FROM f.holder OR o.expired <> f.expired OR o.pinned <> f.pinned
           OR f.holder IS NOT NULL AND {_micros("o.assigned_at")} IS DISTINCT FROM f.holder_since
           OR o.status <> '{Status.PENDING}' AND f.status_since IS DISTINCT FROM {
        _micros(
            "CASE o.status " + " ".join(f"WHEN '{s}' THEN o.{s}_at" for s in Status if s != Status.PENDING) + " END"
        )
    }
    """,
    # Ordered by event id. An assignment holds the lock on its driver from before it counts the load until it commits, so
    # assignments to one driver draw their ids one after the other; and an order that it did not count was given back by
    # a transaction that had committed, so had drawn its id, before. Neither time nor transaction id has that property.
    "capacity_was_never_exceeded": f"""
        SELECT format('driver %s held %s with room for %s: order %s, event %s (%s)',
                      load.driver, held, coalesce(load.capacity, d.capacity), order_id, version, kind)
        FROM (
            SELECT *, sum(step) OVER (PARTITION BY driver ORDER BY id ROWS UNBOUNDED PRECEDING) AS held
            FROM (
                SELECT id, order_id, version, kind, capacity,
                       CASE kind WHEN '{Kind.ASSIGNED}' THEN driver ELSE holder_before END AS driver,
                       CASE kind WHEN '{Kind.ASSIGNED}' THEN 1 ELSE -1 END AS step
                FROM walk
                WHERE kind = '{Kind.ASSIGNED}' OR kind IN ({_ENDS}) AND status_before IN ({_statuses(HELD)})
            ) step WHERE driver IS NOT NULL
        ) load LEFT JOIN drivers_driver d ON d.id = load.driver
        WHERE step = 1 AND held > coalesce(load.capacity, d.capacity)
    """,
    "accepted_offers_are_assignments": f"""
        SELECT format('order %s: accepted by driver %s according to its history, by driver %s according to the offers',
                      coalesce(f.order_id, o.order_id), coalesce(f.holder::text, 'none'), coalesce(o.driver_id::text, 'none'))
        FROM (SELECT order_id, holder FROM final WHERE by_accepting AND holder IS NOT NULL) f
        FULL JOIN (SELECT order_id, driver_id FROM dispatch_offer WHERE status = 'accepted' AND order_id >= {KEPT_FROM}) o
            ON o.order_id = f.order_id
        WHERE f.holder IS DISTINCT FROM o.driver_id
    """,
    # An act that was already done gets a receipt for the version it found; so the event may be an earlier one.
    "receipts_point_to_events": f"""
        SELECT format('driver %s, %s %s: order %s, version %s', r.driver_id, r.verb, r.action_id, r.order_id, r.version)
        FROM dispatch_actionreceipt r LEFT JOIN walk e ON e.order_id = r.order_id AND e.version <= r.version
        WHERE r.order_id >= {KEPT_FROM}
        GROUP BY r.id
        HAVING NOT coalesce(bool_or(e.version = r.version), false)
            OR r.verb <> 'decline' AND NOT coalesce(bool_or(
                e.kind = CASE r.verb {" ".join(f"WHEN '{verb}' THEN '{kind}'" for verb, kind in _VERBS.items())} END
                AND (e.driver = r.driver_id OR e.actor_type = 'driver' AND e.actor_id = r.driver_id::text)), false)
    """,
}


def _statement() -> str:
    any_rule = " OR ".join(f"({rule})" for rule, _ in EVENT_RULES.values())
    each_rule = ", ".join(
        f"('{name}', ({rule}), {_SAID.format(text=text)})" for name, (rule, text) in EVENT_RULES.items()
    )
    suspects = f"SELECT * FROM walk WHERE {any_rule}"
    judged = f"({suspects}) e CROSS JOIN LATERAL (VALUES {each_rule}) rule (name, broken, text)"
    parts = [f"SELECT rule.name, rule.text FROM {judged} WHERE rule.broken"]
    parts += [f"SELECT '{name}', found.text FROM ({query}) found (text)" for name, query in QUERIES.items()]
    breaches = " UNION ALL ".join(parts)
    return f"""
        WITH {WALK}, breach (name, text) AS ({breaches})
        SELECT name, text, total FROM (
            SELECT name, text, count(*) OVER (PARTITION BY name) AS total,
                   row_number() OVER (PARTITION BY name ORDER BY text) AS place
            FROM breach
        ) counted WHERE place <= %s ORDER BY name, text
    """


def look(rows_per_check: int) -> list[Breach]:
    with connection.cursor() as cursor:
        # psycopg reads a lone % as the start of a parameter; these are format()'s.
        cursor.execute(_statement().replace("%s", "%%s").replace("place <= %%s", "place <= %s"), [rows_per_check])
        return [Breach(*row) for row in cursor.fetchall()]
