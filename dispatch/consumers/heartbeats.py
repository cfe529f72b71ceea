"""What the drivers' sockets of a process have to write, gathered: heartbeats, and which offers arrived and were seen.

One statement each per GATHER_SECONDS, whatever the number of sockets. While one batch is being written the next gathers,
so a slow database makes batches larger, not more; but from BATCH drivers on they are written one after the other without a
pause, so that the database writes while this process reads and answers.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice
from typing import Protocol
from uuid import UUID

from dispatch import services
from dispatch.consumers import frames
from dispatch.consumers.database import write
from dispatch.consumers.frames import Close
from dispatch.selectors import FeedState
from dispatch.services import Position
from drivers.clock import database_now

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.25
#: Drivers whose heartbeats one statement writes at most.
BATCH = 1000
#: Answers that one socket may be owed: whoever sends more heartbeats than that within one batch is owed the latest.
ANSWERS_OWED = 20
#: A row that somebody else has locked is tried again with the next batches.
ATTEMPTS = 4

#: Whose feed, and which order's offer in it.
Card = tuple[int, UUID]


class Caller(Protocol):
    """A driver's socket that wants an answer."""

    driver_id: int

    def reply(self, text: str) -> None: ...
    def shut(self, code: Close) -> None: ...


class Gathered:
    def __init__(self) -> None:
        self._positions: dict[int, Position] = {}
        #: Whose answer each socket is owed: by driver, the ids of its heartbeats.
        self._owed: dict[int, dict[Caller, list[str | int | None]]] = {}
        #: Attempts so far.
        self._delivered: dict[Card, int] = {}
        self._seen: dict[Card, int] = {}
        #: The database did not take the last batch.
        self._failed = False
        self._task: asyncio.Task[None] | None = None

    def heartbeat(self, caller: Caller, position: Position, beat: str | int | None) -> None:
        """Write it with the next batch and answer with `heartbeat_ack`, or with an error if that fails."""
        self._positions[caller.driver_id] = position
        owed = self._owed.setdefault(caller.driver_id, {}).setdefault(caller, [])
        owed.append(beat)
        del owed[:-ANSWERS_OWED]
        self._start()

    def delivered(self, driver_id: int, order_ids: Iterable[str]) -> None:
        """These offers were written to a socket of the driver."""
        self._delivered.update({(driver_id, UUID(order_id)): 0 for order_id in order_ids})
        self._start()

    def seen(self, driver_id: int, order_id: UUID) -> None:
        """The driver has this offer on screen."""
        self._seen[driver_id, order_id] = 0
        self._start()

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        clock = asyncio.get_running_loop().time
        marked_at = clock()
        try:
            while self._positions or self._delivered or self._seen:
                if self._failed or len(self._positions) < BATCH:
                    await asyncio.sleep(GATHER_SECONDS)
                await self._write_heartbeats()
                if clock() - marked_at < GATHER_SECONDS:
                    continue
                marked_at = clock()
                await self._mark(services.mark_offers_delivered, self._delivered)
                await self._mark(services.mark_offers_seen, self._seen)
        finally:
            self._task = None

    async def _write_heartbeats(self) -> None:
        batch = list(islice(self._positions, BATCH))
        if not batch:
            return
        positions = [self._positions.pop(driver_id) for driver_id in batch]
        owed = [(driver_id, self._owed.pop(driver_id)) for driver_id in batch]
        try:
            states, server_time = await write(_record, positions)
        except Exception as error:
            if self._failed:
                # It is away, then: all who wait hear of it now, not after a time-out for each batch.
                owed += self._owed.items()
                self._positions.clear()
                self._owed = {}
            self._failed = True
            for _, callers in owed:
                for caller, beats in callers.items():
                    for beat in beats:
                        caller.reply(frames.error(error, beat))
            return
        self._failed = False
        ack = frames.heartbeat_acks(server_time)
        for driver_id, callers in owed:
            state = states.get(driver_id)
            for caller, beats in callers.items():
                if state is None:
                    # There is no such driver any more.
                    caller.shut(Close.SIGNED_OUT)
                    continue
                for beat in beats:
                    caller.reply(ack(beat, state))

    async def _mark(self, verb: Callable[..., set[Card]], waiting: dict[Card, int]) -> None:
        if not waiting:
            return
        batch = dict(waiting)
        waiting.clear()
        try:
            left = await write(verb, cards=list(batch))
        except Exception as error:
            # For the history only: nothing waits for it.
            log.warning("%d offers could not be marked: %s", len(batch), error)
            return
        waiting.update({card: batch[card] + 1 for card in left if batch[card] + 1 < ATTEMPTS})


def _record(positions: list[Position]) -> tuple[dict[int, FeedState], datetime]:
    return services.record_heartbeats(positions=positions), database_now()
