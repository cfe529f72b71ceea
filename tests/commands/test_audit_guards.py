"""The audit finds each of the database's own guards that was taken away (as test_audit_damage.py)."""

import pytest
from django.db import connection

from dispatch import audit
from dispatch.audit import catalog
from tests.commands import damage

pytestmark = pytest.mark.usefixtures("owned")


SYNC_AS_THE_APPLICATION = """
CREATE OR REPLACE FUNCTION baton_driver_sync(driver bigint)
RETURNS TABLE (offer dispatch_offer, carried orders_order, contact orders_ordercontact, message dispatch_message)
LANGUAGE plpgsql SET role = 'none' AS $$
BEGIN
    RETURN QUERY SELECT NULL::dispatch_offer, carried, contact, NULL::dispatch_message
    FROM orders_order carried JOIN orders_ordercontact contact ON contact.order_id = carried.id;
END $$
"""


ORDER_AS_THE_APPLICATION = """
CREATE OR REPLACE FUNCTION baton_driver_order(driver bigint, asked uuid)
RETURNS TABLE (carried orders_order, contact orders_ordercontact)
LANGUAGE plpgsql SET role = 'none' SET plan_cache_mode = 'force_generic_plan' AS $$
BEGIN
    RETURN QUERY SELECT carried, contact
    FROM orders_order carried JOIN orders_ordercontact contact ON contact.order_id = carried.id WHERE carried.id = asked;
END $$
"""


@pytest.mark.parametrize(
    ("statement", "name", "said"),
    [
        (
            "ALTER TABLE orders_order DISABLE TRIGGER USER",
            "triggers_are_on",
            "orders_order: trigger order_keeps_holder is disabled",
        ),
        (
            "DROP TRIGGER driver_capacity_covers_load ON drivers_driver",
            "triggers_are_on",
            "drivers_driver: trigger driver_capacity_covers_load is missing or off",
        ),
        (
            "ALTER TABLE orders_order DROP CONSTRAINT order_has_driver_when_held",
            "constraints_are_on",
            "orders_order: constraint order_has_driver_when_held is missing or not valid",
        ),
        (
            "ALTER TABLE orders_orderevent DROP CONSTRAINT one_event_per_order_version",
            "constraints_are_on",
            "orders_orderevent: constraint one_event_per_order_version is missing or not valid",
        ),
        (
            "DROP INDEX one_accepted_offer_per_order",
            "constraints_are_on",
            "dispatch_offer: constraint one_accepted_offer_per_order is missing or not valid",
        ),
        (
            "DROP TRIGGER order_respects_refusals ON orders_order",
            "triggers_are_on",
            "orders_order: trigger order_respects_refusals is missing or off",
        ),
        (
            "ALTER TABLE orders_order DISABLE ROW LEVEL SECURITY",
            "row_security_is_on",
            "orders_order: row level security is off",
        ),
        (
            "ALTER TABLE orders_ordercontact NO FORCE ROW LEVEL SECURITY",
            "row_security_is_on",
            "orders_ordercontact: row level security does not bind the owner (FORCE is off)",
        ),
        (
            "DROP POLICY driver ON dispatch_offer",
            "row_security_is_on",
            "dispatch_offer: policy driver for baton_driver is missing or altered",
        ),
        (
            "CREATE POLICY oops ON orders_ordercontact FOR SELECT TO baton_driver USING (true)",
            "row_security_is_on",
            "orders_ordercontact: policy oops lets baton_driver see rows and is not Baton's",
        ),
        (
            "ALTER FUNCTION baton_driver_sync(bigint) RESET role",
            "row_security_is_on",
            "function baton_driver_sync is missing or does not run as baton_driver",
        ),
        (
            SYNC_AS_THE_APPLICATION,
            "row_security_is_on",
            "function baton_driver_sync is missing or does not run as baton_driver",
        ),
        (
            "DROP FUNCTION baton_driver_order(bigint, uuid)",
            "row_security_is_on",
            "function baton_driver_order is missing or does not run as baton_driver",
        ),
        (
            ORDER_AS_THE_APPLICATION,
            "row_security_is_on",
            "function baton_driver_order is missing or does not run as baton_driver",
        ),
        (
            "GRANT INSERT ON orders_order TO baton_driver",
            "drivers_may_only_read",
            "baton_driver may INSERT on orders_order",
        ),
        (
            "GRANT SELECT ON auth_user TO baton_driver",
            "drivers_may_only_read",
            "baton_driver may SELECT on auth_user",
        ),
    ],
)
def test_a_guard_that_was_taken_away_is_found(statement: str, name: str, said: str) -> None:
    with damage.regretted():
        damage.execute(statement)
        report = audit.look()

    (outcome,) = [outcome for outcome in report.outcomes if outcome.broken]
    assert outcome.check.name == name
    assert said in outcome.rows


def test_a_foreign_key_that_was_dropped_is_found() -> None:
    with damage.regretted(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'dispatch_offer'::regclass"
            " AND confrelid = 'orders_order'::regclass"
        )
        cursor.execute(f'ALTER TABLE dispatch_offer DROP CONSTRAINT "{cursor.fetchone()[0]}"')
        report = audit.look()

    (outcome,) = [outcome for outcome in report.outcomes if outcome.broken]
    assert outcome.rows == ["dispatch_offer: order_id no longer refers to orders_order"]


def test_every_secured_table_of_the_database_is_known_to_the_audit() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relrowsecurity")
        assert {name for (name,) in cursor.fetchall()} == {*catalog.SECURED, *catalog.partitions()}


def test_a_guard_that_is_off_in_one_partition_is_found() -> None:
    for statement, check in (
        ("ALTER TABLE orders_orderevent_past DISABLE TRIGGER USER", "triggers_are_on"),
        ("ALTER TABLE dispatch_offer_other DISABLE ROW LEVEL SECURITY", "row_security_is_on"),
        ("ALTER TABLE dispatch_offer_past NO FORCE ROW LEVEL SECURITY", "row_security_is_on"),
        ("CREATE POLICY more ON orders_orderevent_past USING (true)", "row_security_is_on"),
        ("GRANT SELECT ON dispatch_offer_past TO baton_app", "row_security_is_on"),
        ("GRANT SELECT ON dispatch_offer_past TO baton_driver", "drivers_may_only_read"),
    ):
        with damage.regretted():
            damage.execute(statement)
            assert audit.look().broken == [check], statement
