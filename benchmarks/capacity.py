"""What one process carries: the CPU of each thing that drivers and shops do, in Baton, PostgreSQL and Redis.

    bin/bench capacity [--drivers 5000] [--sockets 1000] [--requests 200] [--seconds 8]

One uvicorn for HTTP and one for sockets, as they are served; what each request, heartbeat, push and connect
costs in seconds of CPU is read from /proc, and how much WAL it writes from PostgreSQL. Seconds of CPU hardly change when
others use the machine; a process carries 1 / CPU of a thing each second. Beside every request one that asks for nothing
(`/healthz`), beside heartbeats over the socket the same over HTTP, beside positions those of drivers who stand still.
docs/scaling.md reckons with these figures.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import uuid4

import redis
from django.conf import settings
from django.db import connection

from benchmarks.crowd import Crowd
from benchmarks.report import ROOT, Report, arguments
from benchmarks.scratch import CENTRE, as_owner, hire, scratch_database, server_environment
from benchmarks.servers import TICKS, Server, serving, tokens
from benchmarks.sweep import due_orders, work_off
from dispatch import live
from dispatch.models import Offer
from dispatch.sweeps import Sweeper
from drivers.models import Driver
from drivers.services import Position, record_positions
from orders.models import Order
from orders.services import create_api_key


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of CPU in Baton's process, in PostgreSQL (all of it, vacuum too) and in Redis; bytes of WAL."""

    baton: float
    postgresql: float
    redis: float
    wal: float

    def since(self, before: "Spent", count: int) -> "Spent":
        """Of each of `count` since then."""
        return Spent(
            (self.baton - before.baton) / count,
            (self.postgresql - before.postgresql) / count,
            (self.redis - before.redis) / count,
            (self.wal - before.wal) / count,
        )


class Meter:
    """Reads what has been spent so far. `group`: the processes of Baton, by the first one's pid; None: this one."""

    def __init__(self, group: int | None = None) -> None:
        self.group = group
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (backend,) = cursor.fetchone()
        self.postmaster = parent_of(backend)
        self.redis = int(redis.Redis.from_url(settings.REDIS_URL).info("server")["process_id"])

    def __call__(self) -> Spent:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_wal_insert_lsn() - '0/0'")
            (wal,) = cursor.fetchone()
        baton = time.process_time() if self.group is None else family(self.group)
        return Spent(baton, family(self.postmaster), running(self.redis), float(wal))


def stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def parent_of(pid: int) -> int:
    return int(stat(pid)[1])


