"""Runs a storm: see `bin/storm --help`."""

import argparse
import asyncio
import json
import random
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.storm import ledger, record, verdict
from benchmarks.storm.nemesis import RECOVERS_WITHIN_S, Fault, Nemesis, schedule
from benchmarks.storm.sabotage import SABOTAGES, spoil
from benchmarks.storm.stack import CITY, PASSWORD, ROOT, Broken, Stack

KINDS = ("kill", "stop", "cut", "slow", "freeze", "deafen", "fill", "reload")
#: The longest that an order of the storm stays open by itself: expiry, a new round, and the sweep.
QUIET_WITHIN_S = 150.0
EXAMPLES_SHOWN = 5


def say(text: str) -> None:
    print(text, flush=True)


class Clients:
    """The client processes and what they say."""

    def __init__(self, stack: Stack, options: argparse.Namespace) -> None:
        self.stack, self.options = stack, options
        self.books = [stack.place / f"book-{n}.jsonl" for n in range(options.processes)]
        self.children: list[asyncio.subprocess.Process] = []
        self.said: list[list[str]] = [[] for _ in self.books]
        self.readers: list[asyncio.Task[None]] = []

    async def start(self, seed: int, drivers: list[dict[str, Any]], shop_key: str, office_key: str) -> None:
        for n, book in enumerate(self.books):
            settings = {
                "name": str(n),
                "seed": str(seed),
                "base": f"http://127.0.0.1:{self.stack.wires['clients-web'].here}",
                "book": str(book),
                "drivers": drivers[n :: len(self.books)],
                "all_drivers": [driver["pk"] for driver in drivers],
                "shop_key": shop_key,
                "office_key": office_key,
                "orders_per_s": self.options.orders / len(self.books),
            }
            path = self.stack.place / f"client-{n}.json"
            path.write_bytes(msgspec.json.encode(settings))
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "benchmarks.storm.client", str(path), cwd=ROOT,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            self.children.append(child)
            self.readers.append(asyncio.create_task(self._listen(n, child)))

    async def _listen(self, n: int, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None
        while line := await child.stdout.readline():
            self.said[n].append(line.decode().strip())

    def operations(self) -> int:
        counts = [[int(word.split()[1]) for word in said if word.startswith("asked")] for said in self.said]
        return sum(count[-1] for count in counts if count)

    def check(self) -> None:
        for child in self.children:
            if child.returncode:
                raise Broken(f"a client process of the storm itself failed with status {child.returncode}")

    async def tell(self, word: str, answer: str, seconds: float) -> None:
        for child in self.children:
            assert child.stdin is not None
            child.stdin.write(f"{word}\n".encode())
            await child.stdin.drain()
        deadline = time.monotonic() + seconds
        while not all(answer in said for said in self.said):
            self.check()
            if time.monotonic() > deadline:
                raise Broken(f"the clients did not come to '{answer}' within {seconds:.0f} s")
            await asyncio.sleep(0.1)

    async def end(self) -> None:
        for child in self.children:
            if child.returncode is None:
                child.kill()
                await child.wait()
        for reader in self.readers:
            reader.cancel()


async def storm(
    options: argparse.Namespace, faults: list[Fault] | None = None
) -> tuple[dict[str, list[str]], list[Fault]]:
    """One storm; what broke, and the faults that were. `faults`: these and no others."""
    stack = Stack(port=options.port, keep=options.keep, web=options.web, ws=options.ws, fanout=options.fanout)
    clients = Clients(stack, options)
    nemesis = Nemesis(stack, say, options.recovery)
    broken: dict[str, list[str]] = {}
    try:
        began = time.monotonic()
        stack.make_copy()
        stack.lend_packages()
        if options.sabotage:
            spoil(options.sabotage, stack.copy)
            say(f"· sabotage: {SABOTAGES[options.sabotage].what}")
        await stack.up()
        if options.sabotage and (sql := SABOTAGES[options.sabotage].sql):
            ledger.run_as_owner(stack.settings["DATABASE_OWNER_URL"], sql)
        drivers, shop_key, office_key = await people(stack, options.drivers)
        say(f"· stack and {len(drivers)} drivers ready after {time.monotonic() - began:.0f} s")
        await clients.start(options.seed, drivers, shop_key, office_key)
        await rage(options, clients, nemesis, faults)
        await clients.tell("quiet", "quiet", 60)
        await settle(stack)
        await clients.tell("look", "done", 90)
        broken |= await judge(stack, clients, nemesis, options)
    except Broken as error:
        broken["the stack comes back by itself"] = [str(error)]
    finally:
        await clients.end()
        await stack.down()
    return broken, [struck.fault for struck in nemesis.struck]


async def rage(options: argparse.Namespace, clients: Clients, nemesis: Nemesis, faults: list[Fault] | None) -> None:
    began = time.monotonic()
    several = bool(clients.stack.web)
    following = schedule(options.seed, kinds=options.kinds, several=several) if options.kinds else None
    given = list(faults or [])
    await asyncio.sleep(2)
    while (elapsed := time.monotonic() - began) < options.seconds:
        clients.check()
        fault: Fault | None = None
        if faults is None:
            fault = following() if following else None
        elif given:
            fault = given.pop(0)
        if fault is None:
            await asyncio.sleep(min(1.0, options.seconds - elapsed))
            continue
        struck = time.monotonic()
        await nemesis.strike(fault)
        await asyncio.sleep(max(fault.rest_s, struck + options.every - time.monotonic()))
        if len(nemesis.struck) % 10 == 0:
            say(f"· {elapsed:.0f} s: {clients.operations():,} operations, {len(nemesis.struck)} faults")


async def settle(stack: Stack) -> None:
    """Until no order changes by itself any more."""
    deadline = time.monotonic() + QUIET_WITHIN_S
    while left := await asyncio.to_thread(ledger.pending, stack.settings["DATABASE_URL"]):
        if time.monotonic() > deadline:
            raise Broken(f"{left} orders are still pending and not expired {QUIET_WITHIN_S:.0f} s after the storm")
        await asyncio.sleep(0.5)


async def judge(stack: Stack, clients: Clients, nemesis: Nemesis, options: argparse.Namespace) -> dict[str, list[str]]:
    lines = record.read(clients.books)
    broken = verdict.judge(lines, ledger.read_ledger(stack.settings["DATABASE_URL"]))
    late = [f"{s.fault}: {s.recovered_s:.1f} s" for s in nemesis.struck if s.recovered_s > nemesis.within_s]
    if late:
        broken[f"whole again within {nemesis.within_s:g} s"] = late
    try:
        audited = await stack.run("bin/manage", "audit", seconds=120)
        say(f"· {audited.strip().splitlines()[-1]}")
    except Broken as error:
        broken["audit"] = [line for line in str(error).splitlines() if not line.startswith("ok ")]
    facts = {
        "seed": options.seed,
        "seconds": options.seconds,
        "faults": len(nemesis.struck),
        "slowest_recovery_s": round(max((s.recovered_s for s in nemesis.struck), default=0.0), 1),
        **verdict.summary(lines),
        "broken": {rule: len(found) for rule, found in broken.items()},
    }
    say(json.dumps(facts))
    return broken


async def people(stack: Stack, count: int) -> tuple[list[dict[str, Any]], str, str]:
    """Drivers with their tokens, a shop's key, an office's key: made by the commands that operators use."""
    near = f"{CITY[0]},{CITY[1]}"
    await stack.run(
        "bin/manage", "create_drivers", "--count", str(count), "--prefix", "s", "--password", PASSWORD, "--capacity", "2",
        "--near", near, "--spread-km", "2", seconds=120,
    )  # fmt: skip
    shop = await stack.run("bin/manage", "create_api_key", "Shop", "--scopes", "orders:read,orders:write", seconds=60)
    office = await stack.run("bin/manage", "create_api_key", "Office", "--scopes", "dispatch", seconds=60)
    turns = asyncio.Semaphore(2)

    async def sign_in(name: str) -> dict[str, Any]:
        async with turns:
            document = await asyncio.to_thread(_sign_in, stack.port, name)
        return {"name": name, "pk": document["driver"]["id"], "token": document["token"]}

    drivers = list(await asyncio.gather(*(sign_in(f"s{n}") for n in range(1, count + 1))))
    return drivers, shop.split()[-1], office.split()[-1]


def _sign_in(port: int, name: str) -> dict[str, Any]:
    body = json.dumps({"username": name, "password": PASSWORD}).encode()
    for _ in range(20):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/auth/login/", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 (our own address)
                document: dict[str, Any] = json.load(answer)
                return document
        except urllib.error.HTTPError as error:
            if error.code not in {429, 503}:
                raise Broken(f"sign-in of {name}: {error.code} {error.read()[:200]!r}") from error
            time.sleep(float(error.headers.get("Retry-After", "1")))
    raise Broken(f"{name} cannot sign in")


async def shortest(options: argparse.Namespace, faults: list[Fault]) -> list[Fault]:
    """Halve a failing schedule as long as a half still fails; each try is a storm of its own."""
    for attempt in range(options.shrink):
        if len(faults) < 2:
            break
        middle = len(faults) // 2
        for half in (faults[:middle], faults[middle:]):
            say(f"── shrinking, try {attempt + 1}: {len(half)} of {len(faults)} faults")
            broken, _ = await storm(options, half)
            if broken:
                faults = half
                break
        else:
            break
    return faults


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/storm",
        description="Everything at once against a copy of the real stack, while processes are killed and stopped and wires "
        "are cut, slowed, frozen and made deaf; then what every client saw is held against the database. Exit status 0 only "
        "when nothing is broken.",
    )
    parser.add_argument("--minutes", type=float, default=None, metavar="N", help="how long (default 1)")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="N", help="the same in seconds")
    parser.add_argument("--seed", type=int, default=None, help="the same people and faults again (default: a new one)")
    parser.add_argument("--drivers", type=int, default=40, metavar="N")
    parser.add_argument("--orders", type=float, default=12.0, metavar="R", help="new orders a second (default 12)")
    parser.add_argument(
        "--fanout",
        type=int,
        default=0,
        metavar="N",
        help="offer an order to at most N drivers (default: as installed, 50)",
    )
    parser.add_argument("--processes", type=int, default=2, metavar="P", help="client processes (default 2)")
    parser.add_argument("--nemesis", default=",".join(KINDS), metavar="KINDS", help=f"of {','.join(KINDS)}, or none")
    parser.add_argument(
        "--recovery", type=float, default=RECOVERS_WITHIN_S, metavar="N", help="whole again within so many seconds (15)"
    )
    parser.add_argument(
        "--every",
        type=float,
        default=0.0,
        metavar="N",
        help="a fault at most every N seconds (default: one after the other)",
    )
    parser.add_argument("--schedule", type=Path, metavar="FILE", help="exactly the faults in this file")
    parser.add_argument("--shrink", type=int, default=0, metavar="N", help="halve a failing schedule up to N times")
    parser.add_argument("--web", type=int, default=0, metavar="N", help="so many processes for HTTP behind a proxy …")
    parser.add_argument(
        "--ws", type=int, default=0, metavar="M", help="… and so many for sockets (default: one for all)"
    )
    parser.add_argument("--sabotage", choices=sorted(SABOTAGES), help="break the copy first; the verdict must see it")
    parser.add_argument("--port", type=int, default=18800 + random.randrange(500))
    parser.add_argument("--keep", action="store_true", help="leave the copy and the books behind")
    options = parser.parse_args()
    options.seed = random.randrange(10**6) if options.seed is None else options.seed
    options.seconds = options.minutes * 60 if options.minutes is not None else options.seconds
    if options.web or options.ws:
        options.web, options.ws = max(1, options.web), max(1, options.ws)
    options.kinds = set() if options.nemesis == "none" else set(options.nemesis.split(","))
    if unknown := options.kinds - set(KINDS):
        parser.error(f"no such nemesis: {', '.join(sorted(unknown))}")
    return options


async def main() -> int:
    options = parsed()
    given = None
    if options.schedule:
        given = [Fault(**fault) for fault in json.loads(options.schedule.read_text())]
    say(
        f"Storm of {options.seconds:.0f} s, seed {options.seed}: {options.drivers} drivers, {options.orders:g} orders/s"
    )
    broken, faults = await storm(options, given)
    if not broken:
        say("Verdict: clean")
        return 0
    for rule, found in broken.items():
        say(f"BROKEN  {rule.replace('_', ' ')}: {len(found)}")
        for text in found[:EXAMPLES_SHOWN]:
            say(f"          {text}")
    if options.shrink:
        faults = await shortest(options, faults)
    say(
        f"Verdict: BROKEN ({', '.join(broken)}). The schedule (--schedule FILE plays it again, with --seed {options.seed}):"
    )
    say(json.dumps([asdict(fault) for fault in faults]))
    return 1


def run(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Whoever ends a storm ends its stack with it: SIGTERM is an end like Ctrl-C."""

    async def watched() -> int:
        task = asyncio.ensure_future(work())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    try:
        return asyncio.run(watched())
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("ended before its time; its stack is gone with it")
        return 130


if __name__ == "__main__":
    sys.exit(run(main))
