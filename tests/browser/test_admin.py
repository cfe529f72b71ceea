"""The back office as people use it: signing in, a bulk assignment, an order's page; and the browser never complains."""

import re

import pytest
from playwright.sync_api import Page, expect

from drivers.models import Driver
from orders.models import Order, OrderEvent
from tests import cast, staff

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def sign_in(page: Page, name: str, group: str) -> None:
    staff.member(name, group)
    page.goto("/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(cast.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Back office")).to_be_visible()


def test_a_dispatcher_assigns_many_orders_and_reads_what_became_of_each(page: Page, complaints: list[str]) -> None:
    cast.driver("alice", at=cast.FERRY_BUILDING, capacity=2)
    for name in ("A-1", "A-2", "A-3"):
        cast.order(reference=name)
    sign_in(page, "dora", "dispatcher")

    page.get_by_role("link", name=re.compile("Waiting")).click()
    page.get_by_label("Select all objects on this page for an action").check()
    expect(page.get_by_text("3 of 3 selected")).to_be_visible()
    page.get_by_label("Action:").select_option(label="Assign to nearest driver")
    page.get_by_role("button", name="Go").click()

    report = page.locator(".messagelist")
    expect(report).to_contain_text("Assign to nearest: 2 done, 1 not done.")
    expect(report.locator("li.done")).to_have_text(["A-1: assigned to Alice (0 m)", "A-2: assigned to Alice (0 m)"])
    expect(report.locator("li.refused")).to_have_text(["A-3: not done: no free driver within 20 km"])
    assert list(Order.objects.order_by("reference").values_list("status", flat=True)) == [
        "assigned",
        "assigned",
        "pending",
    ]
    assert complaints == []


def test_a_driver_is_looked_up_by_name_and_assigned(page: Page, complaints: list[str]) -> None:
    cast.driver("alice", at=cast.FERRY_BUILDING)
    far = cast.driver("zoe", at=(38.5, -121.5))
    order = cast.order(reference="A-1")
    sign_in(page, "dora", "dispatcher")

    page.goto(f"/admin/orders/order/{order.pk}/change/")
    page.locator(".act-any .select2-selection").click()
    page.locator(".select2-search__field").fill("zo")
    page.get_by_role("option", name="Zoe").click()
    page.locator(".act-any").get_by_role("button", name="Assign").click()

    expect(page.locator(".messagelist")).to_contain_text("A-1: assigned to Zoe")
    assert Order.objects.get().driver_id == far.pk
    assert complaints == []


def test_a_button_pressed_on_an_old_page_says_who_was_quicker(page: Page) -> None:
    from dispatch import services

    alice = cast.driver("alice", at=cast.FERRY_BUILDING)
    order = cast.order(reference="A-1")
    sign_in(page, "dora", "dispatcher")
    page.goto(f"/admin/orders/order/{order.pk}/change/")

    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    page.get_by_role("button", name="Cancel order").click()

    expect(page.locator(".messagelist")).to_contain_text("it has changed since you looked at it: assigned to Alice")
    assert Order.objects.get().status == "assigned"


def test_the_deadlines_count_down_on_the_page(page: Page, complaints: list[str]) -> None:
    order = cast.order(reference="A-1")
    sign_in(page, "dora", "dispatcher")
    page.goto(f"/admin/orders/order/{order.pk}/change/")

    countdown = page.locator(".countdown time").last
    first = countdown.inner_text()
    expect(countdown).not_to_have_text(first)
    assert re.fullmatch(r"1 min \d+ s", countdown.inner_text())
    assert complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_of_the_back_office_makes_the_browser_complain(page: Page, complaints: list[str], theme: str) -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING)
    order = cast.order(reference="A-1")
    event = OrderEvent.objects.get(order=order, version=1)
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    sign_in(page, "sam", "supervisor")

    for place in (
        "orders/order/",
        "orders/order/add/",
        f"orders/order/{order.pk}/change/",
        f"orders/order/{order.pk}/change/?customer=1",
        "orders/contactaccess/",
        "orders/orderevent/",
        f"orders/orderevent/{event.pk}/change/",
        "dispatch/offer/",
        "drivers/driver/",
        "drivers/driver/add/",
        f"drivers/driver/{alice.pk}/change/",
        "orders/integrator/add/",
        "orders/apikey/add/",
        "django_q/schedule/",
        "django_q/failure/",
        "django_q/ormq/",
        "dispatch/sweepheartbeat/",
        "dispatch/auditverdict/",
        "axes/accessattempt/",
        "otp_totp/totpdevice/",
        "second-factor/",
        "password_change/",
    ):
        answer = page.goto(f"/admin/{place}", wait_until="load")
        assert answer is not None
        assert answer.status == 200, place
        assert complaints == [], place
    assert Driver.objects.count() == 1
