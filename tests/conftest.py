"""The rig: a database made and migrated by its owner, tests run as the application's own unprivileged login."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.management import call_command
from django.db import OperationalError, connections
from django.test import override_settings
from django.test.utils import setup_databases, teardown_databases
from psycopg.errors import DeadlockDetected

from config import env
from drivers import limits
from tests import cast


def pytest_configure(config: pytest.Config) -> None:
    """Every parallel test process has a corner of its own in Redis, whose channels know no databases, only names. Servers
    that tests start read it from the environment."""
    if worker := getattr(config, "workerinput", {}).get("workerid"):
        prefix = os.environ["BATON_REDIS_PREFIX"] = f"{settings.REDIS_PREFIX}-{worker}"
        settings.REDIS_PREFIX = prefix
        layers: Any = settings.CHANNEL_LAYERS
        layers["default"]["CONFIG"]["prefix"] = prefix
        caches: Any = settings.CACHES
        caches["default"]["KEY_PREFIX"] = f"{prefix}:cache"


@contextmanager
def connected_as_owner() -> Iterator[None]:
    """Swap the default connection's login for the owner's, who may create databases and tables."""
    connection = connections["default"]
    app = {name: connection.settings_dict[name] for name in ("USER", "PASSWORD")}
    owner = env.database("DATABASE_OWNER_URL")
    connection.close()
    connection.settings_dict.update({name: owner[name] for name in ("USER", "PASSWORD")})
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(app)


@pytest.fixture(scope="session")
def django_db_setup(request: pytest.FixtureRequest, django_db_blocker: Any) -> Iterator[None]:
    suffix = getattr(request.config, "workerinput", {}).get("workerid", "")
    with django_db_blocker.unblock(), connected_as_owner():
        if suffix:
            test = settings.DATABASES["default"].setdefault("TEST", {})
            test["NAME"] = connections["default"].settings_dict["TEST"]["NAME"] = (
                f"test_{settings.DATABASES['default']['NAME']}_{suffix}"
            )
        config = setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
        with connections["default"].cursor() as cursor:
            # Only tests empty tables wholesale.
            cursor.execute("GRANT TRUNCATE ON ALL TABLES IN SCHEMA public TO baton_app")
            cursor.execute("GRANT UPDATE ON ALL SEQUENCES IN SCHEMA public TO baton_app")
    yield
    with django_db_blocker.unblock():
        nobody_else_is_connected()
        with connected_as_owner():
            teardown_databases(config, verbosity=0)


def nobody_else_is_connected() -> None:
    """Servers that tests have stopped take a moment to leave. Whoever stays is named, and shown out, so that the database
    can go."""
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    deadline = time.monotonic() + 5
    with connections["default"].cursor() as cursor:
        while True:
            cursor.execute(f"SELECT pid, application_name, state, query {others}")
            if not (left := cursor.fetchall()):
                return
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        sys.stderr.write(f"\nStill connected to the test database: {left}\n")
        cursor.execute(f"SELECT pg_terminate_backend(pid) {others} AND usename = current_user")


@pytest.fixture(scope="session", autouse=True)
def _emptied_in_the_end() -> None:
    """The emptying of all tables after a test can deadlock with a request its server still answers, and be the one that
    PostgreSQL ends. The request is over soon: again."""
    operations: Any = type(connections["default"].ops)
    once = operations.execute_sql_flush

    def until_done(self: Any, statements: list[str]) -> None:
        for tries_left in reversed(range(5)):
            try:
                once(self, statements)
                break
            except OperationalError as error:
                if not tries_left or not isinstance(error.__cause__, DeadlockDetected):
                    raise

    operations.execute_sql_flush = until_done


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> None:
    """The same passwords, hashed a thousand times instead of a million; real servers can check them all the same."""
    PBKDF2PasswordHasher.iterations = 1000


@pytest.fixture(autouse=True)
def _nothing_spent_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tests ask from the same address, and Redis remembers it from one to the next."""
    monkeypatch.setattr(limits, "SPACE", f"limit:{uuid4().hex}")


@pytest.fixture(scope="session")
def collected_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all static files are under their hashed names, as `collectstatic` leaves them; once, as it takes seconds."""
    root = tmp_path_factory.mktemp("static")
    with override_settings(
        STATIC_ROOT=str(root), STORAGES={**settings.STORAGES, "staticfiles": {"BACKEND": "config.static.HashedFiles"}}
    ):
        call_command("collectstatic", interactive=False, verbosity=0)
    return root


@pytest.fixture
def alice() -> Any:
    """A live driver at the ferry building, room for one."""
    return cast.driver("alice", at=cast.FERRY_BUILDING)


@pytest.fixture
def bob() -> Any:
    """A live driver half a kilometre from there."""
    return cast.driver("bob", at=cast.EMBARCADERO)


@pytest.fixture
def dora() -> Any:
    """A dispatcher."""
    return cast.dispatcher("dora")


@pytest.fixture
def owner(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), connected_as_owner():
        yield


@pytest.fixture
def owned(owner: None, db: None) -> None:
    """The test's transaction belongs to the owner of the tables."""
