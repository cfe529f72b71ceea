"""Reads on behalf of a driver run as the database role `baton_driver`, which sees only what is that driver's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import connection, transaction


@contextmanager
def as_driver(driver_id: int) -> Iterator[datetime]:
    """Run the block's queries under the row level policies of one driver. It may read only; any write is refused by
    PostgreSQL. The role ends with the transaction, or with the block when a transaction was already open.

    Gives the database's time at the beginning: it comes along for nothing, and asking for it alone is a round trip."""
    nested = connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        # Still the application while this is prepared: baton_driver may not call set_config (deploy/roles.sql), so that no
        # query that runs as one driver reads as another.
        cursor.execute(
            "SELECT clock_timestamp(), set_config('baton.driver_id', %s, true), set_config('role', 'baton_driver', true)",
            [str(driver_id)],
        )
        now: datetime = cursor.fetchone()[0]
        yield now
        if nested:
            # Statements of their own, which nobody can put inside a query. One round trip for both.
            cursor.execute("SET LOCAL ROLE NONE; SET LOCAL baton.driver_id = ''")
