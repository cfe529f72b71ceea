"""What may be wrong with an installation, and what to do about it. Each check looks at one thing and changes nothing."""

import json
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import redis
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor

from dispatch.audit import catalog
from dispatch.models import SweepHeartbeat
from drivers.clock import ClockTimestamp, database_now

State = Literal["ok", "note", "wrong"]

#: Whatever is killed, sweeps run again within this.
SWEEPS_FRESH = timedelta(seconds=10)
#: Positions and deadlines are judged by the database's clock; logs and pushes carry the application's.
CLOCKS_APART = timedelta(seconds=1)
#: One descriptor per socket; below this many a process holds few of them.
ENOUGH_FILES = 4096
LOCAL_HOSTS = {"localhost", "127.0.0.1", "[::1]", "::1"}


@dataclass(frozen=True, slots=True)
class Finding:
    """`note` is worth knowing but not wrong; `advice` says what to do."""

    name: str
    state: State
    text: str
    advice: str = ""


def examine() -> Iterator[Finding]:
    """Every check, one after the other; what needs the database is passed over while it is away."""
    yield from environment()
    reached = database()
    yield reached
    if reached.state == "ok":
        for check in DATABASE_CHECKS:
            try:
                yield check()
            except (DatabaseError, InterfaceError) as error:
                yield Finding(check.__name__, "wrong", _one_line(error), "see PostgreSQL's log")
    else:
        names = ", ".join(check.__name__ for check in DATABASE_CHECKS)
        yield Finding("tables", "wrong", f"not looked at: {names}", "first make the database answer")
    yield from redis_servers()
    yield open_files()
    yield static_files()


