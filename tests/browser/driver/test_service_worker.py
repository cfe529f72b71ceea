"""The app as it is installed: opens without network, is updated with consent, sends what waits when it is closed."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.driver.rig import stopwatch, wait_for
from tests.proxy import Proxy

pytestmark = pytest.mark.browser


@pytest.fixture
def app(browser_context: BrowserContext, network: Proxy) -> Iterator[Page]:
    """The page as drivers get it, with its service worker in charge."""
    page = browser_context.new_page()
    page.goto(f"{network.url}/driver/")
    wait_for(lambda: page.evaluate("navigator.serviceWorker.ready.then(() => 1)"), "the worker is active")
    wait_for(lambda: page.evaluate("navigator.serviceWorker.controller !== null"), "the worker is in charge")
    yield page
    page.close()


def test_the_app_opens_without_network_in_under_a_second(app: Page, network: Proxy) -> None:
    network.cut()
    with stopwatch() as elapsed:
        app.goto(f"{network.url}/driver/", wait_until="domcontentloaded")
        assert elapsed() < 1.0
    assert app.locator("#app").count() == 1
    assert app.evaluate("performance.getEntriesByType('navigation')[0].workerStart") > 0


def test_nothing_of_the_api_is_in_a_cache(app: Page) -> None:
    cached = app.evaluate(
        """async () => {
            const addresses = [];
            for (const key of await caches.keys()) {
                for (const request of await (await caches.open(key)).keys()) addresses.push(new URL(request.url).pathname);
            }
            return addresses;
        }"""
    )
    assert "/driver/" in cached
    assert [path for path in cached if path.startswith(("/api/", "/ws/"))] == []
