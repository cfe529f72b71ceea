"""The history by the month of its order."""

from django.db import migrations

from orders.migrations import _partitioning


def partition(apps, schema_editor):
    _partitioning.partition(schema_editor.connection, "orders_orderevent")


def unpartition(apps, schema_editor):
    _partitioning.unpartition(schema_editor.connection, "orders_orderevent")


class Migration(migrations.Migration):
    # The scan in the middle must not hold the locks of what comes before it. It may be run again.
    atomic = False
    # Until there, statements about the table expect a plain one; and its policies are copied.
    dependencies = [("orders", "0010_month_functions"), ("dispatch", "0013_audit_verdict")]

    operations = [migrations.RunPython(partition, unpartition)]
