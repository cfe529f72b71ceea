"""Heartbeats per second, from the socket into PostgreSQL, and what the same server could do at most.

    bin/bench heartbeats [--sockets 10000] [--outstanding 2] [--seconds 8]

Every driver sends the next heartbeat as soon as one is answered. Beside it: the same uvicorn and the same generator with an
application that only sends each frame back; and one UPDATE (the same statement, with its commit) for each heartbeat, from
as many threads as the machine has cores, without any socket.
"""

import os
import sys
import threading
import time
from typing import Any

from django.db import connection, connections

from benchmarks.crowd import Crowd
from benchmarks.report import Report, arguments
from benchmarks.scratch import CENTRE, hire, scratch_database
from benchmarks.servers import Server, tokens
from drivers.models import Driver
from drivers.services import Position, record_positions


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """The bare rival."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


def through_sockets(report: Report, name: str, server: Server, crowd: Crowd, outstanding: int, seconds: float) -> float:
    """Answers per second."""
    try:
        opened = crowd("connect", 100)
        before = server.cpu()
        said = crowd("saturate", outstanding, seconds)
        spent = server.cpu() - before
    finally:
        crowd.close()
        server.stop()
    rate = report.value(f"{name}, per second", said["count"] / said["seconds"], "/s")
    report.times(f"{name}, until answered", said["latencies"])
    report.note(
        f"{name}: {opened['open']:,} sockets; server {100 * spent / said['seconds']:.0f} % of a core,"
        f" {1e6 * spent / max(1, said['count']):.0f} us each; generator {100 * said['cpu'] / said['seconds']:.0f} %"
    )
    return float(rate)


def one_by_one(report: Report, ids: list[int], seconds: float) -> float:
    """UPDATEs per second."""
    done = [0] * (os.cpu_count() or 1)
    over = time.monotonic() + seconds

    def write(which: int) -> None:
        mine = ids[which :: len(done)]
        try:
            while time.monotonic() < over:
                spread = done[which] % 1000 / 10_000
                record_positions(
                    positions=[Position(mine[done[which] % len(mine)], lat=CENTRE[0] + spread, lng=CENTRE[1] - spread)]
                )
                done[which] += 1
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=(which,)) for which in range(len(done))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return report.value("one UPDATE each, per second", sum(done) / seconds, "/s")


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument("--outstanding", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8)
    given = parser.parse_args()
    report = Report("heartbeats")
    with scratch_database("heartbeats"):
        hire(given.sockets)
        keys = tokens()
        ids = list(Driver.objects.values_list("pk", flat=True))
        connection.close()
        bare = Server("benchmarks.heartbeats:echo")
        crowd = Crowd(bare.port, keys, echoes=True)
        echoed = through_sockets(report, "bare echo", bare, crowd, given.outstanding, given.seconds)
        single = one_by_one(report, ids, given.seconds / 2)
        server = Server()
        crowd = Crowd(server.port, keys)
        rate = through_sockets(report, "heartbeats", server, crowd, given.outstanding, given.seconds)
    report.bar("heartbeats : bare echo", rate / echoed, at_least=0.5)
    report.bar("heartbeats : one UPDATE each", rate / single, at_least=5)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
