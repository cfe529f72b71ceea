"""What an idle driver's socket costs, how quickly they connect, and what happens when all of them come back at once.

    bin/bench sockets [--sockets 10000] [--idle-seconds 3]

One process for sockets and one for HTTP, as `bin/up --ws 1 --web 1` starts them (`--together`: one for both), and one with
the clients. Then every connection is cut and everybody reconnects at the same moment, while a driver who is not among them
accepts one order after the other over HTTP.
"""

import http.client
import json
import sys
import threading
import time

from django.db import connections

from benchmarks.crowd import Crowd
from benchmarks.report import Report, arguments
from benchmarks.scratch import CENTRE, hire, scratch_database
from benchmarks.servers import Server, tokens
from dispatch import services
from drivers.models import Driver
from drivers.services import Position, record_positions
from orders import actors
from orders.services import Contact, NewOrder, Place

#: Far from everybody else.
DEPOT = (-36.8485, 174.7633)


class Acceptor(threading.Thread):
    """Somebody accepts order after order until told to stop; seconds each answer took."""

    def __init__(self, port: int, driver_id: int, token: str) -> None:
        super().__init__()
        self.port, self.driver_id, self.token = port, driver_id, token
        self.over = threading.Event()
        self.took: list[float] = []
        self.refused: list[int] = []

    def run(self) -> None:
        try:
            while not self.over.is_set():
                self.accept_one()
                time.sleep(0.1)
        finally:
            connections.close_all()

    def accept_one(self) -> None:
        spot = Place(*DEPOT)
        record_positions(positions=[Position(self.driver_id, *DEPOT)])
        new = NewOrder(pickup=spot, dropoff=spot, contact=Contact(name="Bench", phone="1"))
        order, _ = services.place_order(new=new, actor=actors.SYSTEM)
        began = time.monotonic()
        caller = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        caller.request("POST", f"/api/v1/orders/{order.pk}/accept/", json.dumps({}), headers)
        status = caller.getresponse().status
        caller.close()
        (self.took.append(time.monotonic() - began) if status == 200 else self.refused.append(status))
        if status == 200:
            services.pick_up_order(order_id=order.pk, driver_id=self.driver_id)
            services.deliver_order(order_id=order.pk, driver_id=self.driver_id)


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument(
        "--together", action="store_true", help="HTTP and sockets in one process, as bin/up without --web"
    )
    parser.add_argument("--idle-seconds", type=float, default=3)
    given = parser.parse_args()
    report = Report("sockets")
    with scratch_database("sockets"):
        hire(given.sockets + 1)
        keys = tokens()
        own = Driver.objects.order_by("-pk")[0]
        record_positions(positions=[Position(own.pk, *CENTRE)])
        server = Server()
        http = server if given.together else Server()
        crowd = Crowd(server.port, keys[:-1])
        try:
            empty, before = server.memory(), server.cpu()
            opened = crowd("connect", 100)
            time.sleep(given.idle_seconds)
            each = report.value("memory of an idle socket", (server.memory() - empty) / opened["open"] / 1000, "kB")
            report.value("connects, each with its snapshot", opened["open"] / opened["seconds"], "/s")
            report.value("server CPU of a connect", 1000 * (server.cpu() - before) / opened["open"], "ms")

            acceptor = Acceptor(http.port, own.pk, keys[-1])
            acceptor.start()
            time.sleep(2)
            calm, acceptor.took = acceptor.took, []
            crowd("drop")
            storm = crowd("connect", given.sockets)
            acceptor.over.set()
            acceptor.join()
        finally:
            crowd.close()
            for process in {server, http}:
                process.stop()
    report.times("accept over HTTP, all connected and idle", calm)
    report.times("accept over HTTP, during the storm", acceptor.took)
    report.value("everybody is back after", storm["seconds"], "s")
    report.note(
        f"{opened['open']:,} sockets in {opened['seconds']:.1f} s; storm: {storm['open']:,} back, {storm['failed']} tries"
        f" failed; accepts refused: {acceptor.refused}"
    )
    report.bar("memory of an idle socket, kB", each, at_most=35)
    report.bar("seconds until everybody is back", storm["seconds"], at_most=60)
    report.bar("slowest accept during the storm, s", max(acceptor.took, default=float("inf")), at_most=1)
    report.bar("sockets that did not come back", given.sockets - storm["open"], at_most=0)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
