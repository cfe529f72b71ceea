"""`baton_driver_id()` in PL/pgSQL. The policies call it in every query of a driver; a function in SQL is parsed and inlined
anew each time one is planned, which was a third of what row level security cost (benchmarks/row_level_security.py)."""

from django.db import migrations

BODY = "nullif(current_setting('baton.driver_id', true), '')::bigint"
HEAD = "CREATE OR REPLACE FUNCTION baton_driver_id() RETURNS bigint STABLE PARALLEL SAFE LANGUAGE"


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0003_staff_groups")]

    operations = [
        migrations.RunSQL(
            f"{HEAD} plpgsql AS $$ BEGIN RETURN {BODY}; END $$;",
            f"{HEAD} sql AS $$ SELECT {BODY} $$;",
        )
    ]
