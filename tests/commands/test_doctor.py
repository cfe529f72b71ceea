import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder

from dispatch import doctor
from dispatch.audit.report import Breach
from dispatch.doctor import Finding
from dispatch.models import SweepHeartbeat
from tests.conftest import connected_as_owner

pytestmark = pytest.mark.django_db


@pytest.fixture
def collected(tmp_path: Path, settings: Any) -> Path:
    settings.STATIC_ROOT = str(tmp_path)
    (tmp_path / "board.abc.css").write_text("")
    (tmp_path / "staticfiles.json").write_text(json.dumps({"paths": {"board.css": "board.abc.css"}}))
    return tmp_path


def ran(*, seconds_ago: float, standby: float | None = 1.0) -> None:
    SweepHeartbeat.objects.all().delete()
    SweepHeartbeat.objects.create(id=1, active_pid=1)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE dispatch_sweepheartbeat SET active_at = clock_timestamp() - make_interval(secs => %s),"
            " standby_at = clock_timestamp() - make_interval(secs => %s)",
            [seconds_ago, standby],
        )


def test_when_all_is_well_there_is_one_line_for_each_thing_looked_at(collected: Path) -> None:
    ran(seconds_ago=1)
    said = StringIO()

    call_command("doctor", stdout=said)

    lines = said.getvalue().splitlines()
    assert lines[-1] == "All is well."
    names = [line[7:21].strip() for line in lines[:-1] if not line.startswith("note")]
    assert [name for name in names if name != "open files"] == [
        "environment",
        "database",
        "role",
        "session",
        "migrations",
        "postgis",
        "guards",
        "months",
        "sweeps",
        "clocks",
        "redis",
        "static files",
    ]


def test_what_is_wrong_is_said_with_what_to_do_and_ends_with_1(collected: Path, settings: Any) -> None:
    ran(seconds_ago=120)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    said = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("doctor", stdout=said)

    assert ended.value.code == 1
    lines = said.getvalue().splitlines()
    assert lines[-1] == "Wrong: sweeps, redis."
    (sweeps,) = [line for line in lines if line.startswith("wrong  sweeps")]
    assert (
        sweeps
        == "wrong  sweeps        last ran 2 min ago → start the worker: bin/service start worker, or bin/manage worker"
    )
    assert any(line.startswith("wrong  redis         does not answer: ") for line in lines)


def test_a_database_that_is_away_is_one_line_not_a_stack_trace(
    collected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(query: str) -> None:
        raise OperationalError("no route\nto host")

    monkeypatch.setattr("dispatch.doctor._row", away)
    findings = {finding.name: finding for finding in doctor.examine()}

    assert findings["database"].state == "wrong"
    assert "does not answer: no route to host" in findings["database"].text
    assert (
        findings["tables"].text == "not looked at: role, session, migrations, postgis, guards, months, sweeps, clocks"
    )
    assert findings["redis"].state == "ok"


@pytest.mark.parametrize(
    ("seconds_ago", "standby", "state", "text"),
    [
        (1, 1, "ok", "ran 1.0 s ago, and somebody stands by"),
        (1, 60, "note", "ran 1.0 s ago, but nobody stands by"),
        (1, None, "note", "ran 1.0 s ago, but nobody stands by"),
        (11, 1, "wrong", "last ran 11.0 s ago"),
        (7 * 3600, 1, "wrong", "last ran 7 h ago"),
    ],
)
def test_sweeps_must_have_run_lately(seconds_ago: float, standby: float | None, state: str, text: str) -> None:
    ran(seconds_ago=seconds_ago, standby=standby)
    finding = doctor.sweeps()
    assert (finding.state, finding.text) == (state, text)


def test_sweeps_that_never_ran_are_wrong() -> None:
    SweepHeartbeat.objects.all().delete()
    assert doctor.sweeps().state == "wrong"


def test_a_migration_that_is_not_applied_is_named() -> None:
    latest = MigrationRecorder.Migration.objects.filter(app="dispatch").latest("name")
    latest.delete()

    assert doctor.migrations() == Finding(
        "migrations", "wrong", f"not applied: dispatch.{latest.name}", "bin/manage migrate"
    )


def test_a_guard_that_is_off_is_named() -> None:
    breach = Breach("triggers_are_on", "orders_order: trigger order_keeps_holder is disabled", 1)
    assert doctor.guards() == Finding(
        "guards", "ok", "triggers, constraints and row level security are installed and on"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dispatch.doctor.catalog.look", lambda **_: [breach])
        assert doctor.guards().text == "orders_order: trigger order_keeps_holder is disabled"


def test_clocks_that_differ_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.clocks().state == "ok"
    monkeypatch.setattr("dispatch.doctor.CLOCKS_APART", timedelta(microseconds=-1))
    assert doctor.clocks().state == "wrong"


def test_static_files_must_be_there(collected: Path) -> None:
    assert doctor.static_files() == Finding("static files", "ok", f"1 collected in {collected}")
    (collected / "board.abc.css").unlink()
    assert doctor.static_files().text == f"1 missing in {collected}"
    (collected / "staticfiles.json").unlink()
    assert doctor.static_files().text == f"not collected in {collected}"


def test_settings_that_endanger_others_are_told(settings: Any) -> None:
    settings.ALLOWED_HOSTS, settings.DEBUG, settings.HTTPS = ["*"], True, False
    assert [finding.state for finding in doctor.environment()] == ["note", "wrong", "note", "ok"]
    settings.ALLOWED_HOSTS, settings.DEBUG, settings.HTTPS = ["baton.example"], False, True
    assert [finding.state for finding in doctor.environment()] == ["ok"]


@pytest.mark.django_db(transaction=True)
def test_an_application_that_signs_in_as_the_owner_is_wrong() -> None:
    assert doctor.role().state == "ok"
    with connected_as_owner():
        finding = doctor.role()
    assert finding.state == "wrong"
    assert finding.text.startswith("baton_owner owns ")


@pytest.mark.django_db(transaction=True)
def test_a_database_where_drivers_may_choose_settings_is_wrong() -> None:
    bare = f"{connection.settings_dict['NAME']}_bare"
    with connected_as_owner(), connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {bare}")
        cursor.execute(f"CREATE DATABASE {bare} TEMPLATE template0")
        cursor.execute(f"GRANT CONNECT ON DATABASE {bare} TO baton_app")
    prepared, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], bare
    try:
        finding = doctor.role()
    finally:
        connection.close()
        connection.settings_dict["NAME"] = prepared
        with connected_as_owner(), connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {bare}")
    assert (finding.state, finding.advice) == ("wrong", "run deploy/roles.sql on this database")
    assert finding.text == "baton_driver may call set_config or DO: a query of one driver could read as another"
