"""How late do orders expire and get assigned, by a real `manage.py worker` under load?

    bin/bench sweeps [--seconds 60] [--rate 20] [--drivers 1000] [--open 500]

Every second `rate` orders are placed through the services, half of them to expire and half to be assigned by the system a
few seconds later, while `drivers` drivers send heartbeats, `open` other orders stay on offer and whoever holds an order
delivers it. Late is an order's event less its due time.
"""

import random
import signal
import subprocess
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from datetime import timedelta

from django.conf import settings
from django.db import connections

from benchmarks.report import ROOT, Report, arguments, quantile
from benchmarks.scratch import scratch_database, server_environment
from dispatch import services
from dispatch.models import SweepHeartbeat
from drivers.clock import database_now
from drivers.models import Driver, Presence
from drivers.services import Position, record_positions
from orders import actors
from orders.models import Order, OrderEvent
from orders.services import Contact, NewOrder, Place

CENTRE = (37.77, -122.42)
HOLD_SECONDS = 10


def spot() -> tuple[float, float]:
    """Somewhere in town: two kilometres from the centre, as a rule."""
    return random.gauss(CENTRE[0], 0.02), random.gauss(CENTRE[1], 0.025)


def hire(count: int) -> list[int]:
    """Drivers who are on duty. Straight into the tables: hashing a thousand passwords would take minutes."""
    from django.contrib.auth.models import User

    mark = f"bench{int(time.time())}-"
    users = User.objects.bulk_create([User(username=f"{mark}{n}") for n in range(count)])
    ids = [driver.pk for driver in Driver.objects.bulk_create([Driver(user=u, name=u.username) for u in users])]
    Presence.objects.filter(pk__in=ids).update(is_online=True)
    return ids


def heartbeats(drivers: Sequence[int]) -> None:
    record_positions(positions=[Position(driver_id=pk, lat=lat, lng=lng) for pk in drivers for lat, lng in [spot()]])


def place(*, expires_in: float, auto_assign_in: float | None = None) -> Order:
    now = database_now()
    expires_at = now + timedelta(seconds=expires_in)
    order, _ = services.place_order(
        new=NewOrder(
            pickup=Place(*spot()),
            dropoff=Place(*spot()),
            contact=Contact(name="Bench", phone="1"),
            release_at=now,
            expires_at=expires_at,
            auto_assign_at=expires_at if auto_assign_in is None else now + timedelta(seconds=auto_assign_in),
        ),
        actor=actors.SYSTEM,
    )
    return order


def deliver(drivers: Sequence[int]) -> None:
    """Whoever has held an order for a while delivers it."""
    since = database_now() - timedelta(seconds=HOLD_SECONDS)
    held = Order.objects.filter(driver__in=drivers, status="assigned", assigned_at__lt=since)
    for order_id, driver_id in held.values_list("pk", "driver_id"):
        assert driver_id is not None
        services.pick_up_order(order_id=order_id, driver_id=driver_id)
        services.deliver_order(order_id=order_id, driver_id=driver_id)


def repeatedly(act: Callable[[], object], every: float, over: threading.Event) -> threading.Thread:
    def loop() -> None:
        try:
            due = time.monotonic()
            while not over.wait(max(0.0, due - time.monotonic())):
                act()
                due += every
        finally:
            connections.close_all()

    thread = threading.Thread(target=loop)
    thread.start()
    return thread


def lateness(orders: Sequence[Order], kind: str, due: str) -> list[float]:
    events = OrderEvent.objects.filter(order__in=orders, kind=kind, actor_type="system")
    at = dict(events.values_list("order_id", "at"))
    return [(at[order.pk] - getattr(order, due)).total_seconds() for order in orders if order.pk in at]


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rate", type=int, default=20)
    parser.add_argument("--drivers", type=int, default=1000)
    parser.add_argument("--open", type=int, default=500)
    options = parser.parse_args()

    report = Report("sweeps")
    with scratch_database("sweeps"):
        measure(report, options)
    return report.finish()


def measure(report: Report, options: Namespace) -> None:
    drivers = hire(options.drivers)
    heartbeats(drivers)
    for _ in range(options.open):
        place(expires_in=7200)
    over = threading.Event()
    expiring: list[Order] = []
    assigning: list[Order] = []
    ticks: list[float] = []

    def tick_seen() -> None:
        seen = SweepHeartbeat.objects.values_list("tick_seconds", flat=True).first()
        if seen is not None:
            ticks.append(seen)

    def place_one() -> None:
        if len(expiring) <= len(assigning):
            expiring.append(place(expires_in=random.uniform(4, 6)))
        else:
            assigning.append(place(expires_in=120, auto_assign_in=random.uniform(4, 6)))

    worker = subprocess.Popen(
        [sys.executable, "manage.py", "worker"], cwd=ROOT, env=server_environment(settings.REDIS_PREFIX)
    )
    threads: list[threading.Thread] = []
    try:
        time.sleep(5)
        threads = [
            repeatedly(lambda: heartbeats(drivers), 10.0, over),
            repeatedly(lambda: deliver(drivers), 2.0, over),
            repeatedly(tick_seen, 1.0, over),
            repeatedly(place_one, 1 / options.rate, over),
        ]
        time.sleep(options.seconds)
    finally:
        over.set()
        for thread in threads:
            thread.join()
        time.sleep(9)
        worker.send_signal(signal.SIGTERM)
        worker.wait()

    report.note(f"{len(expiring) + len(assigning)} orders in {options.seconds} s")
    late = {
        "expired late by": lateness(expiring, "order.expired", "expires_at"),
        "assigned late by": lateness(assigning, "order.assigned", "auto_assign_at"),
    }
    for name, seconds in late.items():
        report.times(name, seconds, unit="s")
        if seconds:
            report.bar(f"{name}, p99, s", quantile(sorted(seconds), 0.99), at_most=1.5)
    report.times("a tick took", ticks)
    left = Order.objects.filter(pk__in=[o.pk for o in expiring], expired=False).count()
    left += Order.objects.filter(pk__in=[o.pk for o in assigning], status="pending").count()
    report.bar("not dealt with", left, at_most=0)


if __name__ == "__main__":
    sys.exit(main())
