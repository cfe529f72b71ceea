"""Who makes, settles and forgets the months of the partitioned tables.

The application's login owns nothing, so each of the three is a function of the owner's, which only the application may call
and which looks for itself whether what it is asked for may be done.
"""

import django.db.models.functions.datetime
from django.db import migrations, models

#: The partitions: name, of which table, from (NULL: from the beginning), to. Not those for what is of no month.
MONTHS = """
CREATE FUNCTION baton_months() RETURNS TABLE (name text, of_table text, begins uuid, ends uuid) LANGUAGE sql STABLE AS $$
    SELECT c.relname, p.relname, substring(bounds.text FROM 'FROM \\(''([0-9a-f-]+)''\\)')::uuid,
           substring(bounds.text FROM 'TO \\(''([0-9a-f-]+)''\\)')::uuid
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
    CROSS JOIN LATERAL pg_get_expr(c.relpartbound, c.oid) bounds (text)
    WHERE i.inhparent IN ('public.orders_orderevent'::regclass, 'public.dispatch_offer'::regclass)
      AND bounds.text <> 'DEFAULT'
$$;
"""

OF_THE_OWNER = "SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '1s' SET timezone = 'UTC'"
ONE_AT_A_TIME = "PERFORM pg_advisory_xact_lock(4706918219634068332)"
OPEN = "status IN ('pending', 'assigned', 'picked_up')"

#: The partitions of a month, where there are none; the names of what was made. A month of which rows have already gone to the
#: partition for what is of no month stays there.
MAKE_ONE = """
CREATE FUNCTION baton_make_month(month timestamptz) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    first_id uuid := baton_month_id(date_trunc('month', month, 'UTC'));
    next_id uuid := baton_month_id((date_trunc('month', month, 'UTC') AT TIME ZONE 'UTC' + interval '1 month')
                                   AT TIME ZONE 'UTC');
    suffix text := to_char(month AT TIME ZONE 'UTC', '"_p"YYYYMM');
    parent text; part text; is_late boolean; renamed record;
BEGIN
    FOREACH parent IN ARRAY ARRAY['orders_orderevent', 'dispatch_offer'] LOOP
        part := parent || suffix;
        CONTINUE WHEN EXISTS (SELECT FROM baton_months() m WHERE m.of_table = parent
                              AND coalesce(m.begins <= first_id, true) AND m.ends > first_id);
        EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE order_id >= %L AND order_id < %L)', parent, first_id, next_id)
            INTO is_late;
        IF is_late THEN
            RAISE WARNING '% is not made: rows of it are in the default partition', part;
            CONTINUE;
        END IF;
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, parent, first_id, next_id);
        EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (id)', part);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', part);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', part);
        EXECUTE format('REVOKE ALL ON %I FROM baton_app, baton_driver', part);
        -- A refusal names the partition's index, so it is called after the table's (orders/changes.py).
        FOR renamed IN SELECT made.relname AS old, whole.relname || suffix AS new
                       FROM pg_index x JOIN pg_class made ON made.oid = x.indexrelid
                       JOIN pg_inherits h ON h.inhrelid = made.oid JOIN pg_class whole ON whole.oid = h.inhparent
                       WHERE x.indrelid = part::regclass LOOP
            EXECUTE format('ALTER INDEX %I RENAME TO %I', renamed.old, renamed.new);
        END LOOP;
        RETURN NEXT part;
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION baton_make_month(timestamptz) FROM PUBLIC;
"""

#: This month and the next ones.
MAKE = f"""
CREATE FUNCTION baton_make_months(ahead integer) RETURNS SETOF text LANGUAGE plpgsql {OF_THE_OWNER} AS $$
BEGIN
    IF ahead IS NULL OR ahead NOT BETWEEN 0 AND 24 THEN
        RAISE EXCEPTION 'not so many months ahead' USING ERRCODE = 'check_violation';
    END IF;
    {ONE_AT_A_TIME};
    FOR n IN 0..ahead LOOP
        RETURN QUERY SELECT baton_make_month(date_trunc('month', now()) + make_interval(months => n));
    END LOOP;
END $$;
"""

