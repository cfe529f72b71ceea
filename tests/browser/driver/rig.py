"""A driver's phone in Chromium, and what a test may ask of it and do to it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from tests.dispatch.live.rig import ROOT
from tests.waiting import BROWSER_MS

#: Nothing here takes longer than this unless it is broken, also on a slow machine.
PATIENCE = BROWSER_MS / 1000
#: Where the app runs without its screens: a page of the same server, with nothing in it, under the same strict policy.
PAGE = "/healthz"
#: Everything sooner than in life, so that a test need not wait for it.
QUICK: dict[str, Any] = {
    "syncMs": 60_000,
    "drainMs": 1000,
    "outbox": {"backoff": {"firstMs": 100, "longestMs": 500}},
    "link": {
        "beatMs": 2000,
        "answerMs": 1800,
        "probeMs": 1800,
        "backoff": {"firstMs": 100, "longestMs": 1000},
    },
}


def collect_static(folder: Path) -> None:
    """What this checkout serves, as `bin/up` would collect it."""
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"],
        cwd=ROOT,
        env={**os.environ, "BATON_STATIC_ROOT": str(folder)},
        check=True,
        capture_output=True,
    )


class Phone:
    """One tab with the app's core in it, and no screens."""

    def __init__(
        self, context: BrowserContext, base: str, timing: dict[str, Any] | None = None, path: str = PAGE
    ) -> None:
        self.context = context
        self.base = base
        self.path = path
        self.timing = QUICK if timing is None else timing
        self.driver_id = 0
        self.page: Page = self._tab()

    def _tab(self) -> Page:
        page = self.context.new_page()
        page.goto(self.base + self.path)
        self.start(page)
        return page

    def start(self, page: Page) -> None:
        page.evaluate(
            """async (timing) => {
                const { createApp } = await import("/static/driver/core/app.js");
                window.app = createApp({ timing });
            }""",
            self.timing,
        )
        wait_for(lambda: page.evaluate("window.app.state().phase") != "starting", "the app starts")

    def another_tab(self) -> "Phone":
        other = object.__new__(Phone)
        other.context, other.base, other.timing, other.path = self.context, self.base, self.timing, self.path
        other.driver_id = self.driver_id
        other.page = other._tab()
        return other

    def close(self) -> None:
        """The driver swipes the tab away."""
        self.page.close()

    def reopen(self) -> None:
        self.page = self._tab()

    def reload(self) -> None:
        self.page.reload()
        self.start(self.page)

    # --- The page's time, if the context's clock was installed before it was opened ---

    def stop_time(self) -> None:
        """From here on it goes by only when the test says so. What the network brings still arrives."""
        soon: float = self.page.evaluate("Date.now() + 50")
        self.page.clock.pause_at(datetime.fromtimestamp(soon / 1000, UTC))

    def let_pass(self, seconds: float) -> None:
        self.page.clock.run_for(round(seconds * 1000))

    # --- What the driver does ---

    def do(self, action: str, *args: Any) -> Any:
        """An action of the app; returns when the tap is safe."""
        return self.page.evaluate("([name, args]) => window.app.actions[name](...args)", [action, list(args)])

    def go_on_duty(self) -> None:
        self.page.evaluate("window.app.actions.setDuty(true)")

    def go_off_duty(self) -> None:
        self.page.evaluate("window.app.actions.setDuty(false)")

    def sign_in(self, username: str, password: str) -> None:
        self.do("signIn", username, password)

    # --- What the driver sees ---

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.page.evaluate("JSON.parse(JSON.stringify(window.app.state()))")
        return state

    def sees(self, what: Callable[[dict[str, Any]], Any], why: str, within: float = PATIENCE) -> Any:
        """Waits until the state is so; returns what `what` returned."""
        return wait_for(lambda: what(self.state), why, within, lambda: json.dumps(self.state, indent=1))

    @property
    def offers(self) -> list[str]:
        return [offer["order"] for offer in self.state["offers"]]

    @property
    def active(self) -> dict[str, str]:
        return {order["id"]: order["status"] for order in self.state["active"]}

    @property
    def waiting(self) -> list[tuple[str, str]]:
        return [(act["kind"], act["state"]) for act in self.state["waiting"]]

    @property
    def told(self) -> list[str]:
        """The codes of the notices, oldest first."""
        return [notice["code"] for notice in reversed(self.state["notices"])]


def kill_tabs(browser: Browser) -> None:
    """Every tab's process dies in the middle of whatever it was doing: no last word, no last write."""
    info = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
    tabs = [process["id"] for process in info["processInfo"] if process["type"] == "renderer"]
    assert tabs, "no tab to be killed"
    for pid in tabs:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_for(
    condition: Callable[[], Any], why: str, within: float = PATIENCE, explain: Callable[[], str] = lambda: ""
) -> Any:
    """What `condition` returns as soon as that is true."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {why}\n{explain()}")
        time.sleep(0.02)
    return found


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    started = time.monotonic()
    yield lambda: time.monotonic() - started
