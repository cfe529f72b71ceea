import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests import cast
from tests.browser.driver.rig import Phone, collect_static
from tests.dispatch.live.rig import Server
from tests.proxy import Proxy
from tests.waiting import BROWSER_MS

#: Redis has one name space for all its subscribers, whatever the database number.
PREFIX = f"phone{os.getpid()}"


class AppServer(Server):
    """The application as it is served, with the static files of this checkout."""

    def __init__(self, folder: Path, static: Path) -> None:
        super().__init__(folder, prefix=PREFIX)
        self.static = static

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "BATON_STATIC_ROOT": str(self.static)}


@pytest.fixture(scope="session")
def static_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("static")
    collect_static(folder)
    return folder


@pytest.fixture(scope="session")
def running_server(
    django_db_setup: None, static_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AppServer]:
    server = AppServer(tmp_path_factory.mktemp("server"), static_files)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(running_server: AppServer, transactional_db: None, settings: Any) -> AppServer:
    """The application, served; what the test commits is what it sees."""
    layers = deepcopy(settings.CHANNEL_LAYERS)
    layers["default"]["CONFIG"]["prefix"] = PREFIX
    settings.CHANNEL_LAYERS = layers
    settings.REDIS_PREFIX = PREFIX
    return running_server


@pytest.fixture
def network(server: AppServer) -> Iterator[Proxy]:
    """What lies between the phone and the server."""
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def browser_context(chromium: Browser) -> Iterator[BrowserContext]:
    """A phone of its own: own storage, own permissions."""
    context = chromium.new_context(
        viewport={"width": 360, "height": 740},
        geolocation={"latitude": cast.FERRY_BUILDING[0], "longitude": cast.FERRY_BUILDING[1], "accuracy": 8},
        permissions=["geolocation"],
    )
    context.set_default_timeout(BROWSER_MS)
    yield context
    context.close()


@pytest.fixture
def open_phone(network: Proxy, browser_context: BrowserContext, complaints: list[str]) -> Callable[..., Phone]:
    """A phone with the app open, nobody signed in."""

    def opened(timing: dict[str, Any] | None = None) -> Phone:
        phone = Phone(browser_context, network.url, timing)
        phone.page.on("pageerror", lambda error: complaints.append(str(error)))
        return phone

    return opened


@pytest.fixture
def phone(open_phone: Callable[..., Phone]) -> Phone:
    return open_phone()


@pytest.fixture
def on_duty(phone: Phone, complaints: list[str]) -> Iterator[Phone]:
    """The phone of alice, who is on duty at the ferry building."""
    alice = cast.driver("alice", is_online=False)
    phone.driver_id = alice.pk
    phone.sign_in("alice", cast.PASSWORD)
    phone.go_on_duty()
    phone.sees(lambda state: state["link"]["state"] == "live" and state["duty"]["confirmed"], "alice is on duty")
    phone.sees(lambda state: state["position"], "alice is somewhere")
    cast.move(alice, cast.FERRY_BUILDING)
    yield phone
    assert complaints == []
