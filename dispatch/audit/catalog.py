"""That PostgreSQL itself still guards all this: triggers, constraints and row level security, read from its catalog."""

from collections.abc import Iterable
from typing import Any, Final

from django.apps import apps
from django.db import connection, models

from dispatch.audit.report import Breach, Check

CHECKS: Final = [
    Check("triggers_are_on", "Every trigger of Baton is installed as written and enabled."),
    Check("constraints_are_on", "Every constraint of Baton's tables is there and validated."),
    Check("row_security_is_on", "Row level security is enabled and forced, with every policy in place."),
    Check(
        "drivers_may_only_read", "The role `baton_driver` may write no table, and read only what the policies are for."
    ),
]

APPS: Final = ("drivers", "orders", "dispatch")

#: Functions that read as a driver, with what they set while they run (migrations dispatch 0012 and 0016).
AS_DRIVER: Final = {
    "baton_driver_sync": ["role=none"],
    "baton_driver_order": ["role=none", "plan_cache_mode=force_generic_plan"],
}
#: How they begin.
BECOMES_DRIVER = """#variable_conflict use_column
BEGIN
    PERFORM set_config('baton.driver_id', driver::text, true), set_config('role', 'baton_driver', true);
    RETURN QUERY"""

#: Tables under row level security, and whether `baton_driver` may see rows of it at all (migration dispatch 0002).
SECURED: Final[dict[str, bool]] = {
    "drivers_driver": True,
    "drivers_presence": True,
    "orders_order": True,
    "orders_ordercontact": True,
    "orders_orderevent": False,
    "orders_idempotencykey": False,
    "orders_contactaccess": False,
    "drivers_dutychange": False,
    "dispatch_reportquarter": False,
    "dispatch_offer": True,
    "dispatch_actionreceipt": False,
    "dispatch_undo": False,
    "dispatch_message": True,
    "dispatch_progress": False,
    "orders_savedplace": False,
    "orders_deliveryproof": False,
    "orders_deliverypin": False,
    "drivers_pushsubscription": False,
    "dispatch_forgottenmonth": False,
}
#: Tables that are partitioned by the month of the order. A partition has no policies: nobody reads it but through these.
PARTITIONED: Final = ("orders_orderevent", "dispatch_offer")
#: Triggers that no model declares: (table, name).
PLAIN_TRIGGERS: Final = [
    ("drivers_driver", "driver_capacity_covers_load"),
    ("orders_order", "order_respects_refusals"),
]


def own_models() -> list[type[models.Model]]:
    return [model for app in APPS for model in apps.get_app_config(app).get_models() if model._meta.managed]


def look(rows_per_check: int) -> list[Breach]:
    found = {
        "triggers_are_on": _triggers(),
        "constraints_are_on": _constraints(),
        "row_security_is_on": _row_security(),
        "drivers_may_only_read": _privileges(),
    }
    return [Breach(name, text, len(texts)) for name, texts in found.items() for text in texts[:rows_per_check]]


def _rows(query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())


def _tables() -> list[str]:
    return [model._meta.db_table for model in own_models()]


def partitions() -> list[str]:
    """All that PARTITIONED are made of."""
    found = _rows(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent::regclass::text = ANY(%s) ORDER BY 1",
        list(PARTITIONED),
    )
    return [name for (name,) in found]


def _triggers() -> list[str]:
    wrong = []
    declared = ((model, trigger) for model in own_models() for trigger in getattr(model._meta, "triggers", []))
    for model, trigger in declared:
        status, enabled = trigger.get_installation_status(model)
        if status != "INSTALLED" or not enabled:
            state = "disabled" if status == "INSTALLED" else str(status).lower()
            wrong.append(f"{model._meta.db_table}: trigger {trigger.name} is {state}")
    # Whatever else is on the tables, foreign keys' own triggers included, must not be switched off either.
    states = _rows(
        "SELECT c.relname, t.tgname, t.tgenabled IN ('O', 'A'), t.tgisinternal FROM pg_trigger t"
        " JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relname = ANY(%s) AND c.relnamespace = 'public'::regnamespace",
        _tables(),
    )
    on = {(table, name) for table, name, enabled, _ in states if enabled}
    wrong += [f"{table}: trigger {name} is missing or off" for table, name in PLAIN_TRIGGERS if (table, name) not in on]
    wrong += [
        f"{table}: a foreign key's trigger ({name}) is disabled"
        for table, name, enabled, internal in states
        if internal and not enabled
    ]
    wrong += [
        f"{table}: trigger {name} is disabled in this partition"
        for table, name in _rows(
            "SELECT tgrelid::regclass::text, tgname FROM pg_trigger"
            " WHERE tgrelid::regclass::text = ANY(%s) AND tgenabled NOT IN ('O', 'A') ORDER BY 1, 2",
            partitions(),
        )
    ]
    ((role,),) = _rows("SELECT current_setting('session_replication_role')")
    if role != "origin":
        wrong.append(f"session_replication_role is {role}: no trigger fires")
    return wrong


