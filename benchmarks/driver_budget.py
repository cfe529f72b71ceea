"""What the driver's app costs a cheap phone, against its budget.

    python benchmarks/driver_budget.py --url http://localhost:8000
    BATON_PASSWORD=… python benchmarks/driver_budget.py --url http://localhost:8000 --user d1 --seconds 60

Script over the wire, time until the first screen can be used with a processor four times slower, time to open again without
network; with a driver's sign-in also whatever moves by itself in the feed while offers come and go. Exits 1 when over
budget.
Service workers want HTTPS or localhost.
"""

import argparse
import os
import sys
import time
from dataclasses import dataclass

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

SCRIPT_BYTES = 120_000
INTERACTIVE_MS = 2_000
OFFLINE_MS = 1_000
SLOWDOWN = 4
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
#: Notes when the first screen is there to be used, in milliseconds since the navigation began.
WATCH = """
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted = (window.shifted ?? 0) + entry.value;
}).observe({ type: "layout-shift", buffered: true });
window.ready = new Promise((done) => {
    const look = () => {
        if (!document.querySelector("main h1")) requestAnimationFrame(look);
        else requestAnimationFrame(() => setTimeout(() => done(performance.now())));
    };
    look();
});
"""
#: Settled when the service worker has kept everything and looks after the page.
INSTALLED = """async () => {
    const worker = navigator.serviceWorker;
    await worker.ready;
    if (!worker.controller) await new Promise((done) => worker.addEventListener("controllerchange", done));
}"""


@dataclass(frozen=True, slots=True)
class Opening:
    """One first visit and one without network."""

    script_bytes: int
    interactive_ms: float
    offline_ms: float
    shifted: float


def measure_opening(browser: Browser, url: str) -> Opening:
    """Everything anew: no cache, no service worker."""
    context = browser.new_context(**PHONE)  # type: ignore[arg-type]  # a dictionary of several types
    context.add_init_script(WATCH)
    try:
        page = context.new_page()
        script_bytes, interactive = _first(context, page, url)
        shifted: float = page.evaluate("window.shifted ?? 0")
        page.evaluate(INSTALLED)
        context.set_offline(True)
        page.goto(f"{url}/driver/")
        offline = _ready(page)
        return Opening(script_bytes, interactive, offline, shifted)
    finally:
        context.close()


def _first(context: BrowserContext, page: Page, url: str) -> tuple[int, float]:
    devtools = context.new_cdp_session(page)
    scripts: set[str] = set()
    sizes: dict[str, float] = {}
    devtools.send("Network.enable")
    devtools.on("Network.responseReceived", lambda e: scripts.add(e["requestId"]) if e["type"] == "Script" else None)
    devtools.on("Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]}))
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
    page.goto(f"{url}/driver/")
    interactive = _ready(page)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    page.wait_for_load_state("networkidle")
    return round(sum(size for key, size in sizes.items() if key in scripts)), interactive


def _ready(page: Page) -> float:
    ready: float = page.evaluate("window.ready")
    return ready


def watch_feed(browser: Browser, url: str, user: str, seconds: float) -> float:
    """The sum of layout shifts while a driver looks at the feed."""
    context = browser.new_context(
        **PHONE,  # type: ignore[arg-type]  # as above
        permissions=["geolocation"],
        geolocation={"latitude": 37.7955, "longitude": -122.3937},
        locale="en-US",
    )
    context.add_init_script(WATCH)
    try:
        page = context.new_page()
        page.goto(f"{url}/driver/")
        page.get_by_label("User name").fill(user)
        page.get_by_label("Password", exact=True).fill(os.environ["BATON_PASSWORD"])
        page.get_by_role("button", name="Sign in").click()
        on, duty = page.get_by_role("button", name="Go on duty"), page.locator(".duty")
        on.or_(duty).first.wait_for()
        if on.count():
            on.click()
        duty.wait_for()
        page.evaluate("window.shifted = 0")
        until = time.monotonic() + seconds
        seen = 0
        while time.monotonic() < until:
            page.wait_for_timeout(500)
            seen = max(seen, page.locator(".offer").count())
        print(f"feed watched for {seconds:.0f} s, at most {seen} cards at once")
        shifted: float = page.evaluate("window.shifted")
        return shifted
    finally:
        context.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--user", default="")
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args()
    program = os.environ.get("BATON_CHROMIUM") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        opening = measure_opening(browser, asked.url)
        shifted = opening.shifted
        if asked.user:
            shifted += watch_feed(browser, asked.url, asked.user, asked.seconds)
        browser.close()
    lines = [
        ("script over the wire", opening.script_bytes / 1000, SCRIPT_BYTES / 1000, "kB"),
        (f"interactive, processor {SLOWDOWN}× slower", opening.interactive_ms, INTERACTIVE_MS, "ms"),
        ("opens without network", opening.offline_ms, OFFLINE_MS, "ms"),
        ("layout shift", shifted, 0.0, ""),
    ]
    for name, found, budget, unit in lines:
        print(f"{name:34} {found:8.1f} {unit:2}  budget {budget:g}  {'ok' if found <= budget else 'OVER'}")
    return 1 if any(found > budget for _, found, budget, _ in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
