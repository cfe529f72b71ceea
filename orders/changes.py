"""The one way an order changes: a guarded update and its event, together. Everything above calls these."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.gis.geos import Point
from django.db import DatabaseError, connection, transaction

from drivers.errors import DomainError, DriverAtCapacity, DriverSuspended
from orders.actors import Actor
from orders.errors import OrderExpired, OrderNotPending, VersionConflict
from orders.lifecycle import Kind
from orders.models import Order, OrderEvent

#: How a point in hexadecimal EWKB becomes what the column holds.
GEOGRAPHY = "::geography"
EVENT_FIELDS = [field.attname for field in OrderEvent._meta.concrete_fields]


def record(order: Order, kind: Kind, actor: Actor, data: dict[str, Any] | None = None, *, at: Any = None) -> OrderEvent:
    """Write the event of the order's present version. Raises TransactionManagementError outside a transaction."""
    _require_transaction()
    return _record_all([order], kind, actor, {order.pk: data or {}}, at)[0]


def change(
    order: Order, kind: Kind, actor: Actor, *, data: dict[str, Any] | None = None, at: Any = None, **fields: Any
) -> OrderEvent:
    """Set `fields` on an order that the caller has locked, count its version up and record the event.

    The update expects the version and status that the caller saw; VersionConflict when they are no longer so. `order` is
    brought up to date in place.
    """
    _require_transaction()
    if (deadline := fields.get("expires_at")) is not None:
        # The history knows the deadline of every round: the audit holds each assignment against it.
        data = {**(data or {}), "expires_at": deadline.isoformat()}
    if fields.get("pinned"):
        # And by which event an order came to be pinned.
        data = {**(data or {}), "pinned": True}
    return change_all([order], kind, actor, data={order.pk: data or {}}, at=at, **fields)[0]


def change_all(
    orders: Sequence[Order],
    kind: Kind,
    actor: Actor,
    *,
    data: Mapping[UUID, dict[str, Any]],
    at: Any,
    each: Mapping[UUID, dict[str, Any]] | None = None,
    **fields: Any,
) -> list[OrderEvent]:
    """`change` for many locked orders of the same status in two statements; the events, in the same order.

    `fields` are set on all of them; `each` has, per order, the fields that differ (the same names for every order).
    """
    _require_transaction()
    if not orders:
        return []
    with refusals():
        rows = _update_all(orders, fields, each or {})
    if rows != len(orders):
        raise VersionConflict
    for order in orders:
        order.version += 1
        for name, value in {**fields, **(each or {}).get(order.pk, {})}.items():
            setattr(order, name, value)
    return _record_all(orders, kind, actor, data, at)


def _update_all(orders: Sequence[Order], fields: Mapping[str, Any], each: Mapping[UUID, Mapping[str, Any]]) -> int:
    """The guarded update; how many orders were as the caller saw them. By hand: for a thousand orders the ORM takes longer
    to write its CASE … WHEN … than PostgreSQL to carry it out."""
    parameters: dict[str, Any] = {
        "ids": [order.pk for order in orders],
        "versions": [order.version for order in orders],
        "status": str(orders[0].status),
    }
    columns, types = ["id", "version"], ["%(ids)s::uuid[]", "%(versions)s::int[]"]
    changes = ["version = o.version + 1"]
    for name, value in fields.items():
        column, _ = _column(name)
        parameters[f"all_{column}"] = _stored(name, value)
        changes.append(f"{column} = %(all_{column})s{GEOGRAPHY if isinstance(value, Point) else ''}")
    for name in each[orders[0].pk] if each else ():
        column, kind = _column(name)
        parameters[f"each_{column}"] = [_stored(name, each[order.pk][name]) for order in orders]
        columns.append(column)
        types.append(f"%(each_{column})s::{kind}[]")
        changes.append(f"{column} = seen.{column}")
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE orders_order AS o SET {', '.join(changes)}"
            f" FROM unnest({', '.join(types)}) AS seen ({', '.join(columns)})"
            " WHERE o.id = seen.id AND o.version = seen.version AND o.status = %(status)s",
            parameters,
        )
        return int(cursor.rowcount)


