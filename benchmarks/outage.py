"""What callers see while Redis, then PostgreSQL, is stopped and started again under a running `bin/up`.

    bin/up --detach
    bin/bench outage

A driver (heartbeat, sync, accept, pick-up, deliver) and a shop (new orders, lists) go on asking all the while. Prints every
phase's answers by status with the slowest of each, and fails when an answer was neither a success, an honest refusal nor a
503 problem with Retry-After, or when the reads and acts did not go on while only Redis was away. The accounts are made with
`bin/manage`. Loopback only; about half a minute.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from typing import Any

import aiohttp

from benchmarks.report import ROOT, Report, arguments

API = f"http://localhost:{os.environ.get('BATON_PORT', '8000')}/api/v1"
PASSWORD = "a long outage password"  # noqa: S105 (of an account that this script makes)
PLACE = {"lat": 37.7955, "lng": -122.3937}
ORDER = {
    "pickup": PLACE,
    "dropoff": {"lat": 37.79, "lng": -122.39},
    "contact": {"name": "Carol", "phone": "+1 555 0100"},
}
#: Refusals that a race with the demo's drivers or auto-assign explains.
HONEST = {403, 404, 409, 410}


class Caller:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.phase = "before"
        self.going_on = True
        self.seen: dict[tuple[str, str], Counter[int | str]] = defaultdict(Counter)
        self.took: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.faults: list[str] = []

    async def ask(self, name: str, method: str, path: str, token: str, body: Any = None) -> Any:
        phase, began = self.phase, time.monotonic()
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.request(method, API + path, headers=headers, json=body) as answer:
            document = await answer.json(content_type=None)
        key = (phase, name)
        self.seen[key][answer.status] += 1
        self.took[key].append(time.monotonic() - began)
        is_refused_well = answer.status == 503 and "Retry-After" in answer.headers and "code" in (document or {})
        if answer.status >= 400 and answer.status not in HONEST and not is_refused_well:
            self.faults.append(f"{phase}: {name} {answer.status} {document}")
        if phase.startswith("Redis") and answer.status == 503:
            self.faults.append(f"{phase}: {name} did not go on without Redis")
        return document if answer.status < 400 else None

    async def shop(self, key: str) -> None:
        while self.going_on:
            await self.ask("list", "GET", "/orders/?limit=10", key)
            await asyncio.sleep(0.1)

    async def drive(self, token: str, key: str) -> None:
        while self.going_on:
            await self.ask("heartbeat", "POST", "/driver/heartbeat/", token, PLACE)
            await self.ask("sync", "GET", "/driver/sync/", token)
            if order := await self.ask("new order", "POST", "/orders/", key, ORDER):
                for act in ("accept", "pick-up", "deliver"):
                    await self.ask(act, "POST", f"/orders/{order['id']}/{act}/", token, {})
            await asyncio.sleep(0.1)


def manage(*words: str) -> str:
    return subprocess.run([ROOT / "bin" / "manage", *words], check=True, capture_output=True, text=True).stdout.strip()


async def service(verb: str, name: str) -> None:
    child = await asyncio.create_subprocess_exec(
        ROOT / "bin" / "service", verb, name, stdout=asyncio.subprocess.DEVNULL
    )
    assert await child.wait() == 0, f"bin/service {verb} {name}"


async def run() -> int:
    key = manage("create_api_key", "Outage").splitlines()[-1]
    manage("create_drivers", "--count", "1", "--prefix", "outage", "--password", PASSWORD, "--capacity", "20")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        caller = Caller(session)
        sign_in = {"username": "outage1", "password": PASSWORD}
        token = (await caller.ask("sign in", "POST", "/auth/login/", "", sign_in))["token"]
        await caller.ask("on duty", "PATCH", "/driver/", token, {"is_online": True})
        work = [asyncio.create_task(caller.shop(key)), asyncio.create_task(caller.drive(token, key))]
        await asyncio.sleep(3)
        for name, title in (("redis", "Redis"), ("postgres", "PostgreSQL")):
            caller.phase = f"{title} away"
            await service("stop", name)
            await asyncio.sleep(5)
            await service("start", name)
            caller.phase = f"{title} coming back"
            await asyncio.sleep(2)
            caller.phase = f"after {title}"
            await asyncio.sleep(3)
        caller.going_on = False
        await asyncio.gather(*work)
    report = Report("outage")
    for (phase, name), statuses in caller.seen.items():
        counted = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
        report.times(f"{phase}: {name}, {counted}", caller.took[phase, name])
    for fault in caller.faults[:20]:
        report.note(f"FAULT {fault}")
    report.bar("answers that should not be", len(caller.faults), at_most=0)
    return report.finish()


def main() -> int:
    arguments(__doc__).parse_args()
    return asyncio.run(run())


if __name__ == "__main__":
    sys.exit(main())
