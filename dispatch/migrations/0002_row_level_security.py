"""What a driver may see, enforced by PostgreSQL (DESIGN §5). Written by hand: the policies are the contract.

A driver's request runs as `baton_driver` with `baton.driver_id` set for its transaction (drivers/access.py). That role may
SELECT, nothing else. FORCE makes the policies bind the tables' owner too; the application's login and the owner have a
policy of their own that lets everything through. Policies compare ids only: a PostGIS function in a policy, or a query
that needs one under a policy, would lose its index.
"""

from django.db import migrations

HELD = "status IN ('assigned', 'picked_up')"

# Table → what `baton_driver` may see of it; None: nothing at all.
VISIBLE: dict[str, str | None] = {
    "drivers_driver": "id = baton_driver_id()",
    "drivers_presence": "driver_id = baton_driver_id()",
    "orders_order": (
        "driver_id = baton_driver_id() OR EXISTS (SELECT FROM dispatch_offer o"
        " WHERE o.order_id = orders_order.id AND o.driver_id = baton_driver_id() AND o.status = 'open')"
    ),
    "orders_ordercontact": (
        "EXISTS (SELECT FROM orders_order held WHERE held.id = orders_ordercontact.order_id"
        f" AND held.driver_id = baton_driver_id() AND held.{HELD})"
    ),
    "orders_orderevent": None,
    "orders_idempotencykey": None,
    "dispatch_offer": "driver_id = baton_driver_id()",
    "dispatch_actionreceipt": None,
}

FUNCTION = """
-- The driver of this transaction, NULL outside one. After its transaction the setting reads back as '', not NULL.
CREATE FUNCTION baton_driver_id() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('baton.driver_id', true), '')::bigint $$;
"""


def _secure(table: str, condition: str | None) -> str:
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


def _open(table: str, condition: str | None) -> str:
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
    dependencies = [("dispatch", "0001_initial"), ("orders", "0002_driver_capacity")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION baton_driver_id();"),
        *(migrations.RunSQL(_secure(table, shown), _open(table, shown)) for table, shown in VISIBLE.items()),
    ]
