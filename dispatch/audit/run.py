"""The audit itself: one read-only snapshot, all checks."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from django.db import connection, transaction

from dispatch.audit import catalog, history, records
from dispatch.audit.report import Breach, Check, Report, sort_out
from dispatch.models import ForgottenMonth

GROUPS: Final[list[tuple[Sequence[Check], Callable[[int], list[Breach]]]]] = [
    (history.CHECKS, history.look),
    (records.CHECKS, records.look),
    (catalog.CHECKS, catalog.look),
]
ALL_CHECKS: Final = [check for checks, _ in GROUPS for check in checks]

COUNTS: Final = {
    "orders": "orders_order",
    "events": "orders_orderevent",
    "offers": "dispatch_offer",
    "receipts": "dispatch_actionreceipt",
    "drivers": "drivers_driver",
}


def audit(*, rows_per_check: int = 20) -> Report:
    """Check everything, as it was at one moment. Opens its own transaction, which can write nothing."""
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # A million events take seconds, not the milliseconds that a request is allowed.
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute("SET LOCAL work_mem = '128MB'")
            # Compiling takes longer than these queries do.
            cursor.execute("SET LOCAL jit = off")
        return look(rows_per_check=rows_per_check)


def look(*, rows_per_check: int = 20) -> Report:
    """The same in the transaction that is open, if any: what it has changed so far is seen."""
    started = time.monotonic()
    outcomes = [outcome for checks, check in GROUPS for outcome in sort_out(checks, check(rows_per_check))]
    with connection.cursor() as cursor:
        selects = ", ".join(f"(SELECT count(*) FROM {table})" for table in COUNTS.values())
        cursor.execute(f"SELECT {selects}")
        counts = dict(zip(COUNTS, cursor.fetchone(), strict=True))
    forgotten = ForgottenMonth.objects.order_by("-before").first()
    return Report(
        counts=counts,
        outcomes=outcomes,
        seconds=time.monotonic() - started,
        kept_from=forgotten.made_before if forgotten is not None else None,
    )