def _column(name: str) -> tuple[str, str]:
    """The column of a field of Order, and its type in SQL."""
    field: Any = Order._meta.get_field(name)
    return field.column, field.db_type(connection)


def _stored(name: str, value: Any) -> Any:
    field: Any = Order._meta.get_field(name)
    return value.hexewkb.decode() if isinstance(value, Point) else field.get_db_prep_save(value, connection)


RECORD_ALL = """
INSERT INTO orders_orderevent (order_id, version, kind, at, actor_type, actor_id, actor_name, data)
SELECT order_id, version, %(kind)s, coalesce(%(at)s, now()), %(actor_type)s, %(actor_id)s, %(actor_name)s, data::jsonb
FROM unnest(%(orders)s::uuid[], %(versions)s::int[], %(data)s::text[]) WITH ORDINALITY AS t (order_id, version, data, n)
ORDER BY n
RETURNING id, order_id, at, txid
"""


def _record_all(
    orders: Sequence[Order], kind: Kind, actor: Actor, data: Mapping[UUID, dict[str, Any]], at: datetime | None
) -> list[OrderEvent]:
    """Write the event of each order's present version; at: now, if not given."""
    with refusals(), connection.cursor() as cursor:
        cursor.execute(
            RECORD_ALL,
            {
                "kind": str(kind),
                "at": at,
                "actor_type": str(actor.type),
                "actor_id": actor.id,
                "actor_name": actor.name,
                "orders": [order.pk for order in orders],
                "versions": [order.version for order in orders],
                "data": [json.dumps(data[order.pk]) for order in orders],
            },
        )
        written = {order_id: (pk, moment, txid) for pk, order_id, moment, txid in cursor.fetchall()}
    events = []
    for order in orders:
        pk, moment, txid = written[order.pk]
        told = (pk, order.pk, order.version, kind, moment, actor.type, actor.id, actor.name, data[order.pk], txid)
        event = OrderEvent.from_db("default", EVENT_FIELDS, told)
        event.order = order
        events.append(event)
    return events


def _require_transaction() -> None:
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("An order changes only inside a transaction.")


#: The database's own refusals (orders/triggers.py, constraints) in business words, by their name.
REFUSALS: dict[str, type[DomainError]] = {
    "order_moves_legally": OrderNotPending,
    "order_keeps_holder": OrderNotPending,
    "order_has_driver_when_held": OrderNotPending,
    "order_not_expired": OrderExpired,
    "order_expired_only_pending": OrderExpired,
    "order_driver_not_suspended": DriverSuspended,
    "order_within_capacity": DriverAtCapacity,
    "order_pin_holds": OrderNotPending,
    "order_respects_refusals": OrderNotPending,
    "one_event_per_order_version": VersionConflict,
}


@contextmanager
def refusals() -> Iterator[None]:
    """Raise the business error that a refusal by the database stands for; any other error passes untouched."""
    try:
        yield
    except DatabaseError as error:
        if (name := constraint_name(error)) in REFUSALS:
            raise REFUSALS[name] from error
        raise


#: What the name of a partition, and of each of its indexes, has at its end (migrations orders 0011, dispatch 0015).
PART = re.compile(r"_(?:p\d{6}|past|other)$")


def constraint_name(error: DatabaseError) -> str:
    """The constraint that PostgreSQL names in a refusal, '' if it names none. In a partitioned table it names the index of
    the partition."""
    diagnostics = getattr(error.__cause__, "diag", None)
    name = getattr(diagnostics, "constraint_name", None) or ""
    is_part = PART.search(getattr(diagnostics, "table_name", None) or "")
    return name.removesuffix(is_part[0]) if is_part else name
