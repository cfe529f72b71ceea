"""What the database lets a driver's request see and do, asked of the database itself (drivers/access.py, the policies in
dispatch/migrations/0002)."""

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from dispatch import selectors, services
from dispatch.consumers import frames
from dispatch.models import Message, Offer
from drivers.access import as_driver
from drivers.errors import NotFound
from drivers.models import Driver, Presence
from orders.models import Order, OrderContact
from tests import cast

pytestmark = pytest.mark.django_db

VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")

#: All that the role `baton_driver` may do, table by table. Every table that is not named: nothing.
ALLOWED = {
    "dispatch_message": {"SELECT"},
    "dispatch_offer": {"SELECT"},
    "drivers_driver": {"SELECT"},
    "drivers_presence": {"SELECT"},
    "orders_order": {"SELECT"},
    "orders_ordercontact": {"SELECT"},
}
#: PostGIS's own; everybody may read it and it holds nothing of ours.
FOREIGN = {"spatial_ref_sys", "geometry_columns", "geography_columns"}


def rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall()) if cursor.description else []


def tables() -> list[str]:
    found = rows(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'p') AND relnamespace = 'public'::regnamespace"
    )
    return sorted(name for (name,) in found if name not in FOREIGN)


def partitions() -> set[str]:
    """Of the history and the offers; nobody reads them but through the whole."""
    return {name for (name,) in rows("SELECT relname FROM pg_class WHERE relispartition AND relkind IN ('r', 'p')")}


@pytest.mark.parametrize("role", ["baton_driver", "baton_app", "public"])
def test_each_role_may_do_exactly_this(role: str) -> None:
    matrix = {
        table: {verb for verb in VERBS if rows("SELECT has_table_privilege(%s, %s, %s)", role, table, verb)[0][0]}
        for table in tables()
    }

    nothing: dict[str, set[str]] = {table: set() for table in matrix}
    everything = {table: set() if table in partitions() else set(VERBS) for table in matrix}
    expected = {"baton_driver": {**nothing, **ALLOWED}, "baton_app": everything, "public": nothing}
    assert matrix == expected[role]


def test_every_table_that_names_a_driver_an_order_or_a_customer_has_forced_policies() -> None:
    """Whether by a reference, over however many tables, or by a column's name alone."""
    named = rows(
        """
        WITH RECURSIVE named AS (
            SELECT c.oid FROM pg_class c
            WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND (
                c.relname IN ('drivers_driver', 'orders_order', 'orders_ordercontact')
                OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
                           AND a.attname ~ '^(driver|order|contact|customer)(_id)?$')
            )
            UNION
            SELECT f.conrelid FROM pg_constraint f JOIN named ON f.confrelid = named.oid WHERE f.contype = 'f'
        )
        SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class JOIN named USING (oid)
        """
    )
    assert {table for table, forced in named if not forced} == set()
    assert {"orders_ordercontact", "orders_orderevent", "orders_deliverypin", "dispatch_offer"} <= {
        table for table, _ in named
    }
    assert partitions() <= {table for table, _ in named}
    assert {"orders_orderevent_past", "orders_orderevent_other", "dispatch_offer_past"} <= partitions()


def test_the_policies_are_these_and_no_others() -> None:
    policies = rows(
        "SELECT tablename, policyname, cmd, roles::text[] FROM pg_policies WHERE 'baton_driver' = ANY(roles)"
    )
    assert {(table, name, verb, tuple(roles)) for table, name, verb, roles in policies} == {
        (table, "driver", "SELECT", ("baton_driver",)) for table in ALLOWED
    }


@pytest.fixture
def scene(alice: Driver, bob: Driver) -> dict[str, Order]:
    """One order of each kind: on offer to both, held by alice, held by bob, delivered by alice, nobody's."""
    Driver.objects.update(capacity=5)
    made = {name: cast.order(reference=name) for name in ("offered", "alices", "bobs", "delivered", "nobodys")}
    services.accept_order(order_id=made["alices"].pk, driver_id=alice.pk)
    services.accept_order(order_id=made["bobs"].pk, driver_id=bob.pk)
    services.accept_order(order_id=made["delivered"].pk, driver_id=alice.pk)
    services.pick_up_order(order_id=made["delivered"].pk, driver_id=alice.pk)
    services.deliver_order(order_id=made["delivered"].pk, driver_id=alice.pk)
    for driver in (alice, bob):
        services.decline_order(order_id=made["nobodys"].pk, driver_id=driver.pk)
    return made


def test_a_driver_sees_their_own_messages_and_nobody_elses(alice: Driver, bob: Driver) -> None:
    for driver in (alice, bob):
        services.send_message(driver_id=driver.pk, text=f"to {driver.name}", actor=cast.DISPATCHER)

    with as_driver(alice.pk):
        assert list(Message.objects.values_list("text", flat=True)) == ["to Alice"]


