"""The months that history and offers are kept by: made in time, settled, and after HISTORY_MONTHS forgotten."""

import time
from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction

#: Months that are there before they begin.
AHEAD: Final = 2
#: The tables are locked for milliseconds, but not while a long read (an audit, a dump) has them: tried again, and with the
#: next run of the job.
ATTEMPTS: Final = 5
PAUSE_SECONDS: Final = 2.0


def turn_months() -> dict[str, Any]:
    """What has to be done once a month, done whenever it is asked for: what was settled, made and forgotten."""
    return {
        "settled before": _ask("SELECT baton_settle_months()")[0][0].date().isoformat(),
        "made": [name for (name,) in _ask("SELECT baton_make_months(%s)", AHEAD)],
        "forgotten": [str(before) for before in _forget()],
    }


def _forget() -> Iterator[UUID]:
    while settings.HISTORY_MONTHS and (before := _ask("SELECT baton_forget_month(%s)", settings.HISTORY_MONTHS)[0][0]):
        yield before


def _ask(query: str, *parameters: int) -> list[tuple[Any, ...]]:
    """One of the owner's functions (migration 0015), in a transaction of its own."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic(durable=True), connection.cursor() as cursor:
                # Counting a month that is about to go takes longer than a request may.
                cursor.execute("SET LOCAL statement_timeout = 0")
                cursor.execute(query, parameters)
                return list(cursor.fetchall())
        except OperationalError:
            if attempt == ATTEMPTS:
                raise
            time.sleep(PAUSE_SECONDS)
    raise AssertionError
