from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests import cast
from tests.browser.driver.conftest import AppServer
from tests.browser.driver.screens.stage import APP, PHONE, Stage
from tests.proxy import Proxy
from tests.waiting import BROWSER_MS


@pytest.fixture
def pocket(chromium: Browser) -> Iterator[BrowserContext]:
    """A phone of its own, at the ferry building."""
    context = chromium.new_context(
        **PHONE,
        locale="en-US",
        geolocation={"latitude": cast.FERRY_BUILDING[0], "longitude": cast.FERRY_BUILDING[1], "accuracy": 8},
        permissions=["geolocation", "clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(BROWSER_MS)
    yield context
    context.close()


@pytest.fixture
def listen(complaints: list[str]) -> Iterator[list[str]]:
    """Every test ends with a browser that had nothing to complain about."""
    yield complaints
    assert complaints == []


@pytest.fixture
def app(pocket: BrowserContext, network: Proxy, listen: list[str]) -> Page:
    """The app as it is served, nobody signed in."""
    page = pocket.new_page()
    _hear(page, listen)
    page.goto(network.url + APP)
    return page


@pytest.fixture
def stage(pocket: BrowserContext, running_server: AppServer, listen: list[str]) -> Stage:
    """The app with a core of the test's making."""
    stage = Stage(pocket, f"http://127.0.0.1:{running_server.port}")
    _hear(stage.page, listen)
    return stage


def _hear(page: Page, complaints: list[str]) -> None:
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
