"""Which of PostgreSQL's errors are refusals that can be tried again, and which are faults."""

import os
import subprocess
from collections.abc import Iterator

import psycopg
import pytest
from django.db import DatabaseError, connection

from drivers.errors import Unavailable
from drivers.faults import as_domain_error

#: More than a segment of the transactions' log has, which this must not hit: a server that cannot write it ends.
LARGEST_FILE = 20_000_000


@pytest.fixture
def no_room(db: None) -> Iterator[None]:
    """This connection's server process may write no file beyond LARGEST_FILE: a full disk, but harmless to others."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    _limit(pid, str(LARGEST_FILE))
    yield
    _limit(pid, "unlimited")


def _limit(pid: int, size: str) -> None:
    owner = os.stat(f"/proc/{pid}")
    user, group = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else (None, None)
    subprocess.run(["prlimit", "--pid", str(pid), f"--fsize={size}:unlimited"], user=user, group=group, check=True)


def test_a_file_that_postgresql_cannot_write_is_no_fault_of_ours(no_room: None) -> None:
    with connection.cursor() as cursor, pytest.raises(DatabaseError, match="File too large") as refused:
        cursor.execute("SET LOCAL work_mem = '64kB'")
        cursor.execute(
            "SELECT count(*) FROM (SELECT md5(n::text) FROM generate_series(1, 1000000) n ORDER BY 1) AS sorted"
        )
    assert isinstance(as_domain_error(refused.value), Unavailable)


def test_any_other_internal_error_of_postgresql_is_a_fault(db: None) -> None:
    with connection.cursor() as cursor, pytest.raises(DatabaseError) as refused:
        cursor.execute("DO $$ BEGIN RAISE 'odd' USING ERRCODE = 'XX000'; END $$")
    assert isinstance(refused.value.__cause__, psycopg.errors.InternalError_)
    assert as_domain_error(refused.value) is None


@pytest.mark.parametrize("state", ["58030", "53100", "57P01", "08006"])
def test_a_server_that_cannot_go_on_is_away(db: None, state: str) -> None:
    with connection.cursor() as cursor, pytest.raises(DatabaseError) as refused:
        cursor.execute(f"DO $$ BEGIN RAISE 'odd' USING ERRCODE = '{state}'; END $$")
    assert isinstance(as_domain_error(refused.value), Unavailable)
