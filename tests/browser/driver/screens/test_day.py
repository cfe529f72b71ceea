"""A driver's day through the screens: real server, real database, a thumb."""

import re
from decimal import Decimal
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from dispatch import services
from drivers.models import Presence
from orders.models import DeliveryProof, Order, OrderContact
from orders.services import Contact
from tests import cast
from tests.browser.driver.screens.rig import forgive, go_on_duty, sign_in, tap
from tests.proxy import Proxy
from tests.waiting import BROWSER_MS, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def picture(width: int = 3200, height: int = 2400) -> bytes:
    kept = BytesIO()
    Image.radial_gradient("L").resize((width, height)).convert("RGB").save(kept, "JPEG", quality=95)
    return kept.getvalue()


def start(app: Page) -> None:
    """On duty, and the server knows where."""
    alice = cast.driver("alice", is_online=False)
    sign_in(app)
    go_on_duty(app)
    here = Presence.objects.filter(driver=alice, is_online=True, location__isnull=False)
    wait_until(here.exists, seconds=BROWSER_MS / 1000, what="a heartbeat with a position")


def carry(app: Page, order: Order) -> None:
    """From the offer to the customer's door."""
    tap(app.get_by_role("button", name=re.compile("^Accept")))
    expect(app.get_by_role("heading", name="Go to the pickup")).to_be_visible()
    tap(app.get_by_role("button", name="I have picked it up"))
    expect(app.get_by_role("heading", name="Go to the customer")).to_be_visible()
    assert Order.objects.get(pk=order.pk).status == "picked_up"


@pytest.mark.parametrize("kind", ["photo", "signature", "name", "pin", "none"])
def test_from_signing_in_to_the_history_with_each_proof(app: Page, kind: str) -> None:
    start(app)
    order = cast.order(
        payout=Decimal("12.50"), currency="USD", contact=Contact(name="Carol", phone="+1 415 555 0100", pin="4711")
    )
    card = app.get_by_role("article", name=re.compile("Ferry Building"))
    expect(card).to_contain_text("$12.50")
    carry(app, order)
    assert app.get_by_role("link", name="Call Carol").get_attribute("href") == "tel:+14155550100"
    maps = app.get_by_role("link", name="Open in maps").get_attribute("href")
    assert maps == "geo:37.788,-122.4075?q=37.788,-122.4075(Union%20Square)"

    app.get_by_role("link", name="Deliver", exact=True).click()
    expect(app.get_by_role("heading", name="Deliver", exact=True)).to_be_focused()
    label = {"photo": "Photo", "signature": "Signature", "name": "Name", "pin": "PIN", "none": "No proof"}[kind]
    app.get_by_role("radio", name=label, exact=True).check()
    if kind == "photo":
        app.locator("#photo").set_input_files({"name": "door.jpg", "mimeType": "image/jpeg", "buffer": picture()})
        expect(app.get_by_role("img", name=re.compile("Photo ready"))).to_be_visible()
    if kind == "signature":
        box = app.get_by_role("img", name="Field for the signature").bounding_box()
        assert box is not None
        app.mouse.move(box["x"] + 40, box["y"] + 60)
        app.mouse.down()
        for step in range(8):
            app.mouse.move(box["x"] + 50 + 25 * step, box["y"] + (30 if step % 2 else 90))
        app.mouse.up()
    if kind == "name":
        app.get_by_label("Who took it?").fill("Bob")
    if kind == "pin":
        app.get_by_label("PIN from the customer").fill("4711")
    app.get_by_label("Note").fill("At the side door")
    tap(app.get_by_role("button", name="Delivered"))
    expect(app.get_by_text("Delivered. Well done.")).to_be_visible()
    expect(app.get_by_role("switch", name="On duty")).to_be_visible()

    assert cast.history(order) == ["created", "offered", "assigned", "picked_up", "delivered"]
    assert OrderContact.objects.get(order=order).proof_note == "At the side door"
    if kind == "name":
        assert OrderContact.objects.get(order=order).recipient == "Bob"
    if kind in {"photo", "signature"}:
        proof = wait_until(DeliveryProof.objects.filter(order=order).first, seconds=10, what="the picture arrives")
        assert proof is not None
        assert (proof.kind, proof.width, proof.height) == ((kind, 1600, 1200) if kind == "photo" else (kind, 900, 360))

    app.get_by_role("link", name="Today").click()
    expect(app.locator(".figures-money")).to_have_text(re.compile(r"\$12\.50"))
    expect(app.locator(".past")).to_have_count(1)
    expect(app.locator(".past")).to_contain_text("Union Square")


