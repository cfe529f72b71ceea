"""A small city that lives for ever: it waits for the server, and survives the restart of anything."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from dispatch.simulation.city import CITY, demo_trip
from dispatch.simulation.clock import Clock
from dispatch.simulation.doors import NETWORK_ERRORS, Away, Doors, SignedOut, full_jitter
from dispatch.simulation.driver import Driver
from dispatch.simulation.plan import Behaviour, Shift
from dispatch.simulation.run import Accounts
from dispatch.simulation.tally import Tally, parse_time
from dispatch.simulation.tracks import Roaming

SPEED = 4.0
HEARTBEAT_SECONDS = 5.0
BEHAVIOUR = Behaviour(accepts=0.1, declines=0.05, releases=0.02, thinks=4.0, hesitates=20.0)
#: Real seconds on duty, and of a break.
ON_DUTY = (1200.0, 5400.0)
BREAK = (60.0, 300.0)
#: A driver who cannot sign in tries again after so long; orders that nobody took are looked for so often.
AGAIN_SECONDS = 60.0
LOOK_SECONDS = 60.0
#: The customer of an expired order gives up after so long.
PATIENCE_SECONDS = 600.0
LEAVING_SECONDS = 4.0
WAYS_REMEMBERED = 500


class AccountsGone(Exception):
    """Nobody is let in any more: the database is another one, or somebody changed the accounts. Prepare them again."""


class Demo:
    def __init__(self, *, accounts: Accounts, url: str, orders_per_minute: float, say: Callable[[str], None]) -> None:
        self.accounts, self.orders_per_minute, self.say = accounts, orders_per_minute, say
        self.tally = Tally()
        self.doors = Doors(url, self.tally)
        self.clock = Clock(SPEED)
        self.chance = random.Random()
        self.stop = asyncio.Event()
        self.way_seconds: dict[str, float] = {}

    async def run(self) -> None:
        """Until `stop`. Raises AccountsGone."""
        async with self.doors:
            await self._find_server()
            self.clock.begin()
            lives = [asyncio.create_task(self._live(username)) for username in self.accounts.usernames]
            tasks = [
                asyncio.create_task(self._for_ever(self._customers)),
                asyncio.create_task(self._for_ever(self._give_up)),
            ]
            stopped = asyncio.create_task(self.stop.wait())
            try:
                done, _ = await asyncio.wait([*lives, *tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
                for task in done - {stopped}:
                    task.result()
            finally:
                self.stop.set()
                for task in (*tasks, stopped):
                    task.cancel()
                # A moment to go off duty.
                await asyncio.wait(lives, timeout=LEAVING_SECONDS)
                for task in lives:
                    task.cancel()
                await asyncio.gather(*lives, *tasks, return_exceptions=True)

    async def _find_server(self) -> None:
        waits, attempt = False, 0
        while not self.stop.is_set():
            with contextlib.suppress(*NETWORK_ERRORS):
                if (await self.doors.once("GET", "healthz")).ok:
                    self.say(f"{self.doors.base} answers; {len(self.accounts.usernames)} drivers go to work.")
                    return
            if not waits:
                self.say(f"Waiting for {self.doors.base}.")
                waits = True
            await self._pause(full_jitter(attempt))
            attempt += 1

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)

    async def _for_ever(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while not self.stop.is_set():
            try:
                await step()
            except Away:
                await self._pause(self.chance.uniform(1, 5))
            except SignedOut as refusal:
                raise AccountsGone(str(refusal)) from None

    # --- Drivers -----------------------------------------------------------------------------------------------------

    async def _live(self, username: str) -> None:
        """Work and breaks, for ever. Raises AccountsGone."""
        track = Roaming(CITY, self.chance)
        # Not all at once: each sign-in takes the server some work.
        await self._pause(self.chance.uniform(0, len(self.accounts.usernames) / 8))
        while not self.stop.is_set():
            if (token := await self._sign_in(username)) is None:
                await self._pause(AGAIN_SECONDS)
                continue
            now = self.clock.now()
            shift = Shift(track, begins=0.0, ends=now + self.chance.uniform(*ON_DUTY) * SPEED)
            driver = Driver(
                username=username,
                token=token,
                shift=shift,
                behaviour=BEHAVIOUR,
                heartbeat_s=HEARTBEAT_SECONDS,
                clock=self.clock,
                doors=self.doors,
                tally=self.tally,
                chance=self.chance,
                way_seconds=self.way_seconds,
            )
            try:
                await driver.run(self.stop)
            except (Away, SignedOut):
                # Somebody signed the device out or suspended the driver; signing in again shows which.
                await self._pause(self.chance.uniform(5, 20))
            else:
                await self._pause(self.chance.uniform(*BREAK))

    async def _sign_in(self, username: str) -> str | None:
        """None: not now. Raises AccountsGone."""
        document = {"username": username, "password": self.accounts.password, "device": "demo"}
        try:
            answer = await self.doors.ask("POST", "api/v1/auth/login/", document=document)
        except Away:
            return None
        except SignedOut as refusal:
            raise AccountsGone(f"{username}: {refusal}") from None
        return str(answer.body["token"]) if answer.ok else None

    # --- Customers ---------------------------------------------------------------------------------------------------

    async def _customers(self) -> None:
        await self._pause(self.chance.expovariate(self.orders_per_minute / 60))
        if self.stop.is_set():
            return
        trip = demo_trip(round(time.time()) % 10_000, self.chance)
        answer = await self.doors.ask(
            "POST",
            "api/v1/orders/",
            token=self.accounts.api_key,
            document=trip.document(self.chance),
            headers={"Idempotency-Key": str(uuid4())},
        )
        if answer.ok:
            self.way_seconds[answer.body["id"]] = trip.seconds
            while len(self.way_seconds) > WAYS_REMEMBERED:
                del self.way_seconds[next(iter(self.way_seconds))]
        else:
            self.say(f"An order was refused: {answer.body}")
            await self._pause(AGAIN_SECONDS)

    async def _give_up(self) -> None:
        """Cancel what nobody took in time, as a customer would."""
        await self._pause(LOOK_SECONDS)
        query = {"status": "pending", "limit": "100"}
        answer = await self.doors.ask("GET", "api/v1/orders/", token=self.accounts.api_key, query=query)
        if not answer.ok:
            return
        enough = datetime.now(UTC) - timedelta(seconds=PATIENCE_SECONDS)
        for order in answer.body["results"]:
            if order["expired"] and parse_time(order["expires_at"]) < enough:
                await self.doors.ask(
                    "POST",
                    f"api/v1/orders/{order['id']}/cancel/",
                    token=self.accounts.api_key,
                    document={"reason": "The customer gave up waiting."},
                )
