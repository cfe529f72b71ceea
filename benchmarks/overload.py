"""Twice what the machine carries: what is served, what is sent away, and how soon all is well again.

    bin/bench overload [--seconds 30] [--times 2] [--sockets 200]

A closed loop finds what the server carries of a mix of heartbeats, syncs, accepts, new orders and lists. Then an open loop
offers twice as many a second, whatever comes of them, while drivers' sockets send twice their heartbeats. Whoever is sent
away must hear 429 or 503 with Retry-After; nothing may hang or be cut; heartbeats and accepts come before lists; memory and
the time that the served ones take stay bounded. One uvicorn as it is served; the load comes from processes of its own.
"""

import sys
import threading

from django.conf import settings

from benchmarks.crowd import Crowd
from benchmarks.offered import MIX, Callers, Kind, Offered, together
from benchmarks.report import Report, arguments, quantile
from benchmarks.scratch import CENTRE, hire, keep_old_orders, scratch_database
from benchmarks.servers import Server, tokens
from dispatch import services
from dispatch.models import Offer
from drivers.models import Driver
from orders import actors
from orders.services import Contact, NewOrder, Place, create_api_key

CLOSED_CALLERS = 32
KEYS = 20
URGENT = ("heartbeat", "accept", "sync")
#: Each socket says something so often, seconds; twice as often under the load.
PACE = 4.0


class Memory(threading.Thread):
    """The most that the server took, while this runs."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.server, self.most = server, server.memory()
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.25):
            self.most = max(self.most, self.server.memory())

    def end(self) -> float:
        self.over.set()
        self.join()
        return self.most


def callers(orders: int, keys: list[str]) -> Callers:
    """Drivers with tokens, shops with keys, and offers to accept."""
    # They stay open for as long as this takes.
    settings.EXPIRE_AFTER_SECONDS = 3600
    where = 0.0
    for number in range(orders):
        where = (where + 0.618) % 1
        spot = Place(CENTRE[0] + (where - 0.5) * 0.18, CENTRE[1] + (number / orders - 0.5) * 0.3)
        new = NewOrder(pickup=spot, dropoff=spot, contact=Contact(name="Load", phone="1"))
        services.place_order(new=new, actor=actors.SYSTEM)
    token_of = dict(zip(Driver.objects.order_by("pk").values_list("pk", flat=True), keys, strict=True))
    offers = Offer.objects.filter(status="open").order_by("pk").values_list("order_id", "driver_id")
    pairs = [(str(order), token_of[driver]) for order, driver in offers]
    secrets = [create_api_key(name=f"Shop {n}", scopes=["orders:read", "orders:write"])[1] for n in range(KEYS)]
    # Every order is asked for first by one, then by the next.
    pairs.sort(key=lambda pair: hash(pair[1]))
    return Callers(keys, secrets, pairs)


def describe(report: Report, when: str, kinds: dict[str, Kind]) -> None:
    for name in MIX:
        kind = kinds.get(name, Kind())
        said = ", ".join(f"{count} x {status}" for status, count in sorted(kind.statuses.items()))
        report.times(f"{when}: {name}, served", kind.served)
        if kind.shed:
            report.times(f"{when}: {name}, sent away", kind.shed)
        report.note(f"{when}: {name}: {len(kind.served)} of {kind.count} served ({said})")


def share_shed(kind: Kind) -> float:
    return len(kind.shed) / max(1, kind.count)


def p99(seconds: list[float]) -> float:
    return quantile(sorted(seconds), 0.99) if seconds else float("inf")


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--times", type=float, default=2, help="how much more than it carries")
    parser.add_argument("--sockets", type=int, default=200)
    parser.add_argument("--drivers", type=int, default=1000)
    parser.add_argument("--orders", type=int, default=200, help="open orders that can be accepted")
    parser.add_argument("--old-orders", type=int, default=50_000, help="delivered ones, to be listed")
    given = parser.parse_args()
    report = Report("overload")
    with scratch_database("overload"):
        hire(given.drivers)
        keep_old_orders(given.old_orders)
        keys = tokens()
        who = callers(given.orders, keys)
        server = Server()
        offered, crowd = Offered(server.port, who), Crowd(server.port, keys[: given.sockets])
        try:
            crowd("connect", 50)
            crowd("pace", PACE)
            offered("closed", CLOSED_CALLERS, 3)
            crowd("take")
            calm_memory, cpu = Memory(server), server.cpu()
            calm_memory.start()
            calm = offered("closed", CLOSED_CALLERS, max(8.0, given.seconds / 3))
            normal_memory = calm_memory.end()
            busy = (server.cpu() - cpu) / calm["seconds"]
            calm_beats = crowd("take")["answers"]
            carried = sum(kind.count for kind in calm["kinds"].values()) / calm["seconds"]

            if given.times > 1:
                # Besides the pace that they have.
                crowd("pace", PACE / (given.times - 1))
            loaded_memory = Memory(server)
            loaded_memory.start()
            loaded = offered("open", carried * given.times, given.seconds)
            most_memory = loaded_memory.end()
            heard = crowd("take")
            # Normal is what the slowest of twenty took before.
            normal = {name: max(0.5, 2 * quantile(sorted(calm["kinds"][name].served), 0.95)) for name in MIX}
            back = loaded["drained"] + offered("well_again", normal, 60.0)
        finally:
            offered.close()
            crowd.close()
            server.stop()

    report.value("carried, closed loop", carried, "/s")
    report.value("server's CPU meanwhile", busy, "cores")
    report.value("offered, open loop", carried * given.times, "/s")
    describe(report, "carried", calm["kinds"])
    describe(report, "overload", loaded["kinds"])
    report.times("carried: heartbeat by socket", calm_beats)
    report.times("overload: heartbeat by socket", heard["answers"])
    report.value("memory, carried", normal_memory / 1e6, "MB")
    report.value("memory, overload at most", most_memory / 1e6, "MB")
    report.value("the last answer came, after the load's end", loaded["drained"], "s")
    report.value("back to normal, after the load's end", back, "s")
    report.value("the load's own lateness, at most", loaded["late"], "s")
    urgent, lists, whole = (
        together(loaded["kinds"], URGENT),
        loaded["kinds"].get("listing", Kind()),
        together(loaded["kinds"], list(MIX)),
    )
    rate = len(whole.served) / loaded["seconds"]
    report.value("served during the overload", rate, "/s")
    for fault in whole.faults[:10]:
        report.note(f"FAULT {fault}")
    report.bar("answers that should not be (hung, cut, without Retry-After, 5xx)", len(whole.faults), at_most=0)
    report.bar("share of lists sent away", share_shed(lists), at_least=0.1)
    report.bar("share of heartbeats, syncs and accepts sent away", share_shed(urgent), at_most=0.01)
    report.bar("served in overload : carried", rate / carried, at_least=0.6)
    report.bar(
        "p99 of served heartbeats, syncs, accepts : of all that is served",
        p99(urgent.served) / p99(whole.served),
        at_most=1,
    )
    report.bar(
        "share of heartbeats, syncs and accepts sent away : of lists",
        share_shed(urgent) / max(share_shed(lists), 1e-9),
        at_most=0.1,
    )
    report.bar("p99 of whatever is served, s", p99(whole.served), at_most=12)
    report.bar("p99 of a heartbeat by socket, s", p99(heard["answers"]), at_most=5)
    report.bar("sockets lost", given.sockets - heard["open"], at_most=0)
    report.bar("memory, overload : carried", most_memory / normal_memory, at_most=1.5)
    report.bar("back to normal, s", back, at_most=15)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
