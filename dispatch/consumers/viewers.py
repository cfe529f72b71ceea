"""Which dispatcher has which order open, over all processes.

Every process tells the others its own list: at once when it changes, and again every TELL_SECONDS while there is something
in it. What another process told is forgotten FORGET_SECONDS later, so nobody lingers when a process dies; and who has
not been heard of for SILENT_SECONDS (a client pings) does not count, so nobody lingers when only a line dies.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from dispatch import live
from dispatch.consumers import frames

log = logging.getLogger(__name__)

TELL_SECONDS = 2.0
FORGET_SECONDS = 6.0
SILENT_SECONDS = 15.0

#: (user id, name, order id)
Viewer = tuple[int, str, str]
#: Order id → who has it open, by user id.
People = dict[str, list[dict[str, Any]]]


class Screen(Protocol):
    user_id: int
    user_name: str

    def push(self, text: str) -> None: ...


class Viewers:
    def __init__(self, process: str, screens: Collection[Screen]) -> None:
        self._process = process
        self._screens = screens
        #: What each socket here has open, and when it was last heard of.
        self._here: dict[Screen, tuple[str | None, float]] = {}
        self._elsewhere: dict[str, tuple[list[Viewer], float]] = {}
        self._shown: People = {}
        self._told: list[Viewer] = []
        self._told_at = 0.0
        self._poke = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def view(self, screen: Screen, order_id: str | None) -> None:
        """This socket has the order open; None: none."""
        self._here[screen] = (order_id, time.monotonic())
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        self._poke.set()

    def heard(self, screen: Screen) -> None:
        """A sign of life of a socket that may have something open."""
        if screen in self._here:
            self._here[screen] = (self._here[screen][0], time.monotonic())

    def left(self, screen: Screen) -> None:
        if self._here.pop(screen, None) is not None:
            self._poke.set()

    def take(self, message: Mapping[str, Any]) -> None:
        """What a process told: ours is known here already."""
        if message["viewing"] == self._process:
            return
        self._elsewhere[message["viewing"]] = ([(row[0], row[1], row[2]) for row in message["rows"]], time.monotonic())
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        self._poke.set()

    def people(self) -> People:
        """Who has what open now."""
        now = time.monotonic()
        rows = set(self._rows_here(now))
        for told, at in self._elsewhere.values():
            if now - at < FORGET_SECONDS:
                rows.update(told)
        found: People = {}
        for user_id, name, order_id in sorted(rows, key=lambda row: (row[2], row[0])):
            found.setdefault(order_id, []).append({"id": user_id, "name": name})
        return found

    def _rows_here(self, now: float) -> list[Viewer]:
        return sorted(
            {
                (screen.user_id, screen.user_name, order_id)
                for screen, (order_id, heard_at) in self._here.items()
                if order_id is not None and now - heard_at < SILENT_SECONDS
            }
        )

    async def _work(self) -> None:
        """For ever: tell the other processes, and the screens here."""
        while True:
            self._poke.clear()
            try:
                await self._tell_others()
                self._show()
            except Exception as error:
                log.warning("Who looks at what could not be told: %s", error)
            try:
                async with asyncio.timeout(TELL_SECONDS / 2):
                    await self._poke.wait()
            except TimeoutError:
                pass

    async def _tell_others(self) -> None:
        now = time.monotonic()
        rows = self._rows_here(now)
        if rows != self._told or (rows and now - self._told_at >= TELL_SECONDS):
            self._told, self._told_at = rows, now
            await asyncio.to_thread(live.viewing, self._process, rows)

    def _show(self) -> None:
        now = time.monotonic()
        self._elsewhere = {by: known for by, known in self._elsewhere.items() if now - known[1] < FORGET_SECONDS}
        people, before = self.people(), self._shown
        self._shown = people
        for order_id in sorted(people.keys() | before.keys()):
            if people.get(order_id) != before.get(order_id):
                text = frames.viewers(order_id, people.get(order_id, []))
                for screen in list(self._screens):
                    screen.push(text)
