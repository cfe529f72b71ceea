"""A process is replaced while everybody goes on asking: nobody is refused, no answer lost, sockets are told to reconnect."""

import http.client
import importlib
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from websockets.exceptions import ConnectionClosed

from drivers.models import Driver
from orders.models import Order
from tests import cast
from tests.dispatch.live.rig import ROOT, Client, Server, free_port, token_of, wait_until

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]


class Tended:
    """bin/supervise.py's own turns over children of ours, in a folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(ROOT / "bin"))
        self.children: Any = importlib.import_module("children")
        self.supervise: Any = importlib.import_module("supervise")
        self.serving = self.children.serving
        self.run = folder / "run"
        self.run.mkdir()
        for module in (self.children, self.supervise):
            monkeypatch.setattr(module, "RUN", self.run)
            monkeypatch.setattr(module, "LOG", folder)
        environment = Server(folder, prefix=settings.REDIS_PREFIX).environment()
        environment["BATON_DATABASE_CONNECTIONS"] = "persistent"
        monkeypatch.setattr(self.children, "settings", lambda part="": environment)
        self.supervisor: Any = object.__new__(self.supervise.Supervisor)
        self.said: list[str] = []
        self.supervisor.say = self.said.append
        self.started: list[Any] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._turn)

    def begin(self, *children: Any) -> None:
        self.started = list(children)
        self.thread.start()
        for child in children:
            wait_until(partial(self.supervise.answers, child.listens or child.port), within=90)

    def server(self, name: str, port: int, trusted: str = "") -> Any:
        def command(fd: int) -> list[str]:
            words: list[str] = self.serving.uvicorn_command(sys.executable, port, trusted, fd=fd)
            return words

        return self.children.Child(name, command, listens=port)

    def _turn(self) -> None:
        while not self.over.is_set():
            for child in self.started:
                self.supervisor.tend(child)
            time.sleep(self.supervise.TICK)

    def reload(self, name: str) -> None:
        """As bin/service does it; returns when the former process has gone."""
        child = next(child for child in self.started if child.name == name)
        before = child.process.pid
        (self.run / f"{name}.reload").touch()
        wait_until(lambda: not (self.run / f"{name}.reload").exists(), within=90)
        assert child.process.pid != before, self.said
        wait_until(lambda: not (self.run / f"{name}.leaving").exists(), within=60)
        assert not Path(f"/proc/{before}").exists()

    def end(self) -> None:
        self.over.set()
        self.thread.join()
        self.supervisor.end(self.started)


@pytest.fixture
def tended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tended]:
    made = Tended(tmp_path, monkeypatch)
    try:
        yield made
    finally:
        made.end()


class Crowd:
    """Callers who never stop: each over a connection that it keeps as long as it may, or over a new one every time."""

    def __init__(self, port: int, tokens: list[str], orders: list[Order]) -> None:
        self.port, self.tokens, self.orders = port, tokens, orders
        self.outcomes: Counter[str] = Counter()
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._call, args=(n % 2 == 0, n)) for n in range(len(tokens))]

    def _call(self, keeps: bool, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        turn = 0
        while not self.over.is_set():
            turn += 1
            outcome = self._ask(connection, self.tokens[number], turn + number)
            if not keeps:
                connection.close()
            with self.lock:
                self.outcomes[outcome] += 1
            # Nobody asks more often than a driver may.
            time.sleep(0.05)
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, token: str, turn: int) -> str:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        order = self.orders[turn % len(self.orders)]
        method, path, body = [
            ("POST", "driver/heartbeat/", '{"lat": 37.7955, "lng": -122.3937}'),
            ("GET", "driver/sync/", None),
            # Idempotent: declined is declined.
            ("POST", f"orders/{order.pk}/decline/", "{}"),
        ][turn % 3]
        try:
            connection.request(method, f"/api/v1/{path}", body, headers)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return f"{method} {path[:16]}: {error!r}"
        return str(response.status)

    @contextmanager
    def calling(self) -> Iterator[None]:
        for thread in self.threads:
            thread.start()
        try:
            wait_until(lambda: self.outcomes["200"] > 20, within=30)
            yield
            before = self.outcomes["200"]
            wait_until(lambda: self.outcomes["200"] > before + 20, within=30)
        finally:
            self.over.set()
            for thread in self.threads:
                thread.join()


def reconnecting(port: int, driver: Driver, closes: list[int], over: threading.Event) -> Callable[[], None]:
    """A driver's app: whenever its socket is closed, it opens a new one at once."""
    headers = {"Authorization": f"Bearer {token_of(driver)}"}

    def live() -> None:
        while not over.is_set():
            client = Client(f"ws://127.0.0.1:{port}/ws/driver/", additional_headers=headers)
            client.get("snapshot")
            try:
                while not over.is_set():
                    client.is_served()
                    time.sleep(0.05)
            except ConnectionClosed as closed:
                closes.append(closed.rcvd.code if closed.rcvd else 1006)
            finally:
                client.close()

    return live


