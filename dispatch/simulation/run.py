"""The whole simulation: everybody signs in, drives, orders, and what became of it all is told."""

import asyncio
import contextlib
import random
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from dispatch.simulation.clock import Clock
from dispatch.simulation.doors import NETWORK_ERRORS, Away, Doors, SignedOut, full_jitter
from dispatch.simulation.driver import Driver
from dispatch.simulation.ledger import Ledger
from dispatch.simulation.plan import Plan, Trip
from dispatch.simulation.progress import Progress
from dispatch.simulation.tally import Tally

#: Signing in costs the server a fifth of a second of pure computing; more at once only wait for each other.
SIGN_INS_AT_ONCE = 4
FEED_SECONDS = 0.5
#: How long a customer tries to place an order while the server is away.
PLACING_SECONDS = 60.0
#: How often the server is looked for before the simulation begins.
SEARCHES = 10
#: How long everybody may take to be on duty at the beginning, and to leave at the end, real seconds.
ASSEMBLY_SECONDS = 120.0
LEAVING_SECONDS = 30.0
#: How long one driver tries to sign in while the server is away, real seconds: longer than it takes to start it again.
SIGN_IN_SECONDS = 90.0
#: Descriptors besides one per driver.
SPARE_FILES = 256


class CannotRun(Exception):
    """The simulation cannot begin; the text says why."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """Who takes part, prepared beforehand."""

    usernames: Sequence[str]
    password: str
    api_key: str


@dataclass(slots=True)
class Result:
    tally: Tally
    ledger: Ledger
    disagreements: list[str]
    seconds: float
    #: Ended by hand before its time.
    was_stopped: bool = False
    not_placed: int = 0


class Simulation:
    def __init__(self, *, plan: Plan, accounts: Accounts, url: str, seed: int, progress: Progress) -> None:
        self.plan, self.accounts, self.seed, self.progress = plan, accounts, seed, progress
        self.tally = Tally()
        self.doors = Doors(url, self.tally)
        self.clock = Clock(plan.speed)
        self.ledger = Ledger(self.doors, accounts.api_key)
        self.drivers: list[Driver] = []
        #: How long the way of each placed order takes, simulated seconds.
        self.way_seconds: dict[str, float] = {}
        self.stop = asyncio.Event()
        self.over = asyncio.Event()
        self.not_placed = 0

    async def run(self) -> Result:
        """Raises CannotRun."""
        allow_files(len(self.plan.shifts) + SPARE_FILES)
        began = time.monotonic()
        async with self.doors:
            await self._find_server()
            await self._prepare()
            crew = [asyncio.create_task(self._drive(driver)) for driver in self.drivers]
            follower = asyncio.create_task(self._follow())
            try:
                await self._assemble()
                self.clock.begin()
                placing = asyncio.create_task(self._place_all())
                await self._until(placing)
                await self._settle()
            finally:
                self.over.set()
                follower.cancel()
                await asyncio.wait([*crew, follower], timeout=LEAVING_SECONDS)
                for task in crew:
                    task.cancel()
            try:
                disagreements = await self.ledger.disagreements()
            except Away as away:
                disagreements = [f"the server does not answer any more: {away}"]
        return Result(
            tally=self.tally,
            ledger=self.ledger,
            disagreements=disagreements,
            seconds=time.monotonic() - began,
            was_stopped=self.stop.is_set(),
            not_placed=self.not_placed,
        )

    # --- Before ------------------------------------------------------------------------------------------------------

    async def _find_server(self) -> None:
        problem = ""
        for attempt in range(SEARCHES):
            try:
                answer = await self.doors.once("GET", "healthz")
            except NETWORK_ERRORS as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if answer.ok:
                    return
                problem = f"it answers {answer.status}"
            await asyncio.sleep(full_jitter(attempt))
        raise CannotRun(f"There is no Baton at {self.doors.base}: {problem}. Start it with bin/up, or say --url.")

    async def _prepare(self) -> None:
        try:
            await self.ledger.skip_to_end()
        except Away as away:
            raise self._gone(away) from None
        except SignedOut as refusal:
            raise CannotRun(
                f"{self.doors.base} does not know the API key that was just made ({refusal}): does it use "
                "another database than this command?"
            ) from None
        people = list(zip(self.accounts.usernames, self.plan.shifts, strict=True))
        self.progress.phase("Signing in", len(people))
        turn = asyncio.Semaphore(SIGN_INS_AT_ONCE)

        async def enter(username: str, index: int) -> None:
            async with turn:
                if self.stop.is_set():
                    raise CannotRun("Stopped by hand before everybody was signed in.")
                token = await self._sign_in(username)
            shift = self.plan.shifts[index]
            self.drivers.append(
                Driver(
                    username=username,
                    token=token,
                    shift=shift,
                    behaviour=self.plan.behaviour,
                    heartbeat_s=self.plan.heartbeat_s,
                    clock=self.clock,
                    doors=self.doors,
                    tally=self.tally,
                    chance=random.Random(f"{self.seed} {username}"),
                    way_seconds=self.way_seconds,
                )
            )
            self.progress.at(len(self.drivers))

        try:
            async with asyncio.TaskGroup() as tasks:
                for index, (username, _) in enumerate(people):
                    tasks.create_task(enter(username, index))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        self.progress.close()

    def _gone(self, away: Away) -> CannotRun:
        return CannotRun(f"{self.doors.base} does not answer any more: {away}.")

    async def _sign_in(self, username: str) -> str:
        document = {"username": username, "password": self.accounts.password, "device": "simulation"}
        try:
            answer = await self.doors.ask("POST", "api/v1/auth/login/", document=document, patience=SIGN_IN_SECONDS)
        except Away as away:
            raise self._gone(away) from None
        except SignedOut as refusal:
            raise CannotRun(f"{username} cannot sign in: {refusal}") from None
        if not answer.ok:
            raise CannotRun(f"{username} cannot sign in: {answer.code}")
        return str(answer.body["token"])

    async def _assemble(self) -> None:
        """Everybody whose shift begins at once is on duty before time begins."""
        early = [driver for driver in self.drivers if driver.shift.begins <= 0]
        self.progress.phase("Going on duty", len(early))
        until = time.monotonic() + ASSEMBLY_SECONDS
        while (ready := sum(driver.on_duty.is_set() for driver in early)) < len(early) and not self.stop.is_set():
            if time.monotonic() > until:
                self.tally.error(f"{len(early) - ready} drivers did not come on duty in time")
                break
            self.progress.at(ready)
            await asyncio.sleep(0.1)
        self.progress.at(ready)
        self.progress.close()

    # --- Meanwhile ---------------------------------------------------------------------------------------------------

    async def _drive(self, driver: Driver) -> None:
        try:
            await driver.run(self.over)
        except SignedOut as refusal:
            self.tally.error(f"signed out: {refusal}")
        except Away as away:
            self.tally.error(f"gave up: {away}")
        except Exception as error:
            self.tally.error(f"a driver's fault: {type(error).__name__}: {error}")

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(Away):
                await self.ledger.catch_up()
            await asyncio.sleep(FEED_SECONDS)

    async def _place_all(self) -> None:
        placing: set[asyncio.Task[None]] = set()
        chance = random.Random(f"{self.seed} customers")
        for trip in self.plan.trips:
            await self.clock.until(trip.moment)
            if self.stop.is_set():
                break
            task = asyncio.create_task(self._place(trip, trip.document(chance)))
            placing.add(task)
            task.add_done_callback(placing.discard)
        await self.clock.until(self.plan.lasts)
        if placing:
            await asyncio.wait(placing)

    async def _place(self, trip: Trip, document: dict[str, Any]) -> None:
        until = time.monotonic() + PLACING_SECONDS
        while True:
            if self.plan.deadlines is not None:
                now = datetime.now(UTC)
                document["auto_assign_at"] = (now + timedelta(seconds=self.plan.deadlines.auto_assign)).isoformat()
                document["expires_at"] = (now + timedelta(seconds=self.plan.deadlines.expiry)).isoformat()
            try:
                answer = await self.doors.ask(
                    "POST",
                    "api/v1/orders/",
                    patience=until - time.monotonic(),
                    token=self.accounts.api_key,
                    document=document,
                    headers={"Idempotency-Key": str(uuid4())},
                )
            except (Away, SignedOut) as error:
                why = str(error)
                break
            if answer.ok:
                self.way_seconds[answer.body["id"]] = trip.seconds
                self.ledger.placed[answer.body["id"]] = trip.reference
                return
            # The server was away so long that the deadlines are past; had it placed the order the first time, it would
            # have known the key again.
            is_late = bool({"auto_assign_at", "expires_at"} & answer.body.get("errors", {}).keys())
            if not is_late or time.monotonic() > until:
                why = f"{answer.code} {answer.body}"
                break
        self.not_placed += 1
        self.tally.error(f"an order was not placed: {why}")

    async def _until(self, placing: asyncio.Task[None]) -> None:
        lasts = max(1, round(self.clock.real(self.plan.lasts)))
        self.progress.phase("Running, seconds", lasts)
        stopped = asyncio.create_task(self.stop.wait())
        try:
            while not placing.done() and not stopped.done():
                await asyncio.wait({placing, stopped}, timeout=1, return_when=asyncio.FIRST_COMPLETED)
                self.progress.at(round(self.clock.real(self.clock.now())), self._note())
            if placing.done():
                placing.result()
        finally:
            placing.cancel()
            stopped.cancel()
            self.progress.close()

    async def _settle(self) -> None:
        """Wait until every order has come to its end, but not for ever."""
        placed = len(self.ledger.placed)
        self.progress.phase("Settling, orders", placed)
        until = time.monotonic() + self.plan.settles_s
        while not self.stop.is_set() and not self.ledger.is_settled and time.monotonic() < until:
            settled = sum(story.is_settled for story in self._stories())
            self.progress.at(settled, self._note())
            await asyncio.sleep(0.5)
        self.progress.at(sum(story.is_settled for story in self._stories()), self._note())
        self.progress.close()

    def _stories(self) -> Iterator[Any]:
        return (self.ledger.stories[order_id] for order_id in self.ledger.placed if order_id in self.ledger.stories)

    def _note(self) -> str:
        outcomes = self.ledger.outcomes()
        return (
            f"{len(self.ledger.placed)} orders, {outcomes['delivered']} delivered, {outcomes['expired']} expired, "
            f"{self.tally.sockets_open} sockets, {self.tally.faults} faults"
        )


def allow_files(needed: int) -> None:
    """As many open files as the sockets need. Raises CannotRun when the machine does not allow that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise CannotRun(f"This needs {needed} open files, and this machine allows {hard} (ulimit -Hn).")
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
