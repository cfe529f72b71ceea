"""What all dispatchers' sockets of a process share: drivers' changes, gathered, and the counts at the top."""

import asyncio
import logging
from collections.abc import Collection, Iterable
from typing import Any, Protocol

from dispatch.consumers import frames
from dispatch.consumers.database import ask
from dispatch.selectors_board import board_drivers, board_stats

log = logging.getLogger(__name__)

#: At most two `driver` frames a second, however many drivers move.
GATHER_SECONDS = 0.5
STATS_SECONDS = 3.0


class Screen(Protocol):
    def push(self, text: str) -> None: ...


class Board:
    def __init__(self, screens: Collection[Screen]) -> None:
        self._screens = screens
        self._moved: dict[int, dict[str, Any]] = {}
        self._changed: set[int] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Work from now on, while somebody watches. Does nothing if it works already."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._tell_drivers()), asyncio.create_task(self._tell_stats())]

    def moved(self, rows: Iterable[dict[str, Any]]) -> None:
        """Positions as they were published; the latest of each driver is what counts."""
        for row in rows:
            self._moved[row["id"]] = row

    def changed(self, driver_ids: Iterable[int]) -> None:
        """Drivers to be read again."""
        self._changed.update(driver_ids)

    def _show(self, text: str) -> None:
        for screen in list(self._screens):
            screen.push(text)

    async def _tell_drivers(self) -> None:
        while True:
            await asyncio.sleep(GATHER_SECONDS)
            moved, self._moved = self._moved, {}
            changed, self._changed = self._changed, set()
            if not self._screens:
                continue
            if changed:
                try:
                    # Whole rows, so they replace what was only a position.
                    moved.update({row["id"]: row for row in await ask(board_drivers, changed)})
                except Exception as error:
                    self._changed |= changed
                    log.warning("Drivers could not be read for the board: %s", error)
            if moved:
                self._show(frames.drivers(moved.values()))

    async def _tell_stats(self) -> None:
        while True:
            await asyncio.sleep(STATS_SECONDS)
            if not self._screens:
                continue
            try:
                counts = await ask(board_stats)
            except Exception as error:
                log.warning("The counts could not be read for the board: %s", error)
            else:
                self._show(frames.stats(counts))