def _constraints() -> list[str]:
    valid = {
        (table, name)
        for table, name in _rows(
            "SELECT c.relname, k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
            " WHERE c.relname = ANY(%s) AND k.convalidated"
            " UNION SELECT c.relname, i.relname FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid"
            " JOIN pg_class i ON i.oid = x.indexrelid WHERE c.relname = ANY(%s) AND x.indisunique AND x.indisvalid",
            _tables(),
            _tables(),
        )
    }
    references = {
        tuple(row)
        for row in _rows(
            "SELECT c.relname, a.attname, t.relname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
            " JOIN pg_class t ON t.oid = k.confrelid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]"
            " WHERE k.contype = 'f' AND k.convalidated AND c.relname = ANY(%s)",
            _tables(),
        )
    }
    wrong = [
        f"{table}: {kind} {name} of {parent} is not in this partition"
        for table, kind, name, parent in _rows(MISSING_IN_PARTITIONS, list(PARTITIONED))
    ]
    for model in own_models():
        table = model._meta.db_table
        wrong += [
            f"{table}: constraint {constraint.name} is missing or not valid"
            for constraint in model._meta.constraints
            if (table, constraint.name) not in valid
        ]
        wrong += [
            f"{table}: {field.column} no longer refers to {target}"
            for field, target in _references(model)
            if (table, field.column, target) not in references
        ]
    return wrong


#: A table that is attached has all of these, unless somebody took them away with the catalogue itself; and a partitioned
#: table of which parts are detached has lost what they held.
MISSING_IN_PARTITIONS: Final = """
SELECT part.inhrelid::regclass::text, 'index', whole.indexrelid::regclass::text, part.inhparent::regclass::text
FROM pg_inherits part JOIN pg_index whole ON whole.indrelid = part.inhparent
WHERE part.inhparent::regclass::text = ANY(%s) AND NOT EXISTS (
    SELECT FROM pg_index x JOIN pg_inherits i ON i.inhrelid = x.indexrelid
    WHERE x.indrelid = part.inhrelid AND i.inhparent = whole.indexrelid AND x.indisvalid AND x.indisunique = whole.indisunique
)
ORDER BY 1, 3
"""


def _references(model: type[models.Model]) -> Iterable[tuple[Any, str]]:
    for field in model._meta.local_fields:
        if isinstance(field, models.ForeignKey):
            yield field, field.target_field.model._meta.db_table


def _row_security() -> list[str]:
    secured = {
        row[0]: row[1:]
        for row in _rows(
            "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = ANY(%s)"
            " AND relnamespace = 'public'::regnamespace",
            list(SECURED),
        )
    }
    policies = {
        (table, name): (roles, command)
        for table, name, roles, command in _rows(
            "SELECT tablename::text, policyname::text, roles::text[], cmd FROM pg_policies"
            " WHERE schemaname = 'public' AND permissive = 'PERMISSIVE'"
        )
    }
    wrong = []
    for table, drivers_may_see in SECURED.items():
        enabled, forced = secured.get(table, (False, False))
        if not enabled:
            wrong.append(f"{table}: row level security is off")
        if not forced:
            wrong.append(f"{table}: row level security does not bind the owner (FORCE is off)")
        expected = [("system", "baton_app", "ALL")]
        if drivers_may_see:
            expected.append(("driver", "baton_driver", "SELECT"))
        for name, role, command in expected:
            roles, found = policies.get((table, name), ([], ""))
            if (roles, found) != ([role], command):
                wrong.append(f"{table}: policy {name} for {role} is missing or altered")
        wrong += [
            f"{table}: policy {name} lets {role} see rows and is not Baton's"
            for (of, name), (roles, _) in policies.items()
            for role in roles
            if of == table and role in {"public", "baton_driver"} and not (name == "driver" and drivers_may_see)
        ]
    wrong += [
        f"{partition}: {'is open to others than through its table' if forced else 'row level security is off or not forced'}"
        for partition, forced in _rows(
            "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity FROM pg_class c"
            " WHERE c.relname = ANY(%s) AND (NOT (c.relrowsecurity AND c.relforcerowsecurity)"
            " OR EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid)"
            " OR has_table_privilege('baton_app', c.oid, 'SELECT, INSERT, UPDATE, DELETE')) ORDER BY 1",
            partitions(),
        )
    ]
    for name, settings in AS_DRIVER.items():
        program = _rows("SELECT proconfig, prosrc FROM pg_proc WHERE oid = to_regproc(%s)", name)
        if not [
            source for found, source in program if found == settings and source.lstrip().startswith(BECOMES_DRIVER)
        ]:
            wrong.append(f"function {name} is missing or does not run as baton_driver")
    return wrong


def _privileges() -> list[str]:
    granted = _rows(
        "SELECT c.relname, p.name FROM pg_class c"
        " CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE')) p (name)"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
        " AND has_table_privilege('baton_driver', c.oid, p.name) AND c.relname <> 'spatial_ref_sys'"
        " ORDER BY c.relname, p.name"
    )
    return [
        f"baton_driver may {privilege} on {table}"
        for table, privilege in granted
        if privilege != "SELECT" or not SECURED.get(table, False)
    ]
