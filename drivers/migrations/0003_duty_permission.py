"""Putting drivers on and off duty is a permission of its own: dispatchers have it; supervisors change drivers."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("drivers", "0002_storage_and_grants")]

    operations = [
        migrations.AlterModelOptions(
            name="driver", options={"permissions": [("duty_driver", "Can put drivers on and off duty")]}
        ),
    ]
