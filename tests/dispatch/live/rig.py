"""A real server process on a free port, and clients that wait for what they expect."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client as Browser
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from drivers.models import DeviceToken, Driver

ROOT = Path(__file__).resolve().parents[3]
#: Nothing here takes longer than this unless it is broken.
PATIENCE = 10.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], *, within: float = PATIENCE) -> Any:
    """What `condition` returns as soon as that is true. AssertionError if it takes too long."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.02)
    return found


class Process:
    """A child process on a port of its own; its output is kept."""

    def __init__(self, name: str, folder: Path) -> None:
        self.port = free_port()
        self.log = folder / f"{name}-{self.port}.log"
        self.child: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.command(), cwd=ROOT, env=self.environment(), stdout=log, stderr=log, start_new_session=True
            )
        # It reads a few hundred modules first, the first time of all without any of them compiled.
        wait_until(self.answers, within=120)

    def answers(self) -> bool:
        assert self.child is not None
        assert self.child.poll() is None, self.output()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(signal.SIGCONT)
            self.child.send_signal(how)
            self.child.wait(timeout=20)

    def output(self) -> str:
        return self.log.read_text(errors="replace")


class Redis(Process):
    """A Redis of one's own, to be killed."""

    def command(self) -> list[str]:
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


class Server(Process):
    """The application as it is served, on the test's database."""

    def __init__(self, folder: Path, *, prefix: str, redis_url: str | None = None) -> None:
        super().__init__("server", folder)
        self.prefix = prefix
        self.redis_url = redis_url

    def command(self) -> list[str]:
        options = "--ws websockets-sansio --ws-per-message-deflate false --ws-max-size 16384 --no-access-log"
        address = ["--host", "127.0.0.1", "--port", str(self.port), "--timeout-graceful-shutdown", "3"]
        return [sys.executable, "-m", "uvicorn", "config.asgi:application", *address, *options.split()]

    def environment(self) -> dict[str, str]:
        database = urlsplit(os.environ["DATABASE_URL"])._replace(path="/" + connection.settings_dict["NAME"]).geturl()
        return {
            **os.environ,
            "DATABASE_URL": database,
            "BATON_DATABASE_CONNECTIONS": "pool",
            "BATON_REDIS_PREFIX": self.prefix,
            **({"REDIS_URL": self.redis_url} if self.redis_url else {}),
        }

    def url(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"


class Client:
    """A socket's other end. Frames that are not what the test waits for are kept in `others`."""

    def __init__(self, url: str, **options: Any) -> None:
        self._stack = ExitStack()
        self.connection: ClientConnection = self._stack.enter_context(
            connect(url, proxy=None, close_timeout=1, **options)
        )
        self.others: list[dict[str, Any]] = []

    def send(self, **frame: Any) -> None:
        self.connection.send(json.dumps(frame))

    def frame(self, within: float = PATIENCE) -> dict[str, Any]:
        """The next frame, whatever it is."""
        document: dict[str, Any] = json.loads(self.connection.recv(timeout=within))
        return document

    def get(self, kind: str, within: float = PATIENCE, **members: Any) -> dict[str, Any]:
        """The next frame of this kind with these members."""
        deadline = time.monotonic() + within
        while True:
            try:
                frame = self.frame(max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                raise AssertionError(f"no {kind} {members} within {within} s, only {self.others}") from None
            if frame["type"] == kind and members.items() <= frame.items():
                return frame
            self.others.append(frame)

    def close_code(self, within: float = PATIENCE) -> int:
        """Read until the server closes; its code."""
        deadline = time.monotonic() + within
        try:
            while True:
                self.connection.recv(timeout=max(0.0, deadline - time.monotonic()))
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, "the connection was cut, not closed"
            return closed.rcvd.code

    def is_served(self) -> bool:
        """Whether a heartbeat gets its answer."""
        self.send(type="heartbeat", lat=37.7955, lng=-122.3937, id="served?")
        return bool(self.get("heartbeat_ack", id="served?"))

    def close(self) -> None:
        self._stack.close()


def token_of(driver: Driver) -> str:
    _, token = DeviceToken.objects.create(user=driver.user, device="test")
    return str(token)


def open_driver(server: Server, driver: Driver, *, token: str | None = None, **options: Any) -> Client:
    """A connected driver's socket; its snapshot is still to be read."""
    headers = {"Authorization": f"Bearer {token or token_of(driver)}"}
    return Client(server.url("/ws/driver/"), additional_headers=headers, **options)


def open_board(server: Server, user: User, **options: Any) -> Client:
    """A connected dispatcher's socket; its snapshot is still to be read."""
    browser = Browser()
    browser.force_login(user)
    headers = {"Cookie": f"sessionid={browser.cookies['sessionid'].value}"}
    return Client(server.url("/ws/dispatch/"), additional_headers=headers, **options)


@contextmanager
def unheard(settings: Any) -> Iterator[None]:
    """What happens in here is pushed where nobody listens."""
    real = settings.CHANNEL_LAYERS
    layers = deepcopy(real)
    layers["default"]["CONFIG"]["prefix"] = "nobody"
    settings.CHANNEL_LAYERS = layers
    try:
        yield
    finally:
        settings.CHANNEL_LAYERS = real
