"""The watchdog: keeps the two django-q2 clusters running and sees that they do what they are for.

A cluster can look alive and do nothing: a worker killed at the wrong moment takes the lock of the queue with it, a
first database connection that fails leaves it idle for ever, a process can be frozen. So it is judged by its results,
which are in the database: the sweeps by their signs of life (dispatch/seats.py), the jobs by whether anything leaves
their queue. A cluster that fails is killed to the last process and started anew; whatever it does is done in
transactions.
"""

import logging
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.db import Error as DatabaseFault
from django.db import connection

from dispatch import lifeline, queues
from dispatch.cluster import Cluster
from dispatch.schedules import rewrite_schedules
from dispatch.spawn import take_early

logger = logging.getLogger("baton.worker")

WATCH_SECONDS = 0.5
#: The sweeps are dead when nobody has given a sign of life for so long.
ACTIVE_STALE_SECONDS = 5.0
#: … and for so long when somebody stands by: taking the seat from a frozen one (sweeps.FROZEN_AFTER_BEATS) is quicker than a
#: restart, which would end the one who is about to.
ACTIVE_STALE_BESIDE_STANDBY_SECONDS = 8.0
#: Nobody stands by for so long: ask for another run instead of waiting for the schedule …
STANDBY_STALE_SECONDS = 2.5
ASK_AGAIN_SECONDS = 2.5
#: … and if nobody comes for so long, the cluster does not take tasks any more.
STANDBY_DEAD_SECONDS = 30.0
#: So long a cluster may take to start on a busy machine before it is judged; longer if it failed before. One that was a
#: spare has nothing to import.
START_SECONDS = 30.0
WARM_START_SECONDS = 8.0
#: The jobs wait at most so long for the sweeps to be at work: both at once take twice as long to import the application, and
#: it is the sweeps that are missed.
SWEEPS_FIRST_SECONDS = 15.0
#: Nothing that was in the jobs' queue has left it for so long, although no job may take longer than JOB_SECONDS.
JOBS_STUCK_SECONDS = settings.JOB_SECONDS + 15.0
#: A round that took so long: the database hung, or this process was frozen itself.
LONG_ROUND_SECONDS = 2.5
REWRITE_SECONDS = 600.0
SAY_AGAIN_SECONDS = 3.0


class Stop(BaseException):
    """SIGTERM or SIGINT came while we were waiting for the database."""


