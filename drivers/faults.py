"""A database that is busy or away, in the words of the business."""

import psycopg
import psycopg_pool
from django.db import DatabaseError, InterfaceError, OperationalError

from drivers.errors import Busy, DomainError, Unavailable

#: PostgreSQL's "somebody else holds it": lock timeout, deadlock, statement timeout, serialization.
BUSY_STATES = {"55P03", "40P01", "57014", "40001"}
#: This process stood still in the middle of a transaction, and PostgreSQL has ended it.
IDLE_TOO_LONG = "25P03"
#: Beginnings of the states of a server that cannot go on: 57P shutting down or starting, 08 the connection, 53 out of disk
#: or memory, 58 its files cannot be read or written.
AWAY_STATES = ("57P", "08", "53", "58")
#: "Internal error" is a fault, unless it comes from where PostgreSQL reads and writes its files: not every reason why the
#: machine refuses that has a state of its own.
INTERNAL = "XX000"
FILES_OF_POSTGRESQL = {"md.c", "fd.c", "buffile.c", "xlog.c", "slru.c"}


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
        # Without a state there was no server to name one.
        if isinstance(error, OperationalError | InterfaceError | psycopg.OperationalError) and (
            state is None or state.startswith(AWAY_STATES)
        ):
            return Unavailable()
        if state == INTERNAL and _source_file(error) in FILES_OF_POSTGRESQL:
            return Unavailable()
    return None


def _source_file(error: BaseException) -> str | None:
    """Of PostgreSQL, where the error was raised."""
    cause = error.__cause__ or error
    return cause.diag.source_file if isinstance(cause, psycopg.Error) else None
