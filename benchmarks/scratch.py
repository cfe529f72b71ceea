"""A database of a benchmark's own, made by the owner's login, migrated, and dropped at the end."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

import psycopg
from django.conf import settings
from django.db import connection, connections
from django.test.utils import setup_databases, teardown_databases

from config import env
from tests.conftest import connected_as_owner

#: A city of thirty by twenty-two kilometres.
CENTRE = (37.77, -122.40)
#: Tables whose own rules (triggers) are left out while they are filled wholesale.
FILLED = ("drivers_driver", "orders_order", "orders_orderevent", "dispatch_offer")


@contextmanager
def scratch_database(name: str) -> Iterator[None]:
    """Everything inside uses a new database, as the application's own login; so do servers that are started with
    `server_environment()`."""
    database: Any = connections["default"].settings_dict
    database["TEST"]["NAME"] = f"bench_{name}_{settings.DATABASES['default']['NAME']}"
    with connected_as_owner():
        made = setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
    try:
        yield
    finally:
        connections.close_all()
        with connected_as_owner():
            teardown_databases(made, verbosity=0)


def database_url(setting: str = "DATABASE_URL") -> str:
    """How another process reaches the scratch database."""
    return os.environ[setting].rpartition("/")[0] + "/" + str(connection.settings_dict["NAME"])


def server_environment(prefix: str) -> dict[str, str]:
    """For a server on the scratch database: nothing it says reaches another installation."""
    return {**os.environ, "DATABASE_URL": database_url(), "BATON_REDIS_PREFIX": prefix, "PYTHONUNBUFFERED": "1"}


@contextmanager
def as_owner() -> Iterator[psycopg.Connection[Any]]:
    """A connection of the tables' owner."""
    owner = env.database("DATABASE_OWNER_URL")
    with psycopg.connect(
        host=owner["HOST"] or None,
        port=owner["PORT"] or None,
        user=owner["USER"],
        password=owner["PASSWORD"],
        dbname=str(connection.settings_dict["NAME"]),
        autocommit=True,
        options="-c jit=off",
    ) as login:
        yield login


def fill(steps: Mapping[str, str], **sizes: float | str) -> None:
    """Pour rows in by SQL that keeps the invariants itself; `%(name)s` in it are the sizes."""
    with as_owner() as login:
        for table in FILLED:
            login.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for sql in steps.values():
            login.execute(sql, sizes)
        for table in FILLED:
            login.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        login.execute("VACUUM (ANALYZE)")
        write_down(login)


def write_down(login: psycopg.Connection[Any]) -> None:
    """Let PostgreSQL write to disk now what it would write while something is timed. An owner may not say CHECKPOINT, but
    may drop a database, and that begins with one."""
    spare = f"{connection.settings_dict['NAME']}_spare"
    login.execute(f'CREATE DATABASE "{spare}"')
    login.execute(f'DROP DATABASE "{spare}"')


#: Live drivers all over the city, for a day; `first` is how many there are already.
DRIVERS = {
    "users": """
INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
SELECT '!', false, 'bench' || n, '', '', '', false, true, now()
FROM generate_series(%(first)s + 1, %(first)s + %(drivers)s) n
""",
    "drivers": """
INSERT INTO drivers_driver (user_id, name, phone, vehicle, capacity, suspended, created_at)
SELECT id, username, '', 'car', 1, false, now() FROM auth_user u
WHERE username LIKE 'bench%%' AND NOT EXISTS (SELECT FROM drivers_driver WHERE user_id = u.id) ORDER BY id
""",
    "presence": """
INSERT INTO drivers_presence (driver_id, is_online, last_seen, location, recorded_at, located_at)
SELECT id, true, now() + interval '1 day', ST_SetSRID(ST_MakePoint(-122.40 + (random() - 0.5) * 0.34,
       37.77 + (random() - 0.5) * 0.2), 4326)::geography, now(), now()
FROM drivers_driver d WHERE NOT EXISTS (SELECT FROM drivers_presence WHERE driver_id = d.id)
""",
}


def hire(count: int, *, first: int = 0) -> None:
    """So many live drivers, all over the city."""
    fill(DRIVERS, drivers=count, first=first)


#: Years of delivered orders, seven seconds apart, each with the offer that was accepted. (No history: nothing that is
#: timed here reads it.)
OLD_ORDERS = {
    "orders": """
WITH pool AS (SELECT array_agg(id ORDER BY id) AS ids FROM drivers_driver)
INSERT INTO orders_order (id, reference, pickup, pickup_address, dropoff, dropoff_address, vehicle, priority, payout,
    currency, metadata, status, expired, driver_id, version, created_at, release_at, auto_assign_at, expires_at,
    offered_at, assigned_at, picked_up_at, delivered_at)
SELECT (lpad(to_hex((extract(epoch FROM made) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8'
        || substr(md5(n::text), 4, 15))::uuid, 'old-' || %(batch)s::text || '-' || n,
       ST_SetSRID(ST_MakePoint(-122.40 + (random() - 0.5) * 0.34, 37.77 + (random() - 0.5) * 0.2), 4326)::geography, '',
       ST_SetSRID(ST_MakePoint(-122.40 + (random() - 0.5) * 0.34, 37.77 + (random() - 0.5) * 0.2), 4326)::geography, '',
       '', 0, 5, 'USD', '{}', 'delivered', false, ids[1 + (n::bigint * 7919) %% array_length(ids, 1)], 5,
       made, made, made + interval '15 seconds', made + interval '2 minutes', made, made + interval '20 seconds',
       made + interval '8 minutes', made + interval '25 minutes'
FROM (SELECT n, now() - interval '1 day' - n * interval '7 seconds' AS made FROM generate_series(1, %(orders)s) n) o, pool
""",
    "offers": """
INSERT INTO dispatch_offer (order_id, driver_id, status, distance_m, offered_at, answered_at, closed_at, closed_reason)
SELECT id, driver_id, 'accepted', 500, offered_at, assigned_at, assigned_at, 'accepted' FROM orders_order
WHERE reference LIKE 'old-' || %(batch)s::text || '-%%'
""",
}


def keep_old_orders(count: int, *, batch: int = 0) -> None:
    """So many orders that are long delivered; another batch adds to those that are there."""
    fill(OLD_ORDERS, orders=count, batch=batch)
