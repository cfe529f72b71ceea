"""One per process: hears what is published (dispatch/live.py) and finds the addressees among its own sockets.

It hears each group once (subscription.py), whatever the number of sockets: 20,000 of them cost one subscription. When
messages were lost there, it tells those who may have missed something to `resync`, spread over a few seconds.
"""

import asyncio
import logging
import random
from collections.abc import Collection, Iterator
from functools import partial
from itertools import chain
from typing import Any, Protocol
from uuid import uuid4

from dispatch import live, shards
from dispatch.consumers import frames
from dispatch.consumers.board import Board
from dispatch.consumers.frames import Close
from dispatch.consumers.heartbeats import Gathered
from dispatch.consumers.places import SOCKETS_PER_DRIVER, Places
from dispatch.consumers.standing import Standing
from dispatch.consumers.subscription import Subscription
from dispatch.consumers.viewers import Viewers

log = logging.getLogger(__name__)

#: `resync` makes every socket read its snapshot again: so many a second, but within so many seconds.
RESYNCS_PER_SECOND = 500
RESYNC_SECONDS = 5.0
#: When another process takes over: so many sockets a second are told to reconnect, within so many seconds.
PARTINGS_PER_SECOND = 200
PARTING_SECONDS = 20.0


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
        self._subscriptions: dict[str, Subscription] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._looks: set[asyncio.Task[None]] = set()

    @property
    def hears(self) -> bool:
        """Whether what is published to dispatchers arrives here, as far as the canary tells."""
        group = self._subscriptions.get(shards.DISPATCHERS)
        return group is None or group.hears

    # --- Sockets come and go ---

    async def join(self, socket: Listener) -> None:
        """Push to this driver's socket from now on."""
        sockets = self.drivers.setdefault(socket.driver_id, [])
        sockets.append(socket)
        if len(sockets) > SOCKETS_PER_DRIVER:
            sockets[0].shut(Close.REPLACED)
        socket.place = self.places.take(socket.driver_id)
        self.standing.start()
        await self._listen(shards.group_of(socket.driver_id))

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
        await self._listen(shards.DISPATCHERS)

    def leave_board(self, socket: Watcher) -> None:
        self.watchers.discard(socket)
        self.viewers.left(socket)
        if not self.watchers and (group := self._subscriptions.pop(shards.DISPATCHERS, None)):
            # Nobody here needs the positions of all drivers any more, and whoever comes next looks anew.
            self.board.forget()
            task = asyncio.create_task(group.end())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _listen(self, group: str) -> None:
        """Hear the group; returns when its messages are sure to arrive, or soon if Redis is away."""
        if group not in self._subscriptions:
            self._subscriptions[group] = Subscription(self.id, group, self._take, partial(self.resync, group))
        await self._subscriptions[group].ready()

    # --- What is heard ---

    def _take(self, message: dict[str, Any]) -> None:
        if "to" in message:
            self._deliver(message)
        elif "moved" in message:
            self.board.moved(message["moved"])
        elif "changed" in message:
            self.board.changed(message["changed"])
        elif "text" in message:
            # A process of the version before, which this one replaces, does not say which order.
            if "order" in message:
                self.board.heard(message["order"], message["version"])
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

    def resync(self, group: str) -> None:
        """Tell every socket here that depends on this group to read everything anew, not all at once."""
        text = frames.resync()
        everybody = list(self._hearers(group))
        spread = min(RESYNC_SECONDS, len(everybody) / RESYNCS_PER_SECOND)
        loop = asyncio.get_running_loop()
        for socket in everybody:
            loop.call_later(random.uniform(0, spread), socket.push, text)

    def part(self) -> float:
        """Tell every socket here to reconnect, because this process is about to end; seconds until the last was told."""
        everybody: list[Listener | Watcher] = [*self.watchers, *chain.from_iterable(self.drivers.values())]
        spread = min(PARTING_SECONDS, len(everybody) / PARTINGS_PER_SECOND)
        loop = asyncio.get_running_loop()
        for socket in everybody:
            loop.call_later(random.uniform(0, spread), socket.shut, Close.RESTART)
        return spread

    def _hearers(self, group: str) -> Iterator[Listener | Watcher]:
        if group == shards.DISPATCHERS:
            yield from self.watchers
            return
        for driver_id, sockets in self.drivers.items():
            if shards.group_of(driver_id) == group:
                yield from sockets


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def hub() -> Hub:
    """The hub of the running event loop; a server process has one."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
