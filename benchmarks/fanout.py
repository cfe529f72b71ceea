"""From the commit of an order to the devices of the drivers who are offered it, while everybody else sends heartbeats.

    bin/bench fanout [--sockets 10000] [--orders 100] [--rate 5] [--beat-seconds 20]

One uvicorn as it is served, one process with all the drivers' sockets, one (this) that places orders through the service.
All three share the machine with PostgreSQL and Redis. The limit is the best published figure for a push that begins with a
row in a database, on a cluster: p50 46 ms, p99 159 ms.
"""

import random
import sys
import time
from typing import Any

from django.conf import settings
from django.db import connection

from benchmarks.crowd import Crowd
from benchmarks.report import Report, arguments, quantile
from benchmarks.scratch import CENTRE, hire, scratch_database
from benchmarks.servers import Server, tokens
from dispatch import services
from dispatch.models import Offer
from orders import actors
from orders.services import Contact, NewOrder, Place


def place_orders(orders: int, rate: float) -> dict[str, float]:
    """Order id → when its transaction was committed, by the machine's monotonic clock."""
    committed_at = 0.0
    login: Any = connection
    commit = login._commit

    def timed_commit() -> None:
        nonlocal committed_at
        commit()
        committed_at = time.monotonic()

    login._commit = timed_commit
    dice = random.Random(2)
    committed: dict[str, float] = {}
    began = time.monotonic()
    try:
        for number in range(orders):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            spot = Place(CENTRE[0] + dice.uniform(-0.05, 0.05), CENTRE[1] + dice.uniform(-0.1, 0.1))
            new = NewOrder(pickup=spot, dropoff=spot, contact=Contact(name="Bench", phone="1"))
            order, _ = services.place_order(new=new, actor=actors.SYSTEM)
            committed[str(order.pk)] = committed_at
    finally:
        login._commit = commit
    return committed


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument("--orders", type=int, default=100)
    parser.add_argument("--rate", type=float, default=5.0, help="orders a second")
    parser.add_argument("--beat-seconds", type=float, default=20.0, help="between two heartbeats of one driver")
    given = parser.parse_args()
    report = Report("fanout")
    with scratch_database("fanout"):
        hire(given.sockets)
        server = Server()
        crowd = Crowd(server.port, tokens())
        try:
            opened = crowd("connect", 50)
            crowd("pace", given.beat_seconds)
            time.sleep(2)
            crowd("take")
            before, began = server.cpu(), time.monotonic()
            committed = place_orders(given.orders, given.rate)
            time.sleep(2)
            said = crowd("take")
            took, spent = time.monotonic() - began, server.cpu() - before
        finally:
            crowd.close()
            server.stop()
        made = Offer.objects.count()
    latencies = [at - committed[order_id] for order_id, at in said["offers"] if order_id in committed]
    p50 = report.times("commit to the device", latencies)
    p99 = quantile(sorted(latencies), 0.99) if latencies else float("inf")
    report.times("heartbeat until answered", said["answers"])
    report.value("server, share of a core", 100 * spent / took, "%")
    report.note(
        f"{opened['open']:,} sockets, a heartbeat of each every {given.beat_seconds:g} s; {len(committed)} orders at"
        f" {given.rate:g}/s, offered to {settings.OFFER_FANOUT} each; generator {said['cpu']:.1f} s of CPU in all"
    )
    report.bar("offers that did not arrive", made - len(latencies), at_most=0)
    report.bar("commit to the device, p50, ms", 1000 * p50, at_most=46)
    report.bar("commit to the device, p99, ms", 1000 * p99, at_most=159)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
