"""Supervisors see who has a second factor, and remove one whose phone is lost."""

import importlib

from django.db import migrations

GRANTED = {"otp_totp.totpdevice": ["view", "delete"]}


def allow(apps, schema_editor):
    """Run again it adds what is missing."""
    permissions = importlib.import_module("dispatch.migrations.0003_staff_groups")._permissions(apps, GRANTED)
    for group in apps.get_model("auth", "Group").objects.filter(name="supervisor"):
        group.permissions.add(*permissions)


def forbid(apps, schema_editor):
    for group in apps.get_model("auth", "Group").objects.filter(name="supervisor"):
        group.permissions.remove(*group.permissions.filter(content_type__app_label="otp_totp"))


class Migration(migrations.Migration):
    dependencies = [
        ("dispatch", "0009_driver_sync"),
        ("otp_static", "0003_add_timestamps"),
        ("otp_totp", "0003_add_timestamps"),
    ]

    operations = [migrations.RunPython(allow, forbid)]
