"""How many sockets a driver has, in all processes together: a sorted set in Redis per driver, oldest first.

Who comes and goes is gathered for a moment and written in one round trip, so that ten thousand who reconnect at once cost
a few. While Redis is away nothing is counted here, and each process still holds its own sockets to the limit (hub.py).
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

import redis

from drivers import redisdb

log = logging.getLogger(__name__)

#: Devices of one driver; the oldest makes room.
SOCKETS_PER_DRIVER = 5
GATHER_SECONDS = 0.05
#: A process says that it lives every so often; the places of one that has not for so long are free.
ALIVE_SECONDS = 20.0
FREE_SECONDS = 90
#: Places of a driver of whom nothing is heard any more.
FORGOTTEN_SECONDS = 48 * 3600

#: KEYS: the driver's places, this process's sign of life. ARGV: the place, how many there are, the start of all signs of
#: life, seconds. A place is `<process>:<number>`. Returns those that must make room, oldest first.
TAKE = f"""
local time = redis.call('TIME')
redis.call('SET', KEYS[2], 1, 'EX', {FREE_SECONDS})
redis.call('ZADD', KEYS[1], time[1] * 1000000 + time[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], {FORGOTTEN_SECONDS})
local excess = redis.call('ZCARD', KEYS[1]) - ARGV[2]
if excess <= 0 then return {{}} end
local living, gone = {{}}, {{}}
for _, place in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    local of = string.match(place, '^[^:]*')
    table.insert(redis.call('EXISTS', ARGV[3] .. of) == 1 and living or gone, place)
end
local replaced = {{}}
for number = 1, #living - ARGV[2] do
    table.insert(replaced, living[number])
    table.insert(gone, living[number])
end
if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
return replaced
"""


class Places:
    def __init__(self, process: str, replaced: Callable[[int, list[str]], None]) -> None:
        """`replaced` is told, on the loop, whose places were taken by newer sockets of the same driver."""
        self.process = process
        self._replaced = replaced
        self._numbers = 0
        #: (driver, place, whether it is taken or left), in the order in which it happened.
        self._waiting: list[tuple[int, str, bool]] = []
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_away = False

    def take(self, driver_id: int) -> str:
        """A place for a new socket; never waits."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._settle()), asyncio.create_task(self._live())]
        self._numbers += 1
        place = f"{self.process}:{self._numbers}"
        self._note(driver_id, place, taken=True)
        return place

    def leave(self, driver_id: int, place: str) -> None:
        self._note(driver_id, place, taken=False)

    def _note(self, driver_id: int, place: str, *, taken: bool) -> None:
        self._waiting.append((driver_id, place, taken))
        self._wake.set()

    async def _settle(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._wake.clear()
            waiting, self._waiting = self._waiting, []
            for driver_id, places in (await self._in_thread(partial(self._write, waiting))).items():
                self._replaced(driver_id, places)

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_SECONDS)
            await self._in_thread(self._say_alive)

    async def _in_thread(self, call: Callable[[], dict[int, list[str]]]) -> dict[int, list[str]]:
        try:
            found = await asyncio.to_thread(call)
        except redis.RedisError as error:
            if not self._is_away:
                log.warning("Redis is away, sockets are counted per process: %s", error)
            self._is_away = True
            return {}
        self._is_away = False
        return found

    def _write(self, waiting: list[tuple[int, str, bool]]) -> dict[int, list[str]]:
        """Driver → places that must make room."""
        client = redisdb.client()
        script = client.register_script(TAKE)
        drivers = []
        with client.pipeline(transaction=False) as pipeline:
            for driver_id, place, taken in waiting:
                key = redisdb.key("sockets", str(driver_id))
                if taken:
                    script([key, self._sign], [place, SOCKETS_PER_DRIVER, redisdb.key("process", "")], client=pipeline)
                else:
                    pipeline.zrem(key, place)
                drivers.append(driver_id if taken else None)
            answers = pipeline.execute()
        replaced: dict[int, list[str]] = {}
        for driver, places in zip(drivers, answers, strict=True):
            if driver is not None and places:
                replaced.setdefault(driver, []).extend(places)
        return replaced

    def _say_alive(self) -> dict[int, list[str]]:
        redisdb.client().set(self._sign, 1, ex=FREE_SECONDS)
        return {}

    @property
    def _sign(self) -> str:
        return redisdb.key("process", self.process)