#: Move on to the month from which on orders are open, but leave this month and the one before it open in any case. What is
#: said anew is a constant, so it is planned with as one. Returns the moment before which everything is settled.
SETTLE = f"""
CREATE FUNCTION baton_settle_months() RETURNS timestamptz LANGUAGE plpgsql {OF_THE_OWNER} AS $$
DECLARE
    oldest uuid; settled uuid;
BEGIN
    {ONE_AT_A_TIME};
    SELECT (array_agg(id ORDER BY id))[1] INTO oldest FROM orders_order WHERE {OPEN};
    settled := baton_month_id(date_trunc('month', least(now() - interval '1 month', baton_id_moment(oldest))));
    IF settled > baton_settled_before() THEN
        EXECUTE format('CREATE OR REPLACE FUNCTION baton_settled_before() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE'
                       ' AS %L', format('SELECT %L::uuid', settled));
        -- Whoever made the last of those orders final has committed: this number is greater than theirs.
        EXECUTE format('CREATE OR REPLACE FUNCTION baton_settled_txid() RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE'
                       ' AS %L', format('SELECT %s::bigint', pg_snapshot_xmax(pg_current_snapshot())));
    END IF;
    RETURN baton_id_moment(greatest(settled, baton_settled_before()));
END $$;
"""

#: Drop the oldest month if all of it is older than so many months; NULL if it is not. Dropped, not detached first: detaching
#: puts triggers on the tables that it refers to, and they are locked for that and for taking them away again.
FORGET = f"""
CREATE FUNCTION baton_forget_month(older_than integer) RETURNS uuid LANGUAGE plpgsql {OF_THE_OWNER} AS $$
DECLARE
    bound uuid; part record; n bigint; events bigint := 0; offers bigint := 0;
BEGIN
    IF older_than IS NULL OR older_than < 2 THEN
        RAISE EXCEPTION 'the history of the last two months is kept' USING ERRCODE = 'check_violation';
    END IF;
    {ONE_AT_A_TIME};
    SELECT ends INTO bound FROM baton_months() ORDER BY ends LIMIT 1;
    IF bound IS NULL OR bound > baton_month_id(date_trunc('month', now()) - make_interval(months => older_than)) THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM orders_order WHERE {OPEN} AND id < bound) THEN
        RAISE EXCEPTION 'an order from before % is not final', baton_id_moment(bound) USING ERRCODE = 'check_violation';
    END IF;
    -- Counted before anybody is kept waiting.
    FOR part IN SELECT * FROM baton_months() WHERE ends <= bound LOOP
        EXECUTE format('SELECT count(*) FROM %I WHERE order_id >= %L AND order_id < %L', part.of_table,
                       coalesce(part.begins, '00000000-0000-0000-0000-000000000000'), part.ends) INTO n;
        IF part.of_table = 'orders_orderevent' THEN events := events + n; ELSE offers := offers + n; END IF;
    END LOOP;
    FOR part IN SELECT * FROM baton_months() WHERE ends <= bound ORDER BY of_table DESC LOOP
        EXECUTE format('DROP TABLE %I', part.name);
    END LOOP;
    INSERT INTO dispatch_forgottenmonth (before, made_before, events, offers)
        VALUES (bound, baton_id_moment(bound), events, offers);
    RETURN bound;
END $$;
"""
OURS_ONLY = "".join(
    f"REVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC; GRANT EXECUTE ON FUNCTION {name} TO baton_app;\n"
    for name in ("baton_make_months(integer)", "baton_settle_months()", "baton_forget_month(integer)")
)
BACK = """
DROP FUNCTION baton_forget_month(integer);
DROP FUNCTION baton_settle_months();
DROP FUNCTION baton_make_months(integer);
DROP FUNCTION baton_make_month(timestamptz);
DROP FUNCTION baton_months();
CREATE OR REPLACE FUNCTION baton_settled_before() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT '00000000-0000-0000-0000-000000000000'::uuid $$;
"""
#: No driver's business.
SECURE = """
ALTER TABLE dispatch_forgottenmonth ENABLE ROW LEVEL SECURITY;
ALTER TABLE dispatch_forgottenmonth FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON dispatch_forgottenmonth TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY system ON dispatch_forgottenmonth TO baton_app USING (true) WITH CHECK (true);
"""


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0014_partition_offers")]

    operations = [
        migrations.CreateModel(
            name="ForgottenMonth",
            fields=[
                ("before", models.UUIDField(primary_key=True, serialize=False)),
                ("made_before", models.DateTimeField()),
                ("events", models.BigIntegerField()),
                ("offers", models.BigIntegerField()),
                ("forgotten_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.RunSQL(SECURE, migrations.RunSQL.noop),
        migrations.RunSQL(MONTHS + MAKE_ONE + MAKE + SETTLE + FORGET + OURS_ONLY, BACK),
        migrations.RunSQL("SELECT baton_make_months(2)", migrations.RunSQL.noop),
    ]