def everybody_goes_on(tended: Tended, port: int, names: list[str]) -> None:
    drivers = [cast.driver(f"d{n}", at=cast.FERRY_BUILDING) for n in range(9)]
    orders = [cast.order() for _ in range(3)]
    crowd = Crowd(port, [token_of(driver) for driver in drivers[3:]], orders)
    closes: list[int] = []
    over = threading.Event()
    apps = [threading.Thread(target=reconnecting(port, driver, closes, over)) for driver in drivers[:3]]
    for app in apps:
        app.start()
    try:
        with crowd.calling():
            for name in names:
                tended.reload(name)
    finally:
        over.set()
        for app in apps:
            app.join()
    assert set(crowd.outcomes) == {"200"}, crowd.outcomes
    assert set(closes) == {1012}
    assert len(closes) >= 3
    assert tended.said == []


def test_one_process_is_replaced_and_nobody_is_refused(tended: Tended) -> None:
    port = free_port()
    tended.begin(tended.server("web", port))

    everybody_goes_on(tended, port, ["web", "web"])


def test_processes_behind_the_proxy_are_replaced_one_by_one_and_nobody_is_refused(
    tended: Tended, tmp_path: Path
) -> None:
    port, web, ws = free_port(), free_port(), free_port()
    trusted = tended.serving.behind_us("")
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        tended.serving.nginx_configuration(run=tmp_path, port=port, web_ports=[web], ws_ports=[ws], environment={})
    )
    command = tended.serving.nginx_command(configuration)
    assert command is not None, "nginx is not installed (bin/test installs it)"
    proxy = tended.children.Child("proxy", lambda fd: command, port=port)
    tended.begin(tended.server("web1", web, trusted), tended.server("ws1", ws, trusted), proxy)

    everybody_goes_on(tended, port, ["web1", "ws1"])


def test_a_successor_that_does_not_come_up_leaves_everything_as_it_was(tended: Tended) -> None:
    port = free_port()
    child = tended.server("web", port)
    tended.begin(child)
    before, good = child.process.pid, child.command
    child.command = lambda fd: [sys.executable, "-c", "raise SystemExit(3)"]

    (tended.run / "web.reload").touch()
    wait_until((tended.run / "web.kept").exists, within=30)

    assert child.process.pid == before
    assert tended.said == ["· web: its successor did not come up (status 3), it goes on itself"]
    assert tended.supervise.answers(port)
    child.command = good
    tended.reload("web")
    assert child.process.pid != before


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="Linux does not share out by session here")
def test_servers_step_back_while_a_killed_worker_comes_back(tended: Tended) -> None:
    tended.begin()
    child: Any = tended.children.Child
    web = child("web", lambda fd: ["sleep", "60"])
    worker = child("worker", lambda fd: ["sleep", "60"])
    tended.supervisor.children = [web, worker]
    tended.supervisor.behind = {}

    def seen() -> str:
        tended.supervisor.make_way()
        return Path(f"/proc/{web.process.pid}/autogroup").read_text().split()[-1]

    try:
        web.start()
        worker.start()
        web.listens = free_port()
        assert seen() == "0"
        worker.deaths = 1
        assert seen() == "10"
        worker.started -= tended.supervise.COMES_BACK_WITHIN + 1
        # Not more often than every tenth of a second, says Linux.
        wait_until(lambda: seen() == "0", within=5)
    finally:
        web.bury()
        worker.bury()
