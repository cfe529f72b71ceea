"""Where the last audit's verdict is kept, and who may read it: supervisors."""

import importlib

import django.contrib.postgres.fields
from django.db import migrations, models

GRANTED = {"dispatch.auditverdict": ["view"]}


def let_supervisors_read(apps, schema_editor):
    """Run again it adds what is missing."""
    permissions = importlib.import_module("dispatch.migrations.0003_staff_groups")._permissions(apps, GRANTED)
    for group in apps.get_model("auth", "Group").objects.filter(name="supervisor"):
        group.permissions.add(*permissions)


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0012_sync_names_the_driver_first")]

    operations = [
        migrations.CreateModel(
            name="AuditVerdict",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("looked_at", models.DateTimeField()),
                ("seconds", models.FloatField()),
                (
                    "broken",
                    django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None),
                ),
                ("verdict", models.TextField()),
            ],
            options={
                "verbose_name": "audit",
                "verbose_name_plural": "audit",
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_audit_verdict")],
            },
        ),
        migrations.RunPython(let_supervisors_read, migrations.RunPython.noop),
    ]
