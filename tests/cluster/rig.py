"""A real `manage.py worker` against the test database, and what it takes to be cruel to it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db import connection

from dispatch.models import SweepHeartbeat
from drivers.clock import database_now
from tests.waiting import wait_until


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    state: str


def processes() -> dict[int, Process]:
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        # What has ended between listing and reading is no process of ours any more.
        with contextlib.suppress(OSError):
            pid, _, rest = path.read_text().partition(" (")
            state, parent = rest.rpartition(") ")[2].split()[:2]
            found[int(pid)] = Process(pid=int(pid), parent=int(parent), state=state)
    return found


def alive(pid: int) -> bool:
    process = processes().get(pid)
    return process is not None and process.state != "Z"


class Worker:
    """`manage.py worker` and all its descendants. The log goes to a file, for a look when a test fails."""

    def __init__(self, log: Path, **environment: str) -> None:
        database = connection.settings_dict
        user, password, name = (quote(str(database[key]), safe="") for key in ("USER", "PASSWORD", "NAME"))
        url = f"postgresql://{user}:{password}@{quote(database['HOST'], safe='')}:{database['PORT']}/{name}"
        self.log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "worker"],
                cwd=settings.BASE_DIR,
                env=os.environ | {"DATABASE_URL": url} | environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self.pid = self._process.pid
        self._descendants: set[int] = set()

    def family(self) -> set[int]:
        """Every process under the supervisor, by now."""
        now = processes()
        family: set[int] = set()
        grown = {self.pid}
        while grown:
            family |= grown
            grown = {p.pid for p in now.values() if p.parent in family} - family
        self._descendants |= family
        return family

    def cluster(self, name: str) -> set[int]:
        """Every process of one of the two clusters: its first one, the sentinel and what that started. Not the spare."""
        first = {pid for pid in self._first_ones(name) if children(pid)}
        for _ in range(3):
            first |= {child for pid in first for child in children(pid)}
        return first

    def spare(self, name: str) -> int:
        """The process that waits to begin; 0 while there is none."""
        return next((pid for pid in self._first_ones(name) if not children(pid)), 0)

    def waiting_spare(self, name: str) -> int:
        """The spare, if it has imported everything and only waits: it has used no processor for half a second."""
        spare = self.spare(name)
        before = processor_time(spare)
        time.sleep(0.5)
        return spare if spare and processor_time(spare) == before else 0

    def _first_ones(self, name: str) -> set[int]:
        return {pid for pid in children(self.pid) if f"--only\0{name}\0".encode() in command_line(pid)}

    def sentinel(self, name: str) -> int:
        """The process that starts the others and watches them; 0 while there is none."""
        return next((pid for pid in self.cluster(name) if len(children(pid)) >= 3), 0)

    def stop(self) -> int:
        """As an operator would; returns the exit status."""
        self.family()
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Its exit status, when it has ended."""
        return self._process.wait(timeout=30)

    def kill(self) -> None:
        self.family()
        self._process.kill()
        self._process.wait(timeout=10)

    def left_over(self) -> set[int]:
        """Processes that were ever seen under the supervisor and still run."""
        return {pid for pid in self._descendants if alive(pid)}

    def end(self) -> None:
        """Whatever the test did to it."""
        if self._process.poll() is None:
            self.kill()
        for pid in self.left_over():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.left_over(), seconds=10, what="every process of the worker is gone")


def processor_time(pid: int) -> str:
    """What a process has used of the processors, in the system's own words; empty if there is none."""
    with contextlib.suppress(OSError):
        return " ".join(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[11:13])
    return ""


def command_line(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def children(pid: int) -> set[int]:
    return {p.pid for p in processes().values() if p.parent == pid and p.state != "Z"}


@contextmanager
def worker(log: Path, **environment: str) -> Iterator[Worker]:
    started = Worker(log, **environment)
    try:
        yield started
    except BaseException:
        print(log.read_text())  # noqa: T201 - pytest shows it with the failure
        raise
    finally:
        started.end()


def heartbeat() -> SweepHeartbeat:
    return SweepHeartbeat.objects.filter(pk=1).first() or SweepHeartbeat()


def active() -> int:
    """The pid of whoever sweeps right now, or 0."""
    row = heartbeat()
    recently = database_now() - timedelta(seconds=2)
    return row.active_pid or 0 if row.active_at and row.active_at > recently else 0


def standby() -> int:
    """The pid of whoever stands by right now, or 0."""
    row = heartbeat()
    recently = database_now() - timedelta(seconds=2)
    return row.standby_pid or 0 if row.standby_at and row.standby_at > recently else 0


def seats() -> tuple[int, int] | None:
    """The pids of whoever sweeps and whoever stands by, if there are two, of one look at the same row."""
    row = heartbeat()
    recently = database_now() - timedelta(seconds=2)
    if not (row.active_at and row.standby_at and min(row.active_at, row.standby_at) > recently):
        return None
    assert row.active_pid
    assert row.standby_pid
    return (row.active_pid, row.standby_pid) if row.active_pid != row.standby_pid else None


def swept_after(moment: datetime) -> bool:
    """A whole tick has been done that began later."""
    at = heartbeat().active_at
    return at is not None and at > moment + timedelta(seconds=1)
