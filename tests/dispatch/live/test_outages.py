"""Redis or the database goes away, and comes back."""

import signal
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings as current
from django.db import connections
from redis import Redis as Remote

from config import env
from dispatch import live, services, shards
from drivers.models import Driver, Presence
from tests import cast
from tests.dispatch.live.rig import Client, Redis, Server, open_board, open_driver, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    own = Redis("redis", tmp_path)
    own.start()
    yield own
    own.stop(signal.SIGKILL)


@pytest.fixture
def server(redis: Redis, transactional_db: None, settings: Any, tmp_path: Path) -> Iterator[Server]:
    """A server with a Redis of its own; this process publishes there too."""
    layers = deepcopy(settings.CHANNEL_LAYERS)
    layers["default"]["CONFIG"] |= {"prefix": "outages", "hosts": [{"address": redis.url}]}
    settings.CHANNEL_LAYERS = layers
    own = Server(tmp_path, prefix="outages", redis_url=redis.url)
    own.start()
    yield own
    own.stop()


@pytest.fixture
def connect_driver(server: Server, clients: list[Client]) -> Callable[[Driver], Client]:
    def connected(driver: Driver) -> Client:
        client = open_driver(server, driver)
        clients.append(client)
        assert client.frame()["type"] == "snapshot"
        return client

    return connected


Connect = Callable[[Driver], Client]


def test_after_a_restart_of_redis_sockets_are_told_to_sync_and_pushes_go_on(
    redis: Redis, connect_driver: Connect, alice: Driver, bob: Driver
) -> None:
    at_alice = connect_driver(alice)
    redis.stop(signal.SIGKILL)

    # Orders and heartbeats need only the database; so do new sockets.
    lost = cast.order()
    assert at_alice.is_served()
    at_bob = connect_driver(bob)
    assert at_bob.is_served()

    redis.start()
    for client in (at_alice, at_bob):
        client.get("resync", within=15)
    at_alice.send(type="sync")
    assert [card["order"] for card in at_alice.get("snapshot")["offers"]] == [str(lost.pk)]
    order = cast.order()
    assert at_alice.get("offer")["offer"]["order"] == str(order.pk)


def test_a_connection_that_redis_drops_is_noticed_even_if_it_is_back_at_once(
    redis: Redis, connect_driver: Connect, alice: Driver
) -> None:
    at_alice = connect_driver(alice)

    with Remote.from_url(redis.url) as admin:
        assert admin.client_kill_filter(_type="pubsub") == 1

    at_alice.get("resync", within=5)
    cast.order()
    at_alice.get("offer")


def test_a_frozen_redis_delays_an_act_by_less_than_a_second(
    redis: Redis, connect_driver: Connect, alice: Driver
) -> None:
    at_alice = connect_driver(alice)
    cast.order()
    at_alice.get("offer")
    assert redis.child is not None
    redis.child.send_signal(signal.SIGSTOP)

    started = time.monotonic()
    for _ in range(3):
        cast.order()
    assert time.monotonic() - started < 2
    assert at_alice.is_served()

    redis.child.send_signal(signal.SIGCONT)
    at_alice.get("resync", within=15)


def test_a_message_lost_on_the_way_is_noticed(redis: Redis, connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)
    cast.order()
    at_alice.get("offer")

    # One that was published but never arrived, as when Redis drops a slow subscriber.
    live._publisher().counts[shards.DRIVERS] += 1
    services.go_offline(driver_id=alice.pk)

    at_alice.get("resync")


def test_without_the_database_each_heartbeat_is_told_so_and_the_socket_stays_open(
    server: Server, connect_driver: Connect, alice: Driver, bob: Driver
) -> None:
    at_alice, at_bob = connect_driver(alice), connect_driver(bob)
    name = current.DATABASES["default"]["NAME"]
    with elsewhere("DATABASE_OWNER_URL") as owner, elsewhere("DATABASE_URL") as app:
        owner.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
        try:
            app.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            for client in (at_alice, at_bob):
                client.send(type="heartbeat", lat=37.7, lng=-122.4, id="h")
                client.send(type="sync")
            for client in (at_alice, at_bob):
                errors = [client.get("error", within=25) for _ in range(2)]
                assert sorted(error.get("id", "") for error in errors) == ["", "h"]
                assert [error["problem"]["code"] for error in errors] == ["unavailable", "unavailable"]
        finally:
            owner.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
    connections.close_all()

    wait_until(lambda: _is_answered(at_alice), within=20)
    assert Presence.objects.get(pk=alice.pk).last_seen is not None
    assert at_bob.is_served()


def _is_answered(client: Client) -> bool:
    client.send(type="heartbeat", lat=37.7, lng=-122.4, id="again")
    while (frame := client.frame(within=20))["type"] not in {"heartbeat_ack", "error"}:
        pass
    return bool(frame["type"] == "heartbeat_ack")


def elsewhere(variable: str) -> psycopg.Connection[Any]:
    """Somebody connected to another database than the tests'."""
    login = env.database(variable)
    return psycopg.connect(
        host=login["HOST"],
        port=login["PORT"],
        user=login["USER"],
        password=login["PASSWORD"],
        dbname="postgres",
        autocommit=True,
    )


def test_a_board_is_told_while_its_server_is_cut_off_from_the_news(
    redis: Redis, server: Server, clients: list[Client]
) -> None:
    board = open_board(server, cast.dispatcher("dora"))
    clients.append(board)
    board.send(type="ping", id=1)
    assert board.get("pong", id=1)["live"] is True

    def says(*, live: bool) -> bool:
        # No quicker than the socket takes.
        time.sleep(0.2)
        board.send(type="ping", id=2)
        return bool(board.get("pong", id=2)["live"] is live)

    redis.stop(signal.SIGKILL)
    wait_until(lambda: says(live=False))
    redis.start()
    wait_until(lambda: says(live=True), within=15)
