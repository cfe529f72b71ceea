"""One session with PostgreSQL for everybody: nothing that one transaction was is left for the next."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import DataError, close_old_connections, connection, transaction
from django.test import Client as Browser

from config import env
from dispatch import doctor, services
from dispatch.selectors import sync_driver
from drivers.access import as_driver
from drivers.models import Driver
from drivers.services import is_on_duty
from orders.models import OrderContact
from tests import cast
from tests.dispatch.live.rig import token_of
from tests.scaling.rig import Pooler, asking_through, pooler

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.cluster]

#: Who somebody is who has done nothing yet.
STATE = "SELECT current_user::text, current_setting('role'), coalesce(current_setting('baton.driver_id', true), '')"
CLEAN = ("baton_app", "none", "")


@pytest.fixture
def one(tmp_path: Path, transactional_db: None) -> Iterator[Pooler]:
    """A pooler with a single session."""
    with pooler(tmp_path, sessions=1) as started:
        yield started


@pytest.fixture
def next_one(one: Pooler) -> Iterator[Callable[[], Any]]:
    """What whoever has the session next finds there, and which session that is."""
    with one.client() as other:

        def look() -> Any:
            user, role, driver, backend = other.execute(STATE.encode() + b", pg_backend_pid()").fetchall()[0]
            return (user, role, driver), backend

        yield look


Look = Callable[[], Any]


def test_everybody_shares_one_session_so_that_a_leak_would_be_seen(one: Pooler, next_one: Look) -> None:
    state, backend = next_one()
    assert state == CLEAN
    with one.client() as careless:
        careless.execute("SET baton.driver_id = '7'; SET ROLE baton_driver")
        assert next_one() == (("baton_driver", "baton_driver", "7"), backend)
        careless.execute("RESET ROLE; RESET baton.driver_id")
    assert next_one() == (CLEAN, backend)


def test_the_role_of_a_driver_ends_with_the_transaction_however_it_ends(
    one: Pooler, next_one: Look, alice: Driver
) -> None:
    backend = next_one()[1]
    with asking_through(one):
        with as_driver(alice.pk):
            assert _state() == ("baton_driver", "baton_driver", str(alice.pk))
        assert next_one() == (CLEAN, backend)

        with transaction.atomic():
            with as_driver(alice.pk):
                assert _state() == ("baton_driver", "baton_driver", str(alice.pk))
            assert _state() == CLEAN
        assert next_one() == (CLEAN, backend)

        with pytest.raises(DataError), as_driver(alice.pk), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        assert next_one() == (CLEAN, backend)


def test_a_sync_that_fails_while_it_is_the_driver_leaves_nothing(one: Pooler, next_one: Look, alice: Driver) -> None:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    backend = next_one()[1]
    with asking_through(one):
        assert [held.pk for held in sync_driver(driver_id=alice.pk).active] == [order.pk]
        assert next_one() == (CLEAN, backend)

        with _as_owner() as owner:
            # Only who is baton_driver meets this condition: the error itself says that the function had become it.
            owner.execute(
                "CREATE POLICY poison ON orders_ordercontact TO baton_driver USING (1 / (order_id <> order_id)::int = 1)"
            )
            try:
                assert OrderContact.objects.count() == 1
                with pytest.raises(DataError, match="division by zero"):
                    sync_driver(driver_id=alice.pk)
                assert next_one() == (CLEAN, backend)
                with pytest.raises(DataError, match="division by zero"), transaction.atomic():
                    sync_driver(driver_id=alice.pk)
                assert next_one() == (CLEAN, backend)
            finally:
                owner.execute("DROP POLICY poison ON orders_ordercontact")


def test_who_vanishes_in_the_middle_takes_the_session_along(one: Pooler, next_one: Look, alice: Driver) -> None:
    before = next_one()[1]
    with one.client() as vanishing:
        vanishing.execute("BEGIN")
        vanishing.execute(
            "SELECT set_config('baton.driver_id', %s, true), set_config('role', 'baton_driver', true)", [str(alice.pk)]
        )
        vanishing.close()
    state, after = next_one()
    assert state == CLEAN
    assert after != before


def test_sessions_start_with_the_timeouts_of_the_settings_and_the_doctor_sees_when_not(
    one: Pooler, next_one: Look
) -> None:
    with asking_through(one):
        assert doctor.session() == doctor.Finding(
            "session",
            "ok",
            "lock_timeout 4000, statement_timeout 15000, idle_in_transaction_session_timeout 30000, jit off",
        )
        with one.client() as careless:
            careless.execute("SET lock_timeout = 0")
        found = doctor.session()
        assert (found.state, found.text) == ("wrong", "lock_timeout is 0, not 4000")


def test_nothing_is_kept_in_the_session_between_two_statements(one: Pooler, next_one: Look) -> None:
    for name in ("a", "b", "c"):
        driver = cast.driver(name)
    kept = "SELECT (SELECT count(*) FROM pg_cursors) + (SELECT count(*) FROM pg_prepared_statements)"
    with one.client() as other, asking_through(one):
        for turn in range(8):
            # psycopg by itself prepares what it was asked five times, and Baton what every tap asks.
            assert Driver.objects.filter(name="A").count() == 1, turn
            assert is_on_duty(driver.pk), turn
            assert sync_driver(driver_id=driver.pk).offers == [], turn
        walk: Any = Driver.objects.order_by("name").iterator(chunk_size=1)
        assert next(walk).name == "A"
        assert other.execute(kept).fetchall() == [(0,)]
        assert [driver.name for driver in walk] == ["B", "C"]

        connection.settings_dict["DISABLE_SERVER_SIDE_CURSORS"] = False
        walk = Driver.objects.order_by("name").iterator(chunk_size=1)
        assert next(walk).name == "A"
        assert other.execute(kept).fetchall() == [(1,)], "this is what the setting is for"
        walk.close()


def test_who_gets_no_session_in_time_is_told_to_come_again(
    tmp_path: Path, transactional_db: None, alice: Driver
) -> None:
    token = token_of(alice)
    with pooler(tmp_path, sessions=1, wait_seconds=1) as one, one.client() as holder, asking_through(one):
        holder.execute("BEGIN")
        began = time.monotonic()
        answer = Browser().get("/api/v1/driver/", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["Retry-After"]
        assert time.monotonic() - began < 4
        holder.execute("ROLLBACK")
        # As every server does before a request.
        close_old_connections()
        assert Browser().get("/api/v1/driver/", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        connection.close()


def _state() -> tuple[str, str, str]:
    with connection.cursor() as cursor:
        cursor.execute(STATE)
        user, role, driver = cursor.fetchone()
        return user, role, driver


def _as_owner() -> psycopg.Connection[Any]:
    owner = env.database("DATABASE_OWNER_URL")
    return psycopg.connect(
        host=owner["HOST"],
        port=owner["PORT"],
        user=owner["USER"],
        password=owner["PASSWORD"],
        dbname=connection.settings_dict["NAME"],
        autocommit=True,
    )
