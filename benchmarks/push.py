"""How long a push takes, from the commit of an order to the driver's device, and what heartbeats cost.

    python -m benchmarks.push --sockets 1000 --orders 200 --rate 20 --heartbeat-seconds 10

A scratch database, one uvicorn process as it is served, one process with all the drivers' sockets, one that places orders
through the service. All of them share this machine, so the figures include the load generator's own share of its cores.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

#: Five kilometres around it, everybody is near.
CENTRE = (37.7793, -122.4193)
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20.0, help="orders a second")
    parser.add_argument("--heartbeat-seconds", type=float, default=10.0, help="between two of one driver")
    given = parser.parse_args()

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    with scratch_database(), tempfile.TemporaryDirectory() as folder:
        measure(given, Path(folder))


@contextmanager
def scratch_database() -> Iterator[None]:
    from django.test.utils import setup_databases, teardown_databases

    from tests.conftest import connected_as_owner

    with connected_as_owner():
        made = setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
    try:
        yield
    finally:
        with connected_as_owner():
            teardown_databases(made, verbosity=0)


def measure(given: argparse.Namespace, folder: Path) -> None:
    from django.conf import settings

    from tests.dispatch.live.rig import Server

    prefix = f"bench{os.getpid()}"
    layer: Any = settings.CHANNEL_LAYERS["default"]
    layer["CONFIG"]["prefix"] = prefix
    tokens = make_drivers(given.sockets)
    server: Any = Server(folder, prefix=prefix)
    server.start()
    here, there = get_context("spawn").Pipe()
    url = server.url("/ws/driver/")
    fleet = get_context("spawn").Process(target=run_fleet, args=(there, url, tokens, given.heartbeat_seconds))
    before, empty = cpu_seconds(server.child.pid), memory_mb(server.child.pid)
    fleet.start()
    try:
        lasted = here.recv()
        spent, grown = cpu_seconds(server.child.pid) - before, memory_mb(server.child.pid) - empty
        print(
            f"{given.sockets} sockets connected, each with its snapshot, in {lasted:.1f} s; server CPU"
            f" {1e3 * spent / given.sockets:.1f} ms and {1e3 * grown / given.sockets:.0f} kB each"
        )
        report_heartbeats(server, here, given)
        report_pushes(server, here, given)
    finally:
        here.send("stop")
        fleet.join(timeout=20)
        server.stop()


def make_drivers(count: int) -> list[str]:
    """Live drivers all over the city; their tokens."""
    from django.contrib.auth.models import User

    from drivers.models import DeviceToken, Driver, Presence
    from drivers.services import Position, record_positions

    users = User.objects.bulk_create(User(username=f"bench{number}") for number in range(count))
    drivers = Driver.objects.bulk_create(Driver(user=user, name=user.username, capacity=50) for user in users)
    Presence.objects.update(is_online=True)
    dice = random.Random(1)
    record_positions(
        positions=[
            Position(
                driver_id=driver.pk,
                lat=CENTRE[0] + dice.uniform(-0.03, 0.03),
                lng=CENTRE[1] + dice.uniform(-0.03, 0.03),
            )
            for driver in drivers
        ]
    )
    return [DeviceToken.objects.create(user=user)[1] for user in users]


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def report_heartbeats(server: Any, fleet: Connection, given: argparse.Namespace) -> None:
    seconds = max(10.0, 2 * given.heartbeat_seconds)
    fleet.send("count")
    before, started = cpu_seconds(server.child.pid), time.monotonic()
    time.sleep(seconds)
    fleet.send("counted")
    answers = fleet.recv()
    lasted, spent = time.monotonic() - started, cpu_seconds(server.child.pid) - before
    print(
        f"heartbeats: {len(answers) / lasted:.0f}/s answered, {_percentiles(answers)} after they were sent;"
        f" server CPU {100 * spent / lasted:.0f} % of one core, {1e6 * spent / max(1, len(answers)):.0f} us each,"
        f" {memory_mb(server.child.pid):.0f} MB resident"
    )


def report_pushes(server: Any, fleet: Connection, given: argparse.Namespace) -> None:
    committed, placing = place_orders(given)
    # The last push has long arrived when the fleet has heard nothing new for a second.
    fleet.send("receipts")
    received: list[tuple[str, float]] = fleet.recv()
    latencies = [at - committed[order_id] for order_id, at in received if order_id in committed]
    offers = offers_made()
    print(
        f"orders: {len(committed)} placed at {len(committed) / placing:.1f}/s; {offers} offers made,"
        f" {len(latencies)} arrived ({offers - len(latencies)} missing)"
    )
    print(f"commit to receipt: {_percentiles(latencies)}")


def place_orders(given: argparse.Namespace) -> tuple[dict[str, float], float]:
    """Order id → when its transaction was committed (monotonic clock), and how long all of them took, seconds."""
    from django.db import connections

    from dispatch import services
    from orders.services import Place
    from tests import cast

    committed_at = 0.0
    connection: Any = connections["default"]
    commit = connection._commit

    def timed_commit() -> None:
        nonlocal committed_at
        commit()
        committed_at = time.monotonic()

    connection._commit = timed_commit
    dice = random.Random(2)
    committed: dict[str, float] = {}
    started = time.monotonic()
    for number in range(given.orders):
        time.sleep(max(0.0, started + number / given.rate - time.monotonic()))
        pickup = Place(CENTRE[0] + dice.uniform(-0.02, 0.02), CENTRE[1] + dice.uniform(-0.02, 0.02), "Somewhere")
        order, _ = services.place_order(new=cast.new_order(pickup=pickup), actor=cast.DISPATCHER)
        committed[str(order.pk)] = committed_at
    return committed, time.monotonic() - started


def offers_made() -> int:
    from dispatch.models import Offer

    return Offer.objects.count()


def _percentiles(seconds: list[float]) -> str:
    if len(seconds) < 2:
        return "too few to tell"
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    shown = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(seconds)}
    return ", ".join(f"{name} {1000 * value:.1f} ms" for name, value in shown.items())


# --- The process with the sockets ------------------------------------------------------------------------------------


def run_fleet(parent: Connection, url: str, tokens: list[str], heartbeat_seconds: float) -> None:
    asyncio.run(_fleet(parent, url, tokens, heartbeat_seconds))


async def _fleet(parent: Connection, url: str, tokens: list[str], heartbeat_seconds: float) -> None:
    from websockets.asyncio.client import connect

    offers: list[tuple[str, float]] = []
    answers: list[float] = []
    ready = asyncio.Semaphore(0)
    turns = asyncio.Semaphore(50)

    async def drive(token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with connect(url, additional_headers=headers, compression=None, proxy=None, open_timeout=60) as socket:
            await socket.recv()
            turns.release()
            ready.release()
            beats = asyncio.create_task(_beat(socket, heartbeat_seconds))
            try:
                async for text in socket:
                    at = time.monotonic()
                    frame = json.loads(text)
                    if frame["type"] == "offer":
                        offers.append((frame["offer"]["order"], at))
                    elif frame["type"] == "heartbeat_ack":
                        answers.append(at - frame["id"] / 1e6)
            finally:
                beats.cancel()

    started = time.monotonic()
    drives = []
    for token in tokens:
        await turns.acquire()
        drives.append(asyncio.create_task(drive(token)))
    for _ in tokens:
        await ready.acquire()
    parent.send(time.monotonic() - started)
    while (word := await asyncio.to_thread(parent.recv)) != "stop":
        if word == "count":
            answers.clear()
        elif word == "counted":
            parent.send(list(answers))
        elif word == "receipts":
            known = -1
            while known != len(offers):
                known = len(offers)
                await asyncio.sleep(1)
            parent.send(offers)
    for drive_task in drives:
        drive_task.cancel()
    await asyncio.gather(*drives, return_exceptions=True)


async def _beat(socket: Any, every: float) -> None:
    await asyncio.sleep(random.uniform(0, every))
    while True:
        place = {"lat": CENTRE[0] + random.uniform(-0.03, 0.03), "lng": CENTRE[1] + random.uniform(-0.03, 0.03)}
        await socket.send(json.dumps({"type": "heartbeat", **place, "id": int(time.monotonic() * 1e6)}))
        await asyncio.sleep(every)


if __name__ == "__main__":
    main()
