"""Who sweeps and who stands by: two seats, each given to one process at a time by PostgreSQL.

A seat is an advisory lock of a session, so it needs a connection of its own that no pooler shares, and it is gone the
moment that connection dies, whatever the process still believes. Therefore the sign of life is written over this very
connection: whoever lost the seat cannot write it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import IntEnum
from os import getpid
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

#: The first half of the lock's key, "BATO": other advisory locks in the same database do not meet ours.
NAMESPACE = 0x4241544F

#: The seat is gone, or cannot be trusted any more: stop at once.
LOST = (psycopg.OperationalError, psycopg.InterfaceError)

#: Noticed within about six seconds when the other end of a network connection is gone without a word.
KEEPALIVE = "-c tcp_keepalives_idle=3 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3"

BEAT_ACTIVE = """
INSERT INTO dispatch_sweepheartbeat (id, active_at, active_pid, tick_seconds) VALUES (1, clock_timestamp(), %s, %s)
ON CONFLICT (id) DO UPDATE SET active_at = excluded.active_at, active_pid = excluded.active_pid,
    tick_seconds = coalesce(excluded.tick_seconds, dispatch_sweepheartbeat.tick_seconds)
RETURNING pg_backend_pid()
"""
BEAT_STANDBY = """
INSERT INTO dispatch_sweepheartbeat (id, standby_at, standby_pid) VALUES (1, clock_timestamp(), %s)
ON CONFLICT (id) DO UPDATE SET standby_at = excluded.standby_at, standby_pid = excluded.standby_pid
RETURNING pg_backend_pid(), active_at
"""
HOLDERS = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = %s AND objid = %s AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Seat(IntEnum):
    ACTIVE = 1
    STANDBY = 2


class Claim:
    """One process's session with PostgreSQL and the seats it holds. Any method raises LOST when the session is gone."""

    def __init__(self, session: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._session = session
        self._backend = session.info.backend_pid

    def take(self, seat: Seat) -> bool:
        """Sit down if the seat is free; never waits."""
        return bool(self._one("SELECT pg_try_advisory_lock(%s, %s)", NAMESPACE, seat)[0])

    def give_back(self, seat: Seat) -> None:
        self._one("SELECT pg_advisory_unlock(%s, %s)", NAMESPACE, seat)

    def is_taken(self, seat: Seat) -> bool:
        """Somebody sits there, this process included."""
        return bool(self._holders(seat))

    def evict(self, seat: Seat) -> bool:
        """End the session of whoever sits there; they notice at their next beat. True if there was somebody."""
        holders = self._holders(seat)
        for backend in holders:
            self._one("SELECT pg_terminate_backend(%s)", backend)
        return bool(holders)

    def beat_active(self, tick_seconds: float | None = None) -> None:
        """Sign of life of the one who sweeps; `tick_seconds` is how long the last tick took."""
        self._check(self._one(BEAT_ACTIVE, getpid(), tick_seconds)[0])

    def beat_standby(self) -> datetime | None:
        """Sign of life of the one who stands by; returns the active one's last."""
        backend, active_at = self._one(BEAT_STANDBY, getpid())
        self._check(backend)
        return active_at if isinstance(active_at, datetime) else None

    def _holders(self, seat: Seat) -> list[int]:
        return [backend for (backend,) in self._session.execute(HOLDERS, [NAMESPACE, seat]).fetchall()]

    def _one(self, sql: str, *values: Any) -> tuple[Any, ...]:
        # Every statement here returns exactly one row.
        (row,) = self._session.execute(sql.encode(), values).fetchall()
        return row

    def _check(self, backend: int) -> None:
        if backend != self._backend:
            # A pooler in transaction mode hands our statements to changing sessions: the lock is nobody's.
            raise psycopg.InterfaceError("The sweeps need a direct connection: set DATABASE_DIRECT_URL.")


@contextmanager
def connect() -> Iterator[Claim]:
    """A session for a claim on the seats; they are free again when the block ends, however it ends."""
    params = {
        name: value
        for name, value in connection.get_connection_params().items()
        if name not in {"context", "cursor_factory", "prepare_threshold"}
    }
    direct = settings.DIRECT_DATABASE
    if direct:
        names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
        params |= {name: direct[key] for key, name in names.items() if direct[key]}
    # A sign of life that a crash of the server loses is written again a second later.
    params["options"] = f"{settings.DATABASE_SESSION_OPTIONS} {KEEPALIVE} -c synchronous_commit=off"
    params["application_name"] = "baton-sweep-seat"
    session = psycopg.connect(**params, autocommit=True)
    try:
        yield Claim(session)
    finally:
        session.close()
