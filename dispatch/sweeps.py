"""What has to happen by itself, to the second: orders expire, are assigned and are offered; silent drivers go off duty, and
whoever is off duty or full keeps no offers.

django-q2's scheduler wakes only about every 30 s, so it starts *runs*, and a run ticks every second. Two runs are alive
at a time (dispatch/seats.py): the active one ticks, the standby waits for the seat and has it within a tenth of a
second when the active one ends or dies. A run may start at any time, any number of times: a third finds both seats
taken and ends. Every step of a tick is a service that is safe in any number of processes, so the seats only
save work; nothing breaks if two should ever tick together.
"""

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from types import FrameType
from uuid import UUID

from django.db import connection, connections

from dispatch import matching, seats
from dispatch.seats import Claim, Seat
from dispatch.services import (
    auto_assign,
    expire_orders,
    follow_holders,
    mark_silent_drivers_offline,
    offer_orders,
    withdraw_left_over_offers,
)
from dispatch.services.auto_assign import Round
from dispatch.services.batches import side_by_side
from dispatch.services.duty import SILENT_BATCH
from dispatch.services.expire import EXPIRE_BATCH, overdue_orders

logger = logging.getLogger("baton.sweeps")

TICK_SECONDS = 1.0
#: The active run goes on at least so long, and then until somebody stands by …
RUN_AT_LEAST_SECONDS = 60.0
#: … but no run lasts longer, standing by included: safely below the cluster's task timeout (settings.Q_CLUSTER).
RUN_AT_MOST_SECONDS = 300.0
POLL_SECONDS = 0.1
RECONNECT_SECONDS = 0.5
#: Both seats are taken for so long: this run is not needed.
ARRIVAL_SECONDS = 1.0
#: An active one whose sign of life has not changed for so many seconds is frozen: the standby takes the seat from it.
FROZEN_AFTER_BEATS = 4
SILENT_EVERY_SECONDS = 5.0
LEFT_OVER_EVERY_SECONDS = 5.0
FOLLOW_EVERY_SECONDS = 10.0
#: After an outage much has expired and many are silent: so many orders, and batches of drivers, then the other sweeps get
#: their turn.
EXPIRE_AT_MOST = 10_000
SILENT_BATCHES = 8


class Outcome(StrEnum):
    """How a run ended."""

    #: Somebody sweeps and somebody stands by already.
    NOT_NEEDED = "not needed"
    #: Swept for its time, and the standby took over.
    RELIEVED = "relieved"
    #: RUN_AT_MOST_SECONDS are over.
    TIME_IS_UP = "time is up"
    #: The process was asked to end.
    STOPPED = "stopped"


class Run:
    """How long this run may still go on."""

    def __init__(self, at_least: float, at_most: float) -> None:
        self.at_least = at_least
        self._deadline = time.monotonic() + at_most
        self.stopped = False

    def over(self) -> Outcome | None:
        if self.stopped:
            return Outcome.STOPPED
        return Outcome.TIME_IS_UP if time.monotonic() >= self._deadline else None

    def pause(self, seconds: float) -> None:
        """Sleep, but not through the end of the run."""
        until = time.monotonic() + seconds
        while not self.over() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, POLL_SECONDS))


def run_sweeps(*, at_least: float = RUN_AT_LEAST_SECONDS, at_most: float = RUN_AT_MOST_SECONDS) -> Outcome:
    """Stand by, then sweep, as the seats allow; says how it ended.

    When the database goes away the seats are gone with it: the run stops ticking at once and competes for them again
    as soon as the database is back. It does not end, because a django-q2 cluster needs ten seconds and more to recover
    from that (its pusher sleeps) before it could start another.
    """
    # Before there is a seat to give signs of life for: the first assignment would wait a second for it, or longer.
    matching.solver()
    run = Run(at_least, at_most)
    with _stopping_on_sigterm(run):
        while True:
            try:
                with seats.connect() as claim:
                    return _take_turn(claim, run)
            except seats.LOST as error:
                logger.warning("No seat without the database, trying again: %s", str(error).strip())
                connections.close_all()
            if outcome := run.over():
                return outcome
            run.pause(RECONNECT_SECONDS)