def test_a_driver_sees_what_is_offered_or_theirs_and_nothing_else(scene: dict[str, Order], alice: Driver) -> None:
    with as_driver(alice.pk):
        assert set(Order.objects.values_list("reference", flat=True)) == {"offered", "alices", "delivered"}
        assert list(OrderContact.objects.values_list("order__reference", flat=True)) == ["alices"]
        assert list(Driver.objects.values_list("name", flat=True)) == ["Alice"]
        assert list(Presence.objects.values_list("driver_id", flat=True)) == [alice.pk]
        assert set(Offer.objects.values_list("driver_id", flat=True)) == {alice.pk}


def test_raw_sql_without_a_filter_shows_no_more(scene: dict[str, Order], bob: Driver) -> None:
    with as_driver(bob.pk):
        assert {name for (name,) in rows("SELECT reference FROM orders_order")} == {"offered", "bobs"}
        assert rows("SELECT name FROM orders_ordercontact WHERE order_id = %s", scene["alices"].pk) == []


def test_a_contact_is_seen_from_assignment_to_delivery_only(alice: Driver) -> None:
    order = cast.order()

    def visible() -> bool:
        with as_driver(alice.pk):
            return OrderContact.objects.filter(pk=order.pk).exists()

    seen = [visible()]
    for act in (services.accept_order, services.pick_up_order, services.deliver_order):
        act(order_id=order.pk, driver_id=alice.pk)
        seen.append(visible())
    assert seen == [False, True, True, False]


FORBIDDEN = {
    "accept": "UPDATE orders_order SET status='assigned', driver_id={me}, version=version+1",
    "overwrite": "UPDATE orders_order SET driver_id={me}, version=version+1 WHERE driver_id IS NOT NULL",
    "un-expire": "UPDATE orders_order SET expired=false, expires_at=now() + interval '1 day', version=version+1",
    "lock": "SELECT * FROM orders_order FOR UPDATE",
    "invent history": "INSERT INTO orders_orderevent (order_id, version, kind, actor_type) "
    "SELECT id, 99, 'order.assigned', 'system' FROM orders_order",
    "read history": "SELECT * FROM orders_orderevent",
    "read receipts": "SELECT * FROM dispatch_actionreceipt",
    "read accounts": "SELECT * FROM auth_user",
    "read tokens": "SELECT * FROM drivers_devicetoken",
    "read pins": "SELECT * FROM orders_deliverypin",
    "read pictures": "SELECT * FROM orders_deliveryproof",
    "invent a picture": "INSERT INTO orders_deliveryproof (id, order_id, driver_id, action_id, kind, file, media_type,"
    " width, height) SELECT gen_random_uuid(), id, {me}, 'x', 'photo', '../x', 'image/jpeg', 1, 1 FROM orders_order",
    "read where phones are woken": "SELECT * FROM drivers_pushsubscription",
    "read keys": "SELECT * FROM orders_apikey",
    "move somebody": "UPDATE drivers_presence SET is_online=true",
    "grow": "UPDATE drivers_driver SET capacity=50",
    "re-open": "UPDATE dispatch_offer SET status='open', closed_at=NULL",
    "delete": "DELETE FROM dispatch_offer",
    "become the system": "SET ROLE baton_owner; DELETE FROM orders_order",
}


@pytest.mark.parametrize("attempt", FORBIDDEN.values(), ids=FORBIDDEN)
def test_raw_sql_as_a_driver_is_refused(scene: dict[str, Order], alice: Driver, attempt: str) -> None:
    before = list(Order.objects.order_by("pk").values())

    with (
        pytest.raises(DatabaseError, match=r"permission denied|must be member"),
        transaction.atomic(),
        as_driver(alice.pk),
    ):
        rows(attempt.format(me=alice.pk))

    assert list(Order.objects.order_by("pk").values()) == before


