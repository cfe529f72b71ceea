"""The one way an order changes: a guarded update and its event, together. Everything above calls these."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from django.db.models import Case, F, PositiveIntegerField, Value, When

from drivers.errors import DomainError, DriverAtCapacity, DriverSuspended
from orders.actors import Actor
from orders.errors import OrderExpired, OrderNotPending, VersionConflict
from orders.lifecycle import Kind
from orders.models import Order, OrderEvent


def record(order: Order, kind: Kind, actor: Actor, data: dict[str, Any] | None = None, *, at: Any = None) -> OrderEvent:
    """Write the event of the order's present version. Raises TransactionManagementError outside a transaction."""
    _require_transaction()
    event = _event(order, kind, actor, data or {}, at)
    event.save(force_insert=True)
    return event


def _event(order: Order, kind: Kind, actor: Actor, data: dict[str, Any], at: Any) -> OrderEvent:
    event = OrderEvent(
        order=order,
        version=order.version,
        kind=kind,
        actor_type=actor.type,
        actor_id=actor.id,
        actor_name=actor.name,
        data=data,
    )
    if at is not None:
        event.at = at
    return event


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
    with refusals():
        rows = Order.objects.filter(pk=order.pk, version=order.version, status=order.status).update(
            version=order.version + 1, **fields
        )
    if rows != 1:
        raise VersionConflict
    order.version += 1
    for name, value in fields.items():
        setattr(order, name, value)
    return record(order, kind, actor, data, at=at)


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
    differing = {name: {pk: values[name] for pk, values in each.items()} for name in each[orders[0].pk]} if each else {}
    seen = {order.pk: order.version for order in orders}
    with refusals():
        rows = Order.objects.filter(
            pk__in=seen, version=_by_order(seen, PositiveIntegerField()), status=orders[0].status
        ).update(
            version=F("version") + 1,
            **fields,
            **{name: _by_order(values, _column(name)) for name, values in differing.items()},
        )
    if rows != len(orders):
        raise VersionConflict
    events = []
    for order in orders:
        order.version += 1
        for name, value in {**fields, **(each or {}).get(order.pk, {})}.items():
            setattr(order, name, value)
        events.append(_event(order, kind, actor, data[order.pk], at))
    return OrderEvent.objects.bulk_create(events)


def _by_order(values: Mapping[UUID, Any], field: Any) -> Case:
    return Case(*(When(pk=pk, then=Value(value, output_field=field)) for pk, value in values.items()))


def _column(name: str) -> Any:
    field = Order._meta.get_field(name)
    return getattr(field, "target_field", field)


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


def constraint_name(error: DatabaseError) -> str:
    """The constraint that PostgreSQL names in a refusal, '' if it names none."""
    diagnostics = getattr(error.__cause__, "diag", None)
    return getattr(diagnostics, "constraint_name", None) or ""
