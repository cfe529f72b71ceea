"""Orders over which a person decided, and the guard that the system leaves that alone (orders/lifecycle.py)."""

import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0005_search_by_reference"),
    ]

    operations = [
        migrations.AddField(
            model_name="order",
            name="pinned",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AlterField(
            model_name="orderevent",
            name="kind",
            field=models.CharField(
                choices=[
                    ("order.created", "order.created"),
                    ("order.offered", "order.offered"),
                    ("order.assigned", "order.assigned"),
                    ("order.released", "order.released"),
                    ("order.picked_up", "order.picked_up"),
                    ("order.delivered", "order.delivered"),
                    ("order.failed", "order.failed"),
                    ("order.cancelled", "order.cancelled"),
                    ("order.expired", "order.expired"),
                    ("order.reoffered", "order.reoffered"),
                    ("order.corrected", "order.corrected"),
                    ("order.pinned", "order.pinned"),
                    ("order.unpinned", "order.unpinned"),
                ],
                max_length=20,
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="order",
            trigger=pgtrigger.compiler.Trigger(
                name="order_pin_holds",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."pinned" OR NEW."pinned")',
                    constraint="CONSTRAINT",
                    declare="DECLARE who text;",
                    func="SELECT actor_type INTO who FROM orders_orderevent WHERE order_id = NEW.id AND version = NEW.version; IF NOT OLD.pinned AND who NOT IN ('dispatcher', 'integrator') THEN RAISE EXCEPTION 'only a dispatcher pins an order' USING ERRCODE = 'check_violation', CONSTRAINT = 'order_pin_holds', TABLE = 'orders_order', DETAIL = 'order ' || NEW.id; END IF; IF OLD.pinned AND who = 'system' AND (NOT NEW.pinned OR OLD.driver_id IS DISTINCT FROM NEW.driver_id) THEN RAISE EXCEPTION 'the system does not undo what a dispatcher decided' USING ERRCODE = 'check_violation', CONSTRAINT = 'order_pin_holds', TABLE = 'orders_order', DETAIL = 'order ' || NEW.id; END IF; RETURN NULL;",
                    hash="0b93b5ae260b4ae218ff358e7e2b1a98aca0f26d",
                    operation="UPDATE",
                    pgid="pgtrigger_order_pin_holds_78cab",
                    table="orders_order",
                    timing="DEFERRABLE INITIALLY DEFERRED",
                    when="AFTER",
                ),
            ),
        ),
    ]
