"""Server processes of a benchmark, as `bin/up` starts them, and what they cost."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from benchmarks.report import ROOT
from benchmarks.scratch import server_environment
from drivers.models import DeviceToken, Driver

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

_spec: Any = importlib.util.spec_from_file_location("serving", ROOT / "bin" / "serving.py")
serving: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(serving)


class Server:
    """One uvicorn on a port of its own; `application` if it is not Baton's."""

    def __init__(self, application: str = "config.asgi:application", **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind((serving.LOOPBACK, 0))
            self.port = int(probe.getsockname()[1])
        command = serving.uvicorn_command(sys.executable, self.port, "")
        command[command.index("config.asgi:application")] = application
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process writes to it)
        self.child = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**server_environment(settings.REDIS_PREFIX), **environment},
            stdout=self.log,
            stderr=self.log,
        )
        deadline = time.monotonic() + 180
        while not self._answers():
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.child.kill()
                self.child.wait()
                self.log.seek(0)
                raise SystemExit(f"the server does not start:\n{self.log.read().decode(errors='replace')}")
            time.sleep(0.05)

    def pids(self) -> list[int]:
        return family(self.child.pid)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((serving.LOOPBACK, self.port)) == 0

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        return cpu_of(self.pids())

    def memory(self) -> float:
        """Bytes that are resident, those that processes share counted in each."""
        return memory_of(self.pids())

    def stop(self) -> None:
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def family(pid: int) -> list[int]:
    """A process and everything below it."""
    found = [pid]
    for member in found:
        with suppress(OSError):
            for task in Path(f"/proc/{member}/task").iterdir():
                found.extend(int(child) for child in (task / "children").read_text().split())
    return found


def memory_of(pids: Sequence[int]) -> float:
    """Resident bytes of these processes together."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * PAGE


def cpu_of(pids: Sequence[int], *, of_children: bool = False) -> float:
    """Seconds of CPU of these processes so far; with what their children took that have ended, if asked."""
    total = 0
    for pid in pids:
        # Its own and its late children's, each in user mode and in the kernel.
        # One that has ended meanwhile is among its parent's late children.
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
            total += sum(map(int, fields if of_children else fields[:2]))
    return total / TICKS


def tokens(crew: Sequence[Driver] | None = None) -> list[str]:
    """One for each of these drivers, or for each driver there is, by driver id. Straight into the table: signing in hashes
    slowly on purpose."""
    from knox.models import get_digest_token
    from knox.settings import CONSTANTS

    users = [driver.user for driver in crew or Driver.objects.select_related("user").order_by("pk")]
    pairs = [(user, *get_digest_token()) for user in users]
    expiry = timezone.now() + timedelta(hours=2)
    DeviceToken.objects.bulk_create(
        [
            DeviceToken(digest=digest, token_key=token[: CONSTANTS.TOKEN_KEY_LENGTH], user=user, expiry=expiry)
            for user, digest, token in pairs
        ],
        batch_size=2000,
    )
    return [token for _, _, token in pairs]
