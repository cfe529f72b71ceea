"""What every socket has: a handshake that refuses before it accepts, a bounded way out, limits, and a clean end."""

import asyncio
import logging
import time
import types
from collections import deque
from collections.abc import Coroutine, Generator, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

import msgspec
from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.http.request import validate_host

from dispatch.consumers import frames
from dispatch.consumers.frames import SUBPROTOCOL, Close
from dispatch.errors import NotFromHere, TooLarge
from drivers.errors import DomainError, Invalid, Throttled
from drivers.limits import network_of

log = logging.getLogger(__name__)

#: Frames that a client may send: so many a second in the long run, so many at once.
FRAMES_PER_SECOND = 20.0
FRAMES_AT_ONCE = 120.0
#: How long a client that is being closed has to read what was sent before, seconds; then the connection is cut.
CLOSE_SECONDS = 5.0
#: And how long the server has to end a connection that was refused.
REFUSAL_SECONDS = 2.0

#: Frames in the backlog besides those of the largest snapshot: more, and the client is too slow.
BACKLOG_ALLOWED = 200

#: What sending raises when the client has gone, or when the server is closing the connection by itself.
GONE = (OSError, RuntimeError)
#: A frame's text, and the orders that it offers.
Push = tuple[str, Sequence[str]]


class Socket(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    """One connection. Subclasses say who it is (`identify`), what it starts with and what its frames mean.

    No channel of the layer and no subscription of its own: the process's hub finds it (hub.py). What it is sent waits in
    a bounded queue, written by one task that lives only while there is something to write.
    """

    #: Messages that may wait for a client; one more and it is closed as too slow.
    queue_limit = 256

    scope: dict[str, Any]
    base_send: Any
    _receive: Any

    def __init__(self) -> None:
        super().__init__()
        self.is_closing = False
        self.outgoing: deque[Push] = deque()
        #: What may wait: written when nothing else is left to write.
        self.backlog: deque[str] = deque()
        #: While a snapshot is being read, pushes wait here, so that the snapshot is delivered first.
        self.held: list[Push] | None = None
        self._is_writing = False
        self._writer: asyncio.Task[None] | None = None
        self._closer: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._read_again = False
        self._frames_left = FRAMES_AT_ONCE
        self._counted_at = time.monotonic()

    # --- To be said by subclasses ---

    async def identify(self) -> None:
        """Find out who it is, before the socket is accepted. Raises DomainError."""
        raise NotImplementedError

    async def join(self) -> None:
        """Be found by the hub from now on."""
        raise NotImplementedError

    def leave(self) -> None:
        """Be found no longer. May be called more than once."""
        raise NotImplementedError

    async def snapshot(self) -> Push:
        """The whole truth as a frame, and the orders that it offers for the first time."""
        raise NotImplementedError

    async def after_snapshot(self) -> None:
        """Whatever follows the snapshot, after it was queued."""

    async def take(self, text: str) -> None:
        """A frame from the client. Raises DomainError."""
        raise NotImplementedError

    def were_written(self, offers: Sequence[str]) -> None:
        """A frame that offers these orders is on its way to the client."""

    # --- The life of a connection ---

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Channels' own loop adds a channel, two tasks and a trip to a shared thread per frame; none is needed here."""
        self.scope, self._receive, self.base_send = scope, receive, send
        try:
            while True:
                message = await receive()
                if message["type"] == "websocket.receive":
                    await self.websocket_receive(message)
                else:
                    await self.dispatch(message)
        except StopConsumer:
            pass
        finally:
            self.is_closing = True
            self.leave()
            for task in (self._writer, self._reader):
                if task is not None:
                    task.cancel()

    async def dispatch(self, message: dict[str, Any]) -> None:
        await getattr(self, get_handler_name(message))(message)

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        try:
            check_origin(self.header(b"origin"))
            offered = self.scope.get("subprotocols") or []
            if offered and SUBPROTOCOL not in offered:
                raise Invalid(subprotocol=f"This server speaks {SUBPROTOCOL}.")
            await self.identify()
        except Exception as error:
            problem = frames.problem_of(error)
            # 403 whatever it is that they lack; 503 if it is we who cannot tell, 429 if they ask too often.
            status = problem["status"] if problem["status"] >= 500 or problem["status"] == 429 else 403
            await refuse(problem, status, self._receive, self.base_send)
            raise StopConsumer from None
        await self.accept(SUBPROTOCOL if offered else None)
        # Found by the hub first, read second: what happens in between is held back and follows the snapshot.
        self.held = []
        await self.join()
        self.start_snapshot()

    async def websocket_receive(self, message: dict[str, Any]) -> None:
        if self.is_closing:
            return
        text = message.get("text")
        try:
            self._count_frame()
            if text is None:
                raise Invalid(body="Frames are text, in JSON.")
            if len(text) > frames.MAX_FRAME:
                raise TooLarge
            await self.take(text)
        except (Throttled, TooLarge) as error:
            self.reply(frames.error(error))
            self.shut(Close.TOO_MUCH)
        except DomainError as error:
            self.reply(frames.error(error))
        except Exception as error:
            # problem_of puts it on record; the next frame may be fine.
            self.reply(frames.error(error))

    async def websocket_disconnect(self, message: dict[str, Any]) -> None:
        raise StopConsumer

    def _count_frame(self) -> None:
        now = time.monotonic()
        refilled = self._frames_left + (now - self._counted_at) * FRAMES_PER_SECOND
        self._frames_left = min(refilled, FRAMES_AT_ONCE) - 1
        self._counted_at = now
        if self._frames_left < 0:
            raise Throttled

    # --- The way out ---

    def push(self, text: str, offers: Sequence[str] = ()) -> None:
        """Send a frame when its turn comes, after the snapshot if one is being read; never waits."""
        if self.held is None:
            self.reply(text, offers)
        elif not self.is_closing:
            self.held.append((text, offers))
            if len(self.held) > self.queue_limit:
                self.shut(Close.TOO_SLOW, drain=False)

    def reply(self, text: str, offers: Sequence[str] = ()) -> None:
        """Send a frame that does not depend on the snapshot, such as the answer to a heartbeat; never waits."""
        if self.is_closing:
            return
        if len(self.outgoing) >= self.queue_limit:
            self.shut(Close.TOO_SLOW, drain=False)
            return
        self.outgoing.append((text, offers))
        self._start_writing()

    def trickle(self, texts: Sequence[str]) -> None:
        """Send frames whenever there is nothing else to send; never waits."""
        if self.is_closing:
            return
        self.backlog.extend(texts)
        if len(self.backlog) > self.queue_limit + BACKLOG_ALLOWED:
            self.shut(Close.TOO_SLOW, drain=False)
            return
        self._start_writing()

    def _start_writing(self) -> None:
        if self._is_writing:
            return
        writing = self._write()
        # As a rule the server takes a frame at once: only what has to wait for the client becomes a task.
        try:
            waits_for = writing.send(None)
        except StopIteration:
            return
        self._writer = asyncio.get_running_loop().create_task(_resumed(writing, waits_for))

    async def _write(self) -> None:
        self._is_writing = True
        try:
            while self.outgoing or self.backlog:
                text, offers = self.outgoing.popleft() if self.outgoing else (self.backlog.popleft(), ())
                await self.base_send({"type": "websocket.send", "text": text})
                if offers:
                    self.were_written(offers)
        except GONE:
            # The reading side hears of it too.
            self.outgoing.clear()
            self.backlog.clear()
        except Exception:
            # Whoever pushed has others to push to.
            log.exception("Writing to %s failed", type(self).__name__)
        finally:
            self._writer, self._is_writing = None, False

    def shut(self, code: Close, *, drain: bool = True) -> None:
        """Close with this code, after what is queued already (`drain`) or instead of it. Never waits."""
        if self.is_closing:
            return
        self.is_closing = True
        log.info("Closing %s: %s", type(self).__name__, code.name)
        self.leave()
        self.backlog.clear()
        if not drain:
            self.outgoing.clear()
        self._closer = asyncio.get_running_loop().create_task(self._close(code))

    async def _close(self, code: Close) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                if self._writer is not None:
                    await asyncio.wait({self._writer})
                await self.base_send({"type": "websocket.close", "code": int(code), "reason": code.name.lower()})
        except TimeoutError:
            # It does not read, so no close frame will reach it; without this it would be kept for hours.
            transport = getattr(getattr(self.base_send, "__self__", None), "transport", None)
            if transport is not None:
                log.info("Cutting off %s", type(self).__name__)
                transport.abort()
        except GONE:
            pass

    # --- Snapshots ---

    def start_snapshot(self) -> None:
        """Read the whole truth and send it; pushes that come meanwhile follow it. Frames are taken all the while."""
        if self._reader is not None:
            # What is being read now may be older than what the client asks for.
            self._read_again = True
            return
        if self.held is None:
            self.held = []
        self._reader = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        try:
            while True:
                self._read_again = False
                await self._read_once()
                if not self._read_again or self.is_closing:
                    break
                self.held = []
        finally:
            self._reader = None

    async def _read_once(self) -> None:
        try:
            text, offers = await self.snapshot()
        except Exception as error:
            text, offers = frames.error(error), ()
        held, self.held = self.held or [], None
        self.reply(text, offers)
        for waiting in held:
            self.reply(*waiting)
        try:
            await self.after_snapshot()
        except Exception as error:
            self.reply(frames.error(error))

    # --- The handshake ---

    @property
    def address(self) -> str:
        """As the server saw it: it believes X-Forwarded-For only of proxies that it was told of (BATON_TRUSTED_PROXIES)."""
        return network_of((self.scope.get("client") or ("",))[0])

    def header(self, name: bytes) -> str | None:
        """The value of a header, None if it is missing."""
        for key, value in self.scope["headers"]:
            if key == name:
                return str(value.decode("latin-1"))
        return None

    def cookie(self, name: str) -> str:
        """The value of a cookie, '' if it is missing."""
        try:
            cookies = SimpleCookie(self.header(b"cookie") or "")
        except CookieError:
            return ""
        return cookies[name].value if name in cookies else ""


@types.coroutine
def _resumed(begun: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """The rest of a coroutine that has been begun without a task, until it had to wait for this."""
    try:
        yield waits_for
    except BaseException:
        begun.close()
        raise
    yield from begun.__await__()


async def refuse(problem: dict[str, Any], status: int, receive: Any, send: Any) -> None:
    """Answer a handshake with a problem document (ASGI extension `websocket.http.response`, which uvicorn has)."""
    headers = [(b"content-type", b"application/problem+json")]
    if status == 503:
        headers.append((b"retry-after", b"2"))
    elif status == 429:
        headers.append((b"retry-after", str(problem.get("retry_after", 1)).encode()))
    with suppress(*GONE, TimeoutError):
        await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        body = msgspec.json.encode({**problem, "status": status, "title": HTTPStatus(status).phrase})
        await send({"type": "websocket.http.response.body", "body": body})
        # uvicorn takes it for a fault of ours if we end before the connection has: it says so with a second disconnect.
        async with asyncio.timeout(REFUSAL_SECONDS):
            await receive()
            await receive()


def check_origin(origin: str | None) -> None:
    """A browser names the page that opens a socket: it must be one of ours. Raises NotFromHere. Apps send no Origin."""
    if origin is None or origin in settings.CSRF_TRUSTED_ORIGINS:
        return
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
    except ValueError:
        raise NotFromHere from None
    if ":" in host:
        host = f"[{host}]"
    if parts.scheme not in {"http", "https"} or not validate_host(host, settings.ALLOWED_HOSTS):
        raise NotFromHere
