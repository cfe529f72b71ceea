"""Draw the driver app's icons from one SVG: the sizes that phones ask for, and the maskable ones with a wider margin.

    python benchmarks/driver_icons.py

Needed again only when the mark changes; what it draws is kept in drivers/static/driver/icons/.
"""

import os
from pathlib import Path

from playwright.sync_api import sync_playwright

OUT = Path(__file__).resolve().parents[1] / "drivers" / "static" / "driver" / "icons"
MARK = """<path d="M9 20 20 9l3 3-11 11z" fill="#ffd166"/>
<circle cx="9" cy="23" r="2.4" fill="#fff"/><circle cx="23" cy="9" r="2.4" fill="#fff"/>"""
FIELD = "#0f4c5c"


def drawing(*, round_corners: bool, scale: float) -> str:
    """`scale`: of the mark within the field; a launcher may cut a maskable icon down to its inner 80 %."""
    corner = 7 if round_corners else 0
    shift = 16 * (1 - scale)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        f'<rect width="32" height="32" rx="{corner}" fill="{FIELD}"/>'
        f'<g transform="translate({shift:g} {shift:g}) scale({scale:g})">{MARK}</g></svg>\n'
    )


def main() -> None:
    plain, maskable = drawing(round_corners=True, scale=1), drawing(round_corners=False, scale=0.8)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "icon.svg").write_text(plain, encoding="utf-8")
    program = os.environ.get("BATON_CHROMIUM") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for name, svg in (("icon", plain), ("maskable", maskable)):
            for size in (192, 512):
                page = browser.new_page(viewport={"width": size, "height": size})
                page.set_content(f"<style>body{{margin:0}}svg{{display:block;width:{size}px}}</style>{svg}")
                page.screenshot(path=str(OUT / f"{name}-{size}.png"), omit_background=True)
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
