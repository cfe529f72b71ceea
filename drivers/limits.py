"""How often somebody may ask, whichever process they ask.

The generic cell rate algorithm (a token bucket), in Redis: one script reads, decides and writes, so requests at the same
moment cannot slip through between reading and writing, and it goes by Redis's own clock, so the clocks of processes and
machines do not matter. While Redis is away each process counts for itself, in memory: nobody is ever unlimited.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

import redis
from redis.commands.core import Script

from drivers import redisdb

log = logging.getLogger(__name__)

#: Everything that limits keep in Redis is called `<prefix>:limit:<limit>:<asker>`, and goes by itself when it is paid for.
SPACE = "limit"
#: After Redis did not answer, one request a second tries again; the others do not wait for it.
SILENCE_SECONDS = 1.0
#: What one process lets through alone, of a limit that fails closed.
CLOSED_SHARE = 0.1
#: Askers that a process remembers by itself; the ones longest unheard of are forgotten, which only favours them.
MAX_REMEMBERED = 20_000

#: KEYS: the asker. ARGV: microseconds per request, microseconds that may be owed, and 1 (spend), 0 (ask) or -1 (give back).
#: Returns microseconds to wait. Who is refused is not charged. A debt beyond the burst's own means that Redis's clock went
#: back, and is forgotten.
SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, tolerance, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local paid_at = tonumber(redis.call('GET', KEYS[1]) or 0)
paid_at = math.min(math.max(paid_at, now), now + tolerance + interval)
local wait = math.max(paid_at - now - tolerance, 0)
if cost == 0 or (cost > 0 and wait > 0) then
    return wait
end
paid_at = paid_at + cost * interval
if paid_at > now then
    redis.call('SET', KEYS[1], string.format('%.0f', paid_at), 'PX', math.ceil((paid_at - now) / 1000))
else
    redis.call('DEL', KEYS[1])
end
return 0
"""


class Memory:
    """The same, for one process: `per_second` requests on average, `burst` at once, for each asker."""

    def __init__(self, *, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.interval = 1 / per_second
        self.tolerance = (burst - 1) * self.interval
        self._clock = clock
        #: When the asker's past requests will be paid for.
        self._paid_at: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def charge(self, asker: str, cost: int) -> float:
        """Seconds to wait; 0: go on. `cost` is 1 (spend), 0 (only ask) or -1 (give back); who must wait is not charged."""
        with self._lock:
            now = self._clock()
            paid_at = max(self._paid_at.get(asker, now), now)
            wait = max(paid_at - now - self.tolerance, 0.0)
            if cost == 0 or (cost > 0 and wait > 0):
                return wait
            self._paid_at[asker] = paid_at + cost * self.interval
            self._paid_at.move_to_end(asker)
            if len(self._paid_at) > MAX_REMEMBERED:
                self._paid_at.popitem(last=False)
            return 0.0


class Shared:
    """The books that all processes share, and whether they can be had just now."""

    def __init__(self) -> None:
        self.is_away = False
        self._try_again_at = 0.0
        self._lock = threading.Lock()
        self._script: Script | None = None

    def charge(self, key: str, *, interval: int, tolerance: int, cost: int) -> float | None:
        """Seconds to wait, as Memory's; None while Redis is away. `interval` and `tolerance` in microseconds."""
        if self.is_away and not self._may_try():
            return None
        client = redisdb.impatient_client()
        if self._script is None or self._script.registered_client is not client:
            self._script = client.register_script(SCRIPT)
        try:
            wait = int(self._script(keys=[key], args=[interval, tolerance, cost]))
        except redis.RedisError as error:
            self._note(away=True, error=error)
            return None
        if self.is_away:
            self._note(away=False)
        return wait / 1_000_000

    def _may_try(self) -> bool:
        with self._lock:
            now = time.monotonic()
            if now < self._try_again_at:
                return False
            self._try_again_at = now + SILENCE_SECONDS
            return True

    def _note(self, *, away: bool, error: Exception | None = None) -> None:
        with self._lock:
            if away:
                self._try_again_at = time.monotonic() + SILENCE_SECONDS
            if away is not self.is_away:
                log.warning(
                    "Redis is away, limits are per process: %s" if away else "Redis is back: limits.%s", error or ""
                )
            self.is_away = away


shared = Shared()


class Limit:
    """`per_second` requests on average, `burst` at once, for each asker, across all processes.

    While Redis is away each process counts alone: up to the same numbers, which is failing open but bounded, or, with
    `fail_closed`, up to a tenth of them.
    """

    def __init__(self, name: str, *, per_second: float, burst: int, fail_closed: bool = False) -> None:
        self.name = name
        self.interval = round(1_000_000 / per_second)
        self.tolerance = (burst - 1) * self.interval
        share = CLOSED_SHARE if fail_closed else 1
        self.alone = Memory(per_second=per_second * share, burst=max(1, round(burst * share)))

    def spend(self, asker: str | int) -> float:
        """Seconds to wait; 0: go on, and this one is counted."""
        return self._charge(str(asker), 1)

    def wait(self, asker: str | int) -> float:
        """Seconds to wait, without counting anything."""
        return self._charge(str(asker), 0)

    def give_back(self, asker: str | int) -> None:
        """One that was spent did not count after all."""
        self._charge(str(asker), -1)

    def _charge(self, asker: str, cost: int) -> float:
        key = redisdb.key(SPACE, self.name, asker)
        wait = shared.charge(key, interval=self.interval, tolerance=self.tolerance, cost=cost)
        return self.alone.charge(asker, cost) if wait is None else wait


def network_of(address: str) -> str:
    """Whom an address stands for: itself, or its /64, of which whoever has one IPv6 address has all."""
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> 64 << 64))
