"""A process that bin/supervise.py keeps alive: how it is started, replaced by a successor without anybody being refused, and
ended. Needs nothing but Python's standard library."""

import contextlib
import ctypes
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import serving

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / ".local"
RUN = LOCAL / "run"
LOG = LOCAL / "log"

# A successor answers within so many seconds; a predecessor has told its last socket within 20 s and then ends.
HEIR_PATIENCE = 60.0
LEAVING_PATIENCE = 45.0
LARGEST_LOG = 50_000_000

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """In the child, before its program: when the supervisor is killed, the child gets SIGTERM."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def identity(pid: int) -> str:
    """The same text that process_identity in bin/lib/common.sh makes."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{fields[19]}@{boot}"


def write(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    fresh.replace(path)


def settings(part: str = "") -> dict[str, str]:
    """Of the stack; .local/env.PART (web, ws, worker …), if there is one, has what is different for such children. Read at
    each start of a child: after a port had to change, a restart is enough."""
    found = {}
    for file in (LOCAL / "env", LOCAL / f"env.{part}"):
        if file.exists():
            for word in shlex.split(file.read_text(), comments=True):
                key, _, value = word.partition("=")
                found[key] = value
    return found


class Child:
    """`listens`: the port whose listening socket is ours and is handed down, so that a successor can share it."""

    def __init__(
        self,
        name: str,
        command: Callable[[int], list[str]],
        *,
        port: int = 0,
        listens: int = 0,
        has_heirs: bool = False,
        **environment: str,
    ) -> None:
        self.name = name
        self.command = command
        #: Where it must answer before the stack is ready, apart from the address that everybody knows.
        self.port = port
        self.listens = listens
        #: A second one can be started beside it that takes over when it is ready.
        self.has_heirs = has_heirs or bool(listens)
        self.environment = {"BATON_PROCESS_NAME": f"baton-{name}", **environment}
        self.process: subprocess.Popen[bytes] | None = None
        self.listener: socket.socket | None = None
        self.started = 0.0
        self.deaths = 0
        self.not_before = 0.0
        self.heir: subprocess.Popen[bytes] | None = None
        self.heir_since = 0.0
        #: Predecessors that are saying goodbye, and until when they may.
        self.leaving: list[tuple[subprocess.Popen[bytes], float]] = []

    def file(self, kind: str) -> Path:
        return RUN / f"{self.name}.{kind}"

    def start(self) -> bool:
        """False: its port is taken."""
        if self.listens and self.listener is None:
            try:
                self.listener = serving.listening(self.listens)
            except OSError as error:
                with (LOG / f"{self.name}.log").open("a") as log:
                    log.write(f"port {self.listens}: {error.strerror}\n")
                return False
        self.process = self._spawn()
        self.started = time.monotonic()
        self._write_pid()
        return True

    def _spawn(self, **environment: str) -> subprocess.Popen[bytes]:
        fd = self.listener.fileno() if self.listener else -1
        with (LOG / f"{self.name}.log").open("ab") as output:
            return subprocess.Popen(
                self.command(fd),
                cwd=ROOT,
                env={**os.environ, **settings(self.name.rstrip("0123456789")), **self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent,
                pass_fds=[fd] if fd >= 0 else [],
            )

    def _write_pid(self) -> None:
        assert self.process is not None
        write(self.file("pid"), f"{self.process.pid} {identity(self.process.pid)}\n")

    # --- A successor ---

    def raise_heir(self) -> None:
        """Start the process that will take over."""
        self.file("ready").unlink(missing_ok=True)
        self.heir = self._spawn(BATON_READY_FILE=str(self.file("ready")))
        self.heir_since = time.monotonic()

    def look_at_heir(self) -> str | None:
        """Let it take over when it is ready; says why it never will be, if so."""
        assert self.heir is not None
        if self.file("ready").exists() and self.heir.poll() is None:
            self.hand_over()
            return None
        ended = self.heir.poll()
        if ended is None and time.monotonic() - self.heir_since < HEIR_PATIENCE:
            return None
        kill_group(self.heir)
        self.heir = None
        return how(ended) if ended is not None else f"not ready within {HEIR_PATIENCE:.0f} s"

    def hand_over(self) -> None:
        """The heir is the process now; the former one is asked to say goodbye."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGUSR1)
            self.leaving.append((self.process, time.monotonic() + LEAVING_PATIENCE))
            self.file("leaving").touch()
        self.process, self.heir = self.heir, None
        self.started = time.monotonic()
        self._write_pid()
        for kind in ("ready", "reload"):
            self.file(kind).unlink(missing_ok=True)

    def see_off(self) -> None:
        """Whoever has left is forgotten, whoever does not leave is killed."""
        for process, until in list(self.leaving):
            if process.poll() is not None or time.monotonic() > until:
                kill_group(process)
                self.leaving.remove((process, until))
        if not self.leaving:
            self.file("leaving").unlink(missing_ok=True)

    # --- The end ---

    def ask_to_end(self) -> None:
        """Only the leader: a worker ends its own clusters, in its own order."""
        self.refuse()
        for process in self.everyone():
            if process.poll() is None:
                process.terminate()

    def everyone(self) -> list[subprocess.Popen[bytes]]:
        return [process for process in (self.process, self.heir, *(old for old, _ in self.leaving)) if process]

    def refuse(self) -> None:
        """Nobody is kept waiting for a server that does not come."""
        if self.listener:
            self.listener.close()
            self.listener = None

    def bury(self) -> int:
        """After the leader's death: nobody of its group outlives it."""
        self.refuse()
        for process in self.everyone():
            kill_group(process)
        status = self.process.returncode if self.process else 0
        self.process = self.heir = None
        self.leaving = []
        for kind in ("pid", "leaving"):
            self.file(kind).unlink(missing_ok=True)
        return status

    def keep_log_small(self) -> None:
        """The child writes in append mode, so its log can be copied and emptied under it."""
        log = LOG / f"{self.name}.log"
        with contextlib.suppress(OSError):
            if log.stat().st_size > LARGEST_LOG:
                (LOG / f"{self.name}.log.1").write_bytes(log.read_bytes()[-LARGEST_LOG // 5 :])
                os.truncate(log, 0)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """It and whoever it started; for good."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def how(status: int) -> str:
    return f"status {status}" if status >= 0 else signal.Signals(-status).name
