"""Breaks what Baton promises, as only somebody with the owner's password and a grudge can, and asks the audit what it
sees. Runs in the owner's transaction (the fixture `owned`), and takes back what it did."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import connection, transaction

from dispatch import audit
from dispatch.audit import catalog

TABLES = ("orders_order", "orders_orderevent", "dispatch_offer", "dispatch_actionreceipt", "drivers_driver")
GUARDS = {check.name for check in catalog.CHECKS}


@contextmanager
def regretted() -> Iterator[None]:
    """Nothing done in the block stays."""
    # What was deferred is due before tables can be altered.
    execute("SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS ALL DEFERRED")
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def found_after(*statements: str, dropping: Sequence[tuple[str, str]] = ()) -> list[str]:
    """The names of the promises that the audit finds broken after the statements ran with all triggers off and without
    the constraints `dropping` (table, name). That a guard was dropped is not counted: there are tests of that."""
    with regretted():
        assert audit.look().broken == []
        execute(*(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in TABLES))
        for table, name in dropping:
            execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}", f"DROP INDEX IF EXISTS {name}")
        execute(*statements, "SET CONSTRAINTS ALL IMMEDIATE")
        execute(*(f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in TABLES))
        return [name for name in audit.look().broken if name not in GUARDS]
