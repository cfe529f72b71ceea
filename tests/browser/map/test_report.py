"""The shift report in a real browser: charts drawn, nothing blocked, light and dark."""

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from tests import staff
from tests.browser.map.conftest import inaccessible, sign_in
from tests.dispatch.report import shift

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_report_draws_its_charts_and_its_tables_say_the_same(
    window: BrowserContext, live_server: Any, complaints: list[str], theme: Any
) -> None:
    shift.work()
    sign_in(window, live_server, staff.member("sam", "supervisor"))
    page = window.new_page()
    page.emulate_media(color_scheme=theme)
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    page.goto("/admin/")
    page.get_by_role("link", name="Shift report").first.click()
    page.get_by_role("link", name="Yesterday").click()

    expect(page.get_by_role("link", name="Yesterday")).to_have_attribute("aria-current", "page")
    for name in ("Bars: orders by hour and state", "Lines: time to assignment", "Lines: time to delivery"):
        expect(page.get_by_role("img", name=name)).to_be_visible()
    by_hour = page.locator(".report-table").first
    expect(by_hour.get_by_role("row")).to_have_count(5)
    expect(by_hour.get_by_role("row").last).to_contain_text("20.0 %")
    expect(page.locator(".report-table").last).to_contain_text("Alice")
    # The bars are there: something of the colour of delivered orders.
    drawn = page.evaluate(
        """() => { const canvas = document.querySelector('#chart-states canvas');
             const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
             const wanted = getComputedStyle(document.body).getPropertyValue('--state-delivered').trim();
             const [r, g, b] = [1, 3, 5].map(at => parseInt(wanted.slice(at, at + 2), 16));
             let found = 0;
             for (let at = 0; at < data.length; at += 4)
               if (Math.abs(data[at] - r) + Math.abs(data[at + 1] - g) + Math.abs(data[at + 2] - b) < 12) found += 1;
             return found; }"""
    )
    assert drawn > 200
    assert inaccessible(page, "#content-main") == []
    assert complaints == []
