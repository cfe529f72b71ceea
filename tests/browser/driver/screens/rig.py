"""What a driver does with the app as it is served."""

import re

from playwright.sync_api import Locator, Page, expect

from tests import cast


def sign_in(page: Page, username: str = "alice") -> None:
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password", exact=True).fill(cast.PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def tap(button: Locator) -> None:
    """A tap that is meant: the screens take one within 450 ms of the last, or of the card's coming, for an accident."""
    expect(button).to_be_visible()
    button.page.wait_for_timeout(500)
    button.click()


def forgive(complaints: list[str], *parts: str) -> None:
    """What a browser writes into its console by itself when an answer is a refusal, or none comes, is not the app's."""
    complaints[:] = [said for said in complaints if not any(part in said for part in parts)]


def go_on_duty(page: Page) -> None:
    tap(page.get_by_role("button", name="Go on duty"))
    expect(page.get_by_role("switch", name="On duty")).to_be_checked()
    expect(page.get_by_text(re.compile("Location within"))).to_be_visible()
    expect(page.locator(".strip")).to_contain_text("Live")
