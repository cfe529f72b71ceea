"""Offers of drivers who were relieved of an order by hand, and the guards that no sweep brings them together again."""

import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

# The table belongs to `orders`, which knows nothing of offers; so this guard is plain SQL and installed from here.
RESPECT = """
CREATE FUNCTION order_respects_refusals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM orders_orderevent
               WHERE order_id = NEW.id AND version = NEW.version AND actor_type = 'system')
       AND EXISTS (SELECT FROM dispatch_offer
                   WHERE order_id = NEW.id AND driver_id = NEW.driver_id AND status IN ('declined', 'barred')) THEN
        RAISE EXCEPTION 'the system does not give an order to a driver who declined it or was relieved of it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_respects_refusals', TABLE = 'orders_order',
                  DETAIL = 'order ' || NEW.id;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER order_respects_refusals AFTER UPDATE ON orders_order DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.status = 'pending' AND NEW.status = 'assigned') EXECUTE FUNCTION order_respects_refusals();
"""
RESPECT_BACK = """
DROP TRIGGER order_respects_refusals ON orders_order;
DROP FUNCTION order_respects_refusals();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("dispatch", "0004_quicker_driver_id"),
        ("drivers", "0003_duty_permission"),
        ("orders", "0006_pinned"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="offer",
            name="offer_status_known",
        ),
        migrations.AlterField(
            model_name="offer",
            name="status",
            field=models.CharField(
                choices=[
                    ("open", "Open"),
                    ("accepted", "Accepted"),
                    ("declined", "Declined"),
                    ("lapsed", "Lapsed"),
                    ("barred", "Barred"),
                ],
                default="open",
                max_length=8,
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="offer",
            trigger=pgtrigger.compiler.Trigger(
                name="offer_refusal_holds",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.\"status\" IN ('declined', 'barred') AND NEW.\"status\" IN ('open', 'accepted'))",
                    func="RAISE EXCEPTION 'an offer that was refused is not made again' USING ERRCODE = 'check_violation', CONSTRAINT = 'offer_refusal_holds', TABLE = 'dispatch_offer'; RETURN NULL;",
                    hash="b2d189da1ea7211309059923f03b8b6a6b9c6321",
                    operation="UPDATE",
                    pgid="pgtrigger_offer_refusal_holds_9751b",
                    table="dispatch_offer",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddConstraint(
            model_name="offer",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["open", "accepted", "declined", "lapsed", "barred"])),
                name="offer_status_known",
            ),
        ),
        migrations.RunSQL(RESPECT, RESPECT_BACK),
    ]
