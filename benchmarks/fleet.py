"""The whole: drivers, orders and their deliveries through the public doors of several processes behind one address.

    bin/bench fleet [--drivers 20000] [--rate 10] [--minutes 10] [--web 1] [--ws 2] [--generators 2]

The proxy, the processes behind it and the worker are those of `bin/up --web N --ws M`. Every driver has a socket and sends a
heartbeat from a new position every 20 s. A shop posts orders; a few of those who are offered one tap on it, whoever gets it
picks it up and delivers it, nobody's are assigned by the sweep, and one in thirty is so far away that it expires. At the
end `audit` looks at everything. Generators, servers, PostgreSQL and Redis share this machine; what each took is shown.
"""

import json
import random
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from benchmarks.callers import Callers, request
from benchmarks.crowd import Crowd
from benchmarks.fleet_crowd import Fleet
from benchmarks.fleet_stack import Stack, share_of_memory
from benchmarks.report import Report, arguments, quantile
from benchmarks.scratch import CENTRE, hire, scratch_database
from benchmarks.servers import cpu_of, family, tokens
from dispatch.audit import audit
from orders.models import Order
from orders.services import create_api_key

BEAT_SECONDS = 20.0
#: The other end of the world, where nobody drives; one order in so many goes there and expires after so many seconds.
NOWHERE, NOWHERE_EVERY, NOWHERE_SECONDS = (-36.8485, 174.7633), 30, 20
#: Half the city's height and width, degrees.
SPREAD = (0.1, 0.17)
#: How late the sweeps did what was due, seconds, from the history; an auto-assignment is a system's decision.
LATE = {
    "auto-assigned": """
SELECT extract(epoch FROM e.at - o.auto_assign_at)::float FROM orders_orderevent e JOIN orders_order o ON o.id = e.order_id
WHERE e.kind = 'order.assigned' AND e.actor_type = 'system'
""",
    "expired": """
SELECT extract(epoch FROM e.at - o.expires_at)::float FROM orders_orderevent e JOIN orders_order o ON o.id = e.order_id
WHERE e.kind = 'order.expired'
""",
}


def somewhere(dice: random.Random) -> tuple[float, float]:
    return CENTRE[0] + dice.uniform(-SPREAD[0], SPREAD[0]), CENTRE[1] + dice.uniform(-SPREAD[1], SPREAD[1])


def orders(key: str, count: int, rate: float) -> list[bytes]:
    """The shop's requests, in the order of sending."""
    dice, found = random.Random(7), []
    starts = datetime.now(UTC)
    for number in range(count):
        (lat, lng), (to_lat, to_lng) = somewhere(dice), somewhere(dice)
        new: dict[str, Any] = {
            "pickup": {"lat": lat, "lng": lng, "address": "Market Street 1"},
            "dropoff": {"lat": to_lat, "lng": to_lng, "address": "Mission Street 2"},
            "contact": {"name": "Carol", "phone": "+1 415 555 0100"},
            "reference": f"fleet-{number}",
            "payout": "7.50",
        }
        if number % NOWHERE_EVERY == 0:
            new["pickup"] = {"lat": NOWHERE[0], "lng": NOWHERE[1], "address": "Auckland"}
            ends = starts + timedelta(seconds=number / rate + NOWHERE_SECONDS)
            new["auto_assign_at"] = new["expires_at"] = ends.isoformat()
        headers = {"Idempotency-Key": f"fleet-{number}"}
        found.append(request("POST", "/api/v1/orders/", key, json.dumps(new).encode(), headers))
    return found


def servers_of_the_database() -> dict[str, int]:
    """PostgreSQL's first process, by way of our own backend, and Redis."""
    import redis
    from django.conf import settings

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = int(cursor.fetchone()[0])
    with open(f"/proc/{backend}/stat") as stat:
        postmaster = int(stat.read().rpartition(")")[2].split()[1])
    said: Any = redis.Redis.from_url(settings.REDIS_URL).info("server")
    return {"postgresql": postmaster, "redis": int(said["process_id"])}


