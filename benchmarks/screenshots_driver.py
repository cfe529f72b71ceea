"""Pictures of the driver's app for docs/img: a story that is always the same, in every theme and in Arabic.

    python -m benchmarks.screenshots_driver --url http://localhost:8000

The pages come from a running Baton; what they show is told by the core that the browser tests use (a real one has an expired
offer or a full history only by chance). Exits 1 when the browser complained.
"""

import argparse
import os
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.driver.screens.stage import PHONE, Stage, act, message, notice, offer, order

OUT = Path(__file__).resolve().parents[1] / "docs" / "img"
#: Bytes that a picture may have; colours it is reduced to for that.
LARGEST = 150_000
COLOURS = 128

BAKERY = {"lat": 37.7942, "lng": -122.4078, "address": "Chinatown Bakery, 1068 Stockton Street"}
PARK = {"lat": 37.7786, "lng": -122.3893, "address": "Oracle Park, Gate 4"}
OFFLINE = {"link": {"state": "offline", "since": 0, "heardAt": 0, "roundTripMs": None}}


def story() -> dict[str, tuple[str, dict[str, Any]]]:
    """Picture → the screen's address and what is so."""
    offers = [
        offer("o1", seconds=96),
        offer("o2", seconds=14, payout="9.20", distance_m=2300, pickup=BAKERY),
        offer("o3", seconds=70, payout="21.00", distance_m=4100, pickup=PARK),
    ]
    carried = order("a1", "picked_up")
    waits = [act("accept", "o1")]
    return {
        "sign-in": ("", {"phase": "signed_out", "driver": None}),
        "off-duty": ("", {"duty": {"wanted": False, "confirmed": False}}),
        "offers": ("", {"offers": offers}),
        "offline": ("", {**OFFLINE, "offers": [{**offers[0], "act": waits[0]}, offers[2]], "waiting": waits}),
        "pickup": ("#/orders", {"active": [order("a1")]}),
        "customer": ("#/orders", {"active": [carried, order("a2", pickup=BAKERY)]}),
        "signature": ("#/order/a1/deliver", {"active": [carried]}),
        "messages": (
            "#/messages",
            {"messages": [message(1, "Pier 39 is closed to cars until 18:00. Park at Bay Street and walk."),
                          message(2, "Thanks for the long evening!", read=True)]},
        ),
        "today": ("#/today", {}),
        "check": ("#/check", {}),
        "settings": ("#/settings", {}),
    }  # fmt: skip


#: What is shown in which theme and language, besides everything in light English.
ALSO = {
    ("dark", "en"): ["offers", "customer", "today"],
    ("sunlight", "en"): ["offers", "customer"],
    ("light", "ar"): ["offers", "customer", "check"],
}


def take(browser: Browser, url: str, complaints: list[str], name: str, theme: str, language: str) -> None:
    context = browser.new_context(**PHONE, device_scale_factor=2, locale="ar" if language == "ar" else "en-US")
    stage = Stage(context, url)
    stage.page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    stage.page.on("pageerror", lambda error: complaints.append(str(error)))
    address, state = story()[name]
    page = stage.show(address, theme=theme, language=language, **state)
    if name == "offers":
        taken = notice("order_taken", "bad", "o2", seconds=40, kind="accept")
        stage.tell(offers=[one for one in state["offers"] if one["order"] != "o2"], notices=[taken])
    if name == "signature":
        page.get_by_role("radio", name="Signature").check()
        box = page.locator("#signature").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 50, box["y"] + 80)
        page.mouse.down()
        for x, y in (
            (70, 30),
            (85, 30),
            (80, 85),
            (110, 60),
            (125, 85),
            (150, 50),
            (165, 85),
            (190, 60),
            (215, 82),
            (265, 58),
        ):
            page.mouse.move(box["x"] + x, box["y"] + y, steps=6)
        page.mouse.up()
        page.evaluate("scrollTo(0, 0)")
    if name == "check":
        expect(page.locator(".aloud-text")).to_be_attached()
    if name == "today":
        expect(page.locator(".past").first).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    suffix = "" if (theme, language) == ("light", "en") else f"-{language if language != 'en' else theme}"
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    path = OUT / f"driver-{name}{suffix}.png"
    picture.save(path, optimize=True)
    assert path.stat().st_size < LARGEST, path
    context.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8000")
    asked = parser.parse_args()
    complaints: list[str] = []
    program = os.environ.get("BATON_CHROMIUM") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for (theme, language), names in {("light", "en"): list(story()), **ALSO}.items():
            for name in names:
                take(browser, asked.url, complaints, name, theme, language)
        browser.close()
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
