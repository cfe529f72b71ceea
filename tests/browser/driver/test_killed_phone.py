"""The whole browser is killed, as a phone does when it runs out of memory or battery: what was tapped is on the disk."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType

from tests.browser.driver.rig import Phone, wait_for
from tests.browser.driver.scripted import Order, ScriptedServer

pytestmark = pytest.mark.browser


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.close()


@contextmanager
def started(kind: BrowserType, folder: Path) -> Iterator[BrowserContext]:
    program = os.environ.get("BATON_CHROMIUM") or "/usr/bin/chromium"
    context = kind.launch_persistent_context(folder, executable_path=program, args=["--no-sandbox", "--disable-gpu"])
    try:
        yield context
    finally:
        with suppress(Exception):
            context.close()


def kill_browser(folder: Path) -> None:
    """Every process of the browser that lives in this folder, at once."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            if f"--user-data-dir={folder}" in (entry / "cmdline").read_bytes().decode(errors="replace"):
                os.kill(int(entry.name), signal.SIGKILL)


def test_a_phone_that_is_killed_loses_no_tap_and_resumes(
    chromium: Browser, server: ScriptedServer, tmp_path: Path
) -> None:
    server.world.orders = {"o1": Order(), "o2": Order()}
    timing: dict[str, Any] = {"drainMs": 200, "outbox": {"actMs": 1000, "backoff": {"firstMs": 50, "longestMs": 200}}}
    with started(chromium.browser_type, tmp_path) as context:
        phone = Phone(context, server.url, timing, path="/tab/")
        phone.sign_in("d1", "")
        phone.sees(lambda state: len(state["offers"]) == 2, "two offers")
        server.world.is_cut = True
        phone.do("accept", "o1")
        phone.do("pickUp", "o1")
        phone.do("decline", "o2")
        # Not a moment later: what was said to be safe is safe.
        kill_browser(tmp_path)
    server.world.is_cut = False
    assert server.world.judged == []
    with started(chromium.browser_type, tmp_path) as context:
        phone = Phone(context, server.url, timing, path="/tab/")
        assert phone.state["driver"]["username"] == "d1"
        assert phone.state["duty"]["wanted"] is True
        phone.sees(lambda state: state["waiting"] == [], "everything is sent")
        phone.sees(lambda state: [one["status"] for one in state["active"]] == ["picked_up"], "picked up")
        wait_for(lambda: sorted(phone.told) == ["accepted", "declined", "picked_up"], "the news")
    done = [(one.order, one.verb, one.code) for one in server.world.judged]
    assert sorted(done) == [("o1", "accept", "ok"), ("o1", "pick-up", "ok"), ("o2", "decline", "ok")]
    assert done.index(("o1", "accept", "ok")) < done.index(("o1", "pick-up", "ok"))
