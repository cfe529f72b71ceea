"""What a dispatcher looks for on the console."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

from orders.models import Order
from tests.waiting import BROWSER_MS


def area(page: Page, name: str) -> Locator:
    """A list by its heading: Needs attention, Open orders, In progress, Finished lately."""
    return page.get_by_role("region", name=name, exact=True)


def row(page: Page, reference: str, where: str = "Open orders") -> Locator:
    return area(page, where).get_by_role("row").filter(has=page.get_by_text(reference, exact=True))


def chosen(page: Page) -> Locator:
    """The bar of the selected rows."""
    return page.get_by_role("toolbar", name="Selected orders")


def panel(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Details")


def toast(page: Page) -> Locator:
    return page.locator(".toasts")


def report(page: Page) -> Locator:
    return page.get_by_role("region", name="What was not done")


def fresh(order: Order) -> Any:
    return Order.objects.get(pk=order.pk)


def until(page: Page, condition: Callable[[], Any], what: str) -> None:
    """Wait for what the page's routes and sockets were seen to do; Playwright tells of it only while it is asked."""
    for _ in range(BROWSER_MS // 50):
        if condition():
            return
        page.wait_for_timeout(50)
    pytest.fail(f"not seen: {what}")
