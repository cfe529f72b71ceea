"""`baton_driver_sync` (0009) with one more column: whether the receiver has a PIN."""

from importlib import import_module

from django.db import migrations

BEFORE = import_module("dispatch.migrations.0009_driver_sync").CREATE
DROP = "DROP FUNCTION baton_driver_sync(bigint);"
CREATE = BEFORE
for old, new in (
    ("contact_notes text,\n", "contact_notes text, contact_has_pin boolean,\n"),
    (
        "NULL::uuid, NULL::varchar, NULL::varchar, NULL::text,\n",
        "NULL::uuid, NULL::varchar, NULL::varchar, NULL::text, NULL::boolean,\n",
    ),
    ("contact.phone, contact.notes,\n", "contact.phone, contact.notes, contact.has_pin,\n"),
    ("NULL, NULL, NULL, NULL,\n           unread.id", "NULL, NULL, NULL, NULL, NULL,\n           unread.id"),
):
    if CREATE.count(old) != 1:
        raise ValueError(old)
    CREATE = CREATE.replace(old, new)


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0010_second_factors"), ("orders", "0009_delivery_proofs")]

    operations = [migrations.RunSQL(DROP + CREATE, DROP + BEFORE)]
