"""PostgreSQL or Redis goes away under a real server: what can go on goes on, the rest says try again, and soon."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from django.db import connection

from drivers import redisdb
from drivers.models import Driver
from orders.services import create_api_key
from tests import cast
from tests.config.rig import Answer, Relay, Served, ask, served
from tests.dispatch.api.callers import body
from tests.dispatch.live.rig import Redis, free_port, token_of, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def database_url(port: int) -> str:
    """The test's database, at another port of this machine."""
    url = urlsplit(os.environ["DATABASE_URL"])
    login = url.netloc.rpartition("@")[0]
    return url._replace(netloc=f"{login}@127.0.0.1:{port}", path="/" + connection.settings_dict["NAME"]).geturl()


def quickly(answer: Answer, began: float) -> Answer:
    """Nobody waits long to be told to try again."""
    assert time.monotonic() - began < 5
    return answer


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def without_database(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("nodb"), DATABASE_URL=database_url(free_port())) as running:
        yield running


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", "driver/", None),
        ("GET", "driver/sync/", None),
        ("POST", "driver/heartbeat/", {"lat": 1, "lng": 1}),
        ("POST", "orders/01a20ad1-5c94-744a-85fa-6169d020f621/accept/", {}),
        ("POST", "auth/login/", {"username": "alice", "password": cast.PASSWORD}),
        ("POST", "orders/", body()),
    ],
)
def test_without_postgresql_every_call_says_try_again(
    without_database: Served, method: str, path: str, sent: Any
) -> None:
    began = time.monotonic()
    token = "" if path == "auth/login/" else "bk_x" if path == "orders/" else "x" * 64

    answer = quickly(ask(without_database, f"/api/v1/{path}", method=method, body=sent, token=token), began)

    document = answer.problem(503, "unavailable")
    assert document["detail"] == "A part of the system is away for a moment. Nothing was changed; try again."
    assert answer.headers["retry-after"] == "2"


def test_without_postgresql_it_is_alive_and_not_ready(without_database: Served) -> None:
    assert ask(without_database, "/healthz").status == 200
    ready = ask(without_database, "/readyz")
    assert ready.status == 503
    assert {name: part["ok"] for name, part in ready.document["parts"].items()} == {
        "database": False,
        "redis": True,
        "sweeps": False,
    }


def test_the_back_office_shows_a_page_without_postgresql(without_database: Served) -> None:
    answer = ask(without_database, "/admin/", Cookie="sessionid=abcdefghijklmnopqrstuvwxyz012345")

    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert b"One moment, please" in answer.content


def test_when_postgresql_comes_back_so_does_everything(alice: Driver, tmp_path: Path) -> None:
    settings = connection.settings_dict
    relay = Relay(int(settings["PORT"] or 5432))
    relay.join()
    order = cast.order()
    token = token_of(alice)
    with served(tmp_path, DATABASE_URL=database_url(relay.port)) as server:

        def accept() -> Answer:
            return ask(server, f"/api/v1/orders/{order.pk}/accept/", method="POST", body={}, token=token)

        assert ask(server, "/api/v1/driver/", token=token).status == 200
        relay.cut()
        began = time.monotonic()
        quickly(accept(), began).problem(503, "unavailable")
        relay.join()
        assert wait_until(accept, within=3).status == 200
        relay.cut()
    assert cast.history(order) == ["created", "offered", "assigned"]


# --- Redis -----------------------------------------------------------------------------------------------------------


def test_without_redis_drivers_go_on_working(alice: Driver, tmp_path: Path) -> None:
    token = token_of(alice)
    _, key = create_api_key(name="Shop", scopes=["orders:read", "orders:write"])
    redis = Redis("redis", tmp_path)
    redis.start()
    with served(tmp_path, REDIS_URL=redis.url) as server:

        def call(method: str, path: str, sent: Any = None) -> Answer:
            by = key if path == "orders/" else "" if path == "auth/login/" else token
            began = time.monotonic()
            return quickly(ask(server, f"/api/v1/{path}", method=method, body=sent, token=by), began)

        assert call("POST", "auth/ticket/").status == 200
        redis.stop()

        order = call("POST", "orders/", body())
        assert order.status == 201
        assert [card["order"] for card in call("GET", "driver/sync/").document["offers"]] == [order.document["id"]]
        assert call("POST", "driver/heartbeat/", {"lat": 37.7955, "lng": -122.3937}).document["open_offers"] == 1
        assert call("POST", f"orders/{order.document['id']}/accept/").status == 200
        assert call("GET", "driver/").status == 200
        assert call("POST", "auth/login/", {"username": "alice", "password": cast.PASSWORD}).status == 200
        call("POST", "auth/ticket/").problem(503, "unavailable")
        assert ask(server, "/readyz").document["parts"]["redis"]["ok"] is False

        redis.start()
        assert call("POST", "auth/ticket/").status == 200
    redis.stop()


@pytest.mark.parametrize("path", ["/admin/login/", "/api/v1/auth/login/"])
def test_a_sign_in_that_fails_because_postgresql_is_away_costs_no_attempt(
    without_database: Served, settings: Any, path: str
) -> None:
    settings.REDIS_PREFIX = without_database.prefix
    csrf = "t" * 32
    form = {"username": "dora", "password": cast.PASSWORD, "csrfmiddlewaretoken": csrf}
    of_the_admin = path == "/admin/login/"
    sent: Any = urlencode(form).encode() if of_the_admin else {name: form[name] for name in ("username", "password")}
    kind = "application/x-www-form-urlencoded" if of_the_admin else "application/json"

    for _ in range(3):
        answer = ask(without_database, path, method="POST", body=sent, Content_Type=kind, Cookie=f"csrftoken={csrf}")
        assert (answer.status, answer.headers["retry-after"]) == (503, "2"), answer.content

    assert list(redisdb.client().scan_iter(redisdb.key("limit", "refused-sign-ins", "*"))) == []
