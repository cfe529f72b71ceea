"""One per process: hears what is published (dispatch/live.py) and finds the addressees among its own sockets.

It owns one channel of the channel layer, whatever the number of sockets: 20,000 of them cost one subscription. The layer
subscribes again by itself after Redis was away, but what was published meanwhile is gone without an error. Three things
tell that messages were lost, and then the hub tells its sockets to `resync`, spread over a few seconds:

- the subscription's connection was made anew;
- a message is missing: each carries its publisher's running number;
- the canary stayed away, a message of the hub's own every CANARY_SECONDS: Redis stood still, or nobody could reach it.
"""

import asyncio
import logging
import random
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any, Protocol
from uuid import uuid4
from weakref import WeakSet

from channels.layers import get_channel_layer

from dispatch import live
from dispatch.consumers import frames
from dispatch.consumers.board import Board
from dispatch.consumers.frames import Close
from dispatch.consumers.heartbeats import Gathered
from dispatch.consumers.places import SOCKETS_PER_DRIVER, Places
from dispatch.consumers.standing import Standing
from dispatch.consumers.viewers import Viewers

log = logging.getLogger(__name__)

CANARY_SECONDS = 2.0
#: How long a new socket waits for the subscription, so that nothing is lost between its snapshot and the first push.
SUBSCRIBE_SECONDS = 1.0
#: `resync` makes every socket read its snapshot again: so many a second, but within so many seconds.
RESYNCS_PER_SECOND = 500
RESYNC_SECONDS = 5.0
#: When another process takes over: so many sockets a second are told to reconnect, within so many seconds.
PARTINGS_PER_SECOND = 200
PARTING_SECONDS = 20.0
#: Messages taken in one go before the sockets get to write.
MESSAGES_IN_A_ROW = 16
#: Publishers remembered; a process that restarts is a new one.
PUBLISHERS = 1000


class Listener(Protocol):
    """A driver's socket, as the hub sees it."""

    driver_id: int
    digest: str
    place: str

    def push(self, text: str, offers: tuple[str, ...] = ()) -> None: ...
    def reply(self, text: str) -> None: ...
    def shut(self, code: Close) -> None: ...


class Watcher(Protocol):
    """A dispatcher's socket, as the hub sees it."""

    user_id: int
    user_name: str
    session_key: str

    def push(self, text: str) -> None: ...
    def push_drivers(self, text: str) -> None: ...
    def shut(self, code: Close) -> None: ...


