"""The audit finds each kind of damage, and nothing else. It is done by hand, with the owner's login, in transactions of
which nothing stays: tests/commands/damage.py."""

import json
from datetime import timedelta

import pytest

from dispatch import services
from dispatch.models import SweepHeartbeat
from drivers.clock import database_now
from drivers.models import Driver
from orders.models import Order
from tests import cast
from tests.commands.damage import found_after

pytestmark = pytest.mark.usefixtures("owned")


@pytest.fixture
def pending(alice: Driver, bob: Driver) -> Order:
    """Offered to both."""
    return cast.order()


@pytest.fixture
def held(pending: Order, alice: Driver) -> Order:
    services.accept_order(order_id=pending.pk, driver_id=alice.pk, tap=services.Tap("accept-1"))
    return pending


@pytest.fixture
def delivered(held: Order, alice: Driver) -> Order:
    services.pick_up_order(order_id=held.pk, driver_id=alice.pk, tap=services.Tap("pick-up-1"))
    services.deliver_order(order_id=held.pk, driver_id=alice.pk, tap=services.Tap("deliver-1"))
    return held


def event(order: Order, version: int, kind: str, *, actor: tuple[str, object] = ("system", ""), **data: object) -> str:
    """SQL that adds an event to the history."""
    return (
        "INSERT INTO orders_orderevent (order_id, version, kind, actor_type, actor_id, actor_name, data)"
        f" VALUES ('{order.pk}', {version}, 'order.{kind}', '{actor[0]}', '{actor[1]}', '', '{json.dumps(data)}')"
    )


def row(order: Order, changes: str) -> str:
    return f"UPDATE orders_order SET {changes} WHERE id = '{order.pk}'"


# --- History --------------------------------------------------------------------------------------------------------


def test_a_second_holder_is_found(held: Order, alice: Driver, bob: Driver) -> None:
    found = found_after(
        event(held, 4, "assigned", driver=bob.pk, how="auto", capacity=1),
        row(held, f"driver_id = {bob.pk}, version = 4, assigned_at = (SELECT max(at) FROM orders_orderevent)"),
        "UPDATE dispatch_offer SET status = 'lapsed' WHERE status = 'accepted'",
    )
    assert found == ["one_holder_at_a_time"]


def test_an_illegal_move_is_found(pending: Order, alice: Driver) -> None:
    found = found_after(
        event(pending, 3, "cancelled"),
        event(pending, 4, "cancelled"),
        row(pending, "status = 'cancelled', version = 4, cancelled_at = (SELECT max(at) FROM orders_orderevent)"),
        "UPDATE dispatch_offer SET status = 'lapsed', closed_at = now()",
    )
    assert found == ["moves_are_legal"]


def test_an_event_of_an_unknown_kind_is_found(pending: Order) -> None:
    assert found_after(event(pending, 3, "teleported"), row(pending, "version = 3")) == ["moves_are_legal"]


def test_a_missing_event_is_found(delivered: Order) -> None:
    found = found_after(f"DELETE FROM orders_orderevent WHERE order_id = '{delivered.pk}' AND version = 2")
    assert found == ["versions_have_no_gaps"]


def test_a_history_that_begins_in_the_middle_is_found(pending: Order) -> None:
    found = found_after(
        f"UPDATE orders_orderevent SET kind = 'order.corrected' WHERE order_id = '{pending.pk}' AND version = 1",
        f"UPDATE orders_orderevent SET kind = 'order.created' WHERE order_id = '{pending.pk}' AND version = 2",
    )
    assert found == ["histories_begin_with_created"]


@pytest.mark.parametrize(
    "change",
    [
        "driver_id = (SELECT max(id) FROM drivers_driver)",
        "status = 'picked_up', picked_up_at = now()",
        "version = version + 1",
        "assigned_at = assigned_at - interval '1 second'",
    ],
)
def test_a_row_that_was_changed_without_history_is_found(held: Order, change: str) -> None:
    assert found_after(row(held, change)) == ["rows_equal_their_history"]


def test_a_flag_that_was_changed_without_history_is_found(pending: Order) -> None:
    found = found_after(
        row(pending, "expired = true"), "UPDATE dispatch_offer SET status = 'lapsed', closed_at = now()"
    )
    assert found == ["rows_equal_their_history"]


