"""The settled quarters of the shift report, and who may read it: supervisors."""

import django.contrib.postgres.fields
from django.db import migrations, models

POLICIES = """
ALTER TABLE dispatch_reportquarter ENABLE ROW LEVEL SECURITY;
ALTER TABLE dispatch_reportquarter FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON dispatch_reportquarter TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY system ON dispatch_reportquarter TO baton_app USING (true) WITH CHECK (true);
"""
POLICIES_BACK = """
DROP POLICY owner ON dispatch_reportquarter;
DROP POLICY system ON dispatch_reportquarter;
ALTER TABLE dispatch_reportquarter NO FORCE ROW LEVEL SECURITY;
ALTER TABLE dispatch_reportquarter DISABLE ROW LEVEL SECURITY;
"""


def let_supervisors_read(apps, schema_editor):
    """As in 0003: Django makes permissions only after all migrations, so this one is made here, under its later name."""
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="dispatch", model="reportquarter"
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename="view_reportquarter", defaults={"name": "Can view shift report"}
    )
    for group in apps.get_model("auth", "Group").objects.filter(name="supervisor"):
        group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [
        ("dispatch", "0007_console_permissions"),
        # What the report reads.
        ("drivers", "0004_duty_changes"),
        ("orders", "0008_orders_by_release"),
    ]

    operations = [
        migrations.CreateModel(
            name="ReportQuarter",
            fields=[
                ("starts_at", models.DateTimeField(primary_key=True, serialize=False)),
                ("orders", models.PositiveIntegerField()),
                ("delivered", models.PositiveIntegerField()),
                ("failed", models.PositiveIntegerField()),
                ("cancelled", models.PositiveIntegerField()),
                ("ran_out", models.PositiveIntegerField()),
                ("offers", models.PositiveIntegerField()),
                ("offers_seen", models.PositiveIntegerField()),
                ("offers_accepted", models.PositiveIntegerField()),
                ("offers_declined", models.PositiveIntegerField()),
                (
                    "to_assign",
                    django.contrib.postgres.fields.ArrayField(base_field=models.PositiveIntegerField(), size=None),
                ),
                (
                    "to_deliver",
                    django.contrib.postgres.fields.ArrayField(base_field=models.PositiveIntegerField(), size=None),
                ),
                ("settled_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "shift report",
                "verbose_name_plural": "shift report",
            },
        ),
        migrations.RunSQL(POLICIES, POLICIES_BACK),
        migrations.RunPython(let_supervisors_read, migrations.RunPython.noop),
    ]
