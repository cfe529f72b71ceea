"""Who is served first when more is asked than the machine carries, who waits for how long, who is sent away.

A lane has a fixed number of threads. Whoever finds one free goes in; the others wait by rank: a driver's heartbeat or tap
before a new order, that before a list. But one thread in six is for new orders as long as some wait: without them nobody
has anything to tap, and phones that try again for ever would keep all of them out. Threads and not turns are shared, since
a new order is as much work as several taps. Nobody waits longer than its client would: then it is answered 503, not served
late.
"""

import asyncio
import logging
import re
import time
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

from config.problems import problem_response

log = logging.getLogger(__name__)


class Rank(IntEnum):
    """In the order in which they are served."""

    #: A heartbeat, a sync, an act: somebody is on the road with it, and an order waits for it.
    ACT = 0
    #: What else people and shops do: a new order, one order, an own profile, a form.
    REQUEST = 1
    #: Lists, reports, pages of the back office: they come again a little later and nothing is lost.
    LISTING = 2


#: Seconds that each waits for a thread. The driver's app waits 15 for an act, of which a lock may take four.
PATIENCE: Mapping[Rank, float] = {Rank.ACT: 8.0, Rank.REQUEST: 5.0, Rank.LISTING: 2.0}
#: However many acts wait, requests may hold one thread in so many.
A_THREAD_IN = 6
#: When whoever was sent away may come again, seconds.
COMES_AGAIN = {Rank.ACT: 1, Rank.REQUEST: 2, Rank.LISTING: 5}
#: Shedding is written down at most so often, seconds.
NOTED_EVERY = 10.0

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
API = "/api/v1/"
ACTS = frozenset({f"{API}driver/heartbeat/", f"{API}driver/sync/"})
#: A shop's system waits with a key that makes it harmless to send again; drivers do not.
INTAKE = f"{API}orders/"
LISTINGS = re.compile(
    r"/api/v1/(orders|events|drivers|driver/orders|driver/figures|board/candidates|board/places|orders/[0-9a-f-]{36}/events"
    r"|orders/[0-9a-f-]{36}/story|orders/[0-9a-f-]{36}/nearby-drivers)/|/api/(schema|docs)/.*|/admin/.*"
)


def rank_of(method: str, path: str) -> Rank:
    if path in ACTS:
        return Rank.ACT
    if method in SAFE:
        return Rank.LISTING if LISTINGS.fullmatch(path) else Rank.REQUEST
    return Rank.ACT if path.startswith(API) and path != INTAKE else Rank.REQUEST


class Gone(Exception):
    """The client went away before there was anything to answer."""


