"""What Django's models cannot say: how the hot row is stored, and what the application's own login may do."""

from django.db import migrations

STORAGE = """
-- Room on every page for HOT updates, and a vacuum that keeps up with a ping per driver every few seconds.
ALTER TABLE drivers_presence SET (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 200,
    autovacuum_vacuum_cost_delay = 1,
    autovacuum_analyze_scale_factor = 0.05
);
"""
STORAGE_BACK = """
ALTER TABLE drivers_presence RESET (
    fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay,
    autovacuum_analyze_scale_factor
);
"""

# The role `baton_app` (deploy/roles.sql) reads and writes rows and owns nothing. What exists by now is granted here,
# whatever later migrations create through the default privileges of the migrating role.
GRANTS = """
GRANT USAGE ON SCHEMA public TO baton_app, baton_driver;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO baton_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO baton_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO baton_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO baton_app;
"""
GRANTS_BACK = """
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE SELECT, INSERT, UPDATE, DELETE ON TABLES FROM baton_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE USAGE, SELECT ON SEQUENCES FROM baton_app;
"""


class Migration(migrations.Migration):
    dependencies = [("drivers", "0001_initial")]

    operations = [
        migrations.RunSQL(STORAGE, STORAGE_BACK),
        migrations.RunSQL(GRANTS, GRANTS_BACK),
    ]
