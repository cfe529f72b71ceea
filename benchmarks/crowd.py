"""Thousands of drivers' sockets in a process of their own: raw asyncio without a library, so that it costs little itself.

The parent gives orders through a pipe and gets an answer to each (`Crowd`). Sockets come from several addresses, because
from one to one only 28,000 connections are possible. Frames are sent with a mask of zeros, which is a valid mask.
"""

import asyncio
import base64
import json
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

#: How many addresses of this machine the sockets are spread over.
SOURCES = 8
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def frame(opcode: int, payload: bytes) -> bytes:
    """One masked frame."""
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes((0x80 | opcode,)) + length + b"\0\0\0\0" + payload


class Socket(asyncio.Protocol):
    """A client's end. `on_text` gets each whole text frame."""

    def __init__(self, address: str, path: str, token: str, on_text: Callable[["Socket", bytes], None]) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self.request = (
            f"GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n"
        ).encode()
        self.token = token
        self.on_text = on_text
        self.buffer = b""
        self.is_open = False
        self.transport: asyncio.Transport | None = None
        #: The handshake is done, and the first frame is there (False: it came to nothing).
        self.opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.first: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.sent_at: deque[float] = deque()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.is_open:
            head, mark, rest = self.buffer.partition(b"\r\n\r\n")
            if not mark:
                return
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                self.lost()
                return
            self.is_open, self.buffer = True, rest
            self.opened.set_result(True)
        while (size := len(self.buffer)) >= 2:
            length, start = self.buffer[1] & 0x7F, 2
            if length == 126:
                if size < 4:
                    return
                length, start = int.from_bytes(self.buffer[2:4], "big"), 4
            elif length == 127:
                if size < 10:
                    return
                length, start = int.from_bytes(self.buffer[2:10], "big"), 10
            if size < start + length:
                return
            opcode, payload = self.buffer[0] & 0x0F, self.buffer[start : start + length]
            self.buffer = self.buffer[start + length :]
            if opcode == TEXT:
                if not self.first.done():
                    self.first.set_result(True)
                self.on_text(self, payload)
            elif opcode == PING:
                self.send(PONG, payload)
            elif opcode == CLOSE:
                self.lost()
                return

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        for waited_for in (self.opened, self.first):
            if not waited_for.done():
                waited_for.set_result(False)

    def send(self, opcode: int, payload: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(frame(opcode, payload))

    def lost(self) -> None:
        if self.transport is not None:
            self.transport.abort()


def _itself(socket: Socket) -> Socket:
    return socket


class Process:
    """The child's side: all sockets, and what they have heard."""

    def __init__(self, host: str, port: int, path: str, tokens: Sequence[str], echoes: bool) -> None:
        self.host, self.port, self.path, self.tokens, self.echoes = host, port, path, tokens, echoes
        self.sockets: list[Socket] = []
        self.answers: list[float] = []
        self.offers: list[tuple[str, float]] = []
        self.again = False
        #: The first of its addresses; several crowds take different ones.
        self.source = 0
        self.beating: asyncio.Task[None] | None = None

    def beat(self, number: int, socket: Socket) -> None:
        now = time.monotonic()
        socket.sent_at.append(now)
        spread = (number * 7919 % 1000 - 500) / 10_000
        text = f'{{"type":"heartbeat","lat":{37.77 + spread:.6f},"lng":{-122.42 - spread:.6f},"id":{number}}}'
        socket.send(TEXT, text.encode())

    def heard(self, socket: Socket, payload: bytes) -> None:
        now = time.monotonic()
        if payload.startswith(b'{"type":"heartbeat') or self.echoes:
            if socket.sent_at:
                self.answers.append(now - socket.sent_at.popleft())
                if self.again:
                    self.beat(id(socket) % 1000, socket)
        elif payload.startswith(b'{"type":"offer","'):
            self.offers.append((json.loads(payload)["offer"]["order"], now))

    async def connect(self, at_once: int) -> dict[str, float]:
        """Everybody connects, at most so many at a time, and waits for the snapshot."""
        loop, turns, failed = asyncio.get_running_loop(), asyncio.Semaphore(at_once), 0
        waits: list[float] = []

        async def one(number: int, token: str) -> None:
            nonlocal failed
            async with turns:
                began = time.monotonic()
                for _ in range(20):
                    socket = Socket(f"{self.host}:{self.port}", self.path, token, self.heard)
                    source = (f"127.0.0.{2 + self.source + number % SOURCES}", 0)
                    with suppress(OSError):
                        await loop.create_connection(partial(_itself, socket), self.host, self.port, local_addr=source)
                        if await socket.opened and self.echoes:
                            self.beat(number, socket)
                        if await socket.first:
                            self.sockets.append(socket)
                            waits.append(time.monotonic() - began)
                            return
                    failed += 1
                    await asyncio.sleep(0.5)

        began = time.monotonic()
        await asyncio.gather(*(one(number, token) for number, token in enumerate(self.tokens)))
        waits.sort()
        return {
            "seconds": time.monotonic() - began,
            "open": len(self.sockets),
            "failed": failed,
            "slowest": waits[-1] if waits else 0.0,
        }

    async def saturate(self, outstanding: int, seconds: float) -> dict[str, Any]:
        """Everybody sends the next heartbeat as soon as one is answered; how many answers came."""
        for socket in self.sockets:
            socket.sent_at.clear()
        self.again = True
        for number, socket in enumerate(self.sockets):
            for _ in range(outstanding):
                self.beat(number, socket)
        # Not the first moment, when everybody begins at once.
        await asyncio.sleep(min(2.0, seconds / 4))
        self.answers.clear()
        began, cpu = time.monotonic(), time.process_time()
        await asyncio.sleep(seconds)
        count, took = len(self.answers), time.monotonic() - began
        sample = self.answers[:: max(1, count // 20_000)]
        self.again = False
        return {"count": count, "seconds": took, "latencies": sample, "cpu": time.process_time() - cpu}

    async def pace(self, every: float) -> None:
        """One heartbeat of everybody each so many seconds, evenly spread."""

        async def on() -> None:
            number, began, sent = 0, time.monotonic(), 0
            while True:
                due = int((time.monotonic() - began) / every * len(self.sockets))
                while sent < due:
                    socket = self.sockets[number % len(self.sockets)]
                    if socket.is_open:
                        self.beat(number % len(self.sockets), socket)
                    number, sent = number + 1, sent + 1
                await asyncio.sleep(0.02)

        self.beating = asyncio.create_task(on())

    async def take(self) -> dict[str, Any]:
        """What was heard since the last time, and how many sockets are still open."""
        answers, self.answers = self.answers, []
        offers, self.offers = self.offers, []
        return {
            "answers": answers,
            "offers": offers,
            "open": sum(socket.is_open for socket in self.sockets),
            "cpu": time.process_time(),
        }

    async def drop(self) -> int:
        """The network goes away: every connection is cut, without a word."""
        if self.beating is not None:
            self.beating.cancel()
        dropped = len(self.sockets)
        for socket in self.sockets:
            socket.lost()
        self.sockets.clear()
        await asyncio.sleep(0)
        return dropped


async def _serve(
    pipe: Connection,
    kind: type[Process],
    source: int,
    host: str,
    port: int,
    path: str,
    tokens: Sequence[str],
    echoes: bool,
) -> None:
    crowd = kind(host, port, path, tokens, echoes)
    crowd.source = source
    while (order := await asyncio.to_thread(pipe.recv)) is not None:
        verb, *arguments = order
        pipe.send(await getattr(crowd, verb)(*arguments))
    await crowd.drop()


def _main(pipe: Connection, kind: type[Process], *arguments: Any) -> None:
    asyncio.run(_serve(pipe, kind, *arguments))


class Crowd:
    """The parent's side: `crowd("connect", 50)` waits for the answer; `start` and `answer` do not."""

    def __init__(
        self,
        port: int,
        tokens: Sequence[str],
        *,
        path: str = "/ws/driver/",
        echoes: bool = False,
        kind: type[Process] = Process,
        source: int = 0,
    ) -> None:
        self.pipe, theirs = get_context("spawn").Pipe()
        self.child = get_context("spawn").Process(
            target=_main, args=(theirs, kind, source, "127.0.0.1", port, path, list(tokens), echoes), daemon=True
        )
        self.child.start()

    def __call__(self, verb: str, *arguments: Any) -> Any:
        self.start(verb, *arguments)
        return self.answer()

    def start(self, verb: str, *arguments: Any) -> None:
        self.pipe.send((verb, *arguments))

    def answer(self) -> Any:
        return self.pipe.recv()

    def close(self) -> None:
        with suppress(OSError):
            self.pipe.send(None)
        self.child.join(10)
        if self.child.is_alive():
            self.child.kill()
