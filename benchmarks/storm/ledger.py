"""The database's own account of what happened, read past every wire when all is quiet."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import psycopg


@dataclass(slots=True)
class Event:
    version: int
    kind: str
    actor_type: str
    actor_name: str
    data: dict[str, Any]


@dataclass(slots=True)
class Order:
    reference: str
    status: str
    driver: int | None
    version: int
    #: By version, 1 first.
    events: dict[int, Event] = field(default_factory=dict)

    def holder_at(self, version: int) -> int | None:
        """Who held it when it had that version."""
        holder: int | None = None
        for event in self.events.values():
            if event.version > version:
                break
            if event.kind == "order.assigned":
                holder = event.data.get("driver")
            elif event.kind == "order.released":
                holder = None
        return holder

    def status_at(self, version: int) -> str:
        status = "pending"
        for event in self.events.values():
            if event.version > version:
                break
            word = event.kind.removeprefix("order.")
            if word in {"assigned", "picked_up", "delivered", "failed", "cancelled"}:
                status = word
            elif word == "released":
                status = "pending"
        return status


@dataclass(slots=True)
class Ledger:
    orders: dict[str, Order]
    #: Driver and action id → verb, order id.
    receipts: dict[tuple[int, str], tuple[str, str]]
    references: Counter[str]
    #: Driver → the orders that it holds, with their versions; and those that it has an open offer of.
    held: dict[int, list[tuple[str, int]]]
    offered: dict[int, list[str]]


def read_ledger(database_url: str) -> Ledger:
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id::text, reference, status, driver_id, version FROM orders_order")
        orders = {row[0]: Order(*row[1:]) for row in cursor.fetchall()}
        cursor.execute(
            "SELECT order_id::text, version, kind, actor_type, actor_name, data FROM orders_orderevent"
            " ORDER BY order_id, version"
        )
        for order, *event in cursor.fetchall():
            orders[order].events[event[0]] = Event(*event)
        cursor.execute("SELECT driver_id, action_id, verb, order_id::text FROM dispatch_actionreceipt")
        receipts = {(driver, mark): (verb, order) for driver, mark, verb, order in cursor.fetchall()}
        held: dict[int, list[tuple[str, int]]] = defaultdict(list)
        for pk, order in orders.items():
            if order.driver is not None and order.status in {"assigned", "picked_up"}:
                held[order.driver].append((pk, order.version))
        cursor.execute("SELECT driver_id, order_id::text FROM dispatch_offer WHERE status = 'open'")
        offered: dict[int, list[str]] = defaultdict(list)
        for driver, order in cursor.fetchall():
            offered[driver].append(order)
    return Ledger(orders, receipts, Counter(order.reference for order in orders.values()), held, offered)


def pending(database_url: str) -> int:
    """How many orders may still change by themselves."""
    with psycopg.connect(database_url, connect_timeout=5) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orders_order WHERE status = 'pending' AND NOT expired")
        row = cursor.fetchone()
        return int(row[0]) if row else 0


def run_as_owner(database_url: str, sql: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.encode())