class Refused(Exception):
    """The request is answered here, without Django."""

    def __init__(self, status: int, code: str, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.response = problem_response(status, code, detail)
        if retry_after is not None:
            self.response["Retry-After"] = str(retry_after)


Turn = asyncio.Future[None]


class Lane:
    """Threads and those who wait for them. Belongs to the event loop: nothing here is called from a thread.

    Lists never hold more than half of the threads: a slow one is no reason for a driver to wait. With `heavy`, whose body is
    still on its way counts, too, whatever its rank and whether or not threads are free: bodies take room on disk. Elsewhere
    those who only dawdle keep nobody out.
    """

    def __init__(
        self, name: str, *, threads: int, waiting: int, heavy: bool = False, patience: Mapping[Rank, float] = PATIENCE
    ) -> None:
        self.name = name
        self.waiting = waiting
        self.room = threads + waiting
        self.heavy = heavy
        self.patience = patience
        self.arriving = 0
        self._free = threads
        self._may_hold = {Rank.ACT: threads, Rank.REQUEST: threads, Rank.LISTING: max(1, threads // 2)}
        self._for_requests = min(threads - 1, max(1, threads // A_THREAD_IN))
        self._holds = dict.fromkeys(Rank, 0)
        self._queues: dict[Rank, deque[Turn]] = {rank: deque() for rank in Rank}
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)
        self._shed = dict.fromkeys(Rank, 0)
        self._noted_at = 0.0

    # --- On the way in ---

    def check_room(self, rank: Rank) -> None:
        """Before the body is read: Refused when there is no place to wait for this one, nor for anybody instead."""
        if self.heavy:
            is_full = sum(self._holds.values()) + self._queued + self.arriving >= self.room
        else:
            is_full = not self._may_enter(rank) and self._is_full and not self._youngest_below(rank)
        if is_full:
            raise self._refusal(rank, "Too many requests are waiting already. Try again in a moment.")

    @contextmanager
    def arrival(self) -> Iterator[None]:
        """While a body is read."""
        self.arriving += 1
        try:
            yield
        finally:
            self.arriving -= 1

    async def turn(self, rank: Rank, gone: asyncio.Future[None]) -> None:
        """Wait for a thread. Raises Refused, or Gone when `gone` is done first; otherwise `submit` must follow."""
        if self._may_enter(rank):
            self._take(rank)
            return
        if self._is_full:
            self._make_room(rank)
        turn: Turn = asyncio.get_running_loop().create_future()
        self._queues[rank].append(turn)
        try:
            await asyncio.wait({turn, gone}, timeout=self.patience[rank], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._withdraw(rank, turn)
            raise
        if turn.done() and turn.exception() is None and not gone.done():
            return
        self._withdraw(rank, turn)
        if gone.done():
            raise Gone
        if turn.done():
            turn.result()
        raise self._refusal(rank, "The server did not get round to this in time. Try again in a moment.")

    def submit(self, rank: Rank, loop: AbstractEventLoop, call: Callable[..., Any], *args: Any) -> "Future[Any]":
        """In the thread whose turn it is."""
        try:
            work = self._threads.submit(call, *args)
        except RuntimeError:
            # Closed already: the process is ending.
            self._leave(rank)
            raise Gone from None
        work.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave, rank))
        return work

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    # --- Inside ---

    @property
    def _is_full(self) -> bool:
        return self._queued >= self.waiting

    @property
    def _queued(self) -> int:
        return sum(map(len, self._queues.values()))

    def _may_enter(self, rank: Rank) -> bool:
        """There is a thread for it, and nobody of its rank waits already. (Who comes before it would not: see `_leave`.)"""
        return bool(self._free) and self._holds[rank] < self._may_hold[rank] and not self._queues[rank]

    def _youngest_below(self, rank: Rank) -> Turn | None:
        """Of those who come after this rank, who has waited least."""
        for other in reversed(Rank):
            if other > rank and self._queues[other]:
                return self._queues[other][-1]
        return None

    def _make_room(self, rank: Rank) -> None:
        """Somebody who comes last goes; if there is nobody, this one is refused."""
        turn = self._youngest_below(rank)
        if turn is None:
            raise self._refusal(rank, "Too many requests are waiting already. Try again in a moment.")
        for other in Rank:
            if turn in self._queues[other]:
                self._queues[other].remove(turn)
                turn.set_exception(
                    self._refusal(other, "What is more urgent came first. Try again in a moment."),
                )
                return

    def _take(self, rank: Rank) -> None:
        self._free -= 1
        self._holds[rank] += 1

    def _leave(self, rank: Rank) -> None:
        """A thread is free: whoever comes first gets it."""
        self._free += 1
        self._holds[rank] -= 1
        while self._free and (first := self._first()) is not None:
            self._take(first)
            self._queues[first].popleft().set_result(None)

    def _first(self) -> Rank | None:
        """Whose turn it is of those who wait."""
        waiting = [rank for rank in Rank if self._queues[rank] and self._holds[rank] < self._may_hold[rank]]
        if Rank.REQUEST in waiting and self._holds[Rank.REQUEST] < self._for_requests:
            return Rank.REQUEST
        return waiting[0] if waiting else None

    def _withdraw(self, rank: Rank, turn: Turn) -> None:
        """It is not wanted any more; a thread that was given meanwhile goes to the next."""
        if not turn.done():
            self._queues[rank].remove(turn)
        elif turn.exception() is None:
            self._leave(rank)

    def _refusal(self, rank: Rank, detail: str) -> Refused:
        self._shed[rank] += 1
        if (now := time.monotonic()) - self._noted_at > NOTED_EVERY:
            counts = ", ".join(f"{count} {each.name.lower()}s" for each, count in self._shed.items() if count)
            log.warning("More is asked than can be served (%s): sent away so far %s", self.name, counts)
            self._noted_at = now
        return Refused(503, "busy", detail, retry_after=COMES_AGAIN[rank])
