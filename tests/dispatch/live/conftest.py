import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from drivers.models import Driver
from tests.dispatch.live.rig import Client, Server, open_board, open_driver

#: Redis has one name space for all its subscribers, whatever the database number.
PREFIX = f"test{os.getpid()}"


@pytest.fixture(scope="session")
def running_server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("live"), prefix=PREFIX)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_prefix(settings: Any) -> None:
    layers = deepcopy(settings.CHANNEL_LAYERS)
    layers["default"]["CONFIG"]["prefix"] = PREFIX
    settings.CHANNEL_LAYERS = layers
    settings.REDIS_PREFIX = PREFIX


@pytest.fixture
def server(running_server: Server, transactional_db: None, own_prefix: None) -> Server:
    """The application, served; what the test commits is what it sees."""
    return running_server


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    """Whoever is connected is disconnected at the end."""
    connected: list[Client] = []
    yield connected
    for client in connected:
        client.close()


@pytest.fixture
def connect_driver(server: Server, clients: list[Client]) -> Callable[..., Client]:
    def connected(driver: Driver, **options: Any) -> Client:
        client = open_driver(server, driver, **options)
        clients.append(client)
        assert client.frame()["type"] == "snapshot"
        return client

    return connected


@pytest.fixture
def connect_board(server: Server, clients: list[Client]) -> Callable[..., Client]:
    def connected(user: Any, **options: Any) -> Client:
        client = open_board(server, user, **options)
        clients.append(client)
        assert client.frame()["type"] == "snapshot"
        return client

    return connected
