"""Offers by the month of their order, as the history (orders 0011)."""

import importlib

from django.db import migrations

from orders.migrations import _partitioning

VISIBLE = importlib.import_module("dispatch.migrations.0002_row_level_security").VISIBLE["orders_order"]
SYNC_BEFORE = importlib.import_module("dispatch.migrations.0012_sync_names_the_driver_first").CREATE
SYNC = SYNC_BEFORE.replace("CREATE OR REPLACE", "CREATE", 1).replace(
    "offer.status = 'open'", "offer.order_id >= baton_settled_before() AND offer.status = 'open'", 1
)
SYNC_GRANTS = """
REVOKE EXECUTE ON FUNCTION baton_driver_sync(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION baton_driver_sync(bigint) TO baton_app;
"""

# What holds on to the table of offers by more than its name.
LET_GO = """
DROP POLICY driver ON orders_order;
DROP FUNCTION baton_driver_sync(bigint);
"""
UNSETTLED = "o.order_id = orders_order.id AND o.order_id >= baton_settled_before()"
POLICY = f"""
CREATE POLICY driver ON orders_order FOR SELECT TO baton_driver
    USING ({VISIBLE.replace("o.order_id = orders_order.id", UNSETTLED)});
"""
POLICY_BACK = f"CREATE POLICY driver ON orders_order FOR SELECT TO baton_driver USING ({VISIBLE});"

RESPECT = """
CREATE OR REPLACE FUNCTION order_respects_refusals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM orders_orderevent
               WHERE order_id = NEW.id AND version = NEW.version AND actor_type = 'system'
                 {event})
       AND EXISTS (SELECT FROM dispatch_offer
                   WHERE order_id = NEW.id AND driver_id = NEW.driver_id AND status IN ('declined', 'barred')
                     {offer}) THEN
        RAISE EXCEPTION 'the system does not give an order to a driver who declined it or was relieved of it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_respects_refusals', TABLE = 'orders_order',
                  DETAIL = 'order ' || NEW.id;
    END IF;
    RETURN NULL;
END $$;
"""
SINCE = "AND order_id >= baton_settled_before()"


def partition(apps, schema_editor):
    _partitioning.partition(
        schema_editor.connection,
        "dispatch_offer",
        before=LET_GO,
        after=POLICY + SYNC + SYNC_GRANTS + RESPECT.format(event=SINCE, offer=SINCE),
    )


def unpartition(apps, schema_editor):
    _partitioning.unpartition(
        schema_editor.connection,
        "dispatch_offer",
        before=LET_GO,
        after=POLICY_BACK + SYNC_BEFORE + SYNC_GRANTS + RESPECT.format(event="", offer=""),
    )


class Migration(migrations.Migration):
    # The scan in the middle must not hold the locks of what comes before it. It may be run again.
    atomic = False
    dependencies = [("dispatch", "0013_audit_verdict"), ("orders", "0012_triggers_look_at_open_months")]

    operations = [migrations.RunPython(partition, unpartition)]
