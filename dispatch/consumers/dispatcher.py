"""The dispatcher's socket: `/ws/dispatch/`, signed in by the admin's session."""

import asyncio
from typing import assert_never

from django.conf import settings

from dispatch.consumers import frames
from dispatch.consumers.base import Push, Socket
from dispatch.consumers.database import ask
from dispatch.consumers.doorstep import admitted, nobody
from dispatch.consumers.frames import Ping, SyncAsked, Viewing
from dispatch.consumers.hub import hub
from dispatch.selectors_access import watcher_by_session
from dispatch.selectors_board import board, board_drivers

#: Drivers in one frame of a snapshot that comes in chunks.
CHUNK = 1000


class DispatcherSocket(Socket):
    """Sees every order (without contacts) and every driver on duty. It says what it has open and asks for the truth; acts
    go over HTTP.

    With `?chunked=1` the drivers follow the snapshot in frames of their own, so that orders are on screen at once however
    many drivers there are, and what is pushed meanwhile overtakes them.
    """

    #: Frames with a thousand drivers each: fewer may wait.
    queue_limit = 64
    user_id = 0
    user_name = ""
    session_key = ""
    is_chunked = False

    def __init__(self) -> None:
        super().__init__()
        #: What is said of drivers while they are being read: newer than what is read, so it comes after.
        self._later: list[str] | None = None

    async def identify(self) -> None:
        self.session_key = self.cookie(settings.SESSION_COOKIE_NAME)
        if not self.session_key:
            await ask(admitted, self.address, nobody)
        self.user_id, self.user_name = await ask(
            admitted, self.address, watcher_by_session, session_key=self.session_key
        )
        self.is_chunked = bool(self.scope.get("chunked"))

    async def join(self) -> None:
        await hub().join_board(self)

    def leave(self) -> None:
        hub().leave_board(self)

    async def snapshot(self) -> Push:
        if self.is_chunked:
            self._later = []
        shown, needed = await asyncio.gather(ask(board, with_drivers=not self.is_chunked), hub().board.attention())
        people = hub().viewers.people()
        return await ask(frames.board_snapshot, shown, needed, people, chunked=self.is_chunked), ()

    async def after_snapshot(self) -> None:
        if not self.is_chunked:
            return
        try:
            chunks = await ask(_driver_chunks)
        finally:
            later, self._later = self._later or [], None
        self.trickle([*chunks, *later])

    def push_drivers(self, text: str) -> None:
        """A frame about drivers: behind the chunks of a snapshot, if some still wait."""
        if self._later is not None:
            self._later.append(text)
        elif self.backlog:
            self.trickle([text])
        else:
            self.push(text)

    async def take(self, text: str) -> None:
        frame = frames.dispatcher_frame(text)
        hub().viewers.heard(self)
        match frame:
            case SyncAsked():
                self.start_snapshot()
            case Viewing():
                hub().viewers.view(self, str(frame.order) if frame.order is not None else None)
            case Ping():
                self.reply(frames.pong(frame.id, hub().board.server_time(), hears=hub().hears))
            case _:
                assert_never(frame)


def _driver_chunks() -> list[str]:
    rows = board_drivers()
    parts = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)] or [[]]
    return [frames.driver_chunk(part, number, len(parts)) for number, part in enumerate(parts, start=1)]
