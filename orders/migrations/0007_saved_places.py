"""Places that dispatchers know by name. No driver ever sees them (the policies of the other tables: dispatch, 0002)."""

import django.contrib.gis.db.models.fields
from django.db import migrations, models

POLICIES = """
ALTER TABLE orders_savedplace ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders_savedplace FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON orders_savedplace TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY system ON orders_savedplace TO baton_app USING (true) WITH CHECK (true);
"""
POLICIES_BACK = """
DROP POLICY owner ON orders_savedplace;
DROP POLICY system ON orders_savedplace;
ALTER TABLE orders_savedplace NO FORCE ROW LEVEL SECURITY;
ALTER TABLE orders_savedplace DISABLE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0006_pinned"),
    ]

    operations = [
        migrations.CreateModel(
            name="SavedPlace",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True)),
                (
                    "point",
                    django.contrib.gis.db.models.fields.PointField(geography=True, spatial_index=False, srid=4326),
                ),
                ("address", models.CharField(blank=True, max_length=300)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["name"],
            },
        ),
        migrations.RunSQL(POLICIES, POLICIES_BACK),
    ]