def test_an_order_without_any_history_is_found(alice: Driver) -> None:
    order = cast.order(release_at=cast.now() + timedelta(hours=1))
    assert found_after(f"DELETE FROM orders_orderevent WHERE order_id = '{order.pk}'") == ["rows_equal_their_history"]


def test_a_delivery_by_somebody_else_is_found(delivered: Order, bob: Driver) -> None:
    found = found_after(
        f"UPDATE orders_orderevent SET actor_id = '{bob.pk}' WHERE kind = 'order.delivered'",
        "DELETE FROM dispatch_actionreceipt WHERE verb = 'deliver'",
    )
    assert found == ["events_name_the_holder"]


def test_an_assignment_after_its_deadline_is_found(held: Order) -> None:
    at = f"(SELECT expires_at FROM orders_order WHERE id = '{held.pk}')"
    found = found_after(
        f"UPDATE orders_orderevent SET at = {at} WHERE order_id = '{held.pk}' AND kind = 'order.assigned'",
        row(held, "assigned_at = expires_at"),
    )
    assert found == ["no_assignment_after_the_deadline"]


def test_an_assignment_after_the_deadline_of_an_earlier_round_is_found(held: Order, alice: Driver) -> None:
    services.release_order(order_id=held.pk, driver_id=alice.pk)
    found = found_after(
        "UPDATE orders_orderevent a SET at = (c.data->>'expires_at')::timestamptz FROM orders_orderevent c"
        " WHERE a.kind = 'order.assigned' AND c.kind = 'order.created'"
    )
    assert found == ["no_assignment_after_the_deadline"]


def test_an_assignment_while_expired_is_found(pending: Order, alice: Driver) -> None:
    found = found_after(
        event(pending, 3, "expired"),
        event(pending, 4, "assigned", driver=alice.pk, how="auto", capacity=1),
        row(
            pending,
            f"version = 4, status = 'assigned', driver_id = {alice.pk},"
            " assigned_at = (SELECT max(at) FROM orders_orderevent)",
        ),
        "UPDATE dispatch_offer SET status = 'lapsed', closed_at = now()",
    )
    assert found == ["no_assignment_after_the_deadline"]


def test_a_driver_with_one_too_many_is_found(held: Order, alice: Driver) -> None:
    second = cast.order()
    found = found_after(
        event(second, 3, "assigned", driver=alice.pk, how="auto", capacity=1),
        row(
            second,
            f"version = 3, status = 'assigned', driver_id = {alice.pk},"
            " assigned_at = (SELECT max(at) FROM orders_orderevent)",
        ),
        "UPDATE dispatch_offer SET status = 'lapsed', closed_at = now() WHERE status = 'open'",
    )
    assert found == ["capacity_was_never_exceeded"]


def test_a_driver_who_had_one_too_many_in_the_past_is_found(alice: Driver) -> None:
    first, second = cast.order(), cast.order()
    Driver.objects.filter(pk=alice.pk).update(capacity=2)
    for order in (first, second):
        services.accept_order(order_id=order.pk, driver_id=alice.pk)
    for order in (first, second):
        services.cancel_order(order_id=order.pk, actor=cast.DISPATCHER)
    Driver.objects.filter(pk=alice.pk).update(capacity=1)

    # Room for two at that time: sound. But had there been room for one …
    assert found_after() == []
    assert found_after("""UPDATE orders_orderevent SET data = data || '{"capacity": 1}'""") == [
        "capacity_was_never_exceeded"
    ]


def test_an_accepted_offer_without_the_assignment_is_found(pending: Order, alice: Driver) -> None:
    found = found_after(
        f"UPDATE dispatch_offer SET status = 'accepted', closed_at = now() WHERE driver_id = {alice.pk}"
    )
    assert found == ["accepted_offers_are_assignments"]


def test_an_assignment_by_accepting_without_the_offer_is_found(held: Order, alice: Driver) -> None:
    assert found_after(f"DELETE FROM dispatch_offer WHERE driver_id = {alice.pk}") == [
        "accepted_offers_are_assignments"
    ]


def test_a_pin_that_the_system_set_or_overrode_is_found(pending: Order, alice: Driver) -> None:
    by_system = found_after(row(pending, "pinned = true, version = 3"), event(pending, 3, "pinned", pinned=True))
    overridden = found_after(
        event(pending, 3, "pinned", actor=("dispatcher", 1), pinned=True),
        event(pending, 4, "assigned", driver=alice.pk, capacity=1),
        row(
            pending,
            f"status = 'assigned', driver_id = {alice.pk}, version = 4,"
            " assigned_at = (SELECT max(at) FROM orders_orderevent)",
        ),
        "UPDATE dispatch_offer SET status = 'lapsed', closed_at = now()",
    )

    assert by_system == overridden == ["pins_were_respected"]