def environment() -> Iterator[Finding]:
    name = "environment"
    if settings.DEBUG:
        yield Finding(
            name,
            "note",
            "BATON_DEBUG is on: faults are shown to whoever asks",
            "set BATON_DEBUG=0 where others can reach it",
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield Finding(
            name, "wrong", "BATON_ALLOWED_HOSTS allows any host name", "name the hosts that Baton is served as"
        )
    public = sorted(set(settings.ALLOWED_HOSTS) - LOCAL_HOSTS)
    if public and not settings.HTTPS:
        yield Finding(
            name,
            "note",
            f"served as {', '.join(public)} without TLS: passwords and tokens travel in the clear",
            "put TLS in front and set BATON_HTTPS=1",
        )
    yield Finding(name, "ok", f"variables are set; served as {', '.join(settings.ALLOWED_HOSTS) or 'nothing'}")


def database() -> Finding:
    options = connection.settings_dict
    address = f"{options['HOST']}:{options['PORT']}/{options['NAME']}"
    began = time.monotonic()
    try:
        (version,) = _row("SELECT current_setting('server_version_num')::int")
    except (DatabaseError, InterfaceError) as error:
        return Finding(
            "database",
            "wrong",
            f"{address} does not answer: {_one_line(error)}",
            "start PostgreSQL, check DATABASE_URL",
        )
    took = (time.monotonic() - began) * 1000
    text = f"PostgreSQL {version // 10000}.{version % 10000} at {address} answers in {took:.0f} ms"
    if version < 150000:
        return Finding("database", "wrong", text, "Baton needs PostgreSQL 15 or newer")
    return Finding("database", "ok", text)


def role() -> Finding:
    """The application must not be able to go round the triggers and policies."""
    user, is_super, bypasses, inherits, owned, may_be_driver, held = _row(
        "SELECT current_user::text, rolsuper, rolbypassrls, rolinherit,"
        " (SELECT count(*) FROM pg_tables WHERE tableowner = rolname AND schemaname = 'public'),"
        " pg_has_role(r.oid, 'baton_driver', 'MEMBER'),"
        " NOT has_function_privilege('baton_driver', 'pg_catalog.set_config(text, text, boolean)', 'EXECUTE')"
        " AND NOT has_language_privilege('baton_driver', 'plpgsql', 'USAGE')"
        " FROM pg_roles r WHERE rolname = current_user"
    )
    faults = [
        text
        for is_so, text in (
            (is_super, "is a superuser"),
            (bypasses, "bypasses row level security"),
            (owned, f"owns {owned} tables"),
            (inherits, "inherits what other roles may do"),
            (not may_be_driver, "may not become baton_driver, so drivers cannot read anything"),
        )
        if is_so
    ]
    if faults:
        return Finding(
            "role",
            "wrong",
            f"{user} {', '.join(faults)}",
            "sign in as baton_app, made by deploy/roles.sql, in DATABASE_URL",
        )
    if not held:
        return Finding(
            "role",
            "wrong",
            "baton_driver may call set_config or DO: a query of one driver could read as another",
            "run deploy/roles.sql on this database",
        )
    return Finding("role", "ok", f"{user} is unprivileged: no superuser, owns nothing, bound by row level security")


def session() -> Finding:
    """Waiting is bounded by what a session starts with; behind a pooler, its configuration has to say so."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(settings.DATABASE_SESSION)])
        found = dict(cursor.fetchall())
    faults = [
        f"{name} is {found[name]}, not {wanted}"
        for name, wanted in settings.DATABASE_SESSION.items()
        if found[name] != wanted
    ]
    if faults:
        advice = "behind a pooler: connect_query in deploy/pgbouncer.ini"
        return Finding("session", "wrong", ", ".join(faults), advice)
    return Finding("session", "ok", ", ".join(f"{name} {value}" for name, value in settings.DATABASE_SESSION.items()))


def migrations() -> Finding:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        waiting = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:5])
        more = f" and {len(plan) - 5} more" if len(plan) > 5 else ""
        return Finding("migrations", "wrong", f"not applied: {waiting}{more}", "bin/manage migrate")
    return Finding("migrations", "ok", f"all {len(executor.loader.applied_migrations)} applied")


def postgis() -> Finding:
    installed = _row("SELECT (SELECT extversion FROM pg_extension WHERE extname = 'postgis')")[0]
    if installed is None:
        return Finding(
            "postgis", "wrong", "is not installed in this database", "CREATE EXTENSION postgis, as a superuser"
        )
    if int(installed.split(".")[0]) < 3:
        return Finding("postgis", "wrong", f"version {installed}", "Baton needs PostGIS 3 or newer")
    return Finding("postgis", "ok", f"version {installed}")


def guards() -> Finding:
    """Triggers, constraints, row level security."""
    breaches = catalog.look(rows_per_check=3)
    if breaches:
        return Finding(
            "guards",
            "wrong",
            "; ".join(breach.text for breach in breaches),
            "bin/manage migrate, bin/manage pgtrigger install",
        )
    return Finding("guards", "ok", "triggers, constraints and row level security are installed and on")


def sweeps() -> Finding:
    row = SweepHeartbeat.objects.annotate(now=ClockTimestamp()).first()
    advice = "start the worker: bin/service start worker, or bin/manage worker"
    if row is None or row.active_at is None:
        return Finding("sweeps", "wrong", "have never run: nothing is assigned by itself and nothing expires", advice)
    now = row.now
    age = max(now - row.active_at, timedelta())
    if age > SWEEPS_FRESH:
        return Finding("sweeps", "wrong", f"last ran {_span(age)} ago", advice)
    if row.standby_at is None or now - row.standby_at > 3 * SWEEPS_FRESH:
        return Finding(
            "sweeps", "note", f"ran {_span(age)} ago, but nobody stands by", "both workers come up within a minute"
        )
    return Finding("sweeps", "ok", f"ran {_span(age)} ago, and somebody stands by")


def months() -> Finding:
    """The partitions of history and offers, by the month of the order."""
    count, missing, oldest, is_old = _row(
        """
        SELECT (SELECT count(*) FROM baton_months()), (
            SELECT string_agg(format('%s of %s', to_char(month, 'YYYY-MM'), parent), ', ')
            FROM unnest(ARRAY['orders_orderevent', 'dispatch_offer']) parent,
                 generate_series(0, 1) n,
                 LATERAL (SELECT date_trunc('month', now() AT TIME ZONE 'UTC') + n * interval '1 month') m (month)
            WHERE NOT EXISTS (SELECT FROM baton_months() p WHERE p.of_table = parent
                AND coalesce(p.begins <= baton_month_id(month AT TIME ZONE 'UTC'), true)
                AND p.ends > baton_month_id(month AT TIME ZONE 'UTC'))
        ), to_char(open.oldest, 'YYYY-MM-DD'), coalesce(open.oldest < now() - interval '3 months', false)
        FROM (SELECT min(created_at) AS oldest FROM orders_order WHERE status IN ('pending', 'assigned', 'picked_up')) open
        """
    )
    if missing:
        return Finding(
            "months", "wrong", f"no partition for {missing}", "start the worker: its job `turn months` makes them"
        )
    if is_old:
        return Finding(
            "months",
            "note",
            f"an order of {oldest} is not final: its month and all later ones are searched for open offers",
            "deliver, fail or cancel it",
        )
    return Finding(
        "months", "ok", f"{count} partitions of history and offers; this month's and the next one's are there"
    )


def clocks() -> Finding:
    before = datetime.now(UTC)
    theirs = database_now()
    after = datetime.now(UTC)
    apart = theirs - (before + (after - before) / 2)
    text = f"{abs(apart).total_seconds() * 1000:.0f} ms between this machine and the database"
    if abs(apart) > CLOCKS_APART:
        return Finding("clocks", "wrong", text, "synchronise both machines' clocks (NTP)")
    return Finding("clocks", "ok", text)


DATABASE_CHECKS: list[Callable[[], Finding]] = [role, session, migrations, postgis, guards, months, sweeps, clocks]


def redis_servers() -> Iterator[Finding]:
    yield _redis_server("redis", settings.REDIS_URL)
    for number, address in enumerate(settings.REDIS_SHARDS, 1):
        yield _redis_server(f"redis shard {number}", address)


def _redis_server(name: str, address: str) -> Finding:
    began = time.monotonic()
    try:
        with redis.Redis.from_url(address, socket_timeout=2, socket_connect_timeout=2) as client:
            version = str(client.info("server")["redis_version"])
    except (redis.RedisError, OSError) as error:
        advice = "start Redis, check REDIS_URL and BATON_REDIS_SHARDS"
        return Finding(name, "wrong", f"does not answer: {_one_line(error)}", advice)
    text = f"version {version} answers in {(time.monotonic() - began) * 1000:.0f} ms"
    if int(version.split(".")[0]) < 7:
        return Finding(name, "wrong", text, "Baton needs Redis 7 or newer")
    return Finding(name, "ok", text)


def open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"{soft} allowed here (at most {hard})"
    if soft < ENOUGH_FILES:
        return Finding(
            "open files",
            "note",
            f"{text}: as many sockets fit into one process",
            "ulimit -n 65536, where the server is started",
        )
    return Finding("open files", "ok", text)


def static_files() -> Finding:
    root = Path(settings.STATIC_ROOT)
    try:
        paths = json.loads((root / "staticfiles.json").read_text())["paths"]
    except (OSError, ValueError, KeyError):
        return Finding("static files", "wrong", f"not collected in {root}", "bin/manage collectstatic --noinput")
    missing = [name for name, hashed in paths.items() if not (root / hashed).exists()]
    if missing:
        return Finding(
            "static files", "wrong", f"{len(missing)} missing in {root}", "bin/manage collectstatic --noinput"
        )
    return Finding("static files", "ok", f"{len(paths)} collected in {root}")


def _row(query: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        row: tuple[Any, ...] = cursor.fetchone()
        return row


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def _span(age: timedelta) -> str:
    seconds = age.total_seconds()
    return (
        f"{seconds:.1f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.0f} h"
    )