class Supervisor:
    def __init__(self) -> None:
        # A step of the sweeps is one transaction, and a run ends after the step it is in (dispatch/sweeps.py); a job is
        # given the time to finish.
        self.sweeps = Cluster("sweeps", finish_tasks=False, stop_seconds=4.0, keeps_spare=True)
        self.jobs = Cluster("jobs", finish_tasks=True, stop_seconds=10.0)
        if (early := take_early()) is not None:
            self.sweeps.adopt(early)
        self._stopping = False
        self._interruptible = False
        self._said = -math.inf
        self._rewritten = -math.inf
        self._asked = -math.inf
        self._jobs_queue = queues.Progress("jobs")
        #: The sweeps cluster, by its first process, that has been seen to work.
        self._sweeping: int | None = None
        #: Since when this process and the database have both been awake; what was silent before then is excused.
        self._awake_since = self._round_ended = time.monotonic()

    def run(self) -> None:
        """Until SIGTERM or SIGINT, or SIGUSR1 when a successor takes over. Leaves no process behind, even when it is killed
        itself (dispatch/lifeline.py)."""
        lifeline.adopt_orphans()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            # `nohup` and the like asked for it to be ignored.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._stop)
        logger.info("Starting.")
        try:
            self._wait_for_turn()
            while not self._stopping:
                self._round()
                time.sleep(WATCH_SECONDS)
        except Stop:
            pass
        finally:
            logger.info("Stopping.")
            self.sweeps.stop()
            self.jobs.stop()
            logger.info("Stopped.")

    def _wait_for_turn(self) -> None:
        """As the successor of a worker that still works (bin/children.py): get everything imported, say so by making
        BATON_READY_FILE, and begin when it is removed, which is when the other one is told to end."""
        name = os.environ.pop("BATON_READY_FILE", "")
        if not name:
            return
        # The spare has a file of its own: this one may be gone a moment after it is there, before we have looked.
        ready, imported = Path(name), Path(f"{name}.imported")
        imported.unlink(missing_ok=True)
        self.sweeps.prepare(ready_file=str(imported))
        self._wait_until(imported.exists)
        imported.unlink(missing_ok=True)
        if not self._stopping:
            ready.touch()
        self._wait_until(lambda: not ready.exists())

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        while not self._stopping and not is_so():
            if not self.sweeps.has_spare:
                raise SystemExit("It did not come up.")
            time.sleep(0.05)

    def _round(self) -> None:
        """Look at everything once and put right what is wrong."""
        for cluster in (self.sweeps, self.jobs):
            if cluster.has_exited():
                logger.error("Cluster %s has ended by itself.", cluster.name)
                cluster.kill()
        try:
            with self._database():
                if (missing := queues.what_is_missing()) is not None:
                    self._wait(missing)
                    return
                ages = queues.read_ages()
                jobs_stuck_for = self._jobs_queue.stuck_for()
            self._note_gaps()
            self._judge_sweeps(ages)
            self._judge_jobs(jobs_stuck_for)
            self._start()
            self._ask_for_standby(ages)
            self.sweeps.keep_spare()
        except DatabaseFault as error:
            connection.close()
            self._wait(f"the database: {str(error).strip().splitlines()[0]}")

    def _judge_sweeps(self, ages: queues.Ages) -> None:
        if self.sweeps.pid is None:
            return
        if ages.active < self.sweeps.age:
            # It has started, no need for patience any more.
            self._sweeping = self.sweeps.pid
        if self._sweeping != self.sweeps.pid and not self._had_time_to_start(self.sweeps):
            return
        awake = time.monotonic() - self._awake_since
        is_relieved_soon = ages.standby <= STANDBY_STALE_SECONDS
        patience = ACTIVE_STALE_BESIDE_STANDBY_SECONDS if is_relieved_soon else ACTIVE_STALE_SECONDS
        if min(ages.active, awake) > patience:
            logger.error("Nobody has swept for %.1f s: restarting cluster sweeps.", ages.active)
            self.sweeps.kill()
        elif min(ages.standby, awake, self.sweeps.age) > STANDBY_DEAD_SECONDS:
            logger.error("Nobody has come to stand by for %.0f s: restarting cluster sweeps.", ages.standby)
            self.sweeps.kill()

    def _judge_jobs(self, stuck_for: float) -> None:
        awake = time.monotonic() - self._awake_since
        if self._had_time_to_start(self.jobs) and min(stuck_for, awake, self.jobs.age) > JOBS_STUCK_SECONDS:
            logger.error("No job has been finished for %.0f s: restarting cluster jobs.", stuck_for)
            self.jobs.kill()

    def _had_time_to_start(self, cluster: Cluster) -> bool:
        seconds = WARM_START_SECONDS if cluster.began_warm else START_SECONDS
        return cluster.age > seconds * cluster.patience

    def _start(self) -> None:
        """Start what does not run. The sweeps find two runs in their queue and need not wait for a schedule."""
        if self.sweeps.may_start:
            with self._database():
                queues.empty("sweeps")
                queues.ask_for_run(count=2)
            self._asked = time.monotonic()
            self.sweeps.start()
        sweeps_are_at_work = self._sweeping == self.sweeps.pid
        if self.jobs.may_start and (sweeps_are_at_work or time.monotonic() - self._awake_since > SWEEPS_FIRST_SECONDS):
            self.jobs.start()

    def _ask_for_standby(self, ages: queues.Ages) -> None:
        now = time.monotonic()
        with self._database():
            if now - self._rewritten >= REWRITE_SECONDS:
                rewrite_schedules()
                self._rewritten = now
            if ages.standby > STANDBY_STALE_SECONDS and now - self._asked >= ASK_AGAIN_SECONDS:
                queues.ask_for_run(count=2 if ages.active > STANDBY_STALE_SECONDS else 1)
                self._asked = now

    def _note_gaps(self) -> None:
        """To be called when the database has just answered."""
        now = time.monotonic()
        if now - self._round_ended > LONG_ROUND_SECONDS:
            self._awake_since = now
        self._round_ended = now

    def _wait(self, missing: str) -> None:
        self._awake_since = now = time.monotonic()
        if now - self._said >= SAY_AGAIN_SECONDS:
            self._said = now
            logger.warning("Waiting for %s", missing)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        if self._interruptible:
            raise Stop

    @contextmanager
    def _database(self) -> Iterator[None]:
        """A database that hangs must not keep us from stopping; everything else is finished first."""
        self._interruptible = True
        try:
            if self._stopping:
                raise Stop
            connection.close_if_unusable_or_obsolete()
            yield
        finally:
            self._interruptible = False
