"""What PostgreSQL refuses whatever the code path: each test is a statement that psql could send."""

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from dispatch import services
from drivers.models import Driver
from orders.changes import constraint_name
from orders.models import Order, OrderEvent
from tests import cast

pytestmark = pytest.mark.django_db


def refused(statement: str, *values: Any) -> str:
    """Run one statement; the name of the constraint that refuses it, at once or at commit."""
    with pytest.raises(DatabaseError) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return constraint_name(caught.value)


def assigned(order: Order, driver: Driver) -> None:
    services.accept_order(order_id=order.pk, driver_id=driver.pk)


ASSIGN = "UPDATE orders_order SET status='assigned', driver_id=%s, assigned_at=now(), version=version+1 WHERE id=%s"


def test_an_overwrite_of_a_held_order_is_refused(alice: Driver, bob: Driver) -> None:
    order = cast.order()
    assigned(order, alice)

    assert refused("UPDATE orders_order SET driver_id=%s, version=version+1 WHERE id=%s", bob.pk, order.pk) == (
        "order_keeps_holder"
    )
    assert Order.objects.get(pk=order.pk).driver_id == alice.pk


def test_an_assignment_of_an_expired_order_is_refused(alice: Driver) -> None:
    order = cast.order()
    cast.let_time_pass(order, seconds=125)
    services.expire_orders()

    assert refused(ASSIGN, alice.pk, order.pk) == "order_not_expired"
    # Clearing the flag in the same breath does not help.
    assert refused(ASSIGN.replace("SET", "SET expired=false,"), alice.pk, order.pk) == "order_not_expired"


def test_an_assignment_past_the_deadline_is_refused_even_before_the_flag_is_set(alice: Driver) -> None:
    order = cast.order()
    cast.let_time_pass(order, seconds=125)

    assert refused(ASSIGN, alice.pk, order.pk) == "order_not_expired"


def test_a_driver_over_capacity_is_refused(alice: Driver) -> None:
    first, second = cast.order(), cast.order()
    assigned(first, alice)

    assert refused(ASSIGN, alice.pk, second.pk) == "order_within_capacity"


def test_a_suspended_driver_is_refused(alice: Driver) -> None:
    order = cast.order()
    services.suspend_driver(driver_id=alice.pk)

    assert refused(ASSIGN, alice.pk, order.pk) == "order_driver_not_suspended"


def test_a_driver_cannot_be_made_smaller_than_the_load(alice: Driver) -> None:
    Driver.objects.filter(pk=alice.pk).update(capacity=2)
    for order in (cast.order(), cast.order()):
        assigned(order, alice)

    assert refused("UPDATE drivers_driver SET capacity=1 WHERE id=%s", alice.pk) == "driver_capacity_covers_load"


def test_a_change_that_does_not_count_the_version_is_refused(alice: Driver) -> None:
    order = cast.order()

    assert refused("UPDATE orders_order SET payout=99 WHERE id=%s", order.pk) == "order_version_counts"


def test_a_change_without_its_event_is_refused_at_commit(alice: Driver) -> None:
    order = cast.order()

    statement = "UPDATE orders_order SET payout=99, version=version+1 WHERE id=%s"
    assert refused(statement, order.pk) == "order_change_has_event"


@pytest.mark.parametrize("statement", ["UPDATE orders_orderevent SET data='{}'", "DELETE FROM orders_orderevent"])
def test_history_is_append_only(alice: Driver, statement: str) -> None:
    cast.order()
    before = list(OrderEvent.objects.values())

    with (
        pytest.raises(DatabaseError, match=r"Cannot (update|delete)"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert list(OrderEvent.objects.values()) == before


def test_two_events_of_one_version_are_refused(alice: Driver) -> None:
    order = cast.order()

    assert refused(
        "INSERT INTO orders_orderevent (order_id, version, kind, actor_type, actor_id, actor_name, data)"
        " VALUES (%s, 1, 'order.corrected', 'system', '', '', '{}')",
        order.pk,
    ) == ("one_event_per_order_version")


def test_two_accepted_offers_of_one_order_are_refused(alice: Driver, bob: Driver) -> None:
    order = cast.order()
    assigned(order, alice)

    assert refused("UPDATE dispatch_offer SET status='accepted' WHERE order_id=%s", order.pk) == (
        "one_accepted_offer_per_order"
    )


BROKEN: dict[str, str] = {
    "order_payout_not_negative": "payout=-1",
    "order_priority_0_to_9": "priority=10",
    "order_vehicle_known_or_any": "vehicle='rocket'",
    "order_deadlines_in_order": "expires_at=release_at - interval '1 second'",
}


@pytest.mark.parametrize(("name", "change"), BROKEN.items())
def test_a_row_that_makes_no_sense_is_refused(alice: Driver, name: str, change: str) -> None:
    order = cast.order()

    assert refused(f"UPDATE orders_order SET {change}, version=version+1 WHERE id=%s", order.pk) == name


def test_a_final_state_has_its_time(alice: Driver) -> None:
    order = cast.order()

    assert refused("UPDATE orders_order SET status='cancelled', version=version+1 WHERE id=%s", order.pk) == (
        "order_final_has_its_time"
    )


def test_the_application_owns_nothing_and_cannot_pass_the_policies() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        )
        assert cursor.fetchone() == ("baton_app", False, False, False)
        cursor.execute("SELECT count(*) FROM pg_class WHERE relowner = 'baton_app'::regrole")
        assert cursor.fetchone() == (0,)
