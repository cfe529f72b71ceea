"""The drivers of the fleet, in a process of their own: thousands of sockets, and what people with a phone do with offers.

A few of those who are offered an order tap on it after some seconds; whoever gets it, also by being assigned, picks it up
and delivers it. Everybody moves a little with each heartbeat, so no position is ever written twice.
"""

import asyncio
import json
import math
import random
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from benchmarks.callers import Line, request
from benchmarks.crowd import SOURCES, TEXT, Process, Socket

#: Requests under way at a time in this process.
LINES = 48
#: Share of the offered drivers who tap, and how long they look at it first, seconds.
TAPS, LOOKS = 0.06, (0.5, 4.0)
#: Seconds on the way to the pickup, and from there to the customer.
TO_PICKUP, TO_CUSTOMER = (5.0, 20.0), (10.0, 40.0)
ACCEPT, PICK_UP, DELIVER = "accept", "pick-up", "deliver"


class Fleet(Process):
    """`Process` whose drivers work."""

    def __init__(self, host: str, port: int, path: str, tokens: Sequence[str], echoes: bool) -> None:
        super().__init__(host, port, path, tokens, echoes)
        self.dice = random.Random(len(tokens))
        self.places: dict[int, tuple[float, float]] = {}
        self.beats: Counter[int] = Counter()
        self.lines: asyncio.LifoQueue[Line] = asyncio.LifoQueue()
        for number in range(LINES):
            self.lines.put_nowait(Line(port, f"127.0.0.{2 + number % SOURCES}"))
        self.sent = self.pushes = 0
        self.offered: list[float] = []
        self.took: dict[str, list[float]] = {ACCEPT: [], PICK_UP: [], DELIVER: []}
        self.statuses: Counter[str] = Counter()
        self.carrying: set[str] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    async def work(self, every: float, places: Sequence[tuple[float, float]]) -> None:
        """From now on a heartbeat of everybody each so many seconds, from these places (latitude, longitude)."""
        self.places = dict(enumerate(places))
        for socket in self.sockets:
            socket.sent_at.clear()
        await self.pace(every)

    def beat(self, number: int, socket: Socket) -> None:
        self.sent += 1
        self.beats[number] += 1
        lat, lng = self.places[number]
        # Some thirty metres on a circle around where they stand.
        turn = self.beats[number] * 0.7 + number
        lat, lng = lat + 0.0003 * math.sin(turn), lng + 0.0003 * math.cos(turn)
        socket.sent_at.append(time.monotonic())
        socket.send(
            TEXT, f'{{"type":"heartbeat","lat":{lat:.6f},"lng":{lng:.6f},"accuracy_m":8,"id":{number}}}'.encode()
        )

    def heard(self, socket: Socket, payload: bytes) -> None:
        if payload.startswith(b'{"type":"heartbeat'):
            if socket.sent_at:
                self.answers.append(time.monotonic() - socket.sent_at.popleft())
            return
        self.pushes += 1
        if payload.startswith(b'{"type":"offer","'):
            told = json.loads(payload)
            self.offered.append(time.time() - datetime.fromisoformat(told["at"]).timestamp())
            if self.dice.random() < TAPS:
                self.go(self.tap(socket, told["offer"]["order"]))
        elif payload.startswith(b'{"type":"order","'):
            told = json.loads(payload)
            if told["order"]["status"] == "assigned":
                self.carry(socket, told["order"]["id"])

    def go(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def ask(self, verb: str, socket: Socket, order: str, body: bytes) -> int:
        line = await self.lines.get()
        began = time.monotonic()
        status, said = await line.ask(request("POST", f"/api/v1/orders/{order}/{verb}/", socket.token, body))
        self.took[verb].append(time.monotonic() - began)
        self.lines.put_nowait(line)
        code = "" if status == 200 else f" {json.loads(said).get('code', '')}" if said[:1] == b"{" else " no answer"
        self.statuses[f"{verb} {status}{code}"] += 1
        return status

    async def tap(self, socket: Socket, order: str) -> None:
        await asyncio.sleep(self.dice.uniform(*LOOKS))
        if await self.ask(ACCEPT, socket, order, b'{"action_id":"tap-%s"}' % order.encode()) == 200:
            self.carry(socket, order)

    def carry(self, socket: Socket, order: str) -> None:
        """Told twice, by the answer and by the push: carried once."""
        if order not in self.carrying:
            self.carrying.add(order)
            self.go(self.carry_out(socket, order))

    async def carry_out(self, socket: Socket, order: str) -> None:
        for verb, seconds in ((PICK_UP, TO_PICKUP), (DELIVER, TO_CUSTOMER)):
            await asyncio.sleep(self.dice.uniform(*seconds))
            # A driver whose request found no answer tries again; the act's name makes that harmless.
            for _ in range(5):
                status = await self.ask(verb, socket, order, b'{"action_id":"%s-%s"}' % (verb.encode(), order.encode()))
                if status == 200:
                    break
                await asyncio.sleep(1)

    async def tally(self) -> dict[str, Any]:
        """Everything since the beginning; heartbeats whose answer is still under way are counted as such."""
        return {
            "sent": self.sent,
            "answers": self.answers,
            "waiting": sum(len(socket.sent_at) for socket in self.sockets),
            "pushes": self.pushes,
            "offered": self.offered,
            "took": self.took,
            "statuses": dict(self.statuses),
            "open": sum(socket.is_open for socket in self.sockets),
            "cpu": time.process_time(),
        }

    async def rest(self) -> None:
        """No more heartbeats."""
        if self.beating is not None:
            self.beating.cancel()