class Hub:
    def __init__(self) -> None:
        self.id = uuid4().hex[:12]
        #: Oldest first.
        self.drivers: dict[int, list[Listener]] = {}
        self.watchers: set[Watcher] = set()
        self.gathered = Gathered()
        self.board = Board(self.watchers)
        self.viewers = Viewers(self.id, self.watchers)
        self.standing = Standing(self.drivers, self.watchers)
        self.places = Places(self.id, self._make_room)
        self._layer = get_channel_layer()
        self._channel: str | None = None
        self._wanted: set[str] = set()
        #: Set when the group's canary has come back since the hub joined it.
        self._heard: dict[str, asyncio.Event] = {}
        self._poke = asyncio.Event()
        self._canary = 0
        self._came_back = 0
        self._is_away = False
        self._has_lost = False
        self._numbers: dict[str, int] = {}
        #: Those that say when they are made anew.
        self._connections: WeakSet[Any] = WeakSet()
        self._tasks: list[asyncio.Task[None]] = []
        self._looks: set[asyncio.Task[None]] = set()

    @property
    def hears(self) -> bool:
        """Whether what is published arrives here, as far as the canary tells."""
        return not self._is_away

    # --- Sockets come and go ---

    async def join(self, socket: Listener) -> None:
        """Push to this driver's socket from now on."""
        sockets = self.drivers.setdefault(socket.driver_id, [])
        sockets.append(socket)
        if len(sockets) > SOCKETS_PER_DRIVER:
            sockets[0].shut(Close.REPLACED)
        socket.place = self.places.take(socket.driver_id)
        self.standing.start()
        await self._listen(live.DRIVERS)

    def leave(self, socket: Listener) -> None:
        sockets = self.drivers.get(socket.driver_id, [])
        if socket in sockets:
            sockets.remove(socket)
            self.places.leave(socket.driver_id, socket.place)
            if not sockets:
                del self.drivers[socket.driver_id]

    async def join_board(self, socket: Watcher) -> None:
        """Push to this dispatcher's socket from now on."""
        self.watchers.add(socket)
        self.board.start()
        self.standing.start()
        await self._listen(live.DISPATCHERS)

    def leave_board(self, socket: Watcher) -> None:
        self.watchers.discard(socket)
        self.viewers.left(socket)
        if not self.watchers and live.DISPATCHERS in self._wanted:
            # Nobody here needs the positions of all drivers any more.
            self._wanted.discard(live.DISPATCHERS)
            self._poke.set()

    # --- The subscription ---

    async def _listen(self, group: str) -> None:
        """Hear the group; returns when its messages are sure to arrive, or soon if Redis is away."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._keep_listening())]
        if group not in self._wanted:
            self._wanted.add(group)
            self._heard[group] = asyncio.Event()
            self._poke.set()
        if not self._heard[group].is_set() and not self._is_away:
            with suppress(TimeoutError):
                async with asyncio.timeout(SUBSCRIBE_SECONDS):
                    await self._heard[group].wait()

    async def _keep_listening(self) -> None:
        """Join and leave groups as wanted, and send the canary, for ever."""
        joined: set[str] = set()
        while True:
            self._poke.clear()
            try:
                async with asyncio.timeout(CANARY_SECONDS):
                    await self._settle(joined)
                self._canary += 1
                for group in joined:
                    await asyncio.to_thread(live.canary, self.id, group, self._canary)
            except Exception as error:
                self._went_away(error)
            with suppress(TimeoutError):
                async with asyncio.timeout(CANARY_SECONDS):
                    await self._poke.wait()
            if joined and self._came_back < self._canary:
                self._went_away(None)

    async def _settle(self, joined: set[str]) -> None:
        if self._channel is None:
            self._channel = await self._layer.new_channel()
            self._tasks.append(asyncio.create_task(self._receive(self._channel)))
        for group in self._wanted - joined:
            await self._layer.group_add(group, self._channel)
            joined.add(group)
        for group in joined - self._wanted:
            await self._layer.group_discard(group, self._channel)
            joined.discard(group)
            self._heard.pop(group, None)
            self._numbers = {by: no for by, no in self._numbers.items() if not by.endswith(group)}
        for group in joined:
            # The layer has no word for this (its `on_reconnect` is never called): ask its connection itself.
            layer = self._layer._get_layer()
            connection = layer._get_shard(layer._get_group_channel_name(group))._pubsub.connection
            if connection is not None and connection not in self._connections:
                connection.register_connect_callback(self._connected_anew)
                self._connections.add(connection)

    def _connected_anew(self, connection: Any) -> None:
        self._has_lost = True
        # The canary's return will say that the subscription works again.
        self._poke.set()

    def _went_away(self, error: Exception | None) -> None:
        if not self._is_away:
            log.warning("Live push stands still: %r", error or "the canary did not come back")
        self._is_away = True

    async def _receive(self, channel: str) -> None:
        taken = 0
        while True:
            message = await self._layer.receive(channel)
            try:
                self._take(message)
            except Exception:
                # One odd message (another version of us, say) must not make everybody deaf.
                log.exception("A message could not be delivered")
            taken += 1
            if taken % MESSAGES_IN_A_ROW == 0:
                await asyncio.sleep(0)

    # --- What is heard ---

    def _take(self, message: dict[str, Any]) -> None:
        if not self._is_next(message["by"], message["no"]):
            return
        if "to" in message:
            self._deliver(message)
        elif "moved" in message:
            self.board.moved(message["moved"])
        elif "changed" in message:
            self.board.changed(message["changed"])
        elif "text" in message:
            for watcher in list(self.watchers):
                watcher.push(message["text"])
        elif "sign_out" in message:
            self._sign_out(message)
        elif "viewing" in message:
            self.viewers.take(message)
        elif "replaced" in message:
            self._replace(message["replaced"], message["places"])
        elif "staff" in message:
            self._look_again(message["staff"])
        elif message.get("canary") == self.id:
            self._canary_came_back(message["group"], message["number"])

    def _is_next(self, by: str, number: int) -> bool:
        """Keep count of what each publisher sent; False for a message that was here before."""
        last = self._numbers.pop(by, None)
        self._numbers[by] = number if last is None else max(last, number)
        if len(self._numbers) > PUBLISHERS:
            del self._numbers[next(iter(self._numbers))]
        if last is None:
            return True
        if number > last + 1:
            self._has_lost = True
        return number > last

    def _deliver(self, message: dict[str, Any]) -> None:
        text = message["text"]
        if "each" not in message:
            for driver_id in message["to"]:
                for socket in self.drivers.get(driver_id, ()):
                    socket.push(text)
            return
        tail, offers = message["tail"], (message["offer"],)
        for driver_id, own in zip(message["to"], message["each"], strict=True):
            for socket in self.drivers.get(driver_id, ()):
                socket.push(f"{text}{own}{tail}", offers)

    def _sign_out(self, message: dict[str, Any]) -> None:
        code = Close.SUSPENDED if message["suspended"] else Close.SIGNED_OUT
        for socket in list(self.drivers.get(message["sign_out"], ())):
            if message["digest"] in (None, socket.digest):
                socket.shut(code)

    def _make_room(self, driver_id: int, places: list[str]) -> None:
        """Sockets here and in other processes were replaced by newer ones."""
        self._replace(driver_id, places)
        if elsewhere := [place for place in places if not place.startswith(f"{self.id}:")]:
            asyncio.get_running_loop().run_in_executor(None, live.sockets_replaced, driver_id, elsewhere)

    def _replace(self, driver_id: int, places: Collection[str]) -> None:
        for socket in list(self.drivers.get(driver_id, ())):
            if socket.place in places:
                socket.shut(Close.REPLACED)

    def _look_again(self, user_id: int) -> None:
        if watching := [watcher for watcher in self.watchers if watcher.user_id == user_id]:
            task = asyncio.create_task(self.standing.check_sessions(watching))
            self._looks.add(task)
            task.add_done_callback(self._looked)

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("Sessions could not be checked: %s", error)

    def _canary_came_back(self, group: str, number: int) -> None:
        if group in self._heard:
            self._heard[group].set()
        self._came_back = max(self._came_back, number)
        if number < self._canary:
            return
        if self._is_away:
            log.warning("Live push goes on.")
        if self._is_away or self._has_lost:
            self._is_away = self._has_lost = False
            self.resync()

    def resync(self) -> None:
        """Tell every socket here to read everything anew, not all at once."""
        text = frames.resync()
        everybody = list(self._everybody())
        spread = min(RESYNC_SECONDS, len(everybody) / RESYNCS_PER_SECOND)
        loop = asyncio.get_running_loop()
        for socket in everybody:
            loop.call_later(random.uniform(0, spread), socket.push, text)

    def part(self) -> float:
        """Tell every socket here to reconnect, because this process is about to end; seconds until the last was told."""
        everybody = list(self._everybody())
        spread = min(PARTING_SECONDS, len(everybody) / PARTINGS_PER_SECOND)
        loop = asyncio.get_running_loop()
        for socket in everybody:
            loop.call_later(random.uniform(0, spread), socket.shut, Close.RESTART)
        return spread

    def _everybody(self) -> Iterator[Listener | Watcher]:
        yield from self.watchers
        for sockets in self.drivers.values():
            yield from sockets


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def hub() -> Hub:
    """The hub of the running event loop; a server process has one."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
