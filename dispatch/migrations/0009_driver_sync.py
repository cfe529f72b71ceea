"""What a driver's app shows, in one statement, under the same policies as everything else that is read for a driver.

A function in PL/pgSQL, because PostgreSQL keeps its plan for the session, whatever pooler is in front: planning the
policies anew for every sync cost more than carrying them out. It leaves the driver's role when it ends, however it ends.
Only the application may call it: to a driver's own role it would show any driver's orders.
"""

from django.db import migrations

CREATE = """
-- Checked when it is called: baton_driver, as whom it would be checked here, may not use the language (deploy/roles.sql).
SET LOCAL check_function_bodies = off;
CREATE FUNCTION baton_driver_sync(driver bigint) RETURNS TABLE (
    offer_id bigint, distance_m double precision, delivered_to_app_at timestamptz,
    id uuid, reference varchar, pickup bytea, pickup_address varchar, dropoff bytea, dropoff_address varchar,
    vehicle varchar, priority smallint, payout numeric, currency varchar,
    status varchar, expired boolean, driver_id bigint, version integer,
    created_at timestamptz, release_at timestamptz, auto_assign_at timestamptz, expires_at timestamptz,
    assigned_at timestamptz, picked_up_at timestamptz, delivered_at timestamptz, cancelled_at timestamptz,
    failed_at timestamptz, contact_of uuid, contact_name varchar, contact_phone varchar, contact_notes text,
    message_id bigint, message_text varchar, message_by varchar, message_at timestamptz
) LANGUAGE plpgsql VOLATILE ROWS 10 SET role = 'baton_driver' AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('baton.driver_id', driver::text, true);
    RETURN QUERY
    SELECT offer.id, offer.distance_m, offer.delivered_at,
           o.id, o.reference, o.pickup::bytea, o.pickup_address, o.dropoff::bytea, o.dropoff_address,
           o.vehicle, o.priority, o.payout, o.currency,
           o.status, o.expired, o.driver_id, o.version,
           o.created_at, o.release_at, o.auto_assign_at, o.expires_at,
           o.assigned_at, o.picked_up_at, o.delivered_at, o.cancelled_at, o.failed_at,
           NULL::uuid, NULL::varchar, NULL::varchar, NULL::text,
           NULL::bigint, NULL::varchar, NULL::varchar, NULL::timestamptz
    FROM dispatch_offer offer JOIN orders_order o ON o.id = offer.order_id
    WHERE offer.driver_id = baton_driver_id() AND offer.status = 'open'
      AND o.status = 'pending' AND o.expires_at > clock_timestamp()
    UNION ALL
    SELECT NULL, NULL, NULL,
           o.id, o.reference, o.pickup::bytea, o.pickup_address, o.dropoff::bytea, o.dropoff_address,
           o.vehicle, o.priority, o.payout, o.currency,
           o.status, o.expired, o.driver_id, o.version,
           o.created_at, o.release_at, o.auto_assign_at, o.expires_at,
           o.assigned_at, o.picked_up_at, o.delivered_at, o.cancelled_at, o.failed_at,
           contact.order_id, contact.name, contact.phone, contact.notes,
           NULL, NULL, NULL, NULL
    FROM orders_order o LEFT JOIN orders_ordercontact contact ON contact.order_id = o.id
    WHERE o.driver_id = baton_driver_id() AND o.status IN ('assigned', 'picked_up')
    UNION ALL
    SELECT NULL, NULL, NULL,
           NULL, NULL, NULL, NULL, NULL, NULL,
           NULL, NULL, NULL, NULL,
           NULL, NULL, NULL, NULL,
           NULL, NULL, NULL, NULL,
           NULL, NULL, NULL, NULL, NULL,
           NULL, NULL, NULL, NULL,
           unread.id, unread.text, unread.actor_name, unread.at
    FROM (SELECT m.id, m.text, m.actor_name, m.at FROM dispatch_message m
          WHERE m.driver_id = baton_driver_id() AND m.read_at IS NULL ORDER BY m.id DESC LIMIT 50) unread;
    PERFORM set_config('baton.driver_id', '', true);
END $$;
REVOKE EXECUTE ON FUNCTION baton_driver_sync(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION baton_driver_sync(bigint) TO baton_app;
"""


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0008_shift_report"), ("orders", "0008_orders_by_release")]

    operations = [migrations.RunSQL(CREATE, "DROP FUNCTION baton_driver_sync(bigint);")]
