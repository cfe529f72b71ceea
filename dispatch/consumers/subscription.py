"""One group of the channel layer, as one process hears it, and how it notices that it does not.

The layer subscribes again by itself after Redis was away, but what was published meanwhile is gone without an error. Three
things tell that messages were lost:

- the subscription's connection was made anew;
- a message is missing: each carries its publisher's running number;
- the canary stayed away, a message of one's own every CANARY_SECONDS: Redis stood still, or nobody could reach it.

Each has a channel and a task of its own, on the Redis that carries the group: when one of several Redis servers is away,
what the others carry is heard.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4
from weakref import WeakSet

from channels.layers import get_channel_layer

from dispatch import live

log = logging.getLogger(__name__)

CANARY_SECONDS = 2.0
#: How long a new socket waits for the subscription, so that nothing is lost between its snapshot and the first push.
SUBSCRIBE_SECONDS = 1.0
#: Messages taken in one go before the sockets get to write.
MESSAGES_IN_A_ROW = 16
#: Publishers remembered; a process that restarts is a new one.
PUBLISHERS = 1000


class Subscription:
    def __init__(
        self, listener: str, group: str, take: Callable[[dict[str, Any]], None], resync: Callable[[], None]
    ) -> None:
        """`take` gets each message once; `resync` is called when some were lost and the next ones arrive again."""
        self.listener, self.group = listener, group
        self._take, self._resync = take, resync
        self._layer = get_channel_layer()
        self._channel: str | None = None
        self._is_joined = False
        #: The canary has come back since the group was joined.
        self._heard = asyncio.Event()
        self._poke = asyncio.Event()
        self._sent = self._came_back = 0
        self._is_away = False
        self._has_lost = False
        self._numbers: dict[str, int] = {}
        #: Those that say when they are made anew.
        self._connections: WeakSet[Any] = WeakSet()
        self._tasks = [asyncio.create_task(self._keep_listening())]

    @property
    def hears(self) -> bool:
        """Whether what is published arrives here, as far as the canary tells."""
        return not self._is_away

    async def ready(self) -> None:
        """Returns when the group's messages are sure to arrive, or soon if Redis is away."""
        if not self._heard.is_set() and not self._is_away:
            with suppress(TimeoutError):
                async with asyncio.timeout(SUBSCRIBE_SECONDS):
                    await self._heard.wait()

    async def end(self) -> None:
        """Hear it no more."""
        for task in self._tasks:
            task.cancel()
        if self._channel is not None:
            with suppress(Exception):
                async with asyncio.timeout(CANARY_SECONDS):
                    await self._layer.group_discard(self.group, self._channel)

    async def _keep_listening(self) -> None:
        """Join, and send the canary, for ever."""
        while True:
            self._poke.clear()
            try:
                async with asyncio.timeout(CANARY_SECONDS):
                    await self._settle()
                self._sent += 1
                await asyncio.to_thread(live.canary, self.listener, self.group, self._sent)
            except Exception as error:
                self._went_away(error)
            with suppress(TimeoutError):
                async with asyncio.timeout(CANARY_SECONDS):
                    await self._poke.wait()
            if self._is_joined and self._came_back < self._sent:
                self._went_away(None)

    async def _settle(self) -> None:
        # The layer has no word for any of this (its `on_reconnect` is never called, and `new_channel` may ask a Redis that
        # has nothing to do with the group): go one floor down.
        layer = self._layer._get_layer()
        shard = layer._get_shard(layer._get_group_channel_name(self.group))
        if self._channel is None:
            channel = f"{layer.prefix}specific.{uuid4().hex}"
            while layer._get_shard(channel) is not shard:
                channel = f"{layer.prefix}specific.{uuid4().hex}"
            await layer._subscribe_to_channel(channel)
            self._channel = channel
            self._tasks.append(asyncio.create_task(self._receive(channel)))
        if not self._is_joined:
            await self._layer.group_add(self.group, self._channel)
            self._is_joined = True
        connection = shard._pubsub.connection
        if connection is not None and connection not in self._connections:
            connection.register_connect_callback(self._connected_anew)
            self._connections.add(connection)

    def _connected_anew(self, connection: Any) -> None:
        self._has_lost = True
        # The canary's return will say that the subscription works again.
        self._poke.set()

    def _went_away(self, error: Exception | None) -> None:
        if not self._is_away:
            log.warning("Live push stands still in %s: %r", self.group, error or "the canary did not come back")
        self._is_away = True

    async def _receive(self, channel: str) -> None:
        taken = 0
        while True:
            message = await self._layer.receive(channel)
            try:
                self._look_at(message)
            except Exception:
                # One odd message (another version of us, say) must not make everybody deaf.
                log.exception("A message could not be delivered")
            taken += 1
            if taken % MESSAGES_IN_A_ROW == 0:
                await asyncio.sleep(0)

    def _look_at(self, message: dict[str, Any]) -> None:
        if not self._is_next(message["by"], message["no"]):
            return
        if "canary" not in message:
            self._take(message)
        elif message["canary"] == self.listener:
            self._canary_came_back(message["number"])

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

    def _canary_came_back(self, number: int) -> None:
        self._heard.set()
        self._came_back = max(self._came_back, number)
        if number < self._sent:
            return
        if self._is_away:
            log.warning("Live push goes on in %s.", self.group)
        if self._is_away or self._has_lost:
            self._is_away = self._has_lost = False
            self._resync()
