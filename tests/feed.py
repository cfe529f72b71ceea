"""Waiting until the feed shows what was committed: other databases of the same server may have transactions open."""

import time

from django.db import connection


def wait_for_horizon(seconds: float = 60) -> None:
    """Return once every transaction that has begun to write by now is finished."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        (begun,) = cursor.fetchone()
        deadline = time.monotonic() + seconds
        while True:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
            (horizon,) = cursor.fetchone()
            if horizon >= begun:
                return
            assert time.monotonic() < deadline, "a transaction stays open"
            cursor.execute("SELECT pg_sleep(0.01)")
