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
    with transaction.atomic():
        yield _set_role("baton_driver", str(driver_id))
        if nested:
            _set_role("none", "")


def _set_role(role: str, driver_id: str) -> datetime:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT clock_timestamp(), set_config('role', %s, true), set_config('baton.driver_id', %s, true)",
            [role, driver_id],
        )
        now: datetime = cursor.fetchone()[0]
    return now
