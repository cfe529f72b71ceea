"""What row level security costs a driver: the sync, and an accept with the reading of its answer, with and without it,
side by side in one run.

    DATABASE_URL=… python -m benchmarks.row_level_security

DATABASE_URL must lead to a scratch database that benchmarks/fill.py has filled (`--orders 200000`): drivers and orders of
this run are added to it and stay. Without: the same queries by the application's own role, which no policy holds back. The
two take turns, each turn in random order, and medians are compared.
"""

import os
import random
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any
from uuid import UUID

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.db import connection, transaction
from django.test import Client

from benchmarks.report import Report, arguments
from dispatch import selectors, services
from dispatch.api import base
from drivers import services as drivers
from drivers.limits import Limit
from drivers.models import DeviceToken, Driver, Vehicle
from orders import actors
from orders.models import Order
from orders.services import Contact, NewOrder, Place

#: Far from the filled city: only this run's drivers are offered this run's orders.
DEPOT = (-36.8485, 174.7633)
SYSTEM = actors.dispatcher(0, "benchmark")
BAR = 1.15


#: What is put in place of what, without.
Bare = tuple[str, Any]


def without_policies(name: str) -> Bare:
    """The statement `selectors.name` asks, of a copy of its function, for this session, that stays the application's own
    role: the same query, kept plan and all, with the application's policy, which lets everything through."""
    statement: str = getattr(selectors, name)
    (function,) = re.findall(r"baton_\w+", statement)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef(%s::regproc)", [function])
        (guarded,) = cursor.fetchone()
        bare = guarded.replace(f"public.{function}", f"pg_temp.{function}")
        for line in (
            " SET role TO 'none'\n",
            ", set_config('role', 'baton_driver', true)",
            "    SET LOCAL ROLE NONE;\n",
        ):
            assert bare.count(line) == 1, guarded
            bare = bare.replace(line, "")
        cursor.execute(bare.replace("%", "%%"))
    return name, statement.replace(function, f"pg_temp.{function}")


def without(act: Callable[[], Any], bare: Bare) -> Any:
    name, value = bare
    guarded = getattr(selectors, name)
    setattr(selectors, name, value)
    try:
        return act()
    finally:
        setattr(selectors, name, guarded)


def timed(act: Callable[[], Any]) -> float:
    started = time.perf_counter()
    act()
    return (time.perf_counter() - started) * 1000


def in_turns(turns: int, act: Callable[[int], Callable[[], Any]], bare: Bare) -> tuple[list[float], list[float]]:
    """Milliseconds of each turn, with and without. `act(turn)` prepares one and returns what is timed."""
    took: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(turns):
        for guarded in random.sample([True, False], 2):
            prepared = act(turn)
            took[guarded].append(timed(prepared) if guarded else without(partial(timed, prepared), bare))
    return took[True], took[False]


def place_one(driver: Driver, turn: int) -> Order:
    drivers.record_positions(positions=[drivers.Position(driver_id=driver.pk, lat=DEPOT[0], lng=DEPOT[1])])
    order, _ = services.place_order(
        new=NewOrder(
            pickup=Place(*DEPOT, "Depot"),
            dropoff=Place(DEPOT[0] + 0.01, DEPOT[1], f"Street {turn}"),
            contact=Contact(name="Somebody", phone="1", notes=""),
        ),
        actor=SYSTEM,
    )
    return order


def new_driver(name: str, capacity: int) -> Driver:
    with transaction.atomic():
        made = drivers.create_driver(
            username=f"{name}-{time.time_ns()}", password=None, name=name, vehicle=Vehicle.CAR, capacity=capacity
        )
        drivers.set_duty(driver=made, is_online=True)
    return made


def accept_and_read(driver: Driver, order_id: UUID) -> None:
    services.accept_order(order_id=order_id, driver_id=driver.pk)
    assert selectors.order_for_driver(driver_id=driver.pk, order_id=order_id).contact.name


def statement_alone(driver_id: int) -> Callable[[int], Callable[[], Any]]:
    """To PostgreSQL and back; nothing is made of the rows."""

    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute(selectors.SYNC_SQL, [driver_id])
            assert len(cursor.fetchall()) == 7

    return lambda turn: ask


def sync_request(driver: Driver) -> Callable[[int], Callable[[], Any]]:
    """`GET driver/sync/` from the token to the JSON; no network, and no limit on requests."""
    base.REQUESTS_PER_DRIVER = Limit("benchmark", per_second=1_000_000, burst=1_000_000)
    _, token = DeviceToken.objects.create(user=driver.user, device="benchmark")
    app = Client(headers={"Host": "localhost", "Authorization": f"Bearer {token}"})

    def ask() -> None:
        response = app.get("/api/v1/driver/sync/")
        assert response.status_code == 200, response.content

    ask()
    return lambda turn: ask


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--turns", type=int, default=400)
    turns = parser.parse_args().turns
    report = Report("row_level_security")
    report.note(f"{Order.objects.count():,} orders")

    # Five cards and two held orders: an app in the middle of a shift.
    busy = new_driver("busy", 3)
    held = [place_one(busy, turn) for turn in range(2)]
    for order in held:
        services.accept_order(order_id=order.pk, driver_id=busy.pk)
    for turn in range(5):
        place_one(busy, turn)
    sync = selectors.sync_driver(driver_id=busy.pk)
    assert (len(sync.offers), len(sync.active)) == (5, 2), sync
    taker = new_driver("taker", 50)

    def sync_once(turn: int) -> Callable[[], Any]:
        return lambda: selectors.sync_driver(driver_id=busy.pk)

    waiting: list[UUID] = []

    def accept_once(turn: int) -> Callable[[], Any]:
        for order_id in waiting:
            services.pick_up_order(order_id=order_id, driver_id=taker.pk)
            services.deliver_order(order_id=order_id, driver_id=taker.pk)
        waiting[:] = [place_one(taker, turn).pk]
        return lambda: accept_and_read(taker, waiting[0])

    services.go_offline(driver_id=taker.pk)
    for _ in range(20):
        selectors.sync_driver(driver_id=busy.pk)
    opened = without_policies("SYNC_SQL")
    results = {
        "sync, the statement alone": in_turns(turns, statement_alone(busy.pk), opened),
        "sync, read into objects": in_turns(turns, sync_once, opened),
        "sync, the whole request in Django": in_turns(turns, sync_request(busy), opened),
    }
    services.go_offline(driver_id=busy.pk)
    services.go_online(driver_id=taker.pk)
    results["accept + its answer"] = in_turns(turns, accept_once, without_policies("ORDER_SQL"))

    for name, (guarded, bare) in results.items():
        report.times(f"{name}, with", [ms / 1000 for ms in guarded])
        report.times(f"{name}, without", [ms / 1000 for ms in bare])
        report.bar(f"{name}, with : without", median(guarded) / median(bare), at_most=BAR)
    connection.close()
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
