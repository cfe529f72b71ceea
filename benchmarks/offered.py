"""A mixed load over HTTP from a process of its own: a closed loop that finds what a server carries, an open loop that offers
more than that, and a probe that sees when all is well again.

In an open loop requests come when they come, whether or not earlier ones were answered, as from people who know nothing of
each other. Times count from the moment at which a request was due, so that a client that falls behind hides nothing.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import aiohttp

#: No app waits longer for anything.
HANGS_AFTER_S = 30.0
#: Out of a hundred requests.
MIX = {"heartbeat": 35, "listing": 28, "accept": 15, "new order": 12, "sync": 10}
CENTRE = (37.77, -122.40)


@dataclass(frozen=True, slots=True)
class Callers:
    """Who asks, and what there is to accept: (order, token) pairs, each for an offer that was made."""

    tokens: list[str]
    keys: list[str]
    offers: list[tuple[str, str]]


@dataclass(slots=True)
class Kind:
    """What came of the requests of one kind."""

    served: list[float] = field(default_factory=list)
    shed: list[float] = field(default_factory=list)
    #: Whatever is neither: what it was.
    faults: list[str] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.served) + len(self.shed) + len(self.faults)


class Load:
    def __init__(self, url: str, callers: Callers) -> None:
        self.url, self.callers = url, callers
        self.dice = random.Random(7)
        self.number = 0
        self.kinds: dict[str, Kind] = {}
        self.late = 0.0
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=10)
        self.session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=HANGS_AFTER_S))

    def _request(self, kind: str) -> tuple[str, str, str, dict[str, Any] | None]:
        """Method, path, token and body of the next one."""
        self.number += 1
        lat, lng = CENTRE[0] + self.dice.uniform(-0.1, 0.1), CENTRE[1] + self.dice.uniform(-0.17, 0.17)
        token = self.callers.tokens[self.number % len(self.callers.tokens)]
        key = self.callers.keys[self.number % len(self.callers.keys)]
        if kind == "heartbeat":
            return "POST", "/driver/heartbeat/", token, {"lat": lat, "lng": lng}
        if kind == "sync":
            return "GET", "/driver/sync/", token, None
        if kind == "accept":
            order, own = self.callers.offers[self.number % len(self.callers.offers)]
            return "POST", f"/orders/{order}/accept/", own, {}
        if kind == "listing":
            return "GET", "/orders/?limit=100", key, None
        place = {"lat": lat, "lng": lng}
        contact = {"name": "Load", "phone": "1"}
        return "POST", "/orders/", key, {"pickup": place, "dropoff": place, "contact": contact}

    async def _ask(self, kind: str, due: float) -> bool:
        """Whether it was served."""
        found = self.kinds.setdefault(kind, Kind())
        method, path, token, body = self._request(kind)
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self.session.request(method, self.url + path, json=body, headers=headers) as answer:
                await answer.read()
                status, retry_after = answer.status, answer.headers.get("Retry-After")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            found.faults.append(f"{kind}: {type(error).__name__} {error}")
            return False
        took = time.monotonic() - due
        found.statuses[status] = found.statuses.get(status, 0) + 1
        if status in {429, 503}:
            if retry_after is None:
                found.faults.append(f"{kind}: {status} without Retry-After")
            else:
                found.shed.append(took)
            return False
        if status >= 500:
            found.faults.append(f"{kind}: {status}")
            return False
        # An honest refusal (taken by somebody else, no room) has been served.
        found.served.append(took)
        return True

    def _kind(self) -> str:
        return self.dice.choices(list(MIX), list(MIX.values()))[0]

    async def closed(self, callers: int, seconds: float) -> dict[str, Any]:
        """So many callers, each asking again as soon as it was answered."""
        over = time.monotonic() + seconds

        async def caller() -> None:
            while (now := time.monotonic()) < over:
                await self._ask(self._kind(), now)

        began = time.monotonic()
        await asyncio.gather(*(caller() for _ in range(callers)))
        return self._taken(time.monotonic() - began)

    async def open(self, per_second: float, seconds: float) -> dict[str, Any]:
        """So many a second, whatever comes of them."""
        began, asked = time.monotonic(), 0
        tasks: set[asyncio.Task[bool]] = set()
        while (elapsed := time.monotonic() - began) < seconds:
            while asked < elapsed * per_second:
                due = began + asked / per_second
                self.late = max(self.late, time.monotonic() - due)
                task = asyncio.create_task(self._ask(self._kind(), due))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                asked += 1
            await asyncio.sleep(0.005)
        ended = time.monotonic()
        while tasks:
            await asyncio.wait(tasks)
        return {**self._taken(ended - began), "drained": time.monotonic() - ended}

    async def well_again(self, normal: dict[str, float], within: float) -> float:
        """Seconds until one of each kind, three times in a row, is served within the time that is normal for it."""
        began, good = time.monotonic(), 0
        while good < 3 and (now := time.monotonic()) - began < within:
            for kind, seconds in normal.items():
                now = time.monotonic()
                served = await self._ask(kind, now)
                good = good if served and time.monotonic() - now <= seconds else -1
                if good < 0:
                    break
            good += 1
            await asyncio.sleep(0.05)
        self.kinds = {}
        return time.monotonic() - began if good >= 3 else float("inf")

    def _taken(self, seconds: float) -> dict[str, Any]:
        kinds, self.kinds = self.kinds, {}
        late, self.late = self.late, 0.0
        return {"kinds": kinds, "seconds": seconds, "late": late}


async def _serve(pipe: Connection, url: str, callers: Callers) -> None:
    load = Load(url, callers)
    try:
        while (order := await asyncio.to_thread(pipe.recv)) is not None:
            verb, *arguments = order
            pipe.send(await getattr(load, verb)(*arguments))
    finally:
        await load.session.close()


def _main(pipe: Connection, url: str, callers: Callers) -> None:
    asyncio.run(_serve(pipe, url, callers))


class Offered:
    """The parent's side: `offered("open", 500, 30)` waits for the answer; `start` and `answer` do not."""

    def __init__(self, port: int, callers: Callers) -> None:
        self.pipe, theirs = get_context("spawn").Pipe()
        self.child = get_context("spawn").Process(
            target=_main, args=(theirs, f"http://127.0.0.1:{port}/api/v1", callers), daemon=True
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
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self.child.join(10)
        if self.child.is_alive():
            self.child.kill()


def together(kinds: dict[str, Kind], names: Sequence[str]) -> Kind:
    """Several kinds as one."""
    whole = Kind()
    for name in names:
        if found := kinds.get(name):
            whole.served += found.served
            whole.shed += found.shed
            whole.faults += found.faults
    return whole
