"""A database that is busy or away, in the words of the business."""

import psycopg
import psycopg_pool
from django.db import DatabaseError, InterfaceError, OperationalError

from drivers.errors import Busy, DomainError, Unavailable

#: PostgreSQL's "somebody else holds it": lock timeout, deadlock, statement timeout, serialization.
BUSY_STATES = {"55P03", "40P01", "57014", "40001"}
#: This process stood still in the middle of a transaction, and PostgreSQL has ended it.
IDLE_TOO_LONG = "25P03"


def as_domain_error(error: BaseException) -> DomainError | None:
    """The refusal that an error amounts to; None for anything that is a fault of ours."""
    if isinstance(error, DomainError):
        return error
    if isinstance(error, psycopg_pool.PoolTimeout):
        return Unavailable()
    if isinstance(error, DatabaseError | InterfaceError | psycopg.Error):
        state = getattr(error.__cause__ or error, "sqlstate", None)
        if state in BUSY_STATES:
            return Busy()
        if state == IDLE_TOO_LONG:
            return Unavailable()
        # Class 57P: the server is shutting down or starting; 08: connection; none: there was no server to name one.
        if isinstance(error, OperationalError | InterfaceError | psycopg.OperationalError) and (
            state is None or state.startswith(("57P", "08", "53"))
        ):
            return Unavailable()
    return None
