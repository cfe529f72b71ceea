"""For everybody: every screen in every theme against axe, large text, right to left, a keyboard, a screen reader."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver.screens.rig import tap
from tests.browser.driver.screens.stage import AXE, Stage, act, message, notice, offer, order

pytestmark = pytest.mark.browser

THEMES = ["light", "dark", "sunlight"]
AWAY = {"link": {"state": "offline", "since": 0, "heardAt": 0, "roundTripMs": None}}


def screens() -> dict[str, tuple[str, dict[str, Any]]]:
    """Every screen in every shape that looks different."""
    carried = order("a1", "picked_up")
    return {
        "sign in": ("", {"phase": "signed_out", "driver": None, "signedOutWhy": "revoked"}),
        "off duty": ("", {"duty": {"wanted": False, "confirmed": False}}),
        "no offers": ("", {}),
        "offers": ("", {"offers": [offer("o1"), offer("o2", seconds=12)]}),
        "offers, offline": (
            "",
            {**AWAY, "offers": [offer("o1", act=act("accept", "o1"))], "waiting": [act("accept", "o1")]},
        ),
        "to the pickup": ("#/orders", {"active": [order("a1")]}),
        "to the customer": ("#/orders", {"active": [carried, order("a2")]}),
        "no order": ("#/orders", {}),
        "photo": ("#/order/a1/deliver", {"active": [carried]}),
        "pin": (
            "#/order/a1/deliver",
            {"active": [{**carried, "contact": {"name": "C", "phone": "", "notes": "", "has_pin": True}}]},
        ),
        "fail": ("#/order/a1/fail", {"active": [carried]}),
        "release": ("#/order/a1/release", {"active": [order("a1")]}),
        "messages": ("#/messages", {"messages": [message(1, "Park at Bay Street."), message(2, "Thanks!", read=True)]}),
        "today": ("#/today", {}),
        "settings": ("#/settings", {}),
        "check": ("#/check", {}),
        "waiting": ("#/waiting", {"waiting": [act("accept", "o1"), act("proof", "a1", "stuck")]}),
        "notices": (
            "",
            {
                "storage": "full",
                "updateReady": True,
                "notices": [notice("delivered", "good"), notice("order_taken", "bad", seconds=40)],
            },
        ),
    }


def faults(page: Page) -> list[str]:
    """What axe finds, rule and place."""
    page.evaluate(AXE.read_text())
    found = page.evaluate(
        """async () => (await axe.run(document, {
            runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        })).violations.map((rule) => [rule.id, ...rule.nodes.map((node) => node.target.join(" "))].join(": "))"""
    )
    return list(found)


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_on_any_screen(stage: Stage, theme: str) -> None:
    found: dict[str, list[str]] = {}
    for name, (address, state) in screens().items():
        page = stage.show(address, theme=theme, **state)
        if name == "check":
            expect(page.get_by_text("Read out")).to_be_visible()
        # What moves in is half transparent until it has arrived.
        page.evaluate(
            "Promise.all(document.getAnimations().filter((one) => one.effect.getTiming().iterations === 1)"
            ".map((one) => one.finished))"
        )
        if wrong := faults(page):
            found[name] = wrong
    assert found == {}


@pytest.mark.parametrize("language", ["en", "ar"])
def test_text_of_twice_the_size_stays_within_the_screen(stage: Stage, language: str) -> None:
    wide: dict[str, int] = {}
    for name, (address, state) in screens().items():
        page = stage.show(address, language=language, text="32px", **state)
        width: int = page.evaluate("document.documentElement.scrollWidth")
        if width > 360:
            wide[name] = width
    assert wide == {}


def test_whatever_is_tapped_is_at_least_48_pixels_high_and_wide(stage: Stage) -> None:
    small: dict[str, list[str]] = {}
    for name, (address, state) in screens().items():
        page = stage.show(address, **state)
        found: list[str] = page.evaluate(
            """() => [...document.querySelectorAll("a, button, label.choice, .field input")].filter((one) => {
                const { width, height } = one.getBoundingClientRect();
                return width > 1 && (width < 47.5 || height < 47.5);
            }).map((one) => one.outerHTML.slice(0, 90))"""
        )
        if found:
            small[name] = found
    assert small == {}


def test_arabic_reads_from_right_to_left_with_its_own_plurals(stage: Stage) -> None:
    page = stage.show("#/waiting", language="ar", waiting=[act("accept", "o1"), act("pick_up", "a1")])
    assert page.evaluate("[document.documentElement.dir, document.documentElement.lang]") == ["rtl", "ar"]
    expect(page.locator(".strip-waiting")).to_have_text("اثنتان تنتظران")
    stage.tell(waiting=[act("accept", f"o{number}") for number in range(3)])
    expect(page.locator(".strip-waiting")).to_have_text("3 تنتظر")
    back = page.locator(".back").bounding_box()
    assert back is not None
    assert back["x"] > 180


def test_the_language_is_changed_in_place(stage: Stage) -> None:
    page = stage.show("#/settings")
    page.get_by_role("radio", name="العربية").check()
    expect(page.get_by_role("heading", level=1)).to_have_text("الإعدادات")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("الإعدادات")


def test_a_theme_is_kept_and_colours_the_phones_own_bar(stage: Stage) -> None:
    page = stage.show("#/settings")
    page.get_by_role("radio", name="Sunlight").check()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator('meta[name="theme-color"]').get_attribute("content") == "#000"
    page.reload()
    expect(page.get_by_role("radio", name="Sunlight")).to_be_checked()


def test_a_keyboard_alone_takes_an_order_and_delivers_it_signed(stage: Stage) -> None:
    page = stage.show(offers=[offer("o1")])
    page.wait_for_timeout(500)
    accept = page.get_by_role("button", name=re.compile("^Accept"))
    for _ in range(12):
        page.keyboard.press("Tab")
        if accept.evaluate("(one) => one === document.activeElement"):
            break
    page.keyboard.press("Enter")
    assert stage.calls("accept") == [["o1"]]
    page = stage.show("#/order/a1/deliver", active=[order("a1", "picked_up")])
    page.get_by_role("radio", name="Photo").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Signature")).to_be_checked()
    page.get_by_label("Or type the name as a signature").focus()
    page.keyboard.type("Carol")
    page.get_by_role("button", name="Delivered").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#/order/a1$"))
    (given,) = stage.calls("deliver")
    assert (given[0], given[1]["kind"]) == ("a1", "signature")


def test_a_new_screen_is_announced_by_its_heading_and_an_offer_once(stage: Stage) -> None:
    page = stage.show()
    page.get_by_role("link", name="Messages").click()
    expect(page.get_by_role("heading", name="Messages")).to_be_focused()
    page.get_by_role("link", name="Offers").click()
    page.evaluate(
        """() => {
            window.said = [];
            const voice = document.querySelector("body > [aria-live]");
            new MutationObserver(() => window.said.push(voice.textContent)).observe(voice, { childList: true });
        }"""
    )
    stage.tell(offers=[offer("o1")])
    expect(page.locator("body > [aria-live]")).to_have_text(re.compile(r"^New offer: .*850\sm away"))
    stage.tell(link={"state": "live", "since": 0, "heardAt": 1, "roundTripMs": 90})
    page.wait_for_timeout(2200)  # two steps of the countdown, which must be silent
    assert len(page.evaluate("window.said")) == 1
    assert page.locator(".ring").get_attribute("aria-hidden") == "true"


def test_the_phone_check_can_be_read_out_and_copied(stage: Stage) -> None:
    page = stage.show("#/check")
    expect(page.locator(".aloud-text")).to_have_text(
        "A good · B good · C good · D good · E look · F look · G good · H good · I good · J good · K good"
    )
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    copied: str = page.evaluate("navigator.clipboard.readText()")
    assert "D Clock: good (Right)" in copied.splitlines()


def test_nobody_signs_out_without_being_told_what_waits(stage: Stage) -> None:
    page = stage.show("#/settings", waiting=[act("deliver", "a1"), act("proof", "a1")])
    page.get_by_role("button", name="Sign out").click()
    dialog = page.get_by_role("dialog", name="Sign out?")
    expect(dialog).to_contain_text("2 taps have not reached the server yet.")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert stage.calls("signOut") == []


def test_two_taps_at_once_are_one(stage: Stage) -> None:
    page = stage.show(offers=[offer("o1"), offer("o2")])
    accept = page.get_by_role("button", name=re.compile("^Accept"))
    tap(accept.first)
    accept.nth(1).click()
    assert stage.calls("accept") == [["o1"]]
