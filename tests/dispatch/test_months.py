"""The months of history and offers: made in time, settled, forgotten when they are old. By the owner's functions, in
transactions of which nothing stays: the test's transaction belongs to the owner of the tables (the fixture `owned`)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from dispatch import audit, doctor, services
from dispatch.models import ForgottenMonth, Offer
from drivers.models import Driver
from orders.changes import constraint_name
from orders.models import Order, OrderEvent
from orders.months import SettledBefore, first_id
from orders.selectors import FeedPosition, read_feed
from tests import cast

TABLES = ("orders_orderevent", "dispatch_offer")


def ask(query: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        # What was deferred is due before tables can be altered.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        cursor.execute(query, values)
        return list(cursor.fetchall()) if cursor.description else []


def month(ago: int) -> datetime:
    """The first moment of the month so many months ago."""
    now = cast.now().astimezone(UTC)
    year, index = divmod(now.year * 12 + now.month - 1 - ago, 12)
    return datetime(year, index + 1, 1, tzinfo=UTC)


def name(table: str, ago: int) -> str:
    return f"{table}_p{month(ago):%Y%m}"


@pytest.fixture
def months(owned: None) -> None:
    """As after half a year in use: nothing of the past, a partition for each month from five months ago on."""
    ask("; ".join(f"DROP TABLE {table}_past" for table in TABLES))
    ask("; ".join(f"DROP TABLE IF EXISTS {name(table, -ago)}" for table in TABLES for ago in range(4)))
    for ago in range(5, 0, -1):
        ask("SELECT baton_make_month(%s)", month(ago))
    services.turn_months()


def with_id(number: int) -> Order:
    with patch.object(Order._meta.get_field("id"), "_get_default", lambda: UUID(int=number)):
        return cast.order()


def unsettle() -> None:
    """Months are open again, as they were at the time."""
    ask(
        "CREATE OR REPLACE FUNCTION baton_settled_before() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE"
        " AS $$ SELECT '00000000-0000-0000-0000-000000000000'::uuid $$"
    )


def old(driver: Driver, ago: int, *, final: bool = True) -> Order:
    """An order made in the middle of that month, delivered at once or still on offer."""
    unsettle()
    order = with_id(first_id(month(ago) + timedelta(days=14)).int + (7 << 76) + (2 << 62) + Order.objects.count())
    if final:
        services.accept_order(order_id=order.pk, driver_id=driver.pk)
        services.pick_up_order(order_id=order.pk, driver_id=driver.pk)
        services.deliver_order(order_id=order.pk, driver_id=driver.pk)
    # What would be checked at its commit.
    ask("SELECT 1")
    return order


def partition_of(table: str, order: Order) -> str:
    return str(ask(f"SELECT tableoid::regclass::text FROM {table} WHERE order_id = %s LIMIT 1", order.pk)[0][0])


def settled() -> datetime:
    moment: datetime = ask("SELECT baton_id_moment(baton_settled_before())")[0][0]
    return moment


def test_what_belongs_to_an_order_is_in_the_month_of_its_id(months: None, alice: Driver) -> None:
    before, now = old(alice, 3), cast.order()

    assert [partition_of(table, before) for table in TABLES] == [name(table, 3) for table in TABLES]
    assert [partition_of(table, now) for table in TABLES] == [name(table, 0) for table in TABLES]


def test_an_id_of_no_month_has_a_place_all_the_same(months: None, alice: Driver) -> None:
    order = with_id((1 << 128) - 1)

    assert [partition_of(table, order) for table in TABLES] == [f"{table}_other" for table in TABLES]
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    assert Order.objects.get(pk=order.pk).status == "assigned"


def test_months_are_made_ahead_and_only_once(months: None) -> None:
    wanted = [name(table, -ahead) for table in TABLES for ahead in range(3)]
    there = {row[0] for row in ask("SELECT name FROM baton_months()")}
    assert set(wanted) <= there

    assert services.turn_months()["made"] == []
    assert {row[0] for row in ask("SELECT name FROM baton_months()")} == there


def test_the_doctor_says_which_month_has_no_partition(months: None) -> None:
    assert doctor.months().state == "ok"
    ask(f"DROP TABLE {name('dispatch_offer', -1)}")

    finding = doctor.months()

    assert (finding.state, finding.text) == ("wrong", f"no partition for {month(-1):%Y-%m} of dispatch_offer")


def test_a_new_month_is_shut_and_its_indexes_are_called_after_the_tables(months: None) -> None:
    ask("SELECT baton_make_months(4)")
    new = name("dispatch_offer", -4)

    assert ask("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = %s", new) == [(True, True)]
    assert ask("SELECT has_table_privilege('baton_app', %s, 'SELECT, INSERT, UPDATE, DELETE')", new) == [(False,)]
    suffix = new.removeprefix("dispatch_offer")
    indexes = {row[0] for row in ask("SELECT indexname FROM pg_indexes WHERE tablename = %s", new)}
    assert indexes == {
        f"{new}_pkey",
        *(
            f"{index}{suffix}"
            for index in (
                "offer_by_driver",
                "offer_open_by_driver",
                "offer_open_by_order",
                "one_accepted_offer_per_order",
                "one_offer_per_order_and_driver",
            )
        ),
    }
    assert [check for check in audit.look().broken if check not in {"everybody_has_one_presence"}] == []


def test_a_refusal_by_a_partition_names_the_constraint_of_the_table(months: None, alice: Driver, bob: Driver) -> None:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)

    with pytest.raises(DatabaseError) as refused, transaction.atomic():
        ask("UPDATE dispatch_offer SET status = 'accepted', closed_at = now() WHERE driver_id = %s", bob.pk)
    assert "_p2" in str(refused.value)
    assert constraint_name(refused.value) == "one_accepted_offer_per_order"


def test_months_with_rows_in_the_default_partition_stay_there(months: None, alice: Driver) -> None:
    order = with_id(first_id(month(-4)).int + 5)

    made = [row[0] for row in ask("SELECT baton_make_months(5)")]

    assert made == [name(table, -ahead) for ahead in (3, 5) for table in TABLES]
    services.accept_order(order_id=order.pk, driver_id=alice.pk)


def test_months_are_settled_up_to_the_oldest_open_order_and_never_the_last_two(months: None, alice: Driver) -> None:
    assert settled() == month(1)
    order = old(alice, 4, final=False)

    services.turn_months()
    assert settled() == month(4)

    services.cancel_order(order_id=order.pk, actor=cast.DISPATCHER)
    ask("SELECT 1")
    services.turn_months()
    assert settled() == month(1)
    assert Offer.objects.filter(order_id__gte=SettledBefore()).count() == 0


def test_what_is_asked_by_driver_is_planned_for_the_open_months_only(months: None, alice: Driver) -> None:
    cast.order()
    query = (
        "SELECT id FROM dispatch_offer WHERE driver_id = %s AND status = 'open' AND order_id >= baton_settled_before()"
    )

    plan = "\n".join(row[0] for row in ask(f"EXPLAIN {query}", alice.pk))

    assert name("dispatch_offer", 1) in plan
    assert name("dispatch_offer", 2) not in plan


def test_the_feed_leaves_settled_months_out_only_for_readers_who_have_read_past_the_settling(months: None) -> None:
    ask("CREATE OR REPLACE FUNCTION baton_settled_txid() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 5::bigint'")
    asked = []
    for txid in (4, 5):
        with CaptureQueriesContext(connection) as queries:
            read_feed(after=FeedPosition(txid, 0), limit=10)
        asked.append('"order_id" >= ' in queries[-1]["sql"])
    assert asked == [False, True]


def test_a_month_that_settles_while_the_feed_is_read_is_read_to_its_end(
    months: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("CREATE OR REPLACE FUNCTION baton_settled_txid() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 5::bigint'")
    (bound,) = ask("SELECT baton_settled_before()")[0]

    def position(*given: Any) -> FeedPosition:
        """The first statement was answered, the second was not asked yet."""
        ask(
            "CREATE OR REPLACE FUNCTION baton_settled_before() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE"
            " AS $$ SELECT 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid $$"
        )
        return FeedPosition(*given)

    monkeypatch.setattr("orders.selectors.FeedPosition", position)

    with CaptureQueriesContext(connection) as queries:
        read_feed(after=FeedPosition(5, 0), limit=10)

    assert f"'{bound.hex}'::uuid" in queries[-1]["sql"]


def test_history_is_kept_for_ever_unless_somebody_says_otherwise(months: None, alice: Driver, settings: Any) -> None:
    assert settings.HISTORY_MONTHS == 0
    order = old(alice, 5)

    assert services.turn_months()["forgotten"] == []
    assert OrderEvent.objects.filter(order=order).exists()


def test_old_months_are_forgotten_and_the_orders_stay(months: None, alice: Driver, settings: Any) -> None:
    gone, kept = old(alice, 4), old(alice, 3)
    written = {
        ago: (OrderEvent.objects.filter(order=o).count(), Offer.objects.filter(order=o).count())
        for ago, o in ((4, gone), (3, kept))
    }
    settings.HISTORY_MONTHS = 3

    forgotten = services.turn_months()["forgotten"]

    assert forgotten == [str(first_id(month(ago))) for ago in (4, 3)]
    assert list(ForgottenMonth.objects.order_by("before").values_list("made_before", "events", "offers")) == [
        (month(4), 0, 0),
        (month(3), *written[4]),
    ]
    assert not OrderEvent.objects.filter(order=gone).exists()
    assert not Offer.objects.filter(order=gone).exists()
    assert OrderEvent.objects.filter(order=kept).count() == written[3][0]
    assert set(Order.objects.values_list("pk", flat=True)) == {gone.pk, kept.pk}
    assert services.turn_months()["forgotten"] == []


def test_the_audit_knows_from_when_on_there_is_history(months: None, alice: Driver, settings: Any) -> None:
    old(alice, 5)
    cast.order()
    settings.HISTORY_MONTHS = 3
    services.turn_months()

    report = audit.look()

    assert report.broken == []
    assert f"history of orders since {month(3):%Y-%m-%d}" in report.verdict


def test_a_month_with_an_open_order_is_not_forgotten(months: None, alice: Driver) -> None:
    order = old(alice, 5, final=False)

    with pytest.raises(DatabaseError, match="is not final"), transaction.atomic():
        ask("SELECT baton_forget_month(3)")
    assert OrderEvent.objects.filter(order=order).exists()


@pytest.mark.parametrize("months_kept", [1, 0, -5, None])
def test_the_last_two_months_are_never_forgotten_whoever_asks(months: None, months_kept: int | None) -> None:
    with pytest.raises(DatabaseError, match="the last two months"), transaction.atomic():
        ask("SELECT baton_forget_month(%s)", months_kept)


@pytest.mark.django_db
def test_only_the_application_may_turn_months_and_it_may_not_make_or_drop_tables() -> None:
    functions = ("baton_make_months(integer)", "baton_settle_months()", "baton_forget_month(integer)")
    for function in functions:
        may = [
            ask("SELECT has_function_privilege(%s, %s, 'EXECUTE')", role, function)[0][0]
            for role in ("baton_app", "baton_driver", "public")
        ]
        assert may == [True, False, False], function
    for statement in (
        "DROP TABLE orders_orderevent_past",
        "SELECT baton_make_month(now())",
        "SELECT FROM dispatch_offer_past",
    ):
        with pytest.raises(DatabaseError, match=r"permission denied|must be owner"), transaction.atomic():
            ask(statement)
    # As the application's own login.
    assert ask("SELECT baton_make_months(2)") == []
