"""PgBouncer as deploy/pgbouncer.ini has it, and Baton behind it."""

import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from django.conf import settings
from django.db import connection
from django.test import override_settings

from tests.config.test_several_processes import serving
from tests.dispatch.live.rig import ROOT, Process, Server

#: Debian has it where an ordinary user's PATH does not look.
PROGRAM = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


class Pooler(Process):
    """The file of deploy/, with the addresses of the test and only `sessions` with PostgreSQL."""

    def __init__(self, folder: Path, *, sessions: int, wait_seconds: int = 5) -> None:
        super().__init__("pgbouncer", folder)
        assert PROGRAM is not None, "pgbouncer is not installed (bin/test installs it)"
        self.database = connection.settings_dict
        # It refuses to run as root, and whoever it runs as cannot enter a test's own folder.
        self.folder = Path(tempfile.mkdtemp(prefix="baton-pooler-"))
        self.user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        user, password = self.database["USER"], self.database["PASSWORD"]
        (self.folder / "userlist.txt").write_text(f'"{user}" "{password}"\n')
        (self.folder / "pgbouncer.ini").write_text(self._configuration(sessions, wait_seconds))
        for path in (self.folder / "userlist.txt", self.folder / "pgbouncer.ini", self.folder):
            path.chmod(0o700)
            if self.user is not None:
                os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _configuration(self, sessions: int, wait_seconds: int) -> str:
        text = (ROOT / "deploy" / "pgbouncer.ini").read_text()
        name, host, port = (self.database[key] for key in ("NAME", "HOST", "PORT"))
        for shipped, ours in (
            ("\nbaton = host=10.0.0.5 port=5432 dbname=baton ", f"\n{name} = host={host} port={port} dbname={name} "),
            ("\nlisten_port = 6432\n", f"\nlisten_port = {self.port}\n"),
            ("/etc/pgbouncer/userlist.txt", str(self.folder / "userlist.txt")),
            ("\ndefault_pool_size = 24\n", f"\ndefault_pool_size = {sessions}\n"),
            ("\nquery_wait_timeout = 5\n", f"\nquery_wait_timeout = {wait_seconds}\n"),
        ):
            assert text.count(shipped) == 1, shipped
            text = text.replace(shipped, ours)
        return text

    def command(self) -> list[str]:
        assert PROGRAM is not None
        as_user = ["--user", self.user.pw_name] if self.user is not None else []
        return [PROGRAM, *as_user, str(self.folder / "pgbouncer.ini")]

    def environment(self) -> dict[str, str]:
        """Of itself; Baton's is `behind`."""
        return {"PATH": os.environ.get("PATH", "")}

    def stop(self, *signals: int) -> None:
        super().stop(*signals)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, *, direct: bool = False) -> str:
        user, password, name = (quote(str(self.database[key]), safe="") for key in ("USER", "PASSWORD", "NAME"))
        host, port = (self.database["HOST"], self.database["PORT"]) if direct else ("127.0.0.1", self.port)
        return f"postgresql://{user}:{password}@{host}:{port}/{name}"

    @property
    def behind(self) -> dict[str, str]:
        """What a process of Baton is told."""
        return {
            "DATABASE_URL": self.url(),
            "DATABASE_DIRECT_URL": self.url(direct=True),
            "BATON_TRANSACTION_POOLER": "1",
            "BATON_DATABASE_CONNECTIONS": "persistent",
            "BATON_REDIS_PREFIX": settings.REDIS_PREFIX,
        }

    def client(self) -> psycopg.Connection[Any]:
        """Somebody who is no part of Baton, each statement a transaction."""
        return psycopg.connect(self.url(), autocommit=True, prepare_threshold=None)


@contextmanager
def pooler(folder: Path, *, sessions: int, wait_seconds: int = 5) -> Iterator[Pooler]:
    made = Pooler(folder, sessions=sessions, wait_seconds=wait_seconds)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@contextmanager
def asking_through(pooler: Pooler) -> Iterator[None]:
    """This process's own connection goes through the pooler, as settings.py has it there."""
    database: dict[str, Any] = connection.settings_dict
    before = {key: database[key] for key in ("HOST", "PORT", "OPTIONS", "DISABLE_SERVER_SIDE_CURSORS")}
    connection.close()
    database.update(
        HOST="127.0.0.1",
        PORT=str(pooler.port),
        OPTIONS={name: value for name, value in before["OPTIONS"].items() if name != "options"},
        DISABLE_SERVER_SIDE_CURSORS=True,
    )
    try:
        with override_settings(TRANSACTION_POOLER=True):
            yield
    finally:
        connection.close()
        database.update(before)


class Web(Process):
    """uvicorn, for HTTP."""

    def __init__(self, folder: Path, pooler: Pooler) -> None:
        super().__init__("web", folder)
        self.pooler = pooler

    def command(self) -> list[str]:
        command: list[str] = serving.uvicorn_command(sys.executable, self.port, "")
        return command

    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.pooler.behind}


class Sockets(Server):
    """uvicorn."""

    def __init__(self, folder: Path, pooler: Pooler) -> None:
        super().__init__(folder, prefix=settings.REDIS_PREFIX)
        self.pooler = pooler

    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.pooler.behind}
