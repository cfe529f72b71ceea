"""How live the board is: it says so, stops acts while it is not, and catches up by itself."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect

from dispatch import live
from tests import cast, staff
from tests.browser.board.screen import fresh, panel, row, toast
from tests.proxy import Proxy

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

Open = Callable[..., Page]


@pytest.fixture
def dora(console: Any) -> Any:
    return staff.member("dora", "dispatcher")


def test_a_lost_connection_is_shown_stops_acts_and_is_caught_up_with(
    open_board: Open, dora: Any, network: Proxy
) -> None:
    first = cast.order(reference="A-1")
    page = open_board(dora, port=network.port)
    row(page, "A-1").click()

    network.cut()
    expect(page.locator(".live")).to_have_attribute("data-state", "reconnecting")
    extend = panel(page).get_by_role("button", name="Extend")
    expect(extend).to_have_attribute("aria-disabled", "true")
    expect(extend).to_have_attribute("title", "The board is not connected. Acts wait until it is live again.")
    extend.click(force=True)
    page.keyboard.press("r")
    expect(toast(page)).to_contain_text("Acts wait until it is live again.")
    assert fresh(first).version == first.version

    cast.order(reference="A-2")
    network.restore()
    expect(page.locator(".live")).to_have_attribute("data-state", "live", timeout=25_000)
    expect(row(page, "A-2")).to_be_visible()
    expect(extend).not_to_have_attribute("aria-disabled", "true")


def test_a_line_that_hangs_is_shown_as_behind_and_replaced(open_board: Open, dora: Any, network: Proxy) -> None:
    cast.order(reference="A-1")
    page = open_board(dora, port=network.port)
    row(page, "A-1").click()

    network.freeze()
    expect(page.locator(".live")).to_have_text("4 s behind", timeout=15_000)
    expect(panel(page).get_by_role("button", name="Cancel")).to_have_attribute("aria-disabled", "true")
    expect(page.locator(".live")).to_have_attribute("data-state", "reconnecting", timeout=15_000)
    network.restore()
    expect(page.locator(".live")).to_have_attribute("data-state", "live", timeout=25_000)
    cast.order(reference="A-2")
    expect(row(page, "A-2")).to_be_visible()


def test_a_push_is_on_screen_within_half_a_second(open_board: Open, dora: Any) -> None:
    page = open_board(dora)
    took = []
    for number in range(5):
        page.evaluate(
            """name => { window.seen = new Promise(resolve => new MutationObserver((_, observer) => {
                if (document.body.textContent.includes(name)) { observer.disconnect(); resolve(Date.now()); }
            }).observe(document.body, {childList: true, subtree: true, characterData: true})); }""",
            f"NEW-{number}",
        )
        cast.order(reference=f"NEW-{number}")
        committed = page.evaluate("Date.now()")
        took.append(page.evaluate("window.seen") - committed)
    assert sorted(took)[2] < 500, took


def test_whoever_is_signed_out_is_told_and_led_back(open_board: Open, dora: Any) -> None:
    cast.order(reference="A-1")
    page = open_board(dora)

    Session.objects.all().delete()
    live.staff_changed(dora.pk)
    expect(page.locator(".live")).to_have_text("signed out")
    link = page.get_by_role("link", name="Sign in again")
    expect(link).to_have_attribute("href", "/admin/login/?next=%2Fadmin%2Fboard%2F")
    row(page, "A-1").click()
    page.keyboard.press("r")
    expect(toast(page)).to_contain_text("You are signed out.")


def test_a_session_that_ended_while_the_line_was_away_is_noticed(open_board: Open, dora: Any, network: Proxy) -> None:
    page = open_board(dora, port=network.port)

    network.cut()
    expect(page.locator(".live")).to_have_attribute("data-state", "reconnecting")
    Session.objects.all().delete()
    network.restore()
    expect(page.locator(".live")).to_have_text("signed out", timeout=25_000)
