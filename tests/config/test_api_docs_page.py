"""The documentation page in a real browser, under the real Content-Security-Policy."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from config.api_docs import openapi_document

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)


def look(address: str) -> tuple[int, str, list[str]]:
    """How many calls the page shows, the answer to one that is tried out, and what the browser complained of."""
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        page.wait_for_selector(".opblock")
        shown = page.locator(".opblock").count()
        call = page.locator("#operations-driver-own_profile")
        call.locator(".opblock-summary-control").click()
        call.locator(".try-out__btn").click()
        call.locator(".execute").click()
        answer = call.locator(".live-responses-table .microlight").first
        answer.wait_for()
        text = answer.inner_text()
        browser.close()
    return shown, text, complaints


def test_the_page_shows_every_call_and_tries_one_out(live_server: Any, settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    # Playwright runs an event loop in its thread, in which Django would refuse to touch the database.
    with ThreadPoolExecutor(1) as elsewhere:
        shown, text, complaints = elsewhere.submit(look, f"{live_server.url}/api/docs/").result(timeout=120)

    assert shown == sum(len(calls) for calls in openapi_document()["paths"].values())
    assert '"code": "not_authenticated"' in text
    # The browser's own note of the 401 is all that it has to say: nothing was kept out by the policy.
    assert [line for line in complaints if "401" not in line] == []
