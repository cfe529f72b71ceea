"""What a dispatcher looks for on the console."""

from typing import Any

from playwright.sync_api import Locator, Page

from orders.models import Order


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