def test_a_pin_that_nobody_set_is_found(held: Order) -> None:
    assert found_after(row(held, "pinned = true")) == ["rows_equal_their_history"]


def test_a_holder_who_was_relieved_of_the_order_is_found(pending: Order, alice: Driver) -> None:
    services.assign_order(order_id=pending.pk, driver_id=alice.pk, actor=cast.DISPATCHER)

    assert found_after("UPDATE dispatch_offer SET status = 'barred' WHERE driver_id = " + str(alice.pk)) == [
        "refusals_were_respected"
    ]


def test_a_receipt_for_nothing_is_found(held: Order, bob: Driver) -> None:
    receipt = (
        "INSERT INTO dispatch_actionreceipt (driver_id, action_id, verb, order_id, version, created_at) VALUES"
        " ({driver}, 'x', '{verb}', '{order}', {version}, now())"
    )
    fields = {"order": held.pk, "driver": bob.pk}

    assert found_after(receipt.format(verb="accept", version=3, **fields)) == ["receipts_point_to_events"]
    assert found_after(receipt.format(verb="decline", version=9, **fields)) == ["receipts_point_to_events"]
    assert found_after(receipt.format(verb="decline", version=3, **fields)) == []


# --- Rows -----------------------------------------------------------------------------------------------------------


def test_an_open_offer_of_an_order_that_is_taken_is_found(held: Order, bob: Driver) -> None:
    found = found_after(f"UPDATE dispatch_offer SET status = 'open', closed_at = NULL WHERE driver_id = {bob.pk}")
    assert found == ["open_offers_can_be_accepted"]


def test_an_open_offer_may_wait_some_seconds_for_the_sweep_and_no_longer(pending: Order) -> None:
    shift = "release_at = release_at - interval '1 hour', auto_assign_at = auto_assign_at - interval '1 hour'"

    assert found_after(row(pending, f"{shift}, expires_at = now() - interval '13 seconds'")) == []
    assert found_after(row(pending, f"{shift}, expires_at = now() - interval '17 seconds'")) == [
        "open_offers_can_be_accepted"
    ]


def test_where_nothing_sweeps_as_in_a_restored_backup_an_open_offer_may_wait(pending: Order) -> None:
    shift = "release_at = release_at - interval '3 hours', auto_assign_at = auto_assign_at - interval '3 hours'"
    SweepHeartbeat.objects.update_or_create(pk=1, defaults={"active_at": database_now() - timedelta(hours=1)})

    assert found_after(row(pending, f"{shift}, expires_at = now() - interval '59 minutes'")) == []
    assert found_after(row(pending, f"{shift}, expires_at = now() - interval '61 minutes'")) == [
        "open_offers_can_be_accepted"
    ]


def test_two_accepted_offers_are_found(held: Order, bob: Driver) -> None:
    found = found_after(
        f"UPDATE dispatch_offer SET status = 'accepted' WHERE driver_id = {bob.pk}",
        dropping=[("dispatch_offer", "one_accepted_offer_per_order")],
    )
    assert found == ["accepted_offers_are_assignments", "one_accepted_offer_per_order"]


def test_a_held_order_without_a_holder_is_found(held: Order) -> None:
    found = found_after(row(held, "driver_id = NULL"), dropping=[("orders_order", "order_has_driver_when_held")])
    assert found == ["rows_equal_their_history", "held_orders_have_a_holder"]


def test_a_final_order_without_its_time_is_found(delivered: Order) -> None:
    found = found_after(row(delivered, "delivered_at = NULL"), dropping=[("orders_order", "order_final_has_its_time")])
    assert found == ["rows_equal_their_history", "states_have_their_time"]


def test_an_expired_order_that_is_held_is_found(held: Order) -> None:
    found = found_after(row(held, "expired = true"), dropping=[("orders_order", "order_expired_only_pending")])
    assert found == ["rows_equal_their_history", "expired_orders_are_pending"]


def test_a_driver_without_presence_is_found(alice: Driver) -> None:
    assert found_after(f"DELETE FROM drivers_presence WHERE driver_id = {alice.pk}") == ["everybody_has_one_presence"]
