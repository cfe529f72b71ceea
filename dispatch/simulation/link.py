"""A driver's socket: heartbeats, and coming back when it is lost. What is said over it is the driver's business."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
import msgspec

from dispatch.simulation.clock import Clock
from dispatch.simulation.doors import NETWORK_ERRORS, Doors, SignedOut, full_jitter
from dispatch.simulation.tally import Tally
from dispatch.simulation.tracks import Whereabouts

#: Close codes that mean "sign in again" and "you are suspended" (dispatch/consumers/frames.py).
CLOSED_FOR_GOOD = {4001, 4003}
#: However fast the simulation, no app tells its position more often, real seconds.
SOONEST_POSITION = 1.0
LONGEST_PAUSE = 15.0
#: A socket that held this long was a good one: the next attempt comes without delay.
HELD_WELL = 30.0


class Link:
    def __init__(
        self,
        *,
        token: str,
        doors: Doors,
        tally: Tally,
        clock: Clock,
        whereabouts: Whereabouts,
        heartbeat_s: float,
        moments: Sequence[float],
        hear: Callable[[dict[str, Any], float], None],
    ) -> None:
        self.token, self.doors, self.tally, self.clock = token, doors, tally, clock
        self.whereabouts, self.heartbeat_s, self.moments = whereabouts, heartbeat_s, moments
        self._hear = hear
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._beats = 0
        #: When the oldest heartbeat was sent that has no answer yet, monotonic seconds.
        self._unanswered_since: float | None = None

    async def keep(self) -> None:
        """Stay connected for ever. Raises SignedOut."""
        attempt = 0
        while True:
            try:
                socket = await self.doors.open_socket(self.token)
            except NETWORK_ERRORS as error:
                self.tally.error(f"socket not opened: {type(error).__name__}")
                attempt += 1
                await asyncio.sleep(full_jitter(attempt, longest=LONGEST_PAUSE))
                continue
            opened = time.monotonic()
            why = await self._use(socket)
            # Nobody asked for its end, or this task would have been cancelled.
            self.tally.lost_sockets[why] += 1
            if socket.close_code in CLOSED_FOR_GOOD:
                raise SignedOut(why)
            attempt = 0 if time.monotonic() - opened > HELD_WELL else attempt + 1
            await asyncio.sleep(full_jitter(attempt, longest=LONGEST_PAUSE))

    async def _use(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        self.tally.sockets_opened += 1
        self.tally.sockets_open += 1
        self._socket, self._unanswered_since = socket, None
        beating = asyncio.create_task(self._beat(socket))
        try:
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    received = time.time()
                    message = msgspec.json.decode(frame.data)
                    if message["type"] == "heartbeat_ack":
                        self._unanswered_since = None
                        self.tally.acknowledged += 1
                    self._hear(message, received)
        finally:
            self._socket = None
            self.tally.sockets_open -= 1
            beating.cancel()
            await socket.close()
        if self._is_silent():
            return "two heartbeats without an answer"
        return f"closed with {socket.close_code}"

    def _is_silent(self) -> bool:
        since = self._unanswered_since
        return since is not None and time.monotonic() - since >= 2 * self.heartbeat_s

    async def _beat(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Heartbeats: at once, at the moments, and never longer apart than `heartbeat_s`."""
        moments = iter(self.moments)
        due = next(moments, None)
        while not self._is_silent():
            await self.tell_position()
            while due is not None and due <= self.clock.now():
                due = next(moments, None)
            wait = self.heartbeat_s
            if due is not None:
                wait = min(wait, max(self.clock.real(due - self.clock.now()), SOONEST_POSITION))
            await asyncio.sleep(wait)
        await socket.close()

    async def tell_position(self) -> None:
        now = self.clock.now()
        here = self.whereabouts.at(now)
        degrees, speed = self.whereabouts.motion(now)
        self._beats += 1
        frame: dict[str, Any] = {
            "type": "heartbeat",
            "lat": round(here.lat, 6),
            "lng": round(here.lng, 6),
            "accuracy_m": 8,
            "speed_mps": round(speed, 1),
            "id": self._beats,
        }
        if degrees is not None:
            frame["heading"] = round(degrees) % 360
        if self._unanswered_since is None:
            self._unanswered_since = time.monotonic()
        self.tally.heartbeats += 1
        await self.send(frame)

    async def send(self, frame: dict[str, Any]) -> None:
        if self._socket is not None and not self._socket.closed:
            # If it is just being lost, the listening side finds out why.
            with contextlib.suppress(*NETWORK_ERRORS, RuntimeError):
                await self._socket.send_str(msgspec.json.encode(frame).decode())
