"""`baton_driver_sync` returns whole rows, so a column that comes later needs no new function; the application chooses
columns (dispatch/selectors.py)."""

import importlib

from django.db import migrations

CREATE = """
DROP FUNCTION baton_driver_sync(bigint);
-- Checked when it is called: baton_driver, as whom it would be checked here, may not use the language (deploy/roles.sql).
SET LOCAL check_function_bodies = off;
CREATE FUNCTION baton_driver_sync(driver bigint)
RETURNS TABLE (offer dispatch_offer, carried orders_order, contact orders_ordercontact, message dispatch_message)
LANGUAGE plpgsql VOLATILE ROWS 10 SET role = 'baton_driver' AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('baton.driver_id', driver::text, true);
    RETURN QUERY
    SELECT offer, carried, NULL::orders_ordercontact, NULL::dispatch_message
    FROM dispatch_offer offer JOIN orders_order carried ON carried.id = offer.order_id
    WHERE offer.driver_id = baton_driver_id() AND offer.status = 'open'
      AND carried.status = 'pending' AND carried.expires_at > clock_timestamp()
    UNION ALL
    SELECT NULL, carried, contact, NULL
    FROM orders_order carried LEFT JOIN orders_ordercontact contact ON contact.order_id = carried.id
    WHERE carried.driver_id = baton_driver_id() AND carried.status IN ('assigned', 'picked_up')
    UNION ALL
    (SELECT NULL, NULL, NULL, message
     FROM dispatch_message message
     WHERE message.driver_id = baton_driver_id() AND message.read_at IS NULL ORDER BY message.id DESC LIMIT 50);
    PERFORM set_config('baton.driver_id', '', true);
END $$;
REVOKE EXECUTE ON FUNCTION baton_driver_sync(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION baton_driver_sync(bigint) TO baton_app;
"""

BEFORE = importlib.import_module("dispatch.migrations.0009_driver_sync").CREATE


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0010_second_factors")]

    operations = [migrations.RunSQL(CREATE, "DROP FUNCTION baton_driver_sync(bigint);" + BEFORE)]
