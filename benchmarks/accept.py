"""Accepts per second over HTTP, beside pgbench running the same statements; and how long one takes at half that rate.

    bin/bench accept [--orders 1504] [--rounds 3] [--fanout 50] [--processes 2] [--clients 8]

Every order is on offer to `--fanout` drivers and accepted by one of them, each by another. The statements of one accept,
from the token to the answer, are written down while Django answers it in this process; pgbench runs them as one short
script, every statement prepared, whose values it looks up for each order (one more statement, by primary key). So both do
the same to rows of the same kind, in turns. (Each of pgbench's sessions is new, and its first few accepts are slower than
the rest; a server's are older.) HTTP is served by as many processes as `bin/up --web N` runs; the drivers are in a process
of their own.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from knox.crypto import hash_token

from benchmarks.callers import Callers, request
from benchmarks.report import Report, arguments, quantile
from benchmarks.scratch import as_owner, database_url, hire, scratch_database
from benchmarks.servers import Server, tokens
from benchmarks.statements import Recorder
from benchmarks.sweep import due_orders
from dispatch.models import ActionReceipt, Offer
from drivers.models import Driver, Presence
from orders.models import Order, OrderEvent

#: Ids that stand nowhere else in a statement, so that they can be replaced by another turn's.
MARKED = 987_654_321
#: A driver takes one order, and the drivers of other orders must not run out.
DRIVERS_PER_ORDER = 2
#: Accepted before anything is timed.
WARM_UP = 100


@dataclass(frozen=True, slots=True)
class Turn:
    """An order, and the driver who will accept it."""

    order_id: UUID
    driver_id: int
    name: str
    token: str

    def words(self) -> dict[str, str]:
        """Whatever is among the values of this turn and of no other."""
        return {
            "order_id": str(self.order_id),
            "driver_id": str(self.driver_id),
            "driver_name": self.name,
            "digest": hash_token(self.token),
        }

    @property
    def path(self) -> str:
        return f"/api/v1/orders/{self.order_id}/accept/"

    def request(self) -> bytes:
        return request("POST", self.path, self.token, b'{"action_id":"tap"}')


class Market:
    """Orders on offer, and who has not taken one yet."""

    def __init__(self, keys: dict[int, str], fanout: int) -> None:
        self.keys, self.fanout = keys, fanout
        self.free = set(keys)
        self.rounds = 0

    def open(self, orders: int) -> list[Turn]:
        self.rounds += 1
        tag = f"round{self.rounds}-"
        due_orders(tag, orders, self.fanout, seconds=3600)
        offers: dict[UUID, list[Any]] = {}
        columns = ("order_id", "driver_id", "driver__name")
        for row in Offer.objects.filter(order__reference__startswith=tag).order_by("id").values_list(*columns):
            offers.setdefault(row[0], []).append(row)
        found = []
        for rows in offers.values():
            row = next(one for one in rows if one[1] in self.free)
            self.free.discard(row[1])
            order_id, driver_id, name = row
            found.append(Turn(order_id, driver_id, name, self.keys[driver_id]))
        return found

    def marked_turn(self) -> Turn:
        """One whose ids are unmistakable, beside the same number of other offers."""
        user = get_user_model().objects.create(pk=MARKED, username="marked-driver")
        driver = Driver.objects.create(pk=MARKED + 1, user=user, name="marked-driver")
        Presence.objects.filter(pk=driver.pk).delete()
        Presence.objects.create(driver=driver, is_online=True)
        [key] = tokens([driver])
        [turn] = self.open(1)
        self.free.add(turn.driver_id)
        Offer.objects.filter(order=turn.order_id, driver=turn.driver_id).update(driver=driver)
        return Turn(turn.order_id, driver.pk, driver.name, key)


#: What pgbench looks up before each accept: everything that its statements need.
NEXT_TURN = """\\set round :round + 1
\\set turn :round * :clients + :client_id
SELECT * FROM bench_turn WHERE n = :turn \\gset
"""


def write_turns(values: Mapping[str, str], marked: Turn, turns: Sequence[Turn]) -> None:
    """The values of the recorded accept, for each turn with its own ids in the places of the marked one's."""
    everything = "\n".join(values.values())
    for name, word in marked.words().items():
        assert word in everything, name
    assert str(MARKED) not in everything, "the user's id is not put in anybody else's place"
    with as_owner() as login:
        login.execute("DROP TABLE IF EXISTS bench_turn")
        columns = ", ".join(f"{name} text" for name in values)
        login.execute(f"CREATE TABLE bench_turn (n integer PRIMARY KEY, {columns})")
        login.execute("GRANT SELECT ON bench_turn TO PUBLIC")
        with login.cursor() as cursor, cursor.copy("COPY bench_turn FROM STDIN") as copy:
            for number, turn in enumerate(turns):
                mine = turn.words()
                row = list(values.values())
                for name, word in marked.words().items():
                    row = [value.replace(word, mine[name]) for value in row]
                copy.write_row([number, *row])
        login.execute("ANALYZE bench_turn")


