"""A real Chromium (Debian's) on a live server: BATON_CHROMIUM names another one."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

#: What is expected is waited for so long, ms: a machine may be slow and busy.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Gone, with what it asks of its process, before the tests that come after those in browsers."""
    program = os.environ.get("BATON_CHROMIUM") or "/usr/bin/chromium"
    with pytest.MonkeyPatch.context() as process, sync_playwright() as playwright:
        # Playwright's synchronous interface runs an event loop in this thread; Django would take that for async code.
        process.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about: blocked by the Content-Security-Policy, not found, thrown."""
    return []


@pytest.fixture
def page(chromium: Browser, live_server: Any, settings: Any, complaints: list[str]) -> Iterator[Page]:
    """A fresh window on the live server."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    context = chromium.new_context(base_url=live_server.url, viewport={"width": 1360, "height": 900})
    context.set_default_timeout(20_000)
    window = context.new_page()
    window.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    window.on("pageerror", lambda error: complaints.append(str(error)))
    yield window
    context.close()
