"""The feed never moves under a thumb, and says what became of every card."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver.screens.stage import Stage, act, notice, offer, order

pytestmark = pytest.mark.browser


def watch(page: Page) -> None:
    page.evaluate(
        """() => {
            window.shifts = 0;
            new PerformanceObserver((list) => {
                for (const entry of list.getEntries()) window.shifts += entry.value;
            }).observe({ type: "layout-shift", buffered: false });
        }"""
    )


def test_nothing_moves_while_offers_come_and_go(stage: Stage) -> None:
    page = stage.show()
    watch(page)
    stage.tell(offers=[offer("o1"), offer("o2"), offer("o3")])
    expect(page.locator(".offer")).to_have_count(3)
    second = page.locator(".offer").nth(1).bounding_box()
    taken = notice("order_taken", "bad", "o1", seconds=40, kind="accept")
    stage.tell(offers=[offer("o2"), offer("o3", act=act("accept", "o3"))], notices=[taken])
    expect(page.locator(".offer.gone .outcome")).to_have_text("Taken 40 s before your tap arrived")
    assert page.locator(".offer").nth(1).bounding_box() == second
    page.wait_for_timeout(2600)  # a place is left alone for 2.5 s before the next offer takes it
    long = {
        "lat": 37.79,
        "lng": -122.4,
        "address": "A very long address that takes two lines and then some, Mission Street",
    }
    stage.tell(offers=[offer("o2"), offer("o3"), offer("o4", pickup=long)])
    expect(page.locator(".offer").first).to_contain_text("A very long address")
    expect(page.locator(".offer.gone")).to_have_count(0)
    assert page.locator(".offer").nth(1).bounding_box() == second
    stage.tell(offers=[offer("o4"), offer("o2")])
    expect(page.locator(".offer.gone")).to_have_count(1)
    page.wait_for_timeout(300)
    assert page.evaluate("window.shifts") == 0


def test_a_new_offer_is_heard_and_felt_once_and_only_if_that_is_wanted(stage: Stage) -> None:
    stage.page.add_init_script(
        """
        window.felt = [];
        window.heard = 0;
        navigator.vibrate = (pattern) => window.felt.push(pattern);
        const make = AudioContext.prototype.createOscillator;
        AudioContext.prototype.createOscillator = function () {
            window.heard += 1;
            return make.call(this);
        };
        """
    )
    page = stage.show()
    # Browsers make no sound before the first tap.
    page.locator("h1").first.click(force=True)
    stage.tell(offers=[offer("o1")])
    page.wait_for_function("window.heard === 5")
    stage.tell(offers=[offer("o1")], asOf=0)
    assert page.evaluate("[window.heard, window.felt]") == [5, [[220, 90, 220, 90, 420]]]
    page.get_by_role("link", name="Settings").click()
    for name in ("Sound", "Vibration"):
        page.get_by_role("switch", name=name).uncheck()
    stage.tell(offers=[offer("o1"), offer("o2")])
    assert page.evaluate("[window.heard, window.felt.length]") == [5, 1]


@pytest.mark.parametrize(
    ("code", "data", "text"),
    [
        ("order_taken", {"seconds": 40}, "Taken 40 s before your tap arrived"),
        ("order_taken", {"seconds": 200}, "Taken 3 min before your tap arrived"),
        ("order_taken", {}, "Taken by another driver"),
        ("order_expired", {"seconds": 5}, "Expired 5 s before your tap arrived"),
        ("order_cancelled", {}, "Cancelled by the sender"),
        ("driver_at_capacity", {}, "You already carry as much as you can"),
    ],
)
def test_a_card_that_is_lost_says_why(stage: Stage, code: str, data: dict[str, int], text: str) -> None:
    page = stage.show(offers=[offer("o1")])
    stage.tell(offers=[], notices=[notice(code, "bad", "o1", kind="accept", **data)])
    expect(page.locator(".offer .outcome")).to_have_text(text)
    expect(page.locator(".notice")).to_have_count(0)


def test_a_card_that_is_won_leads_to_the_order(stage: Stage) -> None:
    page = stage.show(offers=[offer("a1", act=act("accept", "a1", "sending"))])
    expect(page.locator(".acting")).to_contain_text("is kept")
    stage.tell(offers=[], active=[order("a1")])
    expect(page).to_have_url(re.compile("#/order/a1$"))
    expect(page.get_by_role("heading", name="Go to the pickup")).to_be_visible()


def test_the_countdown_follows_the_servers_clock(stage: Stage) -> None:
    one = offer("o1", seconds=150)
    page = stage.show(offers=[one], clockOffsetMs=60_000)
    left = page.locator(".ring-left")
    expect(left).to_have_text(re.compile(r"^\d+$"))
    # What it shows, and what is left at that moment by the phone's own clock: a minute more.
    shown, by_the_phone = page.evaluate(
        "(expires) => [document.querySelector('.ring-left').textContent, (Date.parse(expires) - Date.now()) / 1000]",
        one["expires_at"],
    )
    assert by_the_phone - 60 == pytest.approx(int(shown), abs=3)
    expect(left).not_to_have_text(shown)
    expect(page.locator(".ring")).not_to_have_class(re.compile("urgent"))


def test_the_strip_says_how_old_the_truth_is(stage: Stage) -> None:
    page = stage.show()
    strip = page.locator(".strip")
    expect(strip).to_have_text("Live")
    as_of = page.evaluate("new Date(2026, 10, 24, 14, 5).getTime()")
    stage.tell(link={"state": "offline", "since": 0, "heardAt": 0, "roundTripMs": None}, asOf=as_of)
    expect(strip).to_have_text("Offline – what you see is as of 2:05 PM")
    stage.tell(link={"state": "connecting", "since": 0, "heardAt": 0, "roundTripMs": None})
    expect(strip).to_have_text("Reconnecting – as of 2:05 PM")
