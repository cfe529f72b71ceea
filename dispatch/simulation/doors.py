"""The public doors, from outside: requests with retries, and the driver's socket."""

import asyncio
import random
import time
from collections.abc import Mapping
from itertools import count
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import msgspec

from dispatch.simulation.tally import Tally

SUBPROTOCOL = "baton.v1"
#: The server closes an idle connection after 5 s (uvicorn); one that is used again just then fails. So: sooner.
KEEP_ALIVE = 3.0
REQUEST_SECONDS = 30.0
#: How long a request is tried again while the server is busy or away, seconds.
PATIENCE = 20.0
LONGEST_PAUSE = 5.0

NETWORK_ERRORS = (aiohttp.ClientError, TimeoutError, OSError)


class Away(Exception):
    """The server did not answer, however often it was asked."""


class SignedOut(Exception):
    """The token is no longer good, or was never given: the text is the problem's code."""


class Answer:
    __slots__ = ("body", "retry_after", "status")

    def __init__(self, status: int, body: Any, retry_after: str | None) -> None:
        self.status, self.body = status, body
        self.retry_after = retry_after

    @property
    def ok(self) -> bool:
        return self.status < 400

    @property
    def code(self) -> str:
        """The code of a refusal; `http_<status>` if it was no problem document."""
        code = self.body.get("code") if isinstance(self.body, dict) else None
        return str(code or f"http_{self.status}")

    def pause(self, attempt: int) -> float:
        try:
            return min(float(self.retry_after or ""), LONGEST_PAUSE)
        except ValueError:
            return full_jitter(attempt)


def full_jitter(attempt: int, *, base: float = 0.5, longest: float = LONGEST_PAUSE) -> float:
    """Seconds to wait before trying again: any time up to a limit that doubles, so that a crowd does not come as one."""
    return random.uniform(0, min(longest, base * 2 ** min(attempt, 16)))


def is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


class Doors:
    """One server. Every answer is counted."""

    def __init__(self, url: str, tally: Tally, *, at_once: int = 64) -> None:
        self.base = url.rstrip("/")
        self.tally = tally
        self._at_once = at_once
        self._http: aiohttp.ClientSession
        self._sockets: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=self._at_once, keepalive_timeout=KEEP_ALIVE)
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        self._http = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)
        # No limit on sockets, and no time limit: they stay.
        self._sockets = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None, sock_connect=15)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()
        await self._sockets.close()

    async def once(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        document: Any = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request. Raises one of NETWORK_ERRORS."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        body = msgspec.json.encode(document) if document is not None else None
        began = time.monotonic()
        address = f"{self.base}/{path.lstrip('/')}"
        async with self._http.request(method, address, data=body, headers=sent, params=query) as response:
            content = await response.read()
            retry_after = response.headers.get("Retry-After")
        self.tally.answered.add(time.monotonic() - began)
        self.tally.answers[f"{response.status // 100}xx"] += 1
        try:
            read = msgspec.json.decode(content) if content else None
        except msgspec.DecodeError:
            read = None
        answer = Answer(response.status, read, retry_after)
        if answer.status >= 500:
            self.tally.server_errors[f"{answer.status} {answer.code}"] += 1
        return answer

    async def ask(self, method: str, path: str, *, patience: float = PATIENCE, **request: Any) -> Answer:
        """A request that is safe to repeat: again while the server is away, busy or has enough of us, for `patience`
        seconds. Raises Away, SignedOut."""
        until = time.monotonic() + patience
        for attempt in count():
            try:
                answer = await self.once(method, path, **request)
            except NETWORK_ERRORS as error:
                self.tally.error(f"no answer: {type(error).__name__}")
                pause = full_jitter(attempt)
            else:
                if answer.status == 401:
                    raise SignedOut(answer.code)
                if answer.status not in {429, 503}:
                    return answer
                if answer.status == 429:
                    self.tally.error("throttled")
                pause = answer.pause(attempt)
            if time.monotonic() + pause > until:
                break
            await asyncio.sleep(pause)
        raise Away(f"{method} {path}")

    async def open_socket(self, token: str) -> aiohttp.ClientWebSocketResponse:
        """Raises one of NETWORK_ERRORS, SignedOut."""
        address = "ws" + self.base.removeprefix("http") + "/ws/driver/"
        try:
            return await self._sockets.ws_connect(
                address,
                protocols=(SUBPROTOCOL,),
                headers={"Authorization": f"Bearer {token}"},
                max_msg_size=4 * 1024 * 1024,
                autoping=True,
                compress=0,
            )
        except aiohttp.WSServerHandshakeError as refusal:
            if refusal.status in {401, 403}:
                raise SignedOut(f"socket refused: {refusal.status}") from None
            raise
