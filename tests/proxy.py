"""A TCP proxy that treats connections as a mobile network does: cuts them, freezes them half-open, delays them, loses an
answer after the request went through.

It runs in a thread of its own with its own event loop, so that a test may call it from anywhere:

    with Proxy(server.port) as network:
        network.cut()             # every connection is gone, and no new one comes through
        network.freeze()          # connections stay open; nothing goes through, in either direction
        network.restore()
        network.lose_answers(1, "POST /api/v1/orders/")   # the server hears the next such request; its answer is cut
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

PIECE = 64 * 1024
#: A reset instead of an orderly end: what a client sees of a network that goes away.
LINGER_NOTHING = struct.pack("ii", 1, 0)


@dataclass
class _Loss:
    """Answers to be lost: to so many more requests that begin with this text."""

    left: int
    start: bytes


@dataclass(eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    #: The answer to what was asked last is to be lost.
    is_doomed: bool = False
    is_gone: bool = False

    def abort(self) -> None:
        self.is_gone = True
        for writer in (self.client, self.server):
            with suppress(OSError):
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOTHING)
            writer.transport.abort()


class Proxy:
    """Between a client and the server on this port of this machine. Everything is allowed until somebody says otherwise."""

    def __init__(self, to_port: int) -> None:
        self.to_port = to_port
        self.port = 0
        #: Beginnings of the requests that went through: `POST /api/v1/…`.
        self.requests: list[str] = []
        self.lost = 0
        self._delay = 0.0
        self._is_cut = False
        self._losses: list[_Loss] = []
        self._replaced: list[tuple[bytes, bytes]] = []
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=PIECE))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async def end() -> None:
            self._server.close()
            self._is_cut, self._delay = True, 0.0
            self._flowing.set()
            self._abort_all()
            await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)
            # Transports say goodbye in turns of the loop after they were aborted.
            for _ in range(5):
                await asyncio.sleep(0)

        self._call(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    # --- What a test says ---

    def cut(self) -> None:
        """Every connection is reset, and new ones are, too, until `restore`."""

        async def change() -> None:
            self._is_cut = True
            self._abort_all()

        self._call(change())

    def drop(self) -> None:
        """Every connection is reset, once; new ones go through."""

        async def change() -> None:
            self._abort_all()

        self._call(change())

    def freeze(self) -> None:
        """Half-open: connections stay, new ones are taken, and nothing goes through them until `restore`."""

        async def change() -> None:
            self._flowing.clear()

        self._call(change())

    def restore(self) -> None:
        """As at the beginning; what is frozen goes on."""

        async def change() -> None:
            self._is_cut, self._delay = False, 0.0
            self._losses.clear()
            self._flowing.set()

        self._call(change())

    def delay(self, seconds: float) -> None:
        """Everything takes so much longer, in each direction."""
        self._delay = seconds

    def lose_answers(self, count: int, start: str = "POST ") -> None:
        """The next requests that begin like this reach the server whole; in place of the answer the connection is cut."""
        self._losses.append(_Loss(count, start.encode()))

    def replace(self, text: bytes, instead: bytes) -> None:
        """In every answer from now on, other bytes of the same length: another version of the server."""
        assert len(text) == len(instead), "the length of the answer has been told already"
        self._replaced.append((text, instead))

    @property
    def open(self) -> int:
        """Connections right now."""
        return len(self._connections)

    # --- Inside ---

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _abort_all(self) -> None:
        for connection in list(self._connections):
            connection.abort()
        self._connections.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.to_port, limit=PIECE)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(client=writer, server=to_server)
        self._connections.add(connection)
        await asyncio.gather(
            self._pump(reader, to_server, connection, is_request=True),
            self._pump(from_server, writer, connection, is_request=False),
        )
        connection.abort()
        self._connections.discard(connection)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, connection: _Connection, *, is_request: bool
    ) -> None:
        try:
            while piece := await source.read(PIECE):
                if self._delay:
                    await asyncio.sleep(self._delay)
                await self._flowing.wait()
                if connection.is_gone:
                    return
                if is_request:
                    self._look(piece, connection)
                elif connection.is_doomed:
                    self.lost += 1
                    connection.abort()
                    return
                else:
                    for text, instead in self._replaced:
                        piece = piece.replace(text, instead)
                sink.write(piece)
                await sink.drain()
            with suppress(OSError):
                sink.write_eof()
        except (OSError, RuntimeError):
            connection.abort()

    def _look(self, piece: bytes, connection: _Connection) -> None:
        """A request begins with its line at the beginning of a piece: clients here do not pipeline."""
        line, separator, _ = piece.partition(b"\r\n")
        if not separator or not line.endswith(b"HTTP/1.1"):
            return
        self.requests.append(line.removesuffix(b" HTTP/1.1").decode("latin-1"))
        for loss in self._losses:
            if loss.left > 0 and line.startswith(loss.start):
                loss.left -= 1
                connection.is_doomed = True
