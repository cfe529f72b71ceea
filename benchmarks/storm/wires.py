"""A TCP proxy between two parts, and the ways in which a network misbehaves."""

import asyncio
import contextlib
import socket
import struct
from enum import Enum

CHUNK = 65536


class Mood(Enum):
    #: Whatever comes goes on.
    WELL = "well"
    #: Whatever comes goes on later.
    SLOW = "slow"
    #: Nothing moves and nothing is said: a half-open connection. New ones are taken, and freeze too.
    FROZEN = "frozen"
    #: Requests go through; what comes back is thrown away.
    DEAF = "deaf"
    #: New connections are refused.
    CUT = "cut"


class Wire:
    """Listens on a port of its own and passes everything on to the other side, as far as its mood lets it."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        #: Where it leads.
        self.port = port
        #: Where it listens.
        self.here = 0
        self.mood = Mood.WELL
        self.delay_s = 0.0
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=512)
        self.here = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def set(self, mood: Mood, delay_s: float = 0.0) -> None:
        self.mood, self.delay_s = mood, delay_s
        if mood is Mood.FROZEN:
            self._thawed.clear()
        else:
            self._thawed.set()
        if mood is Mood.CUT:
            self.cut()

    def cut(self) -> None:
        """End every connection the hard way: both ends get a reset, with whatever was under way lost."""
        for writer in list(self._open):
            _reset(writer)
        self._open.clear()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mood is Mood.CUT:
            _reset(writer)
            return
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            _reset(writer)
            return
        self._open |= {writer, there_writer}
        ways = [
            asyncio.create_task(self._pass(reader, there_writer, back=False)),
            asyncio.create_task(self._pass(there_reader, writer, back=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # When one side has ended, the other's last words have arrived or never will.
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for side in (writer, there_writer):
                self._open.discard(side)
                with contextlib.suppress(OSError, RuntimeError):
                    side.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if self.mood is Mood.SLOW:
                    await asyncio.sleep(self.delay_s)
                await self._thawed.wait()
                if back and self.mood is Mood.DEAF:
                    continue
                writer.write(data)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    plug = writer.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError, RuntimeError):
        writer.transport.abort()