def with_pgbench(recorder: Recorder, marked: Turn, turns: Sequence[Turn], clients: int) -> float:
    """Accepts per second of one pgbench with so many connections, every statement prepared."""
    write_turns(recorder.values, marked, turns)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(NEXT_TURN + recorder.script())
        script.flush()
        sizes = ["-c", str(clients), "-j", str(os.cpu_count() or 1), "-t", str(len(turns) // clients)]
        words = ["-M", "prepared", "-D", "round=-1", "-D", f"clients={clients}", "-f", script.name, database_url()]
        ran = subprocess.run(
            ["pgbench", "-n", *sizes, *words],
            capture_output=True,
            text=True,
            # The same session as ours; with JIT alone it would be many times slower.
            env={**os.environ, "PGOPTIONS": str(connection.settings_dict["OPTIONS"].get("options", ""))},
        )
    rate = re.search(r"^tps = ([0-9.]+) \(without initial connection time\)", ran.stdout, re.MULTILINE)
    if ran.returncode or "ERROR" in ran.stderr or rate is None:
        raise SystemExit(f"pgbench: {ran.stdout}{ran.stderr[-2000:]}")
    return float(rate[1])


def carried_out(turns: Sequence[Turn]) -> int:
    """How many of the turns' orders are held by their drivers, with receipt and event, and with no offer left open."""
    pairs = {turn.order_id: turn.driver_id for turn in turns}
    theirs = set(pairs.items())
    held = set(Order.objects.filter(status="assigned").values_list("id", "driver_id"))
    receipts = set(ActionReceipt.objects.filter(verb="accept").values_list("order_id", "driver_id"))
    told = set(OrderEvent.objects.filter(kind="order.assigned", version=3).values_list("order_id", flat=True))
    left_open = set(Offer.objects.filter(status="open", order__in=pairs).values_list("order_id", flat=True))
    return sum(pair[0] in told and pair[0] not in left_open for pair in theirs & held & receipts)


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument(
        "--orders", type=int, default=1504, help="accepted in each turn of a round, a multiple of --clients"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fanout", type=int, default=50)
    parser.add_argument("--processes", type=int, default=2, help="that serve HTTP")
    parser.add_argument("--clients", type=int, default=8, help="connections at once, of both")
    given = parser.parse_args()
    report = Report("accept")
    with scratch_database("accept"):
        drivers = (given.orders * (2 * given.rounds + 1) + WARM_UP) * DRIVERS_PER_ORDER
        hire(drivers)
        crew = list(Driver.objects.select_related("user").order_by("pk"))
        market = Market(dict(zip([driver.pk for driver in crew], tokens(crew), strict=True)), given.fanout)

        marked = market.marked_turn()
        with Recorder() as recorder:
            answer = Client(HTTP_HOST="localhost").post(
                marked.path, b'{"action_id":"tap"}', "application/json", HTTP_AUTHORIZATION=f"Bearer {marked.token}"
            )
        assert answer.status_code == 200, answer.content
        report.note(f"one accept: {recorder.count} statements in {recorder.transactions} transactions")
        connection.close()

        servers = [Server() for _ in range(given.processes)]
        callers = Callers(*(server.port for server in servers))
        try:
            warm = market.open(WARM_UP)
            callers("all", [turn.request() for turn in warm], given.clients)
            rivals, rates, share = [], [], []
            for _ in range(given.rounds):
                turns = market.open(given.orders)
                rivals.append(with_pgbench(recorder, marked, turns, given.clients))
                assert carried_out(turns) == len(turns), "pgbench did not do what an accept does"
                turns = market.open(given.orders)
                before = sum(server.cpu() for server in servers)
                said = callers("all", [turn.request() for turn in turns], given.clients)
                assert said["statuses"] == {200: len(turns)}, said["statuses"]
                assert carried_out(turns) == len(turns)
                rates.append(len(turns) / said["seconds"])
                share.append(1000 * (sum(server.cpu() for server in servers) - before) / len(turns))
            turns = market.open(given.orders)
            half = median(rates) / 2
            calm = callers("paced", [turn.request() for turn in turns], half, 64)
            assert calm["statuses"] == {200: len(turns)}, calm["statuses"]
        finally:
            callers.close()
            for server in servers:
                server.stop()
    for rate in rivals:
        report.value("pgbench, the same statements", rate, "/s")
    for rate in rates:
        report.value("accepts over HTTP", rate, "/s")
    report.value("server CPU of an accept", median(share), "ms")
    report.value("generator CPU of an accept", 1000 * said["cpu"] / given.orders, "ms")
    report.times(f"accept at {half:.0f} a second", calm["took"])
    report.bar("accepts over HTTP : pgbench", median(rates) / median(rivals), at_least=0.25)
    report.bar("p99 at half the rate, ms", 1000 * quantile(sorted(calm["took"]), 0.99), at_most=50)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
