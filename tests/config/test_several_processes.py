"""Several processes as one: nginx before one for HTTP and two for sockets, as `bin/up --web N --ws M` starts them."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from websockets.exceptions import WebSocketException

from config.proxies import ForwardedFor
from drivers.models import Driver
from tests import cast
from tests.dispatch.live.rig import ROOT, Client, Process, Server, token_of, wait_until


def load_serving() -> Any:
    """bin/ is not a package."""
    spec = importlib.util.spec_from_file_location("serving", ROOT / "bin" / "serving.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


serving = load_serving()


class Started(Process):
    """A command of bin/serving.py, with the environment of a server on the test's database."""

    def __init__(self, name: str, folder: Path, like: Server) -> None:
        super().__init__(name, folder)
        self.like = like
        self.words: list[str] = []

    def command(self) -> list[str]:
        return self.words

    def environment(self) -> dict[str, str]:
        return {
            **self.like.environment(),
            "BATON_DATABASE_CONNECTIONS": "persistent",
            "BATON_TRUSTED_PROXIES": serving.behind_us(""),
        }


class Stack:
    def __init__(self, folder: Path) -> None:
        like = Server(folder, prefix=settings.REDIS_PREFIX)
        self.web, self.ws1, self.ws2, self.proxy = (
            Started(name, folder, like) for name in ("web", "ws1", "ws2", "proxy")
        )
        for process in (self.web, self.ws1, self.ws2):
            process.words = serving.uvicorn_command(sys.executable, process.port, serving.behind_us(""))
        configuration = folder / "nginx.conf"
        configuration.write_text(
            serving.nginx_configuration(
                run=folder,
                port=self.proxy.port,
                web_ports=[self.web.port],
                ws_ports=[self.ws1.port, self.ws2.port],
                environment={},
            )
        )
        command = serving.nginx_command(configuration)
        assert command is not None, "nginx is not installed (bin/test installs it)"
        self.proxy.words = command
        self.everybody = (self.web, self.ws1, self.ws2, self.proxy)

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, dict[str, str], Any]:
        connection = HTTPConnection("127.0.0.1", self.proxy.port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"Content-Type": "application/json", **named})
            response = connection.getresponse()
            content = response.read()
            return response.status, dict(response.getheaders()), json.loads(content) if content[:1] == b"{" else content
        finally:
            connection.close()

    def open(self, driver: Driver) -> Client:
        headers = {"Authorization": f"Bearer {token_of(driver)}"}
        client = Client(f"ws://127.0.0.1:{self.proxy.port}/ws/driver/", additional_headers=headers)
        client.get("snapshot")
        return client

    def sockets(self) -> list[int]:
        """How many established connections each socket process has."""
        found = []
        for ws in (self.ws1, self.ws2):
            said = subprocess.run(
                ["ss", "-Htn", "state", "established", f"( sport = :{ws.port} )"],
                capture_output=True,
                text=True,
                check=True,
            )
            found.append(len(said.stdout.splitlines()))
        return found


@pytest.fixture
def stack(tmp_path: Path, transactional_db: None) -> Iterator[Stack]:
    made = Stack(tmp_path)
    try:
        for process in made.everybody:
            process.start()
        yield made
    finally:
        for process in reversed(made.everybody):
            process.stop()


@pytest.mark.race
def test_one_address_serves_http_and_sockets_and_outlives_a_socket_process(stack: Stack) -> None:
    drivers = [cast.driver(f"d{n}", at=cast.FERRY_BUILDING, capacity=5) for n in range(4)]
    token = token_of(drivers[0])
    clients = [stack.open(driver) for driver in drivers]
    try:
        wait_until(lambda: stack.sockets() == [2, 2])

        order = cast.order()
        # A push from this process reaches sockets of both; the act goes through the other door.
        for client in clients:
            client.get("offer", version=order.version)
        bearer = f"Bearer {token}"
        status, _, document = stack.ask("POST", f"/api/v1/orders/{order.pk}/accept/", "{}", Authorization=bearer)
        assert (status, document["status"]) == (200, "assigned")
        assert clients[1].get("offer_closed")["reason"] == "order_taken"

        stack.ws1.stop(9)
        assert sum(_is_open(client) for client in clients) == 2
        again = [stack.open(driver) for driver in drivers]
        assert all(client.is_served() for client in again)
        for client in again:
            client.close()
    finally:
        for client in clients:
            client.close()


def _is_open(client: Client) -> bool:
    try:
        return client.is_served()
    except (WebSocketException, OSError):
        return False


@pytest.mark.race
def test_what_the_proxy_refuses_by_itself_is_a_problem_document(stack: Stack) -> None:
    status, headers, document = stack.ask("POST", "/api/v1/orders/", "x" * 70_000)
    assert (status, headers["Content-Type"], document["code"]) == (413, "application/problem+json", "too_large")

    status, _, document = stack.ask("GET", "/api/v1/driver/")
    assert (status, document["code"]) == (401, "not_authenticated")
    # Sign-ins have threads of their own in the socket processes.
    status, _, document = stack.ask("POST", "/api/v1/auth/login/", '{"username": "nobody", "password": "wrong"}')
    assert (status, document["code"]) == (401, "sign_in_refused")

    stack.web.stop()
    status, headers, document = stack.ask("GET", "/api/v1/driver/")
    assert (status, headers["Retry-After"], document["code"]) == (503, "2", "unavailable")


def asked_by(trusted: list[str], peer: str, forwarded: str | None) -> str:
    """The address that the application sees."""
    seen: list[str] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ["REMOTE_ADDR"])
        return []

    environ = {"REMOTE_ADDR": peer, **({} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded})}
    ForwardedFor(application, trusted)(environ, lambda *_: None)
    return seen[0]


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "expected"),
    [
        ([], "127.0.0.1", "203.0.113.9", "127.0.0.1"),
        (["127.0.0.1"], "127.0.0.1", None, "127.0.0.1"),
        (["127.0.0.1"], "127.0.0.1", "203.0.113.9", "203.0.113.9"),
        (["127.0.0.1"], "198.51.100.7", "203.0.113.9", "198.51.100.7"),
        # Whatever the client itself wrote stands to the left of what the proxies added.
        (["127.0.0.1"], "127.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"),
        (["127.0.0.1", "10.0.0.0/8"], "127.0.0.1", "1.2.3.4, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
        (["127.0.0.1", "10.0.0.0/8"], "127.0.0.1", "10.9.9.9", "10.9.9.9"),
        (["*"], "198.51.100.7", "203.0.113.9, 10.1.2.3", "203.0.113.9"),
        (["127.0.0.1", "::1"], "::1", "2001:db8::1", "2001:db8::1"),
    ],
)
def test_only_a_trusted_proxy_says_who_is_asking(
    trusted: list[str], peer: str, forwarded: str | None, expected: str
) -> None:
    assert asked_by(trusted, peer, forwarded) == expected


def test_a_client_cannot_forge_an_address_through_our_own_proxy(tmp_path: Path) -> None:
    text = serving.nginx_configuration(run=tmp_path, port=1, web_ports=[2], ws_ports=[3], environment={})
    assert "proxy_set_header X-Forwarded-For $forwarded_for;" in text
    assert "0 $remote_addr;" in text
    assert (
        "@"
        not in text.replace("@too_large", "").replace("@invalid", "").replace("@unavailable", "").partition("daemon")[2]
    )
