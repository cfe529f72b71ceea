"""Live push spread over two Redis servers: each carries its own drivers, and one that is away takes only them along."""

import signal
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from dispatch import shards
from drivers.models import Driver
from tests import cast
from tests.config.rig import ask
from tests.dispatch.live.rig import Redis, Server, open_driver, token_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.cluster]

PREFIX = "shards"


class Sharded(Server):
    def __init__(self, folder: Path, servers: list[Redis]) -> None:
        super().__init__(folder, prefix=PREFIX)
        self.servers = servers

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            "BATON_REDIS_SHARDS": ",".join(server.url for server in self.servers),
            "BATON_DATABASE_CONNECTIONS": "persistent",
        }


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Redis]]:
    """Two, for pushes alone; REDIS_URL is another one, as always."""
    started = [Redis(f"redis{number}", tmp_path) for number in range(2)]
    for redis in started:
        redis.start()
    yield started
    for redis in started:
        redis.stop(signal.SIGKILL)


@pytest.fixture
def server(servers: list[Redis], transactional_db: None, settings: Any, tmp_path: Path) -> Iterator[Server]:
    """Baton with these shards; this process publishes there too."""
    layers = deepcopy(settings.CHANNEL_LAYERS)
    layers["default"]["CONFIG"] |= {"prefix": PREFIX, "hosts": [{"address": redis.url} for redis in servers]}
    settings.CHANNEL_LAYERS = layers
    settings.REDIS_PREFIX = PREFIX
    own = Sharded(tmp_path, servers)
    own.start()
    yield own
    own.stop()


def on_each_shard() -> list[Driver]:
    """One driver for each of the two servers, in their order."""
    found: dict[str, Driver] = {}
    for number in range(2):
        driver = cast.driver(f"d{number}", at=cast.FERRY_BUILDING, capacity=9)
        found[shards.group_of(driver.pk)] = driver
    return [found[group] for group in shards.driver_groups()]


def test_each_server_carries_a_group_of_drivers(servers: list[Redis], server: Server) -> None:
    groups = shards.driver_groups()
    assert len(set(groups)) == 2
    assert [shards.shard_of(f"{PREFIX}__group__{group}", 2) for group in groups] == [0, 1]
    # Whatever their number, and as before when there is one.
    for count in (3, 4, 8):
        named = shards._named_for_each("baton", count)
        assert [shards.shard_of(f"baton__group__{group}", count) for group in named] == list(range(count))
    assert shards._named_for_each("baton", 1) == ("live.drivers",)


def test_one_server_dies_the_other_goes_on_and_nothing_acknowledged_is_lost(
    servers: list[Redis], server: Server
) -> None:
    drivers = on_each_shard()
    clients = [open_driver(server, driver) for driver in drivers]
    for client in clients:
        client.get("snapshot")

    # One order is told to both, over a server each.
    order = cast.order()
    for client in clients:
        assert client.get("offer")["offer"]["order"] == str(order.pk)

    servers[0].stop(signal.SIGKILL)
    lost = cast.order()
    assert clients[1].get("offer")["offer"]["order"] == str(lost.pk)
    # Who is on the other server does not hear of it, but every act goes on; so do tickets, limits and places (REDIS_URL).
    tokens = [token_of(driver) for driver in drivers]
    assert ask(server, f"/api/v1/orders/{order.pk}/accept/", method="POST", body={}, token=tokens[0]).status == 200
    assert clients[1].get("offer_closed")["order"] == str(order.pk)
    assert ask(server, "/api/v1/auth/ticket/", method="POST", token=tokens[0]).status == 200
    ready = ask(server, "/readyz").document["parts"]["redis"]
    assert (ready["ok"], ready["detail"]) == (False, "1 of 3 away")
    # Its heartbeats tell the app that it missed something: one order held, one offer open.
    clients[0].send(type="heartbeat", id="h", lat=cast.FERRY_BUILDING[0], lng=cast.FERRY_BUILDING[1])
    told = clients[0].get("heartbeat_ack", id="h")
    assert ([held for held, _ in told["active"]], told["open_offers"]) == ([str(order.pk)], 1)
    # Somebody new is let in at once, and one more of the living server hears everything.
    late = cast.driver("late", at=cast.FERRY_BUILDING)
    with_late = open_driver(server, late)
    assert with_late.frame()["type"] == "snapshot"

    servers[0].start()
    clients[0].get("resync", within=15)
    clients[0].send(type="sync")
    snapshot = clients[0].get("snapshot")
    assert [held["id"] for held in snapshot["active"]] == [str(order.pk)]
    assert [card["order"] for card in snapshot["offers"]] == [str(lost.pk)]
    again = cast.order()
    for client in clients:
        assert client.get("offer")["offer"]["order"] == str(again.pk)
    # Only those whose server it was were told to read everything anew.
    assert not [frame for frame in clients[1].others if frame["type"] == "resync"]
    assert ask(server, "/readyz").document["parts"]["redis"]["ok"] is True
    for client in (*clients, with_late):
        client.close()


def test_a_frozen_server_costs_those_of_the_other_nothing(servers: list[Redis], server: Server) -> None:
    _, second = on_each_shard()
    with_second = open_driver(server, second)
    with_second.get("snapshot")
    assert servers[0].child is not None
    servers[0].child.send_signal(signal.SIGSTOP)
    try:
        for _ in range(3):
            order = cast.order()
            assert with_second.get("offer", within=3)["offer"]["order"] == str(order.pk)
    finally:
        servers[0].child.send_signal(signal.SIGCONT)
    with_second.close()
