"""One simulated driver: thinks about offers, drives orders."""

import asyncio
import contextlib
import math
import random
from collections.abc import Coroutine, Mapping
from typing import Any
from uuid import uuid4

from dispatch.simulation.clock import Clock
from dispatch.simulation.doors import Answer, Away, Doors, SignedOut
from dispatch.simulation.geo import Place
from dispatch.simulation.link import Link
from dispatch.simulation.plan import AT_THE_DOOR, DRIVING, Behaviour, Shift
from dispatch.simulation.tally import Tally, parse_time
from dispatch.simulation.tracks import Whereabouts

#: Refusals that belong to the game; any other answer to an act is an error.
EXPECTED = {
    "order_taken",
    "order_expired",
    "order_cancelled",
    "order_not_pending",
    "driver_at_capacity",
    "driver_offline",
    "not_offered",
}
PUSHES = {"offer", "offer_closed", "order", "order_removed"}
#: Real seconds that a snapshot may take.
SYNC_SECONDS = 10.0


class Driver:
    def __init__(
        self,
        *,
        username: str,
        token: str,
        shift: Shift,
        behaviour: Behaviour,
        heartbeat_s: float,
        clock: Clock,
        doors: Doors,
        tally: Tally,
        chance: random.Random,
        way_seconds: Mapping[str, float],
    ) -> None:
        self.username, self.token = username, token
        self.shift, self.behaviour = shift, behaviour
        self.clock, self.doors, self.tally, self.chance = clock, doors, tally, chance
        #: How long the way of an order takes, by order id, where the plan says so.
        self.way_seconds = way_seconds
        self.whereabouts = Whereabouts(shift.track)
        self.link = Link(
            token=token,
            doors=doors,
            tally=tally,
            clock=clock,
            whereabouts=self.whereabouts,
            heartbeat_s=heartbeat_s,
            moments=shift.moments,
            hear=self._hear,
        )
        self.on_duty = asyncio.Event()
        #: The orders that are this driver's, oldest first, as last heard of.
        self.held: dict[str, dict[str, Any]] = {}
        #: The offers on the screen; the task is the thought of answering, if there is one.
        self.offers: dict[str, asyncio.Task[None] | None] = {}
        self._leaving = self._answering = False
        self._changed = asyncio.Event()
        self._synced = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    # --- A day's work ------------------------------------------------------------------------------------------------

    async def run(self, over: asyncio.Event) -> None:
        """On duty from the shift's beginning to its end, or until `over`; at the shift's end what is in hand is finished
        first. Raises SignedOut, Away."""
        await _first(over.wait(), self.clock.until(self.shift.begins))
        if over.is_set():
            return
        duties = [asyncio.ensure_future(duty) for duty in (self.link.keep(), self._work(), self._be_on_duty(over))]
        try:
            done, _ = await asyncio.wait(duties, return_when=asyncio.FIRST_COMPLETED)
            for duty in done:
                duty.result()
        finally:
            self._forget_offers()
            for task in (*duties, *self._running):
                task.cancel()
            await asyncio.gather(*duties, return_exceptions=True)
            # Nobody is left hanging: off duty at once, and the device is forgotten.
            with contextlib.suppress(Away, SignedOut):
                await self.doors.ask("POST", "api/v1/auth/logout/", token=self.token)

    async def _be_on_duty(self, over: asyncio.Event) -> None:
        await self._synced.wait()
        await self._go(is_online=True)
        self.on_duty.set()
        await _first(over.wait(), self.clock.until(self.shift.ends))
        if not over.is_set():
            self._leaving = True
            self._forget_offers()
            await self._empty_hands(over)
            await self._go(is_online=False)
            # The system may have assigned one at the last moment.
            await self._empty_hands(over)

    async def _go(self, *, is_online: bool) -> None:
        answer = await self.doors.ask(
            "PATCH", "api/v1/driver/", token=self.token, document={"is_online": is_online}, patience=math.inf
        )
        if not answer.ok:
            self.tally.error(f"duty: {answer.code}")

    async def _empty_hands(self, over: asyncio.Event) -> None:
        self._synced.clear()
        await self.link.send({"type": "sync"})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._synced.wait(), SYNC_SECONDS)
        while self.held and not over.is_set():
            self._changed.clear()
            await _first(over.wait(), self._changed.wait())

    # --- What is heard -----------------------------------------------------------------------------------------------

    def _hear(self, message: dict[str, Any], received: float) -> None:
        kind = message["type"]
        if kind in PUSHES:
            self.tally.push_kinds[kind] += 1
            self.tally.pushes.add(max(0.0, received - parse_time(message["at"]).timestamp()))
        match kind:
            case "offer":
                self._is_offered(message["offer"])
            case "offer_closed":
                self._is_closed(message["order"])
            case "order":
                self._is_mine(message["order"])
            case "order_removed":
                self._is_gone(message["order"])
            case "snapshot":
                self._take_in(message)
            case "heartbeat_ack":
                # A push was missed if the server says that more is mine than I know of.
                if {order_id for order_id, _ in message["active"]} - self.held.keys() and not self._answering:
                    self.tally.caught_up += 1
                    self._later(self.link.send({"type": "sync"}))
            case "resync":
                self._later(self.link.send({"type": "sync"}))
            case "error":
                self.tally.error(f"frame: {message['problem'].get('code')}")
            case _:
                self.tally.error(f"unknown frame: {kind}")

    def _take_in(self, snapshot: dict[str, Any]) -> None:
        """The whole truth replaces what is known."""
        mine = {order["id"]: order for order in snapshot["active"]}
        for order_id in self.held.keys() - mine.keys():
            self._is_gone(order_id)
        for order in mine.values():
            self._is_mine(order)
        offers = {offer["order"]: offer for offer in snapshot["offers"]}
        for order_id in self.offers.keys() - offers.keys():
            self._is_closed(order_id)
        for offer in offers.values():
            self._is_offered(offer)
        self._synced.set()

    # --- Offers ------------------------------------------------------------------------------------------------------

    def _is_offered(self, offer: dict[str, Any]) -> None:
        order_id = offer["order"]
        if order_id in self.offers or order_id in self.held:
            return
        self.offers[order_id] = None
        self._later(self.link.send({"type": "seen", "order": order_id}))
        mood, thinking = self.chance.random(), self.behaviour.thinking(offer["distance_m"], self.chance)
        if self._leaving or self.held or mood > self.behaviour.accepts + self.behaviour.declines:
            return
        verb = "accept" if mood < self.behaviour.accepts else "decline"
        self.offers[order_id] = self._later(self._answer(order_id, verb, thinking))

    def _is_closed(self, order_id: str) -> None:
        if (thought := self.offers.pop(order_id, None)) is not None:
            thought.cancel()

    def _forget_offers(self) -> None:
        for order_id in list(self.offers):
            self._is_closed(order_id)

    async def _answer(self, order_id: str, verb: str, thinking: float) -> None:
        await asyncio.sleep(self.clock.real(thinking))
        if self._leaving or self.held or self._answering:
            return
        # From here on it is tapped: if the offer closes now, the answer is late, not undone.
        self.offers[order_id] = None
        self._answering = True
        try:
            answer = await self._act(order_id, verb)
        except (Away, SignedOut):
            return
        finally:
            self._answering = False
        if verb == "accept":
            self.tally.receipts["accepted" if answer.ok else answer.code] += 1
            if answer.ok:
                self._is_mine(answer.body)
        if not answer.ok and answer.code not in EXPECTED:
            self.tally.error(f"{verb}: {answer.code}")

    async def _act(self, order_id: str, verb: str, **given: Any) -> Answer:
        """Carried out once, however often it takes to get an answer."""
        document = {"action_id": str(uuid4()), **given}
        return await self.doors.ask(
            "POST", f"api/v1/orders/{order_id}/{verb}/", token=self.token, document=document, patience=math.inf
        )

    # --- Orders ------------------------------------------------------------------------------------------------------

    def _is_mine(self, order: dict[str, Any]) -> None:
        if order.get("status") not in {"assigned", "picked_up"}:
            self._is_gone(order["id"])
            return
        known = self.held.get(order["id"])
        if known is None or known["version"] <= order["version"]:
            self.held[order["id"]] = order
        self._is_closed(order["id"])
        self._changed.set()

    def _is_gone(self, order_id: str) -> None:
        if self.held.pop(order_id, None) is not None:
            self._changed.set()

    async def _work(self) -> None:
        """One order after the other, for ever."""
        while True:
            if self.held:
                await self._carry(next(iter(self.held)))
                if not self.held:
                    self.whereabouts.rejoin(now=self.clock.now())
            else:
                self._changed.clear()
                await self._changed.wait()

    async def _carry(self, order_id: str) -> None:
        order = self.held[order_id]
        if order["status"] == "assigned":
            left = self.clock.now()
            arrives = self.whereabouts.drive_to(_place(order["pickup"]), now=left, speed=DRIVING)
            if self.chance.random() < self.behaviour.releases:
                if await self._still_mine(order_id, (left + arrives) / 2):
                    await self._finish(order_id, "release", reason="Flat tyre")
                return
            if not await self._still_mine(order_id, arrives + AT_THE_DOOR / 2):
                return
            await self.link.tell_position()
            answer = await self._act(order_id, "pick-up")
            if not answer.ok:
                self._refused(order_id, "pick-up", answer)
                return
        arrives = self.whereabouts.drive_to(
            _place(order["dropoff"]), now=self.clock.now(), speed=DRIVING, seconds=self.way_seconds.get(order_id)
        )
        if await self._still_mine(order_id, arrives + AT_THE_DOOR / 2):
            await self.link.tell_position()
            await self._finish(order_id, "deliver", proof={"kind": "none"})

    async def _finish(self, order_id: str, verb: str, **given: Any) -> None:
        answer = await self._act(order_id, verb, **given)
        if answer.ok:
            self._is_gone(order_id)
        else:
            self._refused(order_id, verb, answer)

    def _refused(self, order_id: str, verb: str, answer: Answer) -> None:
        # Not found is what a driver is told of an order that went to somebody else.
        if answer.code not in EXPECTED | {"not_found"}:
            self.tally.error(f"{verb}: {answer.code}")
        self._is_gone(order_id)

    async def _still_mine(self, order_id: str, moment: float) -> bool:
        """Wait for the moment; False as soon as the order is somebody else's business."""
        while order_id in self.held and (wait := self.clock.real(moment - self.clock.now())) > 0:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), wait)
        return order_id in self.held

    def _later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._look_at)
        return task

    def _look_at(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.tally.error(f"{type(error).__name__}: {error}")


def _place(place: Mapping[str, Any]) -> Place:
    return Place(place["lat"], place["lng"])


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Until one of them is done; the others are dropped."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
