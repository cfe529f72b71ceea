"""What the console writes: the way back from acts by hand, messages to drivers, how holders come along. Row level security as
in 0002: a driver sees their own messages, and nothing of the rest."""

import uuid

import django.contrib.gis.db.models.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

VISIBLE: dict[str, str | None] = {
    "dispatch_message": "driver_id = baton_driver_id()",
    "dispatch_undo": None,
    "dispatch_progress": None,
}


def _secure(table, condition):
    sql = f"""
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY system ON {table} TO baton_app USING (true) WITH CHECK (true);
"""
    if condition is not None:
        sql += f"GRANT SELECT ON {table} TO baton_driver;\n"
        sql += f"CREATE POLICY driver ON {table} FOR SELECT TO baton_driver USING ({condition});\n"
    return sql


def _open(table, condition):
    sql = f"""
DROP POLICY owner ON {table};
DROP POLICY system ON {table};
ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY;
ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;
"""
    if condition is not None:
        sql = f"DROP POLICY driver ON {table};\nREVOKE SELECT ON {table} FROM baton_driver;\n" + sql
    return sql


class Migration(migrations.Migration):
    dependencies = [
        ("dispatch", "0005_barred_offers"),
        ("drivers", "0003_duty_permission"),
        ("orders", "0007_saved_places"),
    ]

    operations = [
        migrations.CreateModel(
            name="Progress",
            fields=[
                (
                    "order",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="orders.order",
                    ),
                ),
                ("status", models.CharField(max_length=12)),
                ("began_at", models.DateTimeField()),
                ("start_m", models.FloatField(null=True)),
                (
                    "spot",
                    django.contrib.gis.db.models.fields.PointField(
                        geography=True, null=True, spatial_index=False, srid=4326
                    ),
                ),
                ("spot_at", models.DateTimeField(null=True)),
                ("nearest_m", models.FloatField(null=True)),
                ("nearest_at", models.DateTimeField(null=True)),
                (
                    "driver",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="drivers.driver",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "progress",
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("text", models.CharField(max_length=500)),
                (
                    "actor_type",
                    models.CharField(
                        choices=[
                            ("driver", "driver"),
                            ("dispatcher", "dispatcher"),
                            ("integrator", "integrator"),
                            ("system", "system"),
                        ],
                        max_length=12,
                    ),
                ),
                ("actor_id", models.CharField(max_length=40)),
                ("actor_name", models.CharField(max_length=100)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("read_at", models.DateTimeField(null=True)),
                (
                    "driver",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="messages",
                        to="drivers.driver",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["driver", "-id"], name="message_by_driver"),
                    models.Index(
                        condition=models.Q(("read_at__isnull", True)),
                        fields=["driver"],
                        name="message_unread_by_driver",
                    ),
                    models.Index(fields=["at"], name="message_by_age"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Undo",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("version", models.PositiveIntegerField()),
                ("verb", models.CharField(max_length=16)),
                ("actor_type", models.CharField(max_length=12)),
                ("actor_id", models.CharField(max_length=40)),
                ("pinned", models.BooleanField()),
                ("expired", models.BooleanField()),
                ("auto_assign_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("refusal", models.CharField(blank=True, max_length=8)),
                ("done_at", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("undone_at", models.DateTimeField(null=True)),
                (
                    "holder",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="drivers.driver",
                    ),
                ),
                (
                    "order",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="orders.order"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("order", "version"), name="one_undo_per_order_version")
                ],
            },
        ),
        *(migrations.RunSQL(_secure(table, shown), _open(table, shown)) for table, shown in VISIBLE.items()),
    ]
