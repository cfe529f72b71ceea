"""What the hot paths cost while Baton grows: more drivers, and more orders that are long delivered. Flat is the goal.

    bin/bench growth [--drivers 1000,10000,100000] [--old 100000,1000000] [--turns 60] [--charts docs/img]

One after the other in this process, without any server, everything in turns. Growing drivers first, then, with the most
drivers, growing history. `--charts` draws both, relative to the first column.
"""

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.chart import Line, chart
from benchmarks.report import Report, arguments
from benchmarks.scratch import CENTRE, hire, keep_old_orders, scratch_database
from dispatch import selectors, services
from dispatch.models import Offer
from dispatch.sweeps import Sweeper
from drivers.models import Driver
from drivers.services import Position
from orders import actors
from orders.models import Order
from orders.services import Contact, NewOrder, Place

#: Drivers whose heartbeats are written together.
BATCH = 100
NEARBY, PLACE, ACCEPT, BEATS, SYNC, TICK = (
    "nearest 50 drivers",
    "new order, offered to 50",
    "accept",
    f"{BATCH} heartbeats",
    "a driver's sync",
    "idle tick of the sweeps",
)


class Day:
    """One of everything, timed; what was begun is finished in between, untimed."""

    def __init__(self) -> None:
        self.dice = random.Random(3)
        self.drivers = list(Driver.objects.order_by("pk").values_list("pk", flat=True))
        self.sweeper = Sweeper(beat=lambda: None)
        self.took: dict[str, list[float]] = {name: [] for name in (NEARBY, PLACE, ACCEPT, BEATS, SYNC, TICK)}

    def timed(self, name: str, act: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = act()
        self.took[name].append(time.perf_counter() - began)
        return result

    def turn(self) -> None:
        spot = Place(CENTRE[0] + self.dice.uniform(-0.05, 0.05), CENTRE[1] + self.dice.uniform(-0.1, 0.1))
        new = NewOrder(pickup=spot, dropoff=spot, contact=Contact(name="Bench", phone="1"))
        order: Order = self.timed(PLACE, lambda: services.place_order(new=new, actor=actors.SYSTEM))[0]
        self.timed(NEARBY, lambda: services.nearby_drivers(order_id=order.pk, radius_km=5, limit=50))
        driver_id = (
            Offer.objects.filter(order=order, status="open").order_by("distance_m").values_list("driver_id")[0][0]
        )
        self.timed(SYNC, lambda: selectors.sync_driver(driver_id=driver_id))
        tap = services.Tap(action_id=f"tap-{order.pk}")
        self.timed(ACCEPT, lambda: services.accept_order(order_id=order.pk, driver_id=driver_id, tap=tap))
        services.pick_up_order(order_id=order.pk, driver_id=driver_id)
        services.deliver_order(order_id=order.pk, driver_id=driver_id)
        beats = [
            Position(pk, lat=CENTRE[0] + self.dice.uniform(-0.1, 0.1), lng=CENTRE[1] + self.dice.uniform(-0.17, 0.17))
            for pk in self.dice.sample(self.drivers, BATCH)
        ]
        self.timed(BEATS, lambda: services.record_heartbeats(positions=beats))
        self.timed(TICK, self.sweeper.tick)


def measure(report: Report, level: str, turns: int) -> dict[str, float]:
    day = Day()
    for _ in range(turns):
        day.turn()
    # The first turns meet cold caches.
    return {name: report.times(f"{name}, {level}", seconds[turns // 10 :]) for name, seconds in day.took.items()}


def drawn(folder: str, name: str, title: str, axis: str, levels: list[int], found: list[dict[str, float]]) -> None:
    lines = [
        Line(what, [(level, cost[what] / found[0][what]) for level, cost in zip(levels, found, strict=True)])
        for what in found[0]
    ]
    Path(folder, name).write_text(chart(title, axis, "times the cost at the left", lines))


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--drivers", default="1000,10000,100000")
    parser.add_argument("--old", default="100000,1000000")
    parser.add_argument("--turns", type=int, default=60)
    parser.add_argument("--charts", metavar="FOLDER")
    given = parser.parse_args()
    crews = [int(word) for word in given.drivers.split(",")]
    pasts = [int(word) for word in given.old.split(",")]
    report = Report("growth")
    with scratch_database("growth"):
        by_drivers = []
        for before, level in zip([0, *crews], crews, strict=False):
            hire(level - before, first=before)
            by_drivers.append(measure(report, f"{level:,} drivers", given.turns))
        by_orders = [by_drivers[-1]]
        for batch, (before, level) in enumerate(zip([0, *pasts], pasts, strict=False)):
            keep_old_orders(level - before, batch=batch)
            by_orders.append(measure(report, f"{level:,} old orders", given.turns))
    for name in (NEARBY, PLACE, ACCEPT, BEATS, SYNC, TICK):
        report.bar(
            f"{name}, {crews[-1]:,} drivers : {crews[0]:,}", by_drivers[-1][name] / by_drivers[0][name], at_most=1.5
        )
        report.bar(f"{name}, {pasts[-1]:,} old orders : none", by_orders[-1][name] / by_orders[0][name], at_most=1.5)
    if given.charts:
        drawn(given.charts, "growth-drivers.svg", "Cost against live drivers", "live drivers", crews, by_drivers)
        drawn(
            given.charts,
            "growth-orders.svg",
            f"Cost against stored orders, {crews[-1]:,} drivers",
            "stored orders",
            [1, *pasts],
            by_orders,
        )
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