#: One statement each, run as one driver, that says itself whose it is: {other} is another driver's id.
PRETENCES = {
    "beside the rows": "SELECT set_config('baton.driver_id', '{other}', true), reference FROM orders_order",
    "in a condition": "SELECT * FROM orders_order WHERE set_config('baton.driver_id', '{other}', true) <> ''",
    "in a query before": "WITH me AS MATERIALIZED (SELECT pg_catalog.set_config('baton.driver_id', '{other}', true))"
    " SELECT * FROM me, orders_ordercontact",
    "in a query beside": "SELECT * FROM (SELECT set_config('baton.driver_id', '{other}', false) OFFSET 0) me"
    " CROSS JOIN LATERAL (SELECT * FROM orders_order WHERE me IS NOT NULL) mine",
    "in a union": "SELECT set_config('baton.driver_id', '{other}', true) UNION ALL SELECT name FROM orders_ordercontact",
    "as a table": "SELECT * FROM set_config('baton.driver_id', '{other}', true), orders_order",
    "as its argument": "SELECT set_config('baton.driver_id', set_config('role', 'none', true) || '{other}', true)",
    "as the application": "SELECT set_config('role', 'none', true), name FROM orders_ordercontact",
    "as the owner": "SELECT set_config('role', 'baton_owner', true), name FROM orders_ordercontact",
    "as another login": "SELECT set_config('session_authorization', 'baton_app', true), name FROM orders_ordercontact",
    "without policies": "SELECT set_config('row_security', 'off', true), name FROM orders_ordercontact",
    "explained": "EXPLAIN ANALYZE SELECT set_config('baton.driver_id', '{other}', true), name FROM orders_ordercontact",
    "written out": "COPY (SELECT set_config('baton.driver_id', '{other}', true), name FROM orders_ordercontact) TO STDOUT",
    "kept": "CREATE TEMPORARY TABLE seen AS SELECT set_config('baton.driver_id', '{other}', true) FROM orders_order",
    "as text, by XML": "SELECT query_to_xml($$SELECT set_config('baton.driver_id', '{other}', true)$$, true, false, ''),"
    " query_to_xml('SELECT * FROM orders_ordercontact', true, false, '')",
    "as text, by text search": "SELECT * FROM ts_stat("
    "$$SELECT to_tsvector(set_config('baton.driver_id', '{other}', true)) FROM orders_order$$)",
    "as text, by PostGIS": "SELECT st_findextent('orders_order', $$x\") FROM (SELECT public.ST_MakePoint(0, 0) AS x) y"
    " WHERE set_config('baton.driver_id', '{other}', true) <> '' --$$)",
    "a whole statement as text": "SELECT query_to_xml('SET LOCAL ROLE NONE; SELECT 1', true, false, '')",
    "a block": "DO $$ BEGIN SET LOCAL ROLE NONE; RAISE '%%', (SELECT max(name) FROM orders_ordercontact); END $$",
    "a block of a driver": "DO LANGUAGE plpgsql $$ BEGIN PERFORM set_config('baton.driver_id', '{other}', true); END $$",
    "the list of settings": "UPDATE pg_settings SET setting = '{other}' WHERE name = 'baton.driver_id'",
    "the application's sync": "SELECT * FROM baton_driver_sync({other})",
    "the application's reading of an order": "SELECT * FROM baton_driver_order({other}, gen_random_uuid())",
    "as a new program": "CREATE FUNCTION pg_temp.other() RETURNS void LANGUAGE plpgsql SET role = 'none' AS $$ BEGIN END $$",
    "from another database": "SELECT * FROM dblink('', 'SELECT name FROM orders_ordercontact') AS other (name text)",
    "what statistics know": "SELECT st_estimatedextent('orders_order', 'dropoff')",
    "what indexes know": "SELECT _postgis_index_extent('drivers_presence', 'position')",
}


@pytest.mark.parametrize("attempt", PRETENCES.values(), ids=PRETENCES)
def test_one_statement_of_a_driver_cannot_say_that_it_is_anothers(
    scene: dict[str, Order], alice: Driver, bob: Driver, attempt: str
) -> None:
    with transaction.atomic():
        with (
            pytest.raises(
                DatabaseError,
                match=r"permission denied|SET is not allowed in a non-volatile function|dblink\(.*does not exist",
            ) as refusal,
            transaction.atomic(),
            as_driver(bob.pk),
        ):
            rows(attempt.format(other=alice.pk))
        assert "Carol" not in str(refusal.value)
        assert rows("SELECT current_user, baton_driver_id()") == [("baton_app", None)]


def test_a_driver_cannot_be_asked_for_within_another(alice: Driver, bob: Driver) -> None:
    with (
        pytest.raises(DatabaseError, match="permission denied for function set_config"),
        as_driver(alice.pk),
        as_driver(bob.pk),
    ):
        pass
    assert rows("SELECT current_user, baton_driver_id()") == [("baton_app", None)]


def test_only_batons_own_logins_may_choose_settings_and_write_programs() -> None:
    for role, may in (("public", False), ("baton_driver", False), ("baton_app", True), ("baton_owner", True)):
        privileges = rows(
            "SELECT has_function_privilege(%s, 'pg_catalog.set_config(text, text, boolean)', 'EXECUTE'),"
            " has_language_privilege(%s, 'plpgsql', 'USAGE')",
            role,
            role,
        )
        assert privileges == [(may, may)], role


