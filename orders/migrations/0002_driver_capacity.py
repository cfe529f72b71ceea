"""A driver cannot be made smaller than the load they carry (orders/triggers.py)."""

from django.db import migrations

from orders.triggers import DRIVER_CAPACITY_REVERSE_SQL, DRIVER_CAPACITY_SQL


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial"), ("drivers", "0002_storage_and_grants")]

    operations = [migrations.RunSQL(DRIVER_CAPACITY_SQL, DRIVER_CAPACITY_REVERSE_SQL)]
