"""What became of every order, as the integrator learns it: from the feed `GET events/?after=`."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from dispatch.simulation.doors import Doors
from dispatch.simulation.tally import Samples, parse_time

#: Pages without events of ours that are read before the end is believed, while others keep the feed moving.
EMPTY_PAGES = 100
#: How long the feed may lag behind the list, seconds: as long as the longest transaction that still runs.
REACH_SECONDS = 15.0

STATUS_AFTER = {
    "order.created": "pending",
    "order.assigned": "assigned",
    "order.released": "pending",
    "order.picked_up": "picked_up",
    "order.delivered": "delivered",
    "order.failed": "failed",
    "order.cancelled": "cancelled",
}
FINAL = {"delivered", "failed", "cancelled"}


@dataclass(slots=True)
class Story:
    """One order. Events of one order may reach the feed out of step; their versions put them in order."""

    events: dict[int, dict[str, Any]] = field(default_factory=dict)
    #: delivered, expired, open, cancelled, failed, or `without history`.
    outcome: str = "without history"

    def add(self, event: dict[str, Any]) -> None:
        self.events[event["version"]] = event
        status, expired = self.state()
        if status == "pending" and expired:
            self.outcome = "expired"
        else:
            self.outcome = status if status in FINAL else "open"

    def state(self, version: int | None = None) -> tuple[str, bool]:
        """(status, expired) at that version, or now."""
        status, expired = "", False
        for number in sorted(self.events):
            if version is not None and number > version:
                break
            kind = self.events[number]["kind"]
            status = STATUS_AFTER.get(kind, status)
            if kind in STATUS_AFTER or kind == "order.reoffered":
                expired = False
            expired = expired or kind == "order.expired"
        return status, expired

    @property
    def is_settled(self) -> bool:
        return self.outcome not in {"open", "without history"}

    def has(self, kind: str, how: str | None = None) -> bool:
        return any(
            event["kind"] == kind and (how is None or event["data"].get("how") == how) for event in self.events.values()
        )

    def seconds_to_assignment(self) -> float | None:
        """From creation to the first time that somebody held it."""
        at: dict[str, datetime] = {}
        for number in sorted(self.events):
            at.setdefault(self.events[number]["kind"], parse_time(self.events[number]["at"]))
        if "order.created" not in at or "order.assigned" not in at:
            return None
        return (at["order.assigned"] - at["order.created"]).total_seconds()


NOTHING = Story()


class Ledger:
    """Follows the feed of one API key."""

    def __init__(self, doors: Doors, token: str) -> None:
        self.doors, self.token = doors, token
        self.stories: dict[str, Story] = {}
        #: Order id → reference, of the orders that this run placed.
        self.placed: dict[str, str] = {}
        self._after: str | None = None
        self._unsettled: set[str] = set()

    async def skip_to_end(self) -> None:
        """What happened before is not ours. A page without events of ours may still lead on, past those of others."""
        empty, before = 0, self._after
        while empty < EMPTY_PAGES:
            if await self._read():
                empty = 0
            elif self._after == before:
                break
            else:
                empty += 1
            before = self._after
        self.stories.clear()
        self._unsettled.clear()

    async def catch_up(self) -> None:
        """Read what is new."""
        while await self._read():
            pass

    async def reach(self, versions: Mapping[str, int]) -> None:
        """Read until the orders' histories have come to these versions, but not for ever."""
        until = time.monotonic() + REACH_SECONDS
        while True:
            await self.catch_up()
            behind = [
                order_id
                for order_id, version in versions.items()
                if version not in self.stories.get(order_id, NOTHING).events
            ]
            if not behind or time.monotonic() > until:
                return
            await asyncio.sleep(0.2)

    async def _read(self) -> int:
        """One page; how many events were on it."""
        query = {"limit": "100"} | ({"after": self._after} if self._after else {})
        answer = await self.doors.ask("GET", "api/v1/events/", token=self.token, query=query)
        if not answer.ok:
            self.doors.tally.error(f"feed: {answer.code}")
            return 0
        for event in answer.body["results"]:
            story = self.stories.setdefault(event["order"], Story())
            story.add(event)
            if story.is_settled:
                self._unsettled.discard(event["order"])
            else:
                self._unsettled.add(event["order"])
        self._after = answer.body["next"]
        return len(answer.body["results"])

    @property
    def is_settled(self) -> bool:
        return not (self._unsettled & self.placed.keys()) and self.placed.keys() <= self.stories.keys()

    def forget(self, order_id: str) -> None:
        self.stories.pop(order_id, None)
        self.placed.pop(order_id, None)
        self._unsettled.discard(order_id)

    def count(self, kind: str, how: str | None = None) -> int:
        """Orders of this run to which that happened."""
        return sum(self.stories[order_id].has(kind, how) for order_id in self._mine())

    def outcomes(self) -> Counter[str]:
        counted: Counter[str] = Counter()
        for order_id in self.placed:
            counted[self.stories[order_id].outcome if order_id in self.stories else "without history"] += 1
        return counted

    def times_to_assignment(self) -> Samples:
        samples = Samples()
        for order_id in self._mine():
            if (seconds := self.stories[order_id].seconds_to_assignment()) is not None:
                samples.add(seconds)
        return samples

    def _mine(self) -> list[str]:
        return [order_id for order_id in self.placed if order_id in self.stories]

    async def disagreements(self) -> list[str]:
        """Compare the feed with the list `GET orders/`, page by page, newest first: the orders of which they tell
        different stories, in words."""
        listed: dict[str, dict[str, Any]] = {}
        address, query = "api/v1/orders/", {"limit": "100"}
        while len(listed.keys() & self.placed.keys()) < len(self.placed):
            answer = await self.doors.ask("GET", address, token=self.token, query=query)
            if not answer.ok:
                return [f"the list of orders cannot be read: {answer.code}"]
            listed |= {order["id"]: order for order in answer.body["results"]}
            if (following := answer.body["next"]) is None:
                break
            parts = urlsplit(following)
            address, query = parts.path, dict(parse_qsl(parts.query))
        await self.reach({order_id: listed[order_id]["version"] for order_id in self.placed if order_id in listed})
        wrong = []
        for order_id, reference in self.placed.items():
            order, story = listed.get(order_id), self.stories.get(order_id)
            if order is None:
                wrong.append(f"{reference}: not in the list of orders")
            elif story is None:
                wrong.append(f"{reference}: not in the feed")
            elif story.state(order["version"]) != (order["status"], order["expired"]):
                wrong.append(f"{reference}: {order['status']} in the list, {story.state(order['version'])} in the feed")
        return wrong
