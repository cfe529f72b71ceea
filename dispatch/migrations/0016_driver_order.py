"""One order as its driver may see it, in one statement whose plan is kept, as `baton_driver_sync`.

Every act of a driver is answered by it. Policies over the open months take longer to plan than the order to find."""

from django.db import migrations

# Planned without the ids: five plans with them first, before PostgreSQL decides so itself, would be five slow answers of
# every new session.
CREATE = """
CREATE FUNCTION baton_driver_order(driver bigint, asked uuid)
RETURNS TABLE (carried orders_order, contact orders_ordercontact)
LANGUAGE plpgsql VOLATILE ROWS 1 SET role = 'none' SET plan_cache_mode = 'force_generic_plan' AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('baton.driver_id', driver::text, true), set_config('role', 'baton_driver', true);
    RETURN QUERY
    SELECT carried, contact
    FROM orders_order carried LEFT JOIN orders_ordercontact contact ON contact.order_id = carried.id
    WHERE carried.id = asked;
    SET LOCAL ROLE NONE;
    PERFORM set_config('baton.driver_id', '', true);
END $$;
REVOKE EXECUTE ON FUNCTION baton_driver_order(bigint, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION baton_driver_order(bigint, uuid) TO baton_app;
"""


class Migration(migrations.Migration):
    dependencies = [("dispatch", "0015_months")]

    operations = [migrations.RunSQL(CREATE, "DROP FUNCTION baton_driver_order(bigint, uuid);")]
