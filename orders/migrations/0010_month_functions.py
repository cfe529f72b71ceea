"""What the partitions by month are told by (orders 0011, dispatch 0014)."""

from django.db import migrations

#: The first possible UUIDv7 of a moment, and the moment of one. And a constant of the database: all orders with smaller ids
#: are final, so nothing that is open is to be found before it (`baton_settle_months`, dispatch 0015, moves it on). The planner
#: reads it while planning, so partitions before it cost nothing; a plan that is kept is made anew when it moves. It is only
#: ever too small, which is slower but as right.
FUNCTIONS = """
CREATE FUNCTION baton_month_id(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT rpad(lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0'), 32, '0')::uuid $$;
CREATE FUNCTION baton_id_moment(id uuid) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT to_timestamp((('x' || lpad(left(replace(id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint) / 1000.0) $$;
CREATE FUNCTION baton_settled_before() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT '00000000-0000-0000-0000-000000000000'::uuid $$;
CREATE FUNCTION baton_settled_txid() RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT 9223372036854775807 $$;
"""
FUNCTIONS_BACK = """
DROP FUNCTION baton_settled_txid();
DROP FUNCTION baton_settled_before();
DROP FUNCTION baton_id_moment(uuid);
DROP FUNCTION baton_month_id(timestamptz);
"""


class Migration(migrations.Migration):
    dependencies = [("orders", "0009_delivery_proofs")]

    operations = [migrations.RunSQL(FUNCTIONS, FUNCTIONS_BACK)]
