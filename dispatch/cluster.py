"""One django-q2 cluster as a child process group: start it, watch it, end it to the last process.

A new Python needs seconds to import the application, and those seconds nobody sweeps. So a cluster that is missed at once
keeps a *spare*: a process that has imported everything, has opened nothing, and waits for its first line of input to begin.
"""

import logging
import os
import signal
import subprocess
import time
from contextlib import suppress

from dispatch.spawn import spawn

logger = logging.getLogger("baton.worker")

#: The spare is made when its cluster has run for so long: the start itself has the machine for itself.
SPARE_AFTER_SECONDS = 10.0
#: A cluster that lasted so long was fine; its next restart is not held back.
STEADY_SECONDS = 60.0
#: Between restarts of one that does not last: half a second, doubled up to this.
LONGEST_BACKOFF_SECONDS = 30.0


class Cluster:
    """`manage.py worker --only NAME` and everything it forks, in a process group of its own."""

    def __init__(self, name: str, *, finish_tasks: bool, stop_seconds: float, keeps_spare: bool = False) -> None:
        self.name = name
        self._keeps_spare = keeps_spare
        self._spare: subprocess.Popen[bytes] | None = None
        #: It may not have imported everything yet.
        self._spare_is_cold = False
        #: Stopping waits for the tasks that run (True), or tells them to stop by SIGTERM (False).
        self._finish_tasks = finish_tasks
        self._stop_seconds = stop_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        #: It was a spare, so it had imported everything before it began.
        self.began_warm = False
        self._not_before = 0.0
        self._failures = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def age(self) -> float:
        """Seconds since it was started; 0 when it does not run."""
        return time.monotonic() - self._started if self._process else 0.0

    @property
    def patience(self) -> float:
        """By how much longer than usual it may take to start: it has failed before, so the machine may be busy."""
        return 2.0 ** min(self._failures, 3)

    @property
    def may_start(self) -> bool:
        return self._process is None and time.monotonic() >= self._not_before

    def start(self) -> None:
        """Let the spare begin, or a new process if there is none."""
        self.began_warm = self.has_spare and not self._spare_is_cold
        if not self.has_spare:
            self._drop_spare()
        self._spare_is_cold = False
        process, self._spare = self._spare or self._spawn(), None
        assert process.stdin is not None  # noqa: S101 - a pipe, see _spawn
        # Whatever froze the others may have frozen it too.
        process.send_signal(signal.SIGCONT)
        with suppress(BrokenPipeError), process.stdin as told:
            told.write(b"begin\n")
        self._process = process
        self._started = time.monotonic()

    def prepare(self, *, ready_file: str) -> None:
        """Make the spare before there is a cluster; it makes `ready_file` when it only waits to begin."""
        self._spare = self._spawn(BATON_READY_FILE=ready_file)

    def adopt(self, process: subprocess.Popen[bytes]) -> None:
        """A process that has been started for it a moment ago is its spare."""
        self._spare, self._spare_is_cold = process, True

    @property
    def has_spare(self) -> bool:
        return self._spare is not None and self._spare.poll() is None

    def keep_spare(self) -> None:
        """Make a spare if there should be one and is none."""
        if not self._keeps_spare or self.age < SPARE_AFTER_SECONDS:
            return
        if not self.has_spare:
            self._drop_spare()
            self._spare = self._spawn()

    def _drop_spare(self) -> None:
        if self._spare is not None:
            assert self._spare.stdin is not None  # noqa: S101 - a pipe, see _spawn
            self._spare.kill()
            self._spare.wait()
            self._spare.stdin.close()
            self._spare = None

    def _spawn(self, **more: str) -> subprocess.Popen[bytes]:
        return spawn(self.name, **more)

    def has_exited(self) -> bool:
        """Its first process has ended by itself. It is left unreaped, so that its group's number stays ours."""
        if self._process is None:
            return False
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, options) is not None

    def kill(self) -> None:
        """End the whole group now, and hold back the next start if this one did not last."""
        if self._process is None:
            return
        lasted = self.age >= STEADY_SECONDS
        self._failures = 0 if lasted else self._failures + 1
        self._not_before = time.monotonic() + (
            0.0 if self._failures <= 1 else min(0.5 * 2 ** (self._failures - 2), LONGEST_BACKOFF_SECONDS)
        )
        self._signal(signal.SIGKILL, to_all=True)
        self._reap(2.0)
        self._forget()

    def stop(self) -> None:
        """End it in peace, at the latest after `stop_seconds` by force."""
        self._drop_spare()
        if self._process is None:
            return
        if self._finish_tasks:
            self._signal(signal.SIGTERM, to_all=False)
        else:
            # The first process would wait for the sentinel to answer, which SIGTERM ends, and hang in its lock.
            self._signal(signal.SIGKILL, to_all=False)
            self._signal(signal.SIGTERM, to_all=True)
        # A frozen process hears nothing else.
        self._signal(signal.SIGCONT, to_all=True)
        if not self._reap(self._stop_seconds):
            logger.warning("Cluster %s did not stop within %s s and is killed.", self.name, self._stop_seconds)
            self._signal(signal.SIGKILL, to_all=True)
            self._reap(2.0)
        self._forget()

    def _forget(self) -> None:
        if self._process is not None:
            # Reaped behind the back of subprocess, which would still wait for it.
            self._process.returncode = 0
        self._process = None

    def _signal(self, number: signal.Signals, *, to_all: bool) -> None:
        assert self._process is not None  # noqa: S101 - callers checked
        with suppress(ProcessLookupError):
            (os.killpg if to_all else os.kill)(self._process.pid, number)

    def _reap(self, seconds: float) -> bool:
        """Wait until no process of the group is left; orphans among them are ours to reap (lifeline.adopt_orphans)."""
        assert self._process is not None  # noqa: S101 - callers checked
        group, until = self._process.pid, time.monotonic() + seconds
        while True:
            # ChildProcessError: no child of ours is left in the group; somebody else's may be, for a moment.
            with suppress(ChildProcessError):
                while os.waitpid(-group, os.WNOHANG)[0]:
                    pass
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(0.02)
