"""How HTTP gets into Django under ASGI: whole bodies of bounded size, a bounded number of threads, a bounded queue.

Django's own ASGI handler gives every request a new thread and lets any number in. Here requests run in a fixed set of
threads (config/lanes.py: who comes first): each keeps its database connection, a thousand requests at once wait their turn
instead of fighting for connections, and a client that sends its body slowly holds nobody up, because a request takes a
thread only once its body is complete.
"""

import asyncio
import logging
import os
import re
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestDataTooBig
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from config.lanes import Gone, Lane, Rank, Refused, rank_of
from config.problems import problem_response

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: A whole body has this long to arrive (a picture longer), and a client this long to take a piece of a long answer.
BODY_SECONDS = 30
PROOF_SECONDS = 120
#: So long a whole picture waits for its turn.
PROOF_PATIENCE_SECONDS = 30.0
CHUNK_SECONDS = 30
#: Bodies above this wait on disk.
BODY_IN_MEMORY = 64 * 1024
#: Uploads are for people in the back office.
UPLOADS = "/admin/"
#: Pictures from the door: the only large bodies of the API.
PROOFS = re.compile(r"/api/v1/orders/[0-9a-f-]{36}/proofs/")
SIGN_IN = ("/api/v1/auth/login/", "/admin/login/")
OPERATIONS = ("/healthz", "/readyz", "/metrics")


class Gate(BaseHandler):
    """The ASGI application for HTTP.

    Passwords are hashed on purpose slowly, so signing in has threads of its own, as many as there are cores, and cannot
    hold up the rest; so have the health checks, which must be answered when the queue is long, and the pictures from the
    door, of which twenty at once must not keep anybody from accepting an order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware(is_async=False)
        waiting = settings.MAX_REQUESTS_WAITING
        self.requests = Lane("request", threads=settings.MAX_REQUESTS_AT_ONCE, waiting=waiting)
        self.sign_ins = Lane("sign-in", threads=os.cpu_count() or 2, waiting=waiting)
        self.operations = Lane("operations", threads=2, waiting=50)
        self.proofs = Lane(
            "proof",
            threads=settings.MAX_PROOFS_AT_ONCE,
            waiting=settings.MAX_PROOFS_WAITING,
            heavy=True,
            # It took long to come here, and the app does not give it up.
            patience=dict.fromkeys(Rank, PROOF_PATIENCE_SECONDS),
        )

    def close(self) -> None:
        for lane in (self.requests, self.sign_ins, self.operations, self.proofs):
            lane.close()

    def _lane(self, path: str) -> Lane:
        if path in SIGN_IN:
            return self.sign_ins
        if PROOFS.fullmatch(path):
            return self.proofs
        return self.operations if path in OPERATIONS else self.requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        lane, rank = self._lane(scope["path"]), rank_of(scope["method"], scope["path"])
        try:
            lane.check_room(rank)
            with lane.arrival():
                whole = await self._read(scope, receive)
            with whole as body:
                await self._answer(lane, rank, scope, body, receive, send)
        except Refused as refusal:
            await self._send_whole(refusal.response, send)
        except Gone:
            return

    async def _read(self, scope: Scope, receive: Receive) -> IO[bytes]:
        """The whole body. Raises Refused when it is too large or too slow, Gone when it never ends."""
        headers = dict(scope["headers"])
        # Spooled: a large upload goes to disk. Small writes to the page cache do not hold up the loop.
        body: IO[bytes] = SpooledTemporaryFile(max_size=BODY_IN_MEMORY)  # noqa: SIM115 (the caller closes it)
        declared = headers.get(b"content-length", b"")
        if not declared and b"transfer-encoding" not in headers:
            return body
        limit, seconds = self._allowance(scope["path"], headers)
        if declared.isdigit() and int(declared) > limit:
            raise _too_large(limit)
        length, more = 0, True
        try:
            async with asyncio.timeout(seconds):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Gone
                    length += len(message.get("body", b""))
                    if length > limit:
                        raise _too_large(limit)
                    body.write(message.get("body", b""))
                    more = message.get("more_body", False)
        except TimeoutError:
            raise Refused(408, "timeout", "The request's body did not arrive in time.") from None
        body.seek(0)
        if not declared:
            # Everything behind here believes the length, not the encoding of the transfer.
            scope["headers"] = [*scope["headers"], (b"content-length", b"%d" % length)]
        return body

    @staticmethod
    def _allowance(path: str, headers: dict[bytes, bytes]) -> tuple[int, int]:
        """How many bytes a body may have, and how many seconds it may take."""
        if path.startswith(UPLOADS):
            return settings.MAX_UPLOAD_BYTES, BODY_SECONDS
        if PROOFS.fullmatch(path) and b"authorization" in headers:
            return settings.MAX_PROOF_BYTES, PROOF_SECONDS
        return settings.MAX_BODY_BYTES, BODY_SECONDS

    async def _answer(
        self, lane: Lane, rank: Rank, scope: Scope, body: IO[bytes], receive: Receive, send: Send
    ) -> None:
        loop = asyncio.get_running_loop()
        gone = asyncio.ensure_future(_disconnect(receive))
        try:
            # Who hangs up while waiting is never begun.
            await lane.turn(rank, gone)
            work = lane.submit(rank, loop, self._run, scope, body, loop, send)
            response = await asyncio.wrap_future(work, loop=loop)
        finally:
            gone.cancel()
        if response is not None:
            await self._send_whole(response, send)

    def _run(self, scope: Scope, body: IO[bytes], loop: AbstractEventLoop, send: Send) -> HttpResponseBase | None:
        """In a thread: the response, closed; None if it was a stream, which is sent from here."""
        signals.request_started.send(sender=self.__class__, scope=scope)
        set_script_prefix(get_script_prefix(scope))
        try:
            request = ASGIRequest(scope, body)
        except UnicodeDecodeError:
            return problem_response(400, "invalid", "The address is not valid UTF-8.")
        except RequestDataTooBig:
            return problem_response(413, "too_large", "The request is larger than this server takes.")
        response = self.get_response(request)
        try:
            if not response.streaming:
                return response
            self._stream(response, loop, send)
            return None
        finally:
            response.close()

    def _stream(self, response: Any, loop: AbstractEventLoop, send: Send) -> None:
        def deliver(message: dict[str, Any]) -> None:
            asyncio.run_coroutine_threadsafe(_call(send, message), loop).result(CHUNK_SECONDS)

        try:
            deliver(_start(response))
            chunks: Iterator[bytes] = iter(response)
            for chunk in chunks:
                deliver({"type": "http.response.body", "body": chunk, "more_body": True})
            deliver({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            log.warning("A client took its answer too slowly; it was cut short.")

    async def _send_whole(self, response: HttpResponseBase, send: Send) -> None:
        await send(_start(response))
        content = getattr(response, "content", b"")
        await send({"type": "http.response.body", "body": content, "more_body": False})


async def _disconnect(receive: Receive) -> None:
    """Returns when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _call(send: Send, message: dict[str, Any]) -> None:
    await send(message)


def _start(response: HttpResponseBase) -> dict[str, Any]:
    headers = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    headers += [
        (b"set-cookie", cookie.output(header="").encode("ascii").strip()) for cookie in response.cookies.values()
    ]
    return {"type": "http.response.start", "status": response.status_code, "headers": headers}


def _too_large(limit: int) -> Refused:
    return Refused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"The request's body may have at most {limit} bytes."
    )