def test_a_wrong_pin_leaves_the_order_with_the_driver(app: Page, listen: list[str]) -> None:
    start(app)
    order = cast.order(contact=Contact(name="Carol", phone="+1 415 555 0100", pin="4711"))
    carry(app, order)
    app.get_by_role("link", name="Deliver", exact=True).click()
    app.get_by_role("radio", name="PIN").check()
    app.get_by_label("PIN from the customer").fill("1234")
    tap(app.get_by_role("button", name="Delivered"))
    expect(app.get_by_text("The PIN was wrong. The order is still with you.")).to_be_visible()
    assert Order.objects.get(pk=order.pk).status == "picked_up"
    app.get_by_role("link", name="Deliver", exact=True).click()
    app.get_by_label("PIN from the customer").fill("٤٧١١")
    tap(app.get_by_role("button", name="Delivered"))
    expect(app.get_by_text("Delivered. Well done.")).to_be_visible()
    forgive(listen, "400")


def test_declining_takes_two_taps_and_the_offer_does_not_come_back(app: Page) -> None:
    start(app)
    order = cast.order()
    tap(app.get_by_role("button", name="Decline Ferry Building"))
    assert cast.offers(order) == {"alice": "open"}
    sure = app.get_by_role("button", name="Really decline Ferry Building?")
    expect(sure).to_be_visible()
    tap(sure)
    expect(app.locator(".offer .outcome")).to_have_text("Declined")
    wait_until(lambda: cast.offers(order) == {"alice": "declined"}, seconds=5, what="the server knows")


def test_an_order_that_cannot_be_delivered_ends_with_its_reason(app: Page) -> None:
    start(app)
    order = cast.order()
    carry(app, order)
    app.get_by_role("link", name="Cannot deliver").click()
    tap(app.get_by_role("button", name="Report as not delivered"))
    expect(app.get_by_text("Choose a reason.")).to_be_visible()
    app.get_by_role("radio", name="Nobody there").check()
    tap(app.get_by_role("button", name="Report as not delivered"))
    expect(app.get_by_text("Reported as not delivered.")).to_be_visible()
    assert Order.objects.get(pk=order.pk).status == "failed"


def test_an_order_is_given_back_in_the_drivers_own_words(app: Page) -> None:
    start(app)
    order = cast.order()
    tap(app.get_by_role("button", name=re.compile("^Accept")))
    app.get_by_role("link", name="Give back").click()
    app.get_by_role("radio", name="Something else").check()
    app.get_by_label("In your words").fill("The bike is stolen")
    tap(app.get_by_role("button", name="Give the order back"))
    expect(app.get_by_text("Given back.", exact=True)).to_be_visible()
    assert Order.objects.get(pk=order.pk).status == "pending"
    assert order.events.get(kind="order.released").data["reason"] == "The bike is stolen"


def test_an_offer_that_somebody_else_took_says_how_long_before_the_tap(
    app: Page, network: Proxy, listen: list[str]
) -> None:
    start(app)
    bob = cast.driver("bob", at=cast.FERRY_BUILDING)
    order = cast.order()
    accept = app.get_by_role("button", name=re.compile("^Accept"))
    expect(accept).to_be_visible()
    network.cut()
    tap(accept)
    expect(app.locator(".offer .acting")).to_contain_text("is kept")
    expect(app.get_by_role("link", name="1 waiting")).to_be_visible()
    services.accept_order(order_id=order.pk, driver_id=bob.pk)
    network.restore()
    expect(app.locator(".offer .outcome")).to_contain_text(
        re.compile("Taken (.* before your tap arrived|by another driver)")
    )
    assert Order.objects.get(pk=order.pk).driver_id == bob.pk
    forgive(listen, "net::ERR", "409")


def test_an_expired_offer_says_so(app: Page) -> None:
    start(app)
    order = cast.order()
    expect(app.get_by_role("button", name=re.compile("^Accept"))).to_be_visible()
    cast.let_time_pass(order, seconds=300)
    services.expire_orders()
    expect(app.locator(".offer .outcome")).to_have_text(re.compile("Expired|No longer on offer"))
    expect(app.get_by_role("button", name=re.compile("^Accept"))).to_have_count(0)


def test_signing_in_says_what_is_wrong(app: Page, listen: list[str]) -> None:
    cast.driver("alice", is_online=False)
    app.get_by_role("button", name="Sign in").click()
    expect(app.get_by_text("Enter your user name.")).to_be_visible()
    expect(app.get_by_label("User name")).to_be_focused()
    app.get_by_label("User name").fill("alice")
    app.get_by_label("Password", exact=True).fill("not hers")
    app.get_by_role("button", name="Sign in").click()
    expect(app.get_by_role("alert")).to_have_text("User name or password is wrong.")
    app.context.set_offline(True)
    app.get_by_role("button", name="Sign in").click()
    expect(app.get_by_role("alert")).to_have_text("No network. You can sign in once you are online.")
    app.context.set_offline(False)
    forgive(listen, "net::ERR", "401")


def test_signing_out_goes_off_duty(app: Page) -> None:
    start(app)
    app.get_by_role("link", name="Settings").click()
    app.get_by_role("button", name="Sign out").click()
    app.get_by_role("dialog").get_by_role("button", name="Sign out").click()
    expect(app.get_by_role("heading", name="Baton Driver")).to_be_visible()
