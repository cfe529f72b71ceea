-- The roles, the database and PostGIS. Run by psql as a superuser, as often as you like:
--
--   psql -d postgres -v owner_password=… -v app_password=… -f deploy/roles.sql      (-v database=… unless it is "baton")
--
-- What each role may do with the tables is said by Django's migrations, not here.
\set ON_ERROR_STOP on
\if :{?database} \else \set database baton \endif
SET client_min_messages = warning;

-- baton_owner: owns the database and all tables, runs migrations, creates test databases. Not a superuser.
SELECT 'CREATE ROLE baton_owner' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'baton_owner') \gexec
ALTER ROLE baton_owner LOGIN CREATEDB NOSUPERUSER NOCREATEROLE NOBYPASSRLS PASSWORD :'owner_password';

-- baton_app: what the application signs in as. Owns nothing; NOINHERIT, so that it reads as a driver only when it says SET ROLE.
SELECT 'CREATE ROLE baton_app' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'baton_app') \gexec
ALTER ROLE baton_app LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD :'app_password';

-- baton_driver: what a driver's request runs as (SET LOCAL ROLE); nobody signs in as it.
SELECT 'CREATE ROLE baton_driver' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'baton_driver') \gexec
ALTER ROLE baton_driver NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
GRANT baton_driver TO baton_app, baton_owner;

-- What only Baton's own logins may do, said in each database. A query that runs as one driver would read as another, or as the
-- application, if it could call set_config(); DO would make one statement of several; and PostGIS tells what the statistics
-- and the indexes know of everybody's places (drivers/access.py).
\set hold_drivers 'REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC;'
\set hold_drivers :hold_drivers ' GRANT EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) TO baton_owner, baton_app;'
\set hold_drivers :hold_drivers ' REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;'
\set hold_drivers :hold_drivers ' GRANT USAGE ON LANGUAGE plpgsql TO baton_owner, baton_app;'
\set hold_drivers :hold_drivers ' SELECT format($$REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC$$, oid::regprocedure) FROM pg_proc'
\set hold_drivers :hold_drivers ' WHERE proname ~ $$^(st_estimatedextent|_postgis_(stats|selectivity|join_selectivity|index_extent))$$ \\gexec'

-- PostGIS needs a superuser. In template1 too: baton_owner's test databases are copies of it.
SELECT format('CREATE DATABASE %I OWNER baton_owner', :'database')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
SELECT format('ALTER DATABASE %I OWNER TO baton_owner', :'database') \gexec

\connect template1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS postgis;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
:hold_drivers

\connect :database
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS postgis;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO baton_owner;
:hold_drivers