def _take_turn(claim: Claim, run: Run) -> Outcome:
    # Whoever has just become active still holds the other seat for a moment.
    until = time.monotonic() + ARRIVAL_SECONDS
    while not claim.take(Seat.STANDBY):
        if time.monotonic() >= until:
            return Outcome.NOT_NEEDED
        run.pause(POLL_SECONDS)
    if outcome := _stand_by(claim, run):
        return outcome
    claim.beat_active()
    claim.give_back(Seat.STANDBY)
    return _sweep(claim, run)


def _stand_by(claim: Claim, run: Run) -> Outcome | None:
    """Wait for the active seat; None once it is ours and there is something to do with it."""
    last_beat, seen, unchanged = -math.inf, None, 0
    while not claim.take(Seat.ACTIVE):
        if outcome := run.over():
            return outcome
        if time.monotonic() - last_beat >= 1:
            last_beat = time.monotonic()
            active_at = claim.beat_standby()
            unchanged = unchanged + 1 if active_at == seen else 0
            seen = active_at
            if unchanged >= FROZEN_AFTER_BEATS and claim.evict(Seat.ACTIVE):
                # Stopped, swapped out or cut off, but its session lives on and holds the seat.
                logger.error("The active sweeper has given no sign of life for %s s: taking over.", unchanged)
                unchanged = 0
        run.pause(POLL_SECONDS)
    return run.over()


def _sweep(claim: Claim, run: Run) -> Outcome:
    """Tick every second, on the second, so that everything due within one is dealt with together."""
    began = time.monotonic()
    sweeper = Sweeper(beat=claim.beat_active)
    logger.info("Sweeping.")
    while True:
        run.pause(TICK_SECONDS - time.time() % TICK_SECONDS)
        if outcome := run.over():
            return outcome
        tick_began = time.monotonic()
        sweeper.tick()
        claim.beat_active(time.monotonic() - tick_began)
        if time.monotonic() - began >= run.at_least and claim.is_taken(Seat.STANDBY):
            return Outcome.RELIEVED


class Sweeper:
    """The ticks of one active run, and what they remember from one to the next.

    `beat` gives a sign of life between steps, so that a tick that has much to do is not mistaken for a frozen one; it
    raises seats.LOST, and ends the tick, when the seat is no longer ours.
    """

    def __init__(self, *, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._offered_up_to: UUID | None = None
        self._assigning = Round()
        self._silent_checked = -math.inf
        self._withdrawn = -math.inf
        self._followed = -math.inf

    def tick(self) -> None:
        """One round of every sweep. One that fails is logged, and the others still run."""
        self._try(self._expire)
        self._try(self._auto_assign)
        self._try(self._offer)
        self._try(self._mark_silent)
        self._try(self._withdraw)
        self._try(self._follow)

    def _try(self, sweep: Callable[[], None]) -> None:
        try:
            sweep()
        except seats.LOST:
            raise
        except Exception:
            logger.exception("Sweep %s failed; the next tick tries again.", sweep.__name__.strip("_"))
            # If it was the connection, the next sweep gets a new one.
            connection.close_if_unusable_or_obsolete()
        self._beat()

    def _expire(self) -> None:
        overdue = overdue_orders(limit=EXPIRE_AT_MOST)
        side_by_side(expire_orders, overdue, size=EXPIRE_BATCH, after_each=self._beat)

    def _auto_assign(self) -> None:
        auto_assign(self._assigning)

    def _offer(self) -> None:
        self._offered_up_to = offer_orders(after=self._offered_up_to)

    def _mark_silent(self) -> None:
        if time.monotonic() - self._silent_checked >= SILENT_EVERY_SECONDS:
            self._silent_checked = time.monotonic()
            for _ in range(SILENT_BATCHES):
                if mark_silent_drivers_offline() < SILENT_BATCH:
                    return
                self._beat()

    def _withdraw(self) -> None:
        if time.monotonic() - self._withdrawn >= LEFT_OVER_EVERY_SECONDS:
            withdraw_left_over_offers()
            self._withdrawn = time.monotonic()

    def _follow(self) -> None:
        if time.monotonic() - self._followed >= FOLLOW_EVERY_SECONDS:
            follow_holders()
            self._followed = time.monotonic()


@contextmanager
def _stopping_on_sigterm(run: Run) -> Iterator[None]:
    """Let SIGTERM end the run after the step it is in, and only then the process.

    (Python's psycopg and Django never see the signal: nothing is half done, no seat is left to a timeout.)
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        run.stopped = True

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if run.stopped:
            connections.close_all()
            os.kill(os.getpid(), signal.SIGTERM)