class Meter:
    """CPU and memory of everything, from now on."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.others = stack, servers_of_the_database()
        self.before, self.began = self._cpu(), time.monotonic()
        self.most: dict[str, float] = {}

    def _cpu(self) -> dict[str, float]:
        return {**self.stack.cpu(), **{name: cpu_of(family(pid)) for name, pid in self.others.items()}}

    def look(self) -> None:
        memory = self.stack.memory()
        memory |= {name: share_of_memory(family(pid)) for name, pid in self.others.items()}
        if sum(memory.values()) > sum(self.most.values()):
            self.most = memory

    def shares(self) -> dict[str, float]:
        """Part of a core that each took."""
        took = time.monotonic() - self.began
        return {name: (spent - self.before.get(name, 0)) / took for name, spent in self._cpu().items()}


def late(kind: str) -> list[float]:
    with connection.cursor() as cursor:
        cursor.execute(LATE[kind])
        return [float(seconds) for (seconds,) in cursor.fetchall()]


def unfinished() -> int:
    return Order.objects.filter(status__in=("pending", "assigned", "picked_up"), expired=False).count()


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--drivers", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=10.0, help="orders a second")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--web", type=int, default=1)
    parser.add_argument("--ws", type=int, default=2)
    parser.add_argument("--generators", type=int, default=2, help="processes with drivers")
    given = parser.parse_args()
    report = Report("fleet")
    with scratch_database("fleet"):
        hire(given.drivers)
        keys = tokens()
        _, key = create_api_key(name="Fleet", scopes=["orders:read", "orders:write"])
        stack = Stack(web=given.web, ws=given.ws)
        crowds = [
            Crowd(stack.port, keys[n :: given.generators], kind=Fleet, source=n * 8) for n in range(given.generators)
        ]
        shop = Callers(stack.port)
        try:
            said = run(report, given, stack, crowds, shop, key)
            verdict = audit()
            connection.close()
        finally:
            for one in crowds:
                one.close()
            shop.close()
            complaints = stack.complaints()
            stack.stop()
        tell(report, given, said)
        due = {kind: late(kind) for kind in LATE}
        counts = Counter(Order.objects.values_list("status", flat=True))
        expired = Order.objects.filter(expired=True).count()
    for kind, seconds in due.items():
        report.times(f"{kind} late by", seconds, unit="s")
        if seconds:
            report.bar(f"{kind} late by, p99, s", quantile(sorted(seconds), 0.99), at_most=1.5)
    report.note(f"orders at the end: {', '.join(f'{n} {k}' for k, n in sorted(counts.items()))}; {expired} expired")
    report.note(f"audit: {verdict.verdict}")
    if complaints:
        report.note(f"logs:\n{complaints}")
    report.bar("what the audit found broken", len(verdict.broken), at_most=0)
    return report.finish()


def run(report: Report, given: Any, stack: Stack, crowds: list[Crowd], shop: Callers, key: str) -> dict[str, Any]:
    """Everybody connects; then orders for so many minutes, and until the last one is dealt with. What was heard."""
    dice = random.Random(11)
    began = time.monotonic()
    for one in crowds:
        one.start("connect", 50)
    opened = [one.answer() for one in crowds]
    report.value("all connected after", time.monotonic() - began, "s")
    for one, said in zip(crowds, opened, strict=True):
        one("work", BEAT_SECONDS, [somewhere(dice) for _ in range(int(said["open"]))])
    time.sleep(BEAT_SECONDS)

    meter = Meter(stack)
    count = int(given.rate * given.minutes * 60)
    shop.start("paced", orders(key, count, given.rate), given.rate, 64)
    print(f"{count} orders in {given.minutes:g} minutes …", flush=True)
    while not shop.pipe.poll(15):
        meter.look()
        memory = sum(meter.most.values()) / 2**20
        print(f"  {time.monotonic() - meter.began:4.0f} s, {unfinished()} open orders, {memory:.0f} MiB", flush=True)
    posted = shop.answer()
    meter.look()
    shares = meter.shares()
    deadline = time.monotonic() + 150
    while unfinished() and time.monotonic() < deadline:
        time.sleep(1)
    for one in crowds:
        one("rest")
    deadline = time.monotonic() + 30
    heard = [one("tally") for one in crowds]
    while any(told["waiting"] for told in heard) and time.monotonic() < deadline:
        time.sleep(1)
        heard = [one("tally") for one in crowds]
    return {"posted": posted, "heard": heard, "meter": meter, "shares": shares, "opened": opened}


def tell(report: Report, given: Any, said: dict[str, Any]) -> None:
    heard, posted, meter = said["heard"], said["posted"], said["meter"]
    answers = [seconds for one in heard for seconds in one["answers"]]
    offered = [seconds for one in heard for seconds in one["offered"]]
    report.times("heartbeat until answered", answers)
    report.times("offer until received", offered)
    report.times("new order until answered", posted["took"])
    for verb in heard[0]["took"]:
        report.times(f"{verb} until answered", [seconds for one in heard for seconds in one["took"][verb]])
    statuses: Counter[str] = Counter()
    for one in heard:
        statuses.update(one["statuses"])
    beats = sum(one["sent"] for one in heard)
    servers = {name: size for name, size in meter.most.items() if name not in meter.others}
    report.value("heartbeats a second", beats / (time.monotonic() - meter.began), "/s")
    report.note(f"orders posted: {posted['statuses']}; acts: {dict(sorted(statuses.items()))}")
    report.note(
        "share of a core: " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in said["shares"].items())
    )
    report.note("memory, MiB: " + ", ".join(f"{name} {size / 2**20:.0f}" for name, size in meter.most.items()))
    report.note(
        f"{beats} heartbeats, {sum(one['pushes'] for one in heard)} pushes; the generators took"
        f" {sum(one['cpu'] for one in heard) + posted['cpu']:.0f} s of CPU in all"
    )
    report.bar("sockets that were lost", given.drivers - sum(one["open"] for one in heard), at_most=0)
    report.bar("heartbeats without an answer", beats - len(answers), at_most=0)
    report.bar("heartbeat until answered, p99, s", quantile(sorted(answers), 0.99), at_most=2)
    report.bar("offer until received, p99, s", quantile(sorted(offered), 0.99), at_most=1)
    report.bar("server processes together, GB", sum(servers.values()) / 1e9, at_most=3)
    report.bar(
        "5xx",
        sum(n for text, n in statuses.items() if " 5" in text or " 0" in text)
        + sum(n for status, n in posted["statuses"].items() if status >= 500 or not status),
        at_most=0,
    )


if __name__ == "__main__":
    sys.exit(main())
