"""The clients of a storm. Each acts by its own dice, so a seed makes the same people want the same things."""

import asyncio
import contextlib
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import msgspec

from benchmarks.storm.door import NETWORK, Door
from benchmarks.storm.record import Pushed, View, now
from benchmarks.storm.stack import CITY

HELD = {"assigned", "picked_up"}
HEARTBEAT_S = 2.0
#: Two heartbeats without an answer: the line is dead, whatever TCP believes.
SILENCE_S = 2 * HEARTBEAT_S + 0.5


class Town:
    """What everybody in one client process knows: the latest orders, and whether the storm is still on."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.going_on = True

    def heard_of(self, order: str) -> None:
        self.orders.append(order)
        del self.orders[:-60]


class Driver:
    def __init__(self, door: Door, pk: int, town: Town, seed: str, url: str) -> None:
        self.door, self.pk, self.town, self.url = door, pk, town, url
        self.dice = random.Random(seed)
        self.offers: dict[str, int] = {}
        self.active: dict[str, int] = {}
        #: Whatever happened to an order before this version is old news.
        self.known: dict[str, int] = {}
        self.status: dict[str, str] = {}
        self.taps = 0
        self.heard_at = time.monotonic()
        self.socket: aiohttp.ClientWebSocketResponse | None = None
        #: Some devices live in another time.
        self.clock_off = timedelta(seconds=self.dice.choice([0, 0, 0, -86400, -90, 300, 10**8]))
        self.at = (CITY[0] + self.dice.uniform(-0.02, 0.02), CITY[1] + self.dice.uniform(-0.02, 0.02))

    # --- What the app believes ---------------------------------------------------------------------------------------

    def hear(self, frame: dict[str, Any]) -> None:
        kind, version = frame["type"], frame.get("version", 0)
        if kind == "snapshot":
            self.believe(frame)
            return
        if kind == "heartbeat_ack":
            mine = sorted((order, version) for order, version in self.active.items())
            if sorted(map(tuple, frame["active"])) != mine or frame["open_offers"] != len(self.offers):
                self.ask_for_sync()
            return
        if kind == "resync":
            self.ask_for_sync()
            return
        if kind not in {"offer", "offer_closed", "order", "order_removed"}:
            return
        inner: Any = frame.get("offer") or frame["order"]
        order = inner if isinstance(inner, str) else inner.get("order") or inner["id"]
        self.door.book.write(
            Pushed(
                who=self.door.who, driver=self.pk, at=now(), type=kind, order=order, version=version,
                kind=frame.get("kind", ""), has_contact=isinstance(inner, dict) and bool(inner.get("contact")),
            )
        )  # fmt: skip
        if version < self.known.get(order, 0):
            return
        self.known[order] = version
        self.offers.pop(order, None)
        if kind == "offer":
            self.offers[order] = version
        elif kind == "order" and isinstance(inner, dict):
            self.active.pop(order, None)
            if inner["status"] in HELD and inner["driver"] == self.pk:
                self.active[order], self.status[order] = version, inner["status"]
        elif kind == "order_removed":
            self.active.pop(order, None)

    def believe(self, truth: dict[str, Any]) -> None:
        self.offers = {card["order"]: card["version"] for card in truth["offers"]}
        self.active = {order["id"]: order["version"] for order in truth["active"]}
        self.status.update({order["id"]: order["status"] for order in truth["active"]})
        for known in (self.offers, self.active):
            self.known.update(known)

    def ask_for_sync(self) -> None:
        if self.socket is not None and not self.socket.closed:
            task = asyncio.create_task(self._say({"type": "sync"}))
            task.add_done_callback(lambda done: done.exception())

    async def _say(self, frame: dict[str, Any]) -> None:
        if self.socket is not None and not self.socket.closed:
            with contextlib.suppress(*NETWORK, RuntimeError):
                await self.socket.send_str(msgspec.json.encode(frame).decode())

    # --- The line ----------------------------------------------------------------------------------------------------

    async def keep_line(self) -> None:
        attempt = 0
        while True:
            try:
                async with asyncio.timeout(8):
                    self.socket = await self.door.session.ws_connect(
                        self.url, protocols=["baton.v1"], headers={"Authorization": f"Bearer {self.door.token}"}
                    )
            except NETWORK:
                attempt += 1
                await asyncio.sleep(self.dice.uniform(0, min(4.0, 0.25 * 2**attempt)))
                continue
            attempt, self.heard_at = 0, time.monotonic()
            beating = asyncio.create_task(self._beat(self.socket))
            with contextlib.suppress(*NETWORK):
                async for message in self.socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        self.heard_at = time.monotonic()
                        self.hear(msgspec.json.decode(message.data))
            beating.cancel()
            with contextlib.suppress(*NETWORK, asyncio.CancelledError):
                await self.socket.close()
            await asyncio.sleep(self.dice.uniform(0, 0.5))

    async def _beat(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while time.monotonic() - self.heard_at < SILENCE_S:
            recorded = datetime.now(UTC) + self.clock_off
            await self._say(
                {
                    "type": "heartbeat",
                    "lat": self.at[0],
                    "lng": self.at[1],
                    "recorded_at": recorded.isoformat(),
                    "id": 1,
                }
            )
            await asyncio.sleep(HEARTBEAT_S)
        # A dead line is not closed politely: that would wait for an answer.
        socket._response.close()

    # --- What drivers do ---------------------------------------------------------------------------------------------

    async def work(self) -> None:
        await self.door.ask("duty", "/driver/", {"is_online": True}, method="PATCH", driver=self.pk)
        while self.town.going_on:
            await asyncio.sleep(self.dice.expovariate(3.0))
            await self._something()

    async def _something(self) -> None:
        dice = self.dice.random()
        if self.active and dice < 0.55:
            order = self.dice.choice(list(self.active))
            step = "pick-up" if self.status.get(order) == "assigned" else "deliver"
            odd = self.dice.random()
            if odd < 0.1:
                step = self.dice.choice(["release", "fail", "deliver", "pick-up"])
            await self.tap(step, order, {"reason": "storm"} if step in {"release", "fail"} else {})
        elif self.offers and dice < 0.9:
            await self.tap(
                "accept" if self.dice.random() < 0.85 else "decline", self.dice.choice(list(self.offers)), {}
            )
        elif self.town.orders and dice < 0.97:
            await self.tap("accept", self.dice.choice(self.town.orders), {})
        elif dice < 0.985:
            status, truth = await self.door.ask("sync", "/driver/sync/", method="GET", driver=self.pk)
            if status == 200:
                self.believe(truth)
        else:
            await self.door.ask("duty", "/driver/", {"is_online": False}, method="PATCH", driver=self.pk)
            await asyncio.sleep(self.dice.uniform(0, 2))
            await self.door.ask("duty", "/driver/", {"is_online": True}, method="PATCH", driver=self.pk)

    async def tap(self, step: str, order: str, body: dict[str, Any]) -> None:
        """One tap: as a rule one request; now and then sent twice at once, given up half way, or replayed."""
        self.taps += 1
        mark = f"{self.door.who}-{self.taps}"
        tapped = (datetime.now(UTC) + self.clock_off).isoformat()
        body = {**body, "action_id": mark, "tapped_at": tapped}

        def send(patience_s: float = 10.0) -> Any:
            return self.door.ask(
                step, f"/orders/{order}/{step}/", body, order=order, mark=mark, driver=self.pk, patience_s=patience_s
            )

        dice = self.dice.random()
        if dice < 0.06:
            answers = list(await asyncio.gather(send(), send(), send()))
        elif dice < 0.12:
            answers = [await send(self.dice.uniform(0.001, 0.03)), await send()]
        elif dice < 0.16:
            answers = [await send(), await send()]
        else:
            answers = [await send()]
            while answers[-1][0] in {0, 503} and self.town.going_on and len(answers) < 4:
                await asyncio.sleep(self.dice.uniform(0.1, 1.0))
                answers.append(await send())
        status, document = answers[-1]
        if status == 200:
            self._learn(order, document)
        elif status in {403, 404, 409, 410}:
            self.offers.pop(order, None)

    def _learn(self, order: str, document: dict[str, Any]) -> None:
        version = document.get("version", 0)
        if version < self.known.get(order, 0):
            return
        self.known[order] = version
        self.offers.pop(order, None)
        self.active.pop(order, None)
        if document.get("driver") == self.pk and document.get("status") in HELD:
            self.active[order], self.status[order] = version, document["status"]

    async def last_look(self) -> None:
        """When all is quiet: what the app shows, beside what the server says. One more try for what a push just changed."""
        for _ in range(20):
            status, truth = await self.door.ask("sync", "/driver/sync/", method="GET", driver=self.pk)
            view = View(
                who=self.door.who,
                driver=self.pk,
                offers=sorted(self.offers),
                active=sorted(self.active.items()),
                sync_offers=sorted(card["order"] for card in truth.get("offers", [])),
                sync_active=sorted((order["id"], order["version"]) for order in truth.get("active", [])),
            )
            if status == 200 and (view.offers, view.active) == (view.sync_offers, view.sync_active):
                break
            await asyncio.sleep(HEARTBEAT_S / 2)
        self.door.book.write(view)


class Shop:
    def __init__(self, door: Door, town: Town, seed: str, per_second: float) -> None:
        self.door, self.town, self.per_second = door, town, per_second
        self.dice = random.Random(seed)
        self.placed = 0
        self.mine: list[str] = []

    async def work(self) -> None:
        pending: set[asyncio.Task[None]] = set()
        while self.town.going_on:
            await asyncio.sleep(self.dice.expovariate(self.per_second))
            task = asyncio.create_task(self._amend() if self.mine and self.dice.random() < 0.2 else self._place())
            pending.add(task)
            task.add_done_callback(pending.discard)
        await asyncio.gather(*pending)

    async def _place(self) -> None:
        self.placed += 1
        mark = f"{self.door.who}-{self.placed}"
        expires = datetime.now(UTC) + timedelta(seconds=self.dice.uniform(4, 20))
        body = {
            "pickup": self._somewhere(),
            "dropoff": self._somewhere(),
            "contact": {"name": f"Customer {mark}", "phone": "+1 555 0100"},
            "reference": mark,
            "expires_at": expires.isoformat(),
            "auto_assign_at": (expires - timedelta(seconds=self.dice.uniform(0.5, 3))).isoformat(),
        }

        def send(patience_s: float = 10.0) -> Any:
            return self.door.ask(
                "place", "/orders/", body, mark=mark, headers={"Idempotency-Key": mark}, patience_s=patience_s
            )

        dice = self.dice.random()
        if dice < 0.05:
            answers = list(await asyncio.gather(send(), send()))
        elif dice < 0.1:
            answers = [await send(self.dice.uniform(0.001, 0.03)), await send()]
        else:
            answers = [await send()]
        for status, document in answers:
            if status in {200, 201} and document["id"] not in self.mine:
                self.mine.append(document["id"])
                self.town.heard_of(document["id"])
        del self.mine[:-40]

    async def _amend(self) -> None:
        order, mark = self.dice.choice(self.mine), f"{self.door.who}-amend-{self.dice.random():.9f}"
        if self.dice.random() < 0.5:
            body: dict[str, Any] = {"payout": f"{self.dice.uniform(3, 30):.2f}"}
            await self.door.ask("correct", f"/orders/{order}/", body, order=order, mark=mark, method="PATCH")
        else:
            await self.door.ask("cancel", f"/orders/{order}/cancel/", {"reason": mark}, order=order, mark=mark)

    def _somewhere(self) -> dict[str, Any]:
        lat, lng = CITY[0] + self.dice.uniform(-0.02, 0.02), CITY[1] + self.dice.uniform(-0.02, 0.02)
        return {"lat": round(lat, 5), "lng": round(lng, 5), "address": "A street"}


class Dispatcher:
    def __init__(self, door: Door, town: Town, seed: str, drivers: list[int]) -> None:
        self.door, self.town, self.drivers = door, town, drivers
        self.dice = random.Random(seed)
        self.acts = 0

    async def work(self) -> None:
        while self.town.going_on:
            await asyncio.sleep(self.dice.expovariate(4.0))
            if not self.town.orders:
                continue
            order = self.dice.choice(self.town.orders)
            if self.dice.random() < 0.3:
                await self.door.ask("look", f"/orders/{order}/", order=order, method="GET")
                continue
            await self._act(order)

    async def _act(self, order: str) -> None:
        self.acts += 1
        mark = f"{self.door.who}-{self.acts}"
        verb = self.dice.choice(["assign", "assign", "unassign", "reoffer", "extend", "cancel"])
        driver = self.dice.choice(self.drivers)
        bodies: dict[str, dict[str, Any]] = {
            "assign": {"driver": driver},
            "unassign": {"reason": mark},
            "reoffer": {"seconds": self.dice.randint(3, 15)},
            "extend": {"seconds": self.dice.randint(1, 10)},
            "cancel": {"reason": mark},
        }
        body = bodies[verb]
        if verb != "cancel" and self.dice.random() < 0.3:
            body["version"] = self.dice.randint(1, 5)
        await self.door.ask(
            verb, f"/orders/{order}/{verb}/", body, order=order, mark=mark, driver=driver if verb == "assign" else 0
        )
