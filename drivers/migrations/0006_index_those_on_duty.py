"""The index of positions holds only drivers on duty, a second one those who fell silent: whoever went home is in the way of
no search, and costs no space."""

import django.contrib.gis.db.models.fields
import django.contrib.postgres.indexes
from django.db import migrations, models

# In SQL: GeoDjango 5.2 neither drops a spatial index when its field is altered nor knows that one can have a condition.
ON_DUTY = """
CREATE INDEX presence_on_duty_location ON drivers_presence USING gist (location) WHERE is_online AND location IS NOT NULL;
CREATE INDEX presence_silent_location ON drivers_presence USING gist (location)
    WHERE NOT is_online AND silent_since IS NOT NULL AND location IS NOT NULL;
DROP INDEX drivers_presence_location_b2fb8b1a_id;
"""
EVERYBODY = """
CREATE INDEX drivers_presence_location_b2fb8b1a_id ON drivers_presence USING gist (location);
DROP INDEX presence_on_duty_location;
DROP INDEX presence_silent_location;
"""


class Migration(migrations.Migration):
    dependencies = [("drivers", "0005_push_subscriptions")]

    operations = [
        migrations.RunSQL(
            ON_DUTY,
            EVERYBODY,
            state_operations=[
                migrations.AlterField(
                    model_name="presence",
                    name="location",
                    field=django.contrib.gis.db.models.fields.PointField(
                        geography=True, null=True, spatial_index=False, srid=4326
                    ),
                ),
                migrations.AddIndex(
                    model_name="presence",
                    index=django.contrib.postgres.indexes.GistIndex(
                        condition=models.Q(("is_online", True), ("location__isnull", False)),
                        fields=["location"],
                        name="presence_on_duty_location",
                    ),
                ),
                migrations.AddIndex(
                    model_name="presence",
                    index=django.contrib.postgres.indexes.GistIndex(
                        condition=models.Q(
                            ("is_online", False), ("location__isnull", False), ("silent_since__isnull", False)
                        ),
                        fields=["location"],
                        name="presence_silent_location",
                    ),
                ),
            ],
        ),
    ]
