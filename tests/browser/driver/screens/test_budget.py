"""What the app costs a cheap phone. benchmarks/driver_budget.py holds it to the budget on a machine that does nothing else;
here bytes and shifts are exact, and times are given what a slow and busy machine needs."""

import pytest
from playwright.sync_api import Browser

from benchmarks.driver_budget import INTERACTIVE_MS, OFFLINE_MS, SCRIPT_BYTES, measure_opening
from tests.browser.driver.conftest import AppServer

pytestmark = pytest.mark.browser

#: So many times slower may the machine of the tests be.
SLOWER = 5


def test_the_app_is_within_its_budget(chromium: Browser, running_server: AppServer) -> None:
    openings = [measure_opening(chromium, f"http://127.0.0.1:{running_server.port}") for _ in range(3)]
    assert max(opening.script_bytes for opening in openings) < SCRIPT_BYTES
    assert min(opening.interactive_ms for opening in openings) < SLOWER * INTERACTIVE_MS
    assert min(opening.offline_ms for opening in openings) < SLOWER * OFFLINE_MS
    assert [opening.shifted for opening in openings] == [0, 0, 0]
