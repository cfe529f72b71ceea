"""With 200,000 orders the policies still go through the indexes, and a driver's sync costs the database next to nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection

from config import env
from dispatch import selectors
from drivers.access import as_driver
from drivers.models import Driver
from orders.models import Order
from tests import cast

# Alone on the machine, because it looks at how long things take.
pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

ORDERS = 200_000
DRIVERS = 2_000
SYNC_MS = 5.0
READERS = {"orders_order", "orders_ordercontact", "dispatch_offer", "drivers_driver", "drivers_presence"}

# One order in twenty is open: half of those wait with three offers each, the rest are held.
POUR = f"""
INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
SELECT '!', false, 'poured' || n, '', '', '', false, true, now() FROM generate_series(1, {DRIVERS}) n;
INSERT INTO drivers_driver (user_id, name, phone, vehicle, capacity, suspended, created_at)
SELECT id, username, '', 'car', 50, false, now() FROM auth_user WHERE username LIKE 'poured%';
CREATE TEMPORARY TABLE crew AS SELECT id, row_number() OVER (ORDER BY id) - 1 AS seat FROM drivers_driver;
INSERT INTO orders_order (id, reference, pickup, pickup_address, dropoff, dropoff_address, vehicle, priority, payout,
    currency, metadata, status, expired, driver_id, version, created_at, release_at, auto_assign_at, expires_at,
    assigned_at, delivered_at)
SELECT gen_random_uuid(), '',
       'SRID=4326;POINT(-122.4 37.7)', 'A', 'SRID=4326;POINT(-122.4 37.7)', 'B', '', 0, 5, 'USD', '{{}}',
       state, false, CASE WHEN state <> 'pending' THEN crew.id END, 3, made, made, made, now() + interval '1 hour',
       CASE WHEN state <> 'pending' THEN made END, CASE WHEN state = 'delivered' THEN made END
FROM (SELECT n, now() - n * interval '1 second' AS made,
             CASE WHEN n % 40 = 0 THEN 'pending' WHEN n % 40 = 20 THEN 'assigned' ELSE 'delivered' END AS state
      FROM generate_series(1, {ORDERS}) n) o JOIN crew ON crew.seat = n / 40 % {DRIVERS};
