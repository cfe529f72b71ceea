"""The new order: written with the keyboard alone, seen before it is placed, and never placed twice."""

from datetime import datetime
from typing import Any

import pytest
from django.contrib.gis.geos import Point
from playwright.sync_api import Page, Request, Route, expect

from orders.models import IdempotencyKey, Order, SavedPlace
from tests import cast
from tests.browser.map.conftest import Open, inaccessible, shown

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def ferry() -> SavedPlace:
    lat, lng = cast.FERRY_BUILDING
    return SavedPlace.objects.create(name="Ferry Building", address="1 Embarcadero", point=Point(lng, lat, srid=4326))


def opened(page: Page) -> Any:
    page.evaluate("rig.form.open()")
    return page.locator("dialog.new-order")


def test_an_order_is_placed_with_the_keyboard_alone(
    open_map: Open, complaints: list[str], ferry: SavedPlace, alice: Any
) -> None:
    page = open_map()
    form = opened(page)
    expect(form.get_by_label("Pickup", exact=True)).to_be_focused()

    page.keyboard.type("ferr")
    expect(form.get_by_role("option", name="Ferry Building 1 Embarcadero")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    # Seen before it is placed: who would be offered it.
    expect(form.locator(".offer-preview")).to_contain_text("Offered to 1 driver")
    expect(form.locator(".offer-preview li")).to_contain_text("Alice 0 m")
    for text in ("37.7880, -122.4075", "Carol", "+1 415 555 0100"):
        page.keyboard.press("Tab")
        if text.startswith("37"):
            page.keyboard.press("Tab")  # past the map's button and the address
            page.keyboard.press("Tab")
        elif text == "Carol":
            page.keyboard.press("Tab")
            page.keyboard.press("Tab")
        page.keyboard.type(text)
    page.keyboard.press("Control+Enter")

    expect(form).not_to_be_visible()
    order = Order.objects.get()
    assert (order.pickup.y, order.pickup.x, order.pickup_address) == (*cast.FERRY_BUILDING, "1 Embarcadero")
    assert (order.dropoff.y, order.dropoff.x) == cast.UNION_SQUARE
    assert (order.contact.name, order.contact.phone) == ("Carol", "+1 415 555 0100")
    assert page.evaluate("rig.store.selection.order") == str(order.pk)
    assert complaints == []


def fill(form: Any, **changed: str) -> None:
    given = {
        "pickup": "37.7955, -122.3937",
        "dropoff": "37.7880, -122.4075",
        "contact.name": "Carol",
        "contact.phone": "+1 415 555 0100",
        **changed,
    }
    for name, text in given.items():
        form.locator(f"[name='{name}']").fill(text)


def test_a_double_click_makes_one_order(open_map: Open, complaints: list[str]) -> None:
    page = open_map()
    form = opened(page)
    fill(form)

    form.get_by_role("button", name="Place order", exact=True).dblclick()

    expect(form).not_to_be_visible()
    assert Order.objects.count() == 1
    assert IdempotencyKey.objects.count() == 1
    assert complaints == []


def place_and_lose_the_answer(page: Page, form: Any) -> Request:
    """What the form sent, and the server did."""
    sent: list[Request] = []

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        sent.append(route.request)
        route.abort()

    page.route("**/api/v1/orders/", lose_the_answer)
    form.get_by_role("button", name="Place order", exact=True).click()
    expect(form.get_by_role("alert")).to_contain_text("No answer from the server")
    page.unroute("**/api/v1/orders/")
    (request,) = sent
    return request


def test_sent_again_after_no_answer_it_is_the_same_order(open_map: Open) -> None:
    page = open_map()
    form = opened(page)
    fill(form)
    sent = place_and_lose_the_answer(page, form)
    assert Order.objects.count() == 1

    form.get_by_role("button", name="Place order", exact=True).click()

    expect(form).not_to_be_visible()
    assert Order.objects.count() == 1
    assert [key.key for key in IdempotencyKey.objects.all()] == [sent.headers["idempotency-key"]]


def test_sent_again_minutes_later_it_is_the_same_order_with_the_deadline_of_the_first_time(open_map: Open) -> None:
    page = open_map()
    form = opened(page)
    form.get_by_text("Payout, priority, later").click()
    fill(form, minutes="5")
    sent = place_and_lose_the_answer(page, form)
    page.evaluate("() => { const now = rig.store.now; rig.store.now = () => now() + 150_000; }")

    form.get_by_role("button", name="Place order", exact=True).click()

    expect(form).not_to_be_visible()
    assert sent.post_data_json
    assert Order.objects.get().expires_at == datetime.fromisoformat(sent.post_data_json["expires_at"])


def test_what_is_missing_or_wrong_is_said_at_its_field(open_map: Open) -> None:
    page = open_map()
    form = opened(page)
    place = form.get_by_role("button", name="Place order", exact=True)

    place.click()
    expect(form.get_by_text("Where is the pickup?")).to_be_visible()
    expect(form.get_by_text("Who is it for?")).to_be_visible()
    expect(form.get_by_label("Pickup", exact=True)).to_be_focused()

    form.get_by_text("Payout, priority, later").click()
    fill(form, payout="a lot")
    place.click()

    expect(form.get_by_text("Must be an amount like 12.50, not negative.")).to_be_visible()
    expect(form.get_by_label("Payout")).to_be_focused()
    expect(form.get_by_label("Payout")).to_have_attribute("aria-invalid", "true")
    assert Order.objects.count() == 0


def test_a_place_is_taken_from_a_click_on_the_map(open_map: Open, complaints: list[str], alice: Any) -> None:
    page = open_map()
    lat, lng = cast.FERRY_BUILDING
    shown(page, [], [{"id": alice.pk, "name": "Alice", "lat": lat, "lng": lng}])
    form = opened(page)

    form.get_by_role("button", name="Pickup: show on the map").click()
    expect(page.get_by_text("Click the pickup on the map.")).to_be_visible()
    page.locator(".map-ground canvas").click(position={"x": 640, "y": 400})

    expect(form).to_be_visible()
    expect(form.get_by_label("Pickup", exact=True)).not_to_have_value("")
    expect(form.get_by_label("Drop-off", exact=True)).to_be_focused()
    form.get_by_role("button", name="Drop-off: show on the map").click()
    # Enter takes the middle of the map, Esc gives up.
    page.keyboard.press("Escape")
    expect(form).to_be_visible()
    expect(form.get_by_label("Drop-off", exact=True)).to_have_value("")
    form.get_by_role("button", name="Drop-off: show on the map").click()
    page.keyboard.press("Enter")
    expect(form.get_by_label("Drop-off", exact=True)).not_to_have_value("")
    assert complaints == []


def test_nobody_in_reach_is_a_warning_before_the_order_is_placed(open_map: Open) -> None:
    page = open_map()
    form = opened(page)

    form.get_by_label("Pickup", exact=True).fill("10, 10")

    expect(form.locator(".offer-preview")).to_contain_text("Nobody to offer it to within 5 km")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_form_is_accessible(open_map: Open, theme: str) -> None:
    page = open_map(theme=theme)
    form = opened(page)
    form.get_by_text("Payout, priority, later").click()
    form.get_by_role("button", name="Place order", exact=True).click()

    assert inaccessible(page, "dialog.new-order") == []


SF = (37.77, -122.41)
FORMS: list[tuple[str, tuple[float, float] | None]] = [
    ("37.77, -122.41", SF),
    ("37.77,-122.41", SF),
    ("  37.77   -122.41 ", SF),
    ("(37.77; -122.41)", SF),
    ("37.77° -122.41°", SF),
    ("37.77/−122.41", SF),
    ("37,77; -122,41", SF),
    ("37,77, -122,41", SF),
    ("37,77 -122,41", SF),
    ("-122.41, 37.77", SF),
    ("37.77N 122.41W", SF),
    ("37.77° N, 122.41° W", SF),
    ("N 37.77 W 122.41", SF),
    ("37°46'12\"N 122°24'36\"W", SF),
    ("37° 46′ 12″ N, 122° 24′ 36″ W", SF),
    ("37 46 12 N 122 24 36 W", SF),
    ("37°46.2'N 122°24.6'W", SF),
    ("33°52′10″S 151°12′30″E", (-33.869444, 151.208333)),
    ("geo:37.77,-122.41", SF),
    ("geo:37.77,-122.41;u=35?z=15", SF),
    ("geo:0,0?q=37.77,-122.41(Ferry%20Building)", SF),
    ("https://www.google.com/maps/@37.77,-122.41,15z", SF),
    ("https://www.google.com/maps/place/X/@37.7,-122.4,15z/data=!3m1!4b1!4m5!3m4!8m2!3d37.77!4d-122.41", SF),
    ("https://maps.google.com/?q=37.77,-122.41", SF),
    ("https://www.google.com/maps/search/?api=1&query=37.77%2C-122.41", SF),
    ("https://www.google.com/maps/dir/?api=1&destination=37.77,-122.41", SF),
    ("https://www.openstreetmap.org/?mlat=37.77&mlon=-122.41#map=15/37.7/-122.4", SF),
    ("https://www.openstreetmap.org/#map=15/37.77/-122.41", SF),
    ("https://maps.apple.com/?ll=37.77,-122.41&q=Pier", SF),
    ("https://www.bing.com/maps?cp=37.77~-122.41&lvl=15", SF),
    ("https://waze.com/ul?ll=37.77,-122.41&navigate=yes", SF),
    ("lat: 37.77, lng: -122.41", SF),
    ('{"lat": 37.77, "lng": -122.41}', SF),
    ('{"longitude": -122.41, "latitude": 37.77}', SF),
    ("POINT(-122.41 37.77)", SF),
    ("SRID=4326;POINT(-122.41 37.77)", SF),
    ("0, 0", (0, 0)),
    ("90, 180", (90, 180)),
    ("91, 181", None),
    ("37°60'00\"N 122°00'00\"W", None),
    ("https://maps.app.goo.gl/abcdef", None),
    ("Ferry Building", None),
    ("12 Main Street 5", None),
    ("37.77", None),
    ("", None),
    ("%", None),
    ("https://maps.example/%E0%A4%A", None),
]


def test_coordinates_are_read_in_every_usual_form(open_map: Open) -> None:
    page = open_map()

    read = page.evaluate("texts => texts.map(text => rig.readPlace(text).place)", [text for text, _ in FORMS])

    assert {text: place and (place["lat"], place["lng"]) for (text, _), place in zip(FORMS, read, strict=True)} == dict(
        FORMS
    )
