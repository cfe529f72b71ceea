"""The map in a Chromium that draws WebGL in software, signed in as a dispatcher, fed by the test (rig.js)."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page

from tests import staff
from tests.waiting import BROWSER_MS

HERE = Path(__file__).parent
AXE = Path(django_settings.BASE_DIR) / "node_modules" / "axe-core" / "axe.min.js"

Open = Callable[..., Page]


@pytest.fixture(scope="package")
def drawing(chromium: Browser) -> Iterator[Browser]:
    program = os.environ.get("BATON_CHROMIUM") or "/usr/bin/chromium"
    software = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
    browser = chromium.browser_type.launch(executable_path=program, args=["--no-sandbox", *software])
    yield browser
    browser.close()


@pytest.fixture
def window(drawing: Browser, live_server: Any, settings: Any) -> Iterator[BrowserContext]:
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    context = drawing.new_context(
        base_url=live_server.url, viewport={"width": 1280, "height": 800}, reduced_motion="reduce"
    )
    context.set_default_timeout(BROWSER_MS)
    yield context
    context.close()


def sign_in(window: BrowserContext, live_server: Any, user: User) -> None:
    client: Client = staff.signed_in(user)
    window.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])


@pytest.fixture
def open_map(window: BrowserContext, live_server: Any, complaints: list[str]) -> Open:
    """Open the board's page with the rig; `script` runs before anything of it. Without a user, a dispatcher."""

    def opened(*, script: str = "", theme: Any = "light", user: User | None = None) -> Page:
        sign_in(window, live_server, user or staff.member("dora", "dispatcher"))
        page = window.new_page()
        page.emulate_media(color_scheme=theme)
        page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                complaints.append(f"asked elsewhere: {asked.url}")
                if not asked.url.startswith((live_server.url, "data:"))
                else None
            ),
        )
        rig = (HERE / "rig.js").read_text()
        page.route("**/board/main.js", lambda route: route.fulfill(body=rig, content_type="text/javascript"))
        # Without a socket: this server has none.
        page.route("**/board/early.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
        if script:
            page.add_init_script(script)
        page.goto("/admin/board/")
        until(page, "Boolean(window.rig)")
        return page

    return opened


def shown(page: Page, orders: list[dict[str, Any]], drivers: list[dict[str, Any]]) -> None:
    """Feed the map, and wait until it has drawn that."""
    page.evaluate("([orders, drivers]) => rig.show(orders, drivers)", [orders, drivers])
    placed = sum(1 for driver in drivers if "lat" in driver)
    until(page, "count => rig.map.fleet.count === count && rig.map.stats.renders > 0", placed)
    settled(page)


def settled(page: Page) -> None:
    """The map stands still and what it was told is on screen."""
    until(page, "() => rig.map.isSettled()")


def until(page: Page, expression: str, *arguments: Any) -> None:
    """Playwright's own wait_for_function evaluates inside the page, which the page's policy forbids."""
    give_up = time.monotonic() + 60
    while not page.evaluate(expression, *arguments):
        assert time.monotonic() < give_up, expression
        page.wait_for_timeout(50)


def inaccessible(page: Page, within: str) -> list[str]:
    """What axe has against a part of the page (WCAG 2 A and AA)."""
    # Its own isolated world would need the page's policy to allow it; the file is read into the page by the debugger.
    page.evaluate(AXE.read_text())
    found = page.evaluate(
        "within => axe.run(within, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']}).then(r => r.violations.map("
        "v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 120) + ' ' + (n.any[0]?.message ?? '')).join(' | ')))",
        within,
    )
    texts: list[str] = found
    return texts
