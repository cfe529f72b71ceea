"""What all dispatchers' sockets of a process share: drivers' changes, gathered, what needs attention, and the counts at the
top. It works only while somebody watches, and once for all of them."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from dispatch.attention import Attention, attention
from dispatch.consumers import frames
from dispatch.consumers.database import ask
from dispatch.consumers.missed import Missed
from dispatch.selectors_board import board_drivers, board_stats

log = logging.getLogger(__name__)

#: At most two `driver` frames a second, however many drivers move.
GATHER_SECONDS = 0.5
STATS_SECONDS = 3.0
ATTENTION_SECONDS = 2.0
#: Who was heard of without having moved is told of so often.
SEEN_SECONDS = 5.0
#: A change that no push told of is told of within twice as long.
MISSED_SECONDS = 5.0
#: Closer than so many degrees (two metres), and turned by less than so many, is where they were.
SAME_DEGREES = 2e-5
SAME_HEADING = 15.0
#: What was found out so long ago will do for somebody who comes, seconds.
FRESH_SECONDS = 5.0

#: Where a driver was when the screens were last told: latitude, longitude, heading, on duty.
Spot = tuple[float | None, float | None, float | None, bool]


class Screen(Protocol):
    def push(self, text: str) -> None: ...
    def push_drivers(self, text: str) -> None: ...


class Board:
    def __init__(self, screens: Collection[Screen]) -> None:
        self._screens = screens
        self._moved: dict[int, dict[str, Any]] = {}
        self._changed: set[int] = set()
        self._spots: dict[int, Spot] = {}
        self._seen: set[int] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._attention: Attention | None = None
        self._attention_at = 0.0
        #: What the screens know: the latest look may have been somebody's who came.
        self._told: Attention | None = None
        self._looking: asyncio.Task[Attention] | None = None
        self._missed = Missed(self._show, self.changed)
        self._beginning: asyncio.Task[None] | None = None
        #: The database's clock, less this process's.
        self._clock_ahead = timedelta(0)

    def start(self) -> None:
        """Work from now on, while somebody watches; call when somebody has come."""
        if len(self._screens) == 1:
            # From before they read the board.
            self._beginning = asyncio.create_task(self._try(self._tell_missed, "Missed changes"))
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._repeat(GATHER_SECONDS, self._tell_drivers, "Drivers")),
                asyncio.create_task(self._repeat(STATS_SECONDS, self._tell_stats, "The counts")),
                asyncio.create_task(self._repeat(ATTENTION_SECONDS, self._tell_attention, "What needs attention")),
                asyncio.create_task(self._repeat(SEEN_SECONDS, self._tell_seen, "Signs of life")),
                asyncio.create_task(self._repeat(MISSED_SECONDS, self._tell_missed, "Missed changes")),
            ]

    def moved(self, rows: Iterable[dict[str, Any]]) -> None:
        """Positions as they were published; the latest of each driver is what counts. Who is where they were has only been
        seen."""
        for row in rows:
            if self._is_where_they_were(row):
                self._seen.add(row["id"])
            else:
                self._moved[row["id"]] = row

    def changed(self, driver_ids: Iterable[int]) -> None:
        """Drivers to be read again."""
        self._changed.update(driver_ids)

    def server_time(self) -> datetime:
        """About the database's clock, without asking it."""
        return datetime.now(UTC) + self._clock_ahead

    async def attention(self) -> Attention:
        """What needs attention now, or a moment ago. Those who come at once share one look."""
        found = self._attention
        if found is None or time.monotonic() - self._attention_at > FRESH_SECONDS:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look())
            # Whoever hangs up leaves it to the others.
            found = await asyncio.shield(self._looking)
        self._told = self._told or found
        return found

    def forget(self) -> None:
        """What the screens knew: there are none any more, and nobody keeps it up to date."""
        self._attention = self._told = self._looking = None
        self._spots.clear()
        self._missed.forget()

    def _show(self, text: str) -> None:
        for screen in list(self._screens):
            screen.push(text)

    async def _repeat(self, seconds: float, tell: Callable[[], Coroutine[Any, Any, None]], what: str) -> None:
        spent = 0.0
        while True:
            # What takes long is done less often: never more than a fifth of the time goes into it.
            await asyncio.sleep(max(seconds, 4 * spent))
            began = time.monotonic()
            await self._try(tell, what)
            spent = time.monotonic() - began

    @staticmethod
    async def _try(tell: Callable[[], Coroutine[Any, Any, None]], what: str) -> None:
        try:
            await tell()
        except Exception as error:
            log.warning("%s could not be told to the board: %s", what, error)

    # --- Drivers ---

    def _is_where_they_were(self, row: dict[str, Any]) -> bool:
        lat, lng, heading, on_duty = self._spots.get(row["id"], (None, None, None, False))
        if lat is None or lng is None or row["lat"] is None or row["is_online"] != on_duty or row["id"] in self._moved:
            return False
        turned: float = abs((row["heading"] or 0.0) - (heading or 0.0)) % 360
        went: float = max(abs(row["lat"] - lat), abs(row["lng"] - lng))
        return went < SAME_DEGREES and min(turned, 360 - turned) < SAME_HEADING

    async def _tell_drivers(self) -> None:
        moved, self._moved = self._moved, {}
        changed, self._changed = self._changed, set()
        if not self._screens:
            return
        failure: Exception | None = None
        if changed:
            try:
                # Whole rows, so they replace what was only a position.
                moved.update({row["id"]: row for row in await ask(board_drivers, changed)})
            except Exception as error:
                self._changed |= changed
                failure = error
        for row in moved.values():
            self._spots[row["id"]] = (row["lat"], row["lng"], row["heading"], row["is_online"])
        if moved:
            text = frames.drivers(moved.values())
            for screen in list(self._screens):
                screen.push_drivers(text)
        if failure is not None:
            raise failure

    async def _tell_seen(self) -> None:
        seen, self._seen = self._seen, set()
        if seen and self._screens:
            text = frames.drivers_seen(seen, self.server_time())
            for screen in list(self._screens):
                screen.push_drivers(text)

    # --- Orders ---

    def heard(self, order_id: str, version: int) -> None:
        """A push told of this order."""
        self._missed.heard(order_id, version)

    async def _tell_missed(self) -> None:
        if self._screens:
            await self._missed.look()

    async def _tell_stats(self) -> None:
        if self._screens:
            self._show(frames.stats(await ask(board_stats)))

    async def _tell_attention(self) -> None:
        if not self._screens:
            self._attention = self._told = None
            return
        now = await self._look()
        before, self._told = self._told, now
        if before is None or now.rows != before.rows:
            self._show(frames.attention(now))
        if before is not None and (offers := _different(now.offers, before.offers)):
            self._show(frames.offers(offers))

    async def _look(self) -> Attention:
        found = await ask(attention)
        self._attention, self._attention_at = found, time.monotonic()
        self._clock_ahead = found.at - datetime.now(UTC)
        return found


def _different(now: dict[UUID, dict[str, int]], before: dict[UUID, dict[str, int]]) -> dict[UUID, dict[str, int]]:
    return {order_id: counts for order_id, counts in now.items() if before.get(order_id) != counts}
