"""Several real connections at the same instant, and the means to take Baton's guards away one by one."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection, connections

from config import env
from drivers.errors import DomainError
from drivers.models import Driver
from orders import changes
from orders.models import Order, OrderEvent


def at_once(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run every act in a thread and on a connection of its own, all starting together. An act's result or the business
    error it raised; anything else is raised here."""
    start = Barrier(len(acts), timeout=30)

    def run(act: Callable[[], Any]) -> Any:
        try:
            connection.ensure_connection()
            start.wait()
            return act()
        except DomainError as refusal:
            return refusal
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def codes(results: Sequence[Any]) -> dict[str, int]:
    """How often each outcome came: `done`, or the code of a refusal."""
    counted: dict[str, int] = {}
    for result in results:
        word = result.code if isinstance(result, DomainError) else "done"
        counted[word] = counted.get(word, 0) + 1
    return counted


@contextmanager
def without_triggers() -> Iterator[None]:
    """PostgreSQL's own guards off, as only the owner of the tables can. Put back at the end."""
    owner = env.database("DATABASE_OWNER_URL")
    with psycopg.connect(
        host=owner["HOST"],
        port=owner["PORT"],
        user=owner["USER"],
        password=owner["PASSWORD"],
        dbname=connection.settings_dict["NAME"],
        autocommit=True,
    ) as session:
        session.execute("ALTER TABLE orders_order DISABLE TRIGGER USER")
        try:
            yield
        finally:
            session.execute("ALTER TABLE orders_order ENABLE TRIGGER USER")


@contextmanager
def somebody_locks(table: str, pk: Any) -> Iterator[None]:
    """Another connection holds this row."""
    given = connection.settings_dict
    with psycopg.connect(
        host=given["HOST"], port=given["PORT"], user=given["USER"], password=given["PASSWORD"], dbname=given["NAME"]
    ) as other:
        locked = other.execute(f"SELECT FROM {table} WHERE id = %s FOR NO KEY UPDATE", [pk])
        assert locked.rowcount == 1
        yield
        other.rollback()


def read_together(monkeypatch: pytest.MonkeyPatch, where: str, model: type[Any], parties: int) -> None:
    """Replace a lock by a plain read after which everybody waits for everybody: the worst interleaving there is."""
    everybody_has_read = Barrier(parties, timeout=30)

    def read(pk: UUID | int) -> Any:
        row = model.objects.get(pk=pk)
        everybody_has_read.wait()
        return row

    monkeypatch.setattr(where, read)


def judge_together(monkeypatch: pytest.MonkeyPatch, where: str, check: Callable[..., None], parties: int) -> None:
    """After a check has passed, everybody waits for everybody: all have judged before anybody changes anything."""
    everybody_has_judged = Barrier(parties, timeout=30)

    def judge(*args: Any) -> None:
        check(*args)
        everybody_has_judged.wait()

    monkeypatch.setattr(where, judge)


def unguarded_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the guarded update by the naive one: by id alone, each event with a number of its own."""

    def change(order: Order, kind: Any, actor: Any, *, data: Any = None, at: Any = None, **fields: Any) -> OrderEvent:
        Order.objects.filter(pk=order.pk).update(**fields)
        order.version = 1000 + int(fields["driver_id"])
        for name, value in fields.items():
            setattr(order, name, value)
        return changes.record(order, kind, actor, data, at=at)

    monkeypatch.setattr("orders.changes.change", change)


def no_offer_bookkeeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offers guard the order too (`one_accepted_offer_per_order`); leave them out to see what the others do alone."""
    monkeypatch.setattr("dispatch.services.accept.close_offers_of_order", lambda *_, **__: None)
    monkeypatch.setattr("dispatch.services.accept.close_offers_of_driver", lambda *_, **__: None)
    monkeypatch.setattr("dispatch.services.accept.mark_accepted", lambda *_, **__: None)


def holders(order: Order) -> list[int]:
    """Everybody to whom the history says the order was given."""
    given = OrderEvent.objects.filter(order=order, kind="order.assigned").order_by("id")
    return [event.data["driver"] for event in given]


def held_by(driver: Driver) -> int:
    return Order.objects.filter(driver=driver, status="assigned").count()
