"""Pictures of the back office of a running Baton, light and dark, and everything that the browser complains about.

    BATON_PASSWORD=… python benchmarks/screenshots_admin.py --url http://localhost:8000 --user admin --out /tmp/pictures

It reads only; what it can show depends on what is there. Exits 1 when the browser complained. The browser is Debian's
Chromium, or the one that BATON_CHROMIUM names.
"""

import argparse
import os
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

LISTS = {
    "front-page": "/admin/",
    "orders": "/admin/orders/order/",
    "orders-attention": "/admin/orders/order/?expired=yes",
    "order-place": "/admin/orders/order/add/",
    "drivers": "/admin/drivers/driver/",
    "driver-register": "/admin/drivers/driver/add/",
    "offers": "/admin/dispatch/offer/",
    "history": "/admin/orders/orderevent/",
    "keys": "/admin/orders/apikey/",
    "schedules": "/admin/django_q/schedule/",
    "sweeps": "/admin/dispatch/sweepheartbeat/",
    "sign-ins": "/admin/axes/accessattempt/",
}
#: Picture → the first row of this list.
PAGES = {
    "order-pending": "/admin/orders/order/?status=pending",
    "order-assigned": "/admin/orders/order/?status=assigned",
    "order-delivered": "/admin/orders/order/?status=delivered",
    "driver": "/admin/drivers/driver/",
    "event": "/admin/orders/orderevent/",
}


def take(page: Page, url: str, user: str, out: Path, theme: str) -> None:
    def picture(name: str, *, whole: bool = False) -> None:
        page.screenshot(path=str(out / f"{theme}-{name}.png"), full_page=whole)

    page.goto(f"{url}/admin/login/?next=/admin/")
    picture("login")
    page.fill("#id_username", user)
    page.fill("#id_password", os.environ["BATON_PASSWORD"])
    page.click("input[type=submit]")
    for name, place in LISTS.items():
        page.goto(url + place)
        picture(name)
    for name, place in PAGES.items():
        page.goto(url + place)
        first = page.locator("#result_list tbody th a").first
        if first.count():
            first.click()
            page.evaluate("document.querySelectorAll('main details').forEach(part => { part.open = true })")
            picture(name, whole=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    complaints: list[str] = []
    program = os.environ.get("BATON_CHROMIUM") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for theme in ("light", "dark"):
            context = browser.new_context(viewport={"width": 1360, "height": 900})
            page = context.new_page()
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            take(page, asked.url, asked.user, asked.out, theme)
            context.close()
        browser.close()
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
