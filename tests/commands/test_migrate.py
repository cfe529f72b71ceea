"""Migrating beside a running Baton: nobody waits long behind it."""

import time
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.core.management.commands import migrate as django_migrate
from django.db import OperationalError, connection, migrations, transaction
from django.db.migrations.executor import MigrationExecutor

from benchmarks.scratch import as_owner
from dispatch.management.commands import migrate
from tests.conftest import connected_as_owner

pytestmark = pytest.mark.django_db(transaction=True)

ADD = "ALTER TABLE orders_savedplace ADD COLUMN migrated int"
DROP = "ALTER TABLE orders_savedplace DROP COLUMN migrated"


def settings_during(monkeypatch: pytest.MonkeyPatch, *, atomic: bool) -> tuple[str, str]:
    """lock_timeout and statement_timeout while such a migration is carried out."""
    found: list[str] = []

    def look(apps: Any, editor: Any) -> None:
        with connection.cursor() as cursor:
            for name in ("lock_timeout", "statement_timeout"):
                cursor.execute(f"SHOW {name}")
                found.append(cursor.fetchone()[0])

    carry_out(monkeypatch, [migrations.RunPython(look, look)], atomic=atomic)
    return found[0], found[1]


def carry_out(monkeypatch: pytest.MonkeyPatch, operations: list[Any], *, atomic: bool = True) -> str:
    """`migrate` with one more migration than there are files; what it said."""
    kind = type("Migration", (migrations.Migration,), {"operations": operations, "atomic": atomic})
    more = kind("more", "orders")
    said = StringIO()

    def handle(command: Any, *args: Any, **options: Any) -> None:
        executor = MigrationExecutor(connection, command.migration_progress_callback)
        command.verbosity = 0
        executor.apply_migration(executor.loader.project_state(), more)
        executor.recorder.record_unapplied("orders", "more")

    monkeypatch.setattr(django_migrate.Command, "handle", handle)
    with connected_as_owner():
        call_command("migrate", stdout=said, stderr=said)
    return said.getvalue()


def test_a_migration_waits_for_a_lock_no_longer_than_somebody_can_wait_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert settings_during(monkeypatch, atomic=True) == ("2s", "0")


def test_an_index_that_is_built_beside_all_work_has_all_the_time_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_during(monkeypatch, atomic=False) == ("0", "0")


def test_it_gives_way_to_whoever_works_and_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.2)
    pauses: list[float] = []
    with psycopg.connect(connection_string(), autocommit=False) as somebody:
        somebody.execute("SELECT 1 FROM orders_savedplace")

        def wait(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 2:
                somebody.commit()

        monkeypatch.setattr("dispatch.management.commands.migrate.time.sleep", wait)
        began = time.monotonic()
        said = carry_out(monkeypatch, [migrations.RunSQL(ADD, DROP)])

    assert pauses == [1, 2]
    assert said.count("gave way") == 2
    assert time.monotonic() - began < 10
    with as_owner() as owner:
        owner.execute(DROP)


def test_it_gives_up_in_the_end_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(migrate, "ATTEMPTS", 2)
    monkeypatch.setattr("dispatch.management.commands.migrate.time.sleep", lambda seconds: None)
    with psycopg.connect(connection_string(), autocommit=False) as somebody:
        somebody.execute("SELECT 1 FROM orders_savedplace")
        with pytest.raises(CommandError, match="for 2 tries"):
            carry_out(monkeypatch, [migrations.RunSQL(ADD, DROP)])


def test_any_other_fault_is_a_fault_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any, **options: Any) -> None:
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(django_migrate.Command, "handle", away)
    with pytest.raises(OperationalError, match="the connection is closed"):
        call_command("migrate", stdout=StringIO())
    assert transaction.get_autocommit()


def connection_string() -> str:
    """The application's own login."""
    given = connection.settings_dict
    return psycopg.conninfo.make_conninfo(
        host=given["HOST"], port=given["PORT"], user=given["USER"], password=given["PASSWORD"], dbname=given["NAME"]
    )
