"""The triggers that look up the event of a change look in the months that are open (`baton_settled_before`)."""

import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0011_partition_history"),
    ]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '3s'", "SET LOCAL lock_timeout = '3s'"),
        pgtrigger.migrations.RemoveTrigger(
            model_name="order",
            name="order_change_has_event",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="order",
            name="order_pin_holds",
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="order",
            trigger=pgtrigger.compiler.Trigger(
                name="order_pin_holds",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."pinned" OR NEW."pinned")',
                    constraint="CONSTRAINT",
                    declare="DECLARE who text;",
                    func="SELECT actor_type INTO who FROM orders_orderevent WHERE order_id = NEW.id AND version = NEW.version AND order_id >= baton_settled_before(); IF NOT OLD.pinned AND who NOT IN ('dispatcher', 'integrator') THEN RAISE EXCEPTION 'only a dispatcher pins an order' USING ERRCODE = 'check_violation', CONSTRAINT = 'order_pin_holds', TABLE = 'orders_order', DETAIL = 'order ' || NEW.id; END IF; IF OLD.pinned AND who = 'system' AND (NOT NEW.pinned OR OLD.driver_id IS DISTINCT FROM NEW.driver_id) THEN RAISE EXCEPTION 'the system does not undo what a dispatcher decided' USING ERRCODE = 'check_violation', CONSTRAINT = 'order_pin_holds', TABLE = 'orders_order', DETAIL = 'order ' || NEW.id; END IF; RETURN NULL;",
                    hash="baa3247f8c8606fd2a24a0599b45a107d8fe43d9",
                    operation="UPDATE",
                    pgid="pgtrigger_order_pin_holds_78cab",
                    table="orders_order",
                    timing="DEFERRABLE INITIALLY DEFERRED",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="order",
            trigger=pgtrigger.compiler.Trigger(
                name="order_change_has_event",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    constraint="CONSTRAINT",
                    func="IF NOT EXISTS (SELECT FROM orders_orderevent WHERE order_id = NEW.id AND version = NEW.version AND order_id >= baton_settled_before()) THEN RAISE EXCEPTION 'a change without its event' USING ERRCODE = 'check_violation', CONSTRAINT = 'order_change_has_event', TABLE = 'orders_order', DETAIL = 'order ' || NEW.id; END IF; RETURN NULL;",
                    hash="c6af410565bcf8ed5fa8d934467ca4e7973373f1",
                    operation="INSERT OR UPDATE",
                    pgid="pgtrigger_order_change_has_event_c3ec4",
                    table="orders_order",
                    timing="DEFERRABLE INITIALLY DEFERRED",
                    when="AFTER",
                ),
            ),
        ),
    ]