def running(pid: int) -> float:
    """Seconds of CPU of one process, exactly: all its threads."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def family(first: int) -> float:
    """Of a process, its children, and those that have ended."""
    ended = sum(int(field) for field in stat(first)[13:15]) / TICKS
    total = running(first) + ended
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if parent_of(int(path.name)) == first:
                total += running(int(path.name))
        except OSError:
            continue
    return total


class Web:
    """One process for HTTP, and somebody who asks it one thing after the other."""

    def __init__(self) -> None:
        self.port = serving.free_ports(1)[0]
        self.child = subprocess.Popen(
            serving.uvicorn_command(sys.executable, self.port, ""),
            cwd=ROOT,
            env=server_environment(settings.REDIS_PREFIX),
        )
        self.caller = HTTPConnection(serving.LOOPBACK, self.port, timeout=60)
        until = time.monotonic() + 120
        while True:
            try:
                self.ask("GET", "/healthz", "")
            except OSError:
                self.caller.close()
                if time.monotonic() > until or self.child.poll() is not None:
                    raise
                time.sleep(0.1)
            else:
                return

    def ask(self, method: str, path: str, token: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.caller.request(method, path, None if body is None else json.dumps(body), headers)
        response = self.caller.getresponse()
        content = response.read()
        return response.status, json.loads(content) if content else None

    def stop(self) -> None:
        self.caller.close()
        self.child.terminate()
        self.child.wait(30)


def tell(report: Report, name: str, each: Spent) -> Spent:
    report.value(f"{name}: Baton", 1000 * each.baton, "ms of CPU")
    report.value(f"{name}: PostgreSQL", 1000 * each.postgresql, "ms of CPU")
    report.value(f"{name}: Redis", 1000 * each.redis, "ms of CPU")
    report.value(f"{name}: WAL", each.wal, "bytes")
    return each


def requests(report: Report, count: int, keys: dict[int, str]) -> dict[str, Spent]:
    """Each kind of request, one after the other."""
    ids = list(keys)
    _, shop = create_api_key(name="bench", scopes=["orders:read", "orders:write"])
    web = Web()
    meter = Meter(web.child.pid)
    placed: list[str] = []

    def many(name: str, ask: Callable[[int], tuple[int, Any]], expected: int) -> Spent:
        for number in range(10):
            ask(number)
        before = meter()
        for number in range(10, 10 + count):
            status, said = ask(number)
            assert status == expected, (name, status, said)
        return tell(report, name, meter().since(before, count))

    def place(number: int) -> tuple[int, Any]:
        spot = {"lat": CENTRE[0] + number % 100 / 1500, "lng": CENTRE[1] - number // 100 / 150, "address": "somewhere"}
        contact = {"name": "Bench", "phone": "1"}
        status, order = web.ask("POST", "/api/v1/orders/", shop, {"pickup": spot, "dropoff": spot, "contact": contact})
        placed.append(order["id"])
        return status, order

    def heartbeat(number: int) -> tuple[int, Any]:
        body = {"lat": CENTRE[0] + number / 10_000, "lng": CENTRE[1]}
        return web.ask("POST", "/api/v1/driver/heartbeat/", keys[ids[number % len(ids)]], body)

    def act(word: str, number: int) -> tuple[int, Any]:
        order, driver = taken[number]
        return web.ask("POST", f"/api/v1/orders/{order}/{word}/", keys[driver], {})

    try:
        found = {"nothing": many("nothing (/healthz)", lambda _: web.ask("GET", "/healthz", ""), 200)}
        # Before there are orders: whoever comes near one is offered it at the next heartbeat, which costs more.
        found["heartbeat"] = many("heartbeat over HTTP", heartbeat, 200)
        many("place an order, offered to 50", place, 201)
        busy = list(Offer.objects.order_by().values_list("driver_id", flat=True).distinct()[: count + 10])
        many("sync", lambda n: web.ask("GET", "/api/v1/driver/sync/", keys[busy[n % len(busy)]]), 200)
        # One order for each driver, one driver for each order.
        taken: list[tuple[str, int]] = []
        free = set(ids)
        for order in placed:
            offered = Offer.objects.filter(order_id=order, driver_id__in=free).values_list("driver_id", flat=True)
            if (driver := offered.first()) is not None:
                taken.append((order, driver))
                free.discard(driver)
        count = min(count, len(taken) - 10)
        # The server may have ended a connection that was idle for so long; the next request opens another.
        web.caller.close()
        found["accept"] = many("accept, 49 others offered it", partial(act, "accept"), 200)
        many("pick up", partial(act, "pick-up"), 200)
        many("deliver", partial(act, "deliver"), 200)
    finally:
        web.stop()
    return found


def sockets(report: Report, count: int, seconds: float, keys: dict[int, str]) -> Spent:
    """Connects, idle sockets, heartbeats and pushes of one socket process; what a heartbeat costs."""
    server = Server()
    meter = Meter(server.child.pid)
    crowd = Crowd(server.port, list(keys.values())[:count])
    try:
        empty, before = server.memory(), meter()
        opened = crowd("connect", 50)["open"]
        tell(report, "connect, with its snapshot", meter().since(before, opened))
        report.value("memory of an idle socket", (server.memory() - empty) / opened / 1000, "kB")
        crowd("pace", max(1.0, count / 1000))
        time.sleep(2)
        crowd("take")
        before, began, was = meter(), time.monotonic(), rewritten()
        time.sleep(seconds)
        answered = len(crowd("take")["answers"])
        each = tell(report, "heartbeat over a socket", meter().since(before, max(1, answered)))
        report.note(f"heartbeats over sockets: {answered / (time.monotonic() - began):,.0f}/s were answered")
        report.value("heartbeats that stayed on their page (HOT)", 100 * hot_share(was), "%")
        report.value("heartbeats a core of a socket process carries", 1 / each.baton, "/s")
        crowd("drop")
        idle, began = meter(), time.monotonic()
        time.sleep(2)
        quiet = (meter().baton - idle.baton) / (time.monotonic() - began)
        opened = crowd("connect", 50)["open"]
        crowd("take")
        before, began = meter(), time.monotonic()
        pushed = pushes(seconds)
        time.sleep(1)
        arrived = len(crowd("take")["offers"])
        spent = meter().since(before, 1).baton - quiet * (time.monotonic() - began)
        report.value("push of an offer to one socket: Baton", 1e6 * spent / max(1, arrived), "us of CPU")
        report.note(f"pushes: {arrived:,} of {pushed:,} offers went to sockets of this process")
        before, began = meter(), time.monotonic()
        for number in range(5000):
            # Every socket process hears every push; this one is for fifty drivers of another.
            live.offers_closed(uuid4(), number, range(10**7, 10**7 + 50), "order_taken")
        time.sleep(2)
        spent = meter().since(before, 1).baton - quiet * (time.monotonic() - began)
        report.value("push to fifty sockets of other processes: Baton", 1e6 * spent / 5000, "us of CPU")
    finally:
        crowd.close()
        server.stop()
    return each


def pushes(seconds: float) -> int:
    """Offers made by placing orders here; how many."""
    from dispatch import services
    from orders import actors
    from orders.services import Contact, NewOrder, Place

    before, until, number = Offer.objects.count(), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        spot = Place(CENTRE[0] + number % 50 / 1000, CENTRE[1] - number % 37 / 500)
        new = NewOrder(pickup=spot, dropoff=spot, contact=Contact(name="Bench", phone="1"))
        services.place_order(new=new, actor=actors.SYSTEM)
        number += 1
    return Offer.objects.count() - before


def rewritten() -> tuple[int, int]:
    """Updates of positions so far, and how many of them needed no index."""
    # A session tells of its own once a second, or when it is asked to.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
    time.sleep(1.2)
    with as_owner() as owner:
        row = owner.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'drivers_presence'"
        ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def hot_share(before: tuple[int, int]) -> float:
    after = rewritten()
    return (after[1] - before[1]) / max(1, after[0] - before[0])


def batches(report: Report, ids: list[int], batch: int, seconds: float) -> dict[str, Spent]:
    """Heartbeats as the socket processes write them, of drivers who moved and of drivers who stand still."""
    meter = Meter()
    done = 0

    def write(step: float) -> None:
        nonlocal done
        some = [ids[(done + place) % len(ids)] for place in range(batch)]
        # Everybody has a place of their own, and is so many steps away from it each time they are asked.
        ahead = step * (done // len(ids))
        record_positions(
            positions=[
                Position(who, CENTRE[0] + who % 300 / 3000, CENTRE[1] - who % 200 / 1500 + ahead) for who in some
            ]
        )
        done += batch

    while done < len(ids):
        write(0.0)
    found = {}
    for name, step in (("standing", 0.0), ("moving", 0.0001)):
        was = rewritten()
        before, began, until = meter(), done, time.monotonic() + seconds
        while time.monotonic() < until:
            write(step)
        found[name] = tell(report, f"position, {batch} at once, {name}", meter().since(before, done - began))
        report.value(f"position, {batch} at once, {name}: stays on its page (HOT)", 100 * hot_share(was), "%")
    return found


def sweeps(report: Report, orders: int) -> None:
    sweeper: Any = Sweeper(beat=lambda: None)
    pending = Order.objects.filter(status="pending", expired=False)
    for name, sweep, ahead in (("expired", sweeper._expire, -1), ("assigned", sweeper._auto_assign, 3600)):
        sweeper._expire()
        due_orders(f"{name}-", orders, 50, seconds=ahead)
        meter, left = Meter(), pending.count()
        before = meter()
        work_off(report, f"{orders:,} {name} by the sweep, 50 offers each", sweep, pending.count)
        spent = meter().since(before, max(1, left - pending.count()))
        tell(report, f"one {name} by the sweep", spent)


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--drivers", type=int, default=5000)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--batch", type=int, default=250)
    given = parser.parse_args()
    report = Report("capacity")
    with scratch_database("capacity"):
        hire(given.drivers)
        ids = list(Driver.objects.order_by("pk").values_list("pk", flat=True))
        keys = dict(zip(ids, tokens(), strict=True))
        written = batches(report, ids, given.batch, given.seconds / 2)
        asked = requests(report, given.requests, keys)
        held = sockets(report, given.sockets, given.seconds, keys)
        sweeps(report, 200)
    nothing, heartbeat, socket = asked["nothing"], asked["heartbeat"], held
    report.bar("CPU of Baton: accept : nothing", asked["accept"].baton / nothing.baton, at_most=20)
    report.bar("CPU of Baton: heartbeat over a socket : over HTTP", socket.baton / heartbeat.baton, at_most=0.2)
    report.bar(
        "CPU of PostgreSQL: heartbeat over a socket : over HTTP", socket.postgresql / heartbeat.postgresql, at_most=0.6
    )
    report.bar("WAL of a position: standing : moving", written["standing"].wal / written["moving"].wal, at_most=1)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
