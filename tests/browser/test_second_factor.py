"""Setting up a second factor in the browser, and signing in with it."""

import base64
import re
from typing import Any

import pytest
from django_otp.plugins.otp_totp.models import TOTPDevice
from playwright.sync_api import Page, expect

from tests import cast, codes, staff

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def fill_in(page: Page, code: str = "") -> None:
    page.get_by_label("Username").fill("dora")
    page.get_by_label("Password").fill(cast.PASSWORD)
    page.get_by_role("textbox", name="Code").fill(code)
    page.get_by_role("button", name="Log in").click()


@pytest.mark.parametrize("rule", ["optional", "required"])
def test_a_dispatcher_sets_one_up_and_signs_in_with_it(
    page: Page, complaints: list[str], settings: Any, rule: str
) -> None:
    settings.SECOND_FACTOR = rule
    dora = staff.member("dora", "dispatcher")
    page.goto("/admin/orders/order/")
    fill_in(page)
    if rule == "optional":
        page.get_by_role("link", name="Second factor").click()
    expect(page.get_by_role("heading", name="1. Scan")).to_be_visible()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    page.get_by_text("The camera does not work").click()
    key = base64.b32decode(page.locator("#secret").inner_text().replace(" ", ""))

    page.get_by_role("textbox", name="Code").fill(codes.code_of(key))
    page.get_by_role("button", name="Turn on").click()

    expect(page.locator(".backup-codes li")).to_have_count(10)
    page.get_by_role("link", name="I have them").click()
    expect(page).to_have_url(re.compile(r"/admin/(orders/order/)?$"))
    page.get_by_role("button", name="Log out").click()
    codes.much_later(dora)
    page.goto("/admin/")
    fill_in(page)
    expect(page.locator(".errornote")).to_have_text(re.compile("This account has a second factor"))
    fill_in(page, codes.shown(dora))
    expect(page.get_by_role("heading", name="Back office")).to_be_visible()
    assert TOTPDevice.objects.get().last_used_at is not None
    assert complaints == []
