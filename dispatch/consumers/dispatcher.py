"""The dispatcher's socket: `/ws/dispatch/`, signed in by the admin's session."""

from django.conf import settings

from dispatch.consumers import frames
from dispatch.consumers.base import Push, Socket
from dispatch.consumers.database import ask
from dispatch.consumers.doorstep import admitted, nobody
from dispatch.consumers.hub import hub
from dispatch.selectors_access import dispatcher_by_session
from dispatch.selectors_board import board


class DispatcherSocket(Socket):
    """Sees every order (without contacts) and every driver on duty. It says nothing but `sync`: acts go over HTTP."""

    #: Frames with a thousand drivers each: fewer may wait.
    queue_limit = 64
    user_id = 0
    session_key = ""

    async def identify(self) -> None:
        self.session_key = self.cookie(settings.SESSION_COOKIE_NAME)
        if not self.session_key:
            await ask(admitted, self.address, nobody)
        self.user_id = await ask(admitted, self.address, dispatcher_by_session, session_key=self.session_key)

    async def join(self) -> None:
        await hub().join_board(self)

    def leave(self) -> None:
        hub().leave_board(self)

    async def snapshot(self) -> Push:
        return await ask(_snapshot), ()

    async def take(self, text: str) -> None:
        frames.dispatcher_frame(text)
        self.start_snapshot()


def _snapshot() -> str:
    return frames.board_snapshot(board())