INSERT INTO orders_ordercontact (order_id, name, phone, notes)
SELECT id, 'Somebody', '1', '' FROM orders_order WHERE status <> 'delivered';
INSERT INTO dispatch_offer (order_id, driver_id, status, distance_m, offered_at, closed_at, closed_reason)
SELECT o.id, crew.id, 'open', k * 100, now(), NULL, ''
FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM orders_order WHERE status = 'pending') o
CROSS JOIN generate_series(0, 2) k JOIN crew ON crew.seat = (o.n * 7 + k * 311) % {DRIVERS};
INSERT INTO dispatch_offer (order_id, driver_id, status, distance_m, offered_at, closed_at, closed_reason)
SELECT id, driver_id, 'accepted', 100, created_at, created_at, 'accepted' FROM orders_order WHERE driver_id IS NOT NULL;
ANALYZE auth_user, drivers_driver, drivers_presence, orders_order, orders_ordercontact, dispatch_offer;
"""


@contextmanager
def as_owner() -> Iterator[psycopg.Connection[Any]]:
    owner = env.database("DATABASE_OWNER_URL")
    with psycopg.connect(
        host=owner["HOST"],
        port=owner["PORT"],
        user=owner["USER"],
        password=owner["PASSWORD"],
        dbname=connection.settings_dict["NAME"],
        options="-c statement_timeout=60000",
    ) as session:
        yield session


@pytest.fixture
def city(transactional_db: None) -> Driver:
    """Years of orders; a driver in it, with offers and held orders of their own. In one transaction: the guards are off
    for nobody else, and never if this fails."""
    with as_owner() as session:
        session.execute("ALTER TABLE orders_order DISABLE TRIGGER USER")
        for statement in POUR.split(";\n"):
            if statement.strip():
                session.execute(statement)
        session.execute("SET CONSTRAINTS ALL IMMEDIATE")
        session.execute("ALTER TABLE orders_order ENABLE TRIGGER USER")
    assert Order.objects.count() == ORDERS
    driver = Driver.objects.order_by("pk")[DRIVERS // 2]
    cast.move(driver, cast.FERRY_BUILDING)
    return driver


class Planned:
    """Explains every query on the tables of orders and drivers before it runs, as the role that runs it."""

    def __init__(self) -> None:
        self.plans: list[dict[str, Any]] = []
        self.roles: set[str] = set()

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().startswith("SELECT") and any(table in sql for table in READERS):
            cursor = context["cursor"]
            cursor.cursor.execute("SELECT current_user")
            self.roles.add(cursor.cursor.fetchone()[0])
            execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql, params, many, context)
            self.plans.append(cursor.cursor.fetchone()[0][0])
        return execute(sql, params, many, context)

    @property
    def milliseconds(self) -> float:
        return sum(float(plan["Execution Time"]) for plan in self.plans)

    def nodes(self) -> list[dict[str, Any]]:
        found, left = [], [plan["Plan"] for plan in self.plans]
        while left:
            node = left.pop()
            found.append(node)
            left += node.get("Plans", [])
        return found

    def read_whole(self) -> dict[str, int]:
        """Tables that were read from end to end, and how many rows that was. A month with hardly a row may be."""
        whole = [node for node in self.nodes() if node["Node Type"] == "Seq Scan"]
        rows = {node["Relation Name"]: node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in whole}
        return {name: count for name, count in rows.items() if count > 50}

    def scans(self, table: str) -> set[str]:
        return {node["Node Type"] for node in self.nodes() if node.get("Relation Name") == table}


def planned(read: Callable[[], Any]) -> tuple[Planned, Any]:
    plan = Planned()
    with connection.execute_wrapper(plan):
        return plan, read()


INDEX_SCANS = {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}


def asked_by(function: str) -> str:
    """What a function that reads as a driver asks, from the catalogue."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE oid = %s::regproc", [function])
        (source,) = cursor.fetchone()
    return str(source).split("RETURN QUERY\n")[1].split(";")[0].strip()


def sync_as(driver: Driver, query: str) -> int:
    """It has no parameters, so its kept plan is the one it has here."""
    with as_driver(driver.pk), connection.cursor() as cursor:
        cursor.execute(query)
        return len(cursor.fetchall())


def read_by_id(driver: Driver, query: str, order_id: UUID) -> tuple[Planned, int]:
    """The plan that is kept for every order, and how many rows it found."""
    plan = Planned()
    with as_driver(driver.pk), connection.cursor() as cursor:
        cursor.execute(f"PREPARE by_id (uuid) AS {query.replace('asked', '$1')}")
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE by_id (%s)", [order_id])
        plan.plans.append(cursor.fetchone()[0][0])
        cursor.execute("DEALLOCATE by_id")
    return plan, plan.plans[0]["Plan"]["Actual Rows"]


def test_the_policies_use_the_indexes_and_a_sync_takes_less_than_five_milliseconds(city: Driver) -> None:
    sync = selectors.sync_driver(driver_id=city.pk)
    assert (len(sync.offers) >= 5, len(sync.active) >= 2) == (True, True)

    query = asked_by("baton_driver_sync")
    runs = [planned(lambda: sync_as(city, query)) for _ in range(5)]
    for run, rows in runs:
        assert rows == len(sync.offers) + len(sync.active)
        assert run.roles == {"baton_driver"}
        assert run.read_whole() == {}
        assert run.scans("orders_order")
        assert run.scans("orders_order") <= INDEX_SCANS
        assert run.scans("dispatch_offer") <= INDEX_SCANS
    assert median(run.milliseconds for run, _ in runs) < SYNC_MS

    query = asked_by("baton_driver_order")
    somebody_elses = Order.objects.filter(status="assigned").exclude(driver=city).values_list("pk", flat=True)[0]
    for order_id, seen in ((sync.active[0].pk, 1), (sync.offers[0].order_id, 1), (somebody_elses, 0)):
        read, rows = read_by_id(city, query, order_id)
        assert rows == seen
        assert read.scans("orders_order") == {"Index Scan"}
        assert read.read_whole() == {}
        assert read.milliseconds < SYNC_MS
