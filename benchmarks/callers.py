"""HTTP requests from a process of its own: raw asyncio on connections that stay open, so that it costs little itself.

Requests are finished bytes (`request`). `all` sends them as quickly as so many connections get answers; `paced` sends them
at a given rate whether or not earlier ones were answered, and counts from the moment that each was due.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

LOOPBACK = "127.0.0.1"


def request(method: str, path: str, token: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Line:
    """One connection, opened again when the server has closed it."""

    def __init__(self, port: int, source: str = "127.0.0.2") -> None:
        self.port, self.source = port, source
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, content: bytes) -> tuple[int, bytes]:
        """Status and body of the answer; status 0 when there was none."""
        try:
            if self.reader is not None and self.reader.at_eof():
                # Idle for so long that the proxy has closed it: every client looks before it writes.
                self.close()
            if self.reader is None or self.writer is None:
                self.reader, self.writer = await asyncio.open_connection(
                    LOOPBACK, self.port, local_addr=(self.source, 0)
                )
            self.writer.write(content)
            head = await self.reader.readuntil(b"\r\n\r\n")
            status, size, is_last = _head(head)
            body = await self.reader.readexactly(size)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return 0, b""
        if is_last:
            self.close()
        return status, body

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


def _head(head: bytes) -> tuple[int, int, bool]:
    size, is_last = 0, False
    lines = head.split(b"\r\n")
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
        elif name.lower() == b"connection":
            is_last = value.strip().lower() == b"close"
    return int(lines[0].split(b" ", 2)[1]), size, is_last


class Said:
    """What was answered: how often with which status, and the seconds that each took."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.took: list[float] = []

    def add(self, status: int, seconds: float) -> None:
        self.statuses[status] += 1
        self.took.append(seconds)


async def send_all(ports: Sequence[int], requests: Sequence[bytes], connections: int) -> Said:
    said, waiting = Said(), iter(requests)

    async def go_on(number: int) -> None:
        line = Line(ports[number % len(ports)])
        for content in waiting:
            began = time.monotonic()
            status, _ = await line.ask(content)
            said.add(status, time.monotonic() - began)
        line.close()

    await asyncio.gather(*(go_on(number) for number in range(connections)))
    return said


async def send_paced(ports: Sequence[int], requests: Sequence[bytes], rate: float, connections: int) -> Said:
    """At most so many are under way at a time; those that wait for a connection count from when they were due."""
    said = Said()
    lines: asyncio.LifoQueue[Line] = asyncio.LifoQueue()
    for number in range(connections):
        lines.put_nowait(Line(ports[number % len(ports)]))

    async def one(content: bytes, due: float) -> None:
        line = await lines.get()
        status, _ = await line.ask(content)
        said.add(status, time.monotonic() - due)
        lines.put_nowait(line)

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number, content in enumerate(requests):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(one(content, due))
    while not lines.empty():
        lines.get_nowait().close()
    return said


def _main(pipe: Connection, ports: Sequence[int]) -> None:
    while (order := pipe.recv()) is not None:
        verb, *arguments = order
        send: Any = send_all if verb == "all" else send_paced
        began, cpu = time.monotonic(), time.process_time()
        said = asyncio.run(send(ports, *arguments))
        pipe.send(
            {
                "statuses": dict(said.statuses),
                "took": said.took,
                "seconds": time.monotonic() - began,
                "cpu": time.process_time() - cpu,
            }
        )


class Callers:
    """The parent's side: `callers("all", requests, 16)`, `callers("paced", requests, 200.0, 64)`; `start` does not wait for
    the answer."""

    def __init__(self, *ports: int) -> None:
        self.pipe, theirs = get_context("spawn").Pipe()
        self.child = get_context("spawn").Process(target=_main, args=(theirs, ports), daemon=True)
        self.child.start()

    def __call__(self, verb: str, *arguments: Any) -> Any:
        self.start(verb, *arguments)
        return self.answer()

    def start(self, verb: str, *arguments: Any) -> None:
        self.pipe.send((verb, *arguments))

    def answer(self) -> Any:
        return self.pipe.recv()

    def close(self) -> None:
        self.pipe.send(None)
        self.child.join(10)
