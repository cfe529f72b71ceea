"""`baton_driver_sync` says whose it is before it becomes `baton_driver`, who may not call `set_config` (deploy/roles.sql): a
query that could would read as any driver. It leaves that role by a statement of its own, and in any case when it ends.

Going back leaves it as it is: it answers the code of before in the same way, and the older one would be refused."""

from django.db import migrations

CREATE = """
CREATE OR REPLACE FUNCTION baton_driver_sync(driver bigint)
RETURNS TABLE (offer dispatch_offer, carried orders_order, contact orders_ordercontact, message dispatch_message)
LANGUAGE plpgsql VOLATILE ROWS 10 SET role = 'none' AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('baton.driver_id', driver::text, true), set_config('role', 'baton_driver', true);
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
    SET LOCAL ROLE NONE;
    PERFORM set_config('baton.driver_id', '', true);
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0011_sync_whole_rows")]

    operations = [migrations.RunSQL(CREATE, migrations.RunSQL.noop)]