def test_no_function_lends_a_driver_what_it_may_itself() -> None:
    """Neither one that runs as somebody else, nor one that chooses a role or a driver."""
    lent = rows(
        "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE has_function_privilege('baton_driver', p.oid, 'EXECUTE')"
        " AND (p.prosecdef OR p.proconfig::text ~ 'role|baton|session_authorization' OR p.prosrc ~ 'set_config')"
    )
    assert lent == []


def test_the_role_ends_with_the_block_even_inside_a_transaction(alice: Driver) -> None:
    with transaction.atomic():
        with as_driver(alice.pk):
            assert rows("SELECT current_user, baton_driver_id()") == [("baton_driver", alice.pk)]
        assert rows("SELECT current_user, baton_driver_id()") == [("baton_app", None)]


def test_outside_a_driver_there_is_no_driver() -> None:
    with transaction.atomic():
        rows("SELECT set_config('role', 'baton_driver', true)")
        assert rows("SELECT count(*) FROM orders_order") == [(0,)]
        rows("SET LOCAL ROLE NONE")


def test_what_the_app_reads_for_a_driver_is_under_the_policies(scene: dict[str, Order], alice: Driver) -> None:
    sync = selectors.sync_driver(driver_id=alice.pk)

    assert [offer.order.reference for offer in sync.offers] == ["offered"]
    assert [order.reference for order in sync.active] == ["alices"]
    assert sync.active[0].contact.name == "Carol Customer"
    for name in ("bobs", "nobodys"):
        with pytest.raises(NotFound):
            selectors.order_for_driver(driver_id=alice.pk, order_id=scene[name].pk)


def test_the_sync_is_one_statement_and_asks_nothing_behind_the_policies_back(
    scene: dict[str, Order], alice: Driver, bob: Driver, django_assert_num_queries: Any
) -> None:
    for to in (alice, bob):
        services.send_message(driver_id=to.pk, text=f"To {to.name}", actor=cast.DISPATCHER)
    with django_assert_num_queries(1):
        sync = selectors.sync_driver(driver_id=alice.pk)
        frames.snapshot(sync)
    # As the driver sees it when asked row by row: the columns are where they belong.
    with as_driver(alice.pk):
        for order in [*sync.active, *(offer.order for offer in sync.offers)]:
            whole = Order.objects.get(pk=order.pk)
            for name in selectors.ORDER_COLUMNS:
                assert getattr(order, name) == getattr(whole, name), name
        (offer,) = sync.offers
        whole_offer = Offer.objects.get(pk=offer.pk)
        assert (offer.distance_m, offer.delivered_at) == (whole_offer.distance_m, whole_offer.delivered_at)
    assert [message.text for message in sync.messages] == ["To Alice"]
    with pytest.raises(OrderContact.DoesNotExist), django_assert_num_queries(0):
        _ = offer.order.contact


def test_an_order_is_one_statement_and_shows_its_driver_what_the_policies_do(
    scene: dict[str, Order], alice: Driver, django_assert_num_queries: Any
) -> None:
    for name, contact in (("alices", "Carol Customer"), ("offered", None), ("delivered", None)):
        with django_assert_num_queries(1):
            order = selectors.order_for_driver(driver_id=alice.pk, order_id=scene[name].pk)
            assert getattr(getattr(order, "contact", None), "name", None) == contact
        with as_driver(alice.pk):
            whole = Order.objects.get(pk=order.pk)
        for column in selectors.ORDERS.names:
            assert getattr(order, column) == getattr(whole, column), column


READ_AS_DRIVER = {
    "baton_driver_sync(bigint)": "baton_driver_sync(%s)",
    "baton_driver_order(bigint, uuid)": "baton_driver_order(%s, (SELECT id FROM orders_order WHERE reference = 'alices'))",
}


@pytest.mark.parametrize("read", READ_AS_DRIVER.values(), ids=READ_AS_DRIVER)
def test_what_reads_as_a_driver_leaves_the_role_behind_even_inside_a_transaction(
    scene: dict[str, Order], alice: Driver, read: str
) -> None:
    assert len(rows(f"SELECT * FROM {read}", alice.pk)) > 0
    assert rows("SELECT current_user, baton_driver_id()") == [("baton_app", None)]

    with pytest.raises(DatabaseError), transaction.atomic():
        rows(f"SELECT count(*) / 0 FROM {read}", alice.pk)
    assert rows("SELECT current_user, baton_driver_id()") == [("baton_app", None)]


@pytest.mark.parametrize(("function", "read"), READ_AS_DRIVER.items(), ids=READ_AS_DRIVER)
def test_a_drivers_own_role_cannot_read_as_another(
    scene: dict[str, Order], alice: Driver, bob: Driver, function: str, read: str
) -> None:
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), as_driver(alice.pk):
        rows(f"SELECT * FROM {read}", bob.pk)
    assert rows("SELECT has_function_privilege('public', %s, 'EXECUTE')", function) == [(False,)]
