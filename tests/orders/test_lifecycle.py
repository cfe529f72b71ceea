"""The table of moves in Python and what PostgreSQL lets through must be the same."""

from itertools import product

import pytest
from django.db import DatabaseError, connection, transaction

from drivers.clock import database_now
from drivers.models import Driver
from orders.changes import constraint_name
from orders.lifecycle import FINAL, HELD, MOVES, STATUS_AFTER, Kind, Status, can_move
from orders.models import Order, OrderEvent
from tests import cast

pytestmark = pytest.mark.django_db

#: How to get a fresh order into each state, legally.
ROUTES = {
    Status.PENDING: [],
    Status.ASSIGNED: [Status.ASSIGNED],
    Status.PICKED_UP: [Status.ASSIGNED, Status.PICKED_UP],
    Status.DELIVERED: [Status.ASSIGNED, Status.PICKED_UP, Status.DELIVERED],
    Status.FAILED: [Status.ASSIGNED, Status.PICKED_UP, Status.FAILED],
    Status.CANCELLED: [Status.CANCELLED],
}


def move(order: Order, to: Status, driver: Driver) -> None:
    """A bare UPDATE with everything else as it should be, so that only the move itself can be refused."""
    fresh = Order.objects.get(pk=order.pk)
    fields: dict[str, object] = {"status": to, "version": fresh.version + 1}
    if to == Status.PENDING:
        fields |= {"driver": None, "assigned_at": None, "picked_up_at": None}
    elif to == Status.ASSIGNED or (to in HELD | {Status.DELIVERED, Status.FAILED} and fresh.driver_id is None):
        fields |= {"driver": driver, "assigned_at": database_now()}
    for final in FINAL | {Status.PICKED_UP}:
        fields.setdefault(f"{final}_at", database_now() if final == to else None)
    if to in {Status.DELIVERED, Status.FAILED, Status.CANCELLED, Status.ASSIGNED, Status.PENDING}:
        fields.pop("picked_up_at", None)
    if to == Status.PICKED_UP:
        fields["picked_up_at"] = database_now()
        if fresh.assigned_at is None:
            fields["assigned_at"] = database_now()
    Order.objects.filter(pk=order.pk).update(**fields)
    OrderEvent.objects.create(order=order, version=fresh.version + 1, kind=Kind.CORRECTED, actor_type="system")


@pytest.mark.parametrize(("before", "after"), [(b, a) for b, a in product(Status, Status) if b != a])
def test_postgresql_allows_exactly_the_moves_of_the_table(before: Status, after: Status, alice: Driver) -> None:
    order = cast.order()
    for step in ROUTES[before]:
        move(order, step, alice)

    allowed = True
    try:
        with transaction.atomic():
            move(order, after, alice)
    except DatabaseError as error:
        allowed = False
        assert constraint_name(error) in {"order_moves_legally", "order_keeps_holder"}

    assert allowed == ((before, after) in MOVES) == can_move(before, after)
    assert Order.objects.get(pk=order.pk).status == (after if allowed else before)


def test_the_installed_trigger_lists_the_moves_of_the_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname LIKE 'pgtrigger_order_moves_legally%'")
        (source,) = cursor.fetchone()
    assert source.count("), (") + 1 == len(MOVES)
    for before, after in MOVES:
        assert f"('{before}', '{after}')" in source


def test_every_state_is_reached_and_every_final_state_ends() -> None:
    assert {after for _, after in MOVES} | {Status.PENDING} == set(Status)
    assert {before for before, _ in MOVES} == set(Status) - FINAL
    assert set(STATUS_AFTER) == set(Kind)
    assert {status for status in STATUS_AFTER.values() if status} == set(Status)


def test_the_states_of_the_database_are_those_of_the_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'order_status_known'")
        (definition,) = cursor.fetchone()
    assert sorted(word for word in definition.split("'") if word in set(Status)) == sorted(Status)
