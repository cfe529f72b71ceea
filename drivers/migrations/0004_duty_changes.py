"""On and off duty goes on record from here on; whoever is on duty now begins with this moment."""

import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

# No driver reads the record of who was on duty when (the policies of the other tables: dispatch, 0002).
POLICIES = """
ALTER TABLE drivers_dutychange ENABLE ROW LEVEL SECURITY;
ALTER TABLE drivers_dutychange FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON drivers_dutychange TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY system ON drivers_dutychange TO baton_app USING (true) WITH CHECK (true);
"""
POLICIES_BACK = """
DROP POLICY owner ON drivers_dutychange;
DROP POLICY system ON drivers_dutychange;
ALTER TABLE drivers_dutychange NO FORCE ROW LEVEL SECURITY;
ALTER TABLE drivers_dutychange DISABLE ROW LEVEL SECURITY;
"""
ON_DUTY_NOW = """
INSERT INTO drivers_dutychange (driver_id, at, is_online, silent)
SELECT driver_id, clock_timestamp(), true, false FROM drivers_presence WHERE is_online;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("drivers", "0003_duty_permission"),
    ]

    operations = [
        migrations.CreateModel(
            name="DutyChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                ("is_online", models.BooleanField()),
                ("silent", models.BooleanField(default=False)),
            ],
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="presence",
            trigger=pgtrigger.compiler.Trigger(
                name="presence_records_duty",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."is_online" IS DISTINCT FROM (NEW."is_online"))',
                    func="INSERT INTO drivers_dutychange (driver_id, at, is_online, silent)"
                    " VALUES (NEW.driver_id, clock_timestamp(), NEW.is_online, NEW.silent_since IS NOT NULL); RETURN NULL;",
                    hash="a4f6a7431903f5c0235f01649e7fc1604e791c3b",
                    operation="UPDATE",
                    pgid="pgtrigger_presence_records_duty_ed081",
                    table="drivers_presence",
                    when="AFTER",
                ),
            ),
        ),
        migrations.AddField(
            model_name="dutychange",
            name="driver",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="drivers.driver"
            ),
        ),
        migrations.AddIndex(
            model_name="dutychange",
            index=models.Index(fields=["driver", "-at", "-id"], include=("is_online",), name="duty_change_by_driver"),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="dutychange",
            trigger=pgtrigger.compiler.Trigger(
                name="duty_change_append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="306a2d3b9262c2e213ed073151ecf512279fa7b2",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_duty_change_append_only_2d99d",
                    table="drivers_dutychange",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.RunSQL(POLICIES, POLICIES_BACK),
        # Under FORCE the foreign key's own queries need a policy as well, so the rows come last.
        migrations.RunSQL(ON_DUTY_NOW, migrations.RunSQL.noop),
    ]
