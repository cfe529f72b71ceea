"""What the console adds to the groups: dispatchers write to drivers and see the saved places, supervisors keep the places.

As in 0003, the permissions are made here under the names that Django would use.
"""

from importlib import import_module

from django.db import migrations

DISPATCHER = {
    "dispatch.message": ["view", "add"],
    "orders.savedplace": ["view"],
}
SUPERVISOR = {"orders.savedplace": ["add", "change", "delete"]}

_permissions = import_module("dispatch.migrations.0003_staff_groups")._permissions


def widen_groups(apps, schema_editor):
    """Run again it adds what is missing and takes nothing away."""
    group = apps.get_model("auth", "Group").objects
    dispatcher = list(_permissions(apps, DISPATCHER))
    group.get_or_create(name="dispatcher")[0].permissions.add(*dispatcher)
    group.get_or_create(name="supervisor")[0].permissions.add(*dispatcher, *_permissions(apps, SUPERVISOR))


def narrow_groups(apps, schema_editor):
    permissions = [*_permissions(apps, DISPATCHER), *_permissions(apps, SUPERVISOR)]
    for group in apps.get_model("auth", "Group").objects.filter(name__in=["dispatcher", "supervisor"]):
        group.permissions.remove(*permissions)


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0006_console"), ("dispatch", "0003_staff_groups")]

    operations = [migrations.RunPython(widen_groups, narrow_groups)]
