"""The map as a dispatcher sees and uses it, drawn by a real Chromium."""

import io
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from PIL import Image
from playwright.sync_api import Page, expect

from dispatch import representations, services
from orders.models import Order
from tests import cast
from tests.browser.map.conftest import Open, inaccessible, settled, shown, until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LAT, LNG = cast.FERRY_BUILDING
COLOURS = {"free": "#1f9d61", "carrying": "#d08a00", "full": "#7a55c7", "silent": "#d2402c", "edge": "#ffffff"}


def near(index: int, **more: Any) -> dict[str, Any]:
    """A driver so many hundred metres east of the ferry building."""
    return {"id": index, "name": f"Driver {index}", "lat": LAT, "lng": LNG + index * 0.0012, "accuracy_m": 5, **more}


def document(order: Order) -> dict[str, Any]:
    order.refresh_from_db()
    return representations.order_for_staff(order)


def pixel(page: Page, driver: int) -> dict[str, float]:
    """Where a driver is on the page."""
    at: dict[str, float] = page.evaluate(
        """id => { const d = rig.store.drivers.get(id), p = rig.map.pixels(d);
                   const box = document.querySelector('.map-ground').getBoundingClientRect();
                   return {x: p.x + box.x, y: p.y + box.y}; }""",
        driver,
    )
    return at


def colour(page: Page, x: float, y: float) -> str:
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    found = picture.getpixel((round(x), round(y)))
    assert isinstance(found, tuple)
    return "#" + "".join(f"{part:02x}" for part in found)


def test_drivers_are_drawn_where_they_are_in_the_colour_of_their_state(open_map: Open, complaints: list[str]) -> None:
    page = open_map()
    shown(
        page,
        [],
        [
            near(1),
            near(2, load=1, capacity=2),
            near(3, load=2, capacity=2),
            near(4, age=100),
            near(5, is_online=False, load=1),
            {"id": 6, "name": "Nowhere"},
        ],
    )

    seen = {driver: pixel(page, driver) for driver in (1, 2, 3, 4)}
    assert colour(page, **seen[1]) == COLOURS["free"]
    assert colour(page, **seen[2]) == COLOURS["carrying"]
    # A mark in the middle, and a ring: told apart without colours, too.
    assert colour(page, **seen[3]) == COLOURS["edge"]
    assert colour(page, seen[3]["x"], seen[3]["y"] - 4) == COLOURS["full"]
    assert colour(page, **seen[4]) == COLOURS["edge"]
    assert colour(page, seen[4]["x"], seen[4]["y"] - 5) == COLOURS["silent"]
    page.get_by_text("Legend").click()
    expect(page.locator(".map-legend li")).to_contain_text(
        ["Free1", "Carrying, has room1", "Full1", "Silent1", "Off duty1", "Suspended0"]
    )
    assert complaints == []


def test_a_driver_who_moves_is_soon_somewhere_else(open_map: Open) -> None:
    page = open_map()
    shown(page, [], [near(1), near(2), near(9)])
    before = pixel(page, 1)

    page.evaluate(
        "place => rig.store.apply({type: 'driver', drivers: [{id: 1, ...place, is_online: true}]})",
        {"lat": LAT + 0.0005, "lng": LNG + 0.004},
    )

    until(page, "y => Math.abs(rig.map.fleet.find(1).y - y) > 1e-9", page.evaluate("rig.map.fleet.find(2).y"))
    settled(page)
    after = pixel(page, 1)
    assert colour(page, **after) == COLOURS["free"]
    assert colour(page, **before) != COLOURS["free"]


#: Types for 0.9 s while a driver moves: how often the map was updated meanwhile, and the longest time without a key.
TYPE = """async () => {
  const move = lat => rig.store.apply({type: 'driver', drivers: [{id: 1, lat, is_online: true}]});
  const later = ms => new Promise(resolve => setTimeout(resolve, ms));
  const { stats } = rig.map;
  let seen = stats.updates;
  move(37.78);
  while (stats.updates === seen) await later(10);
  seen = stats.updates;
  const begun = performance.now();
  let [last, gap] = [begun, 0];
  while (performance.now() - begun < 900) {
    gap = Math.max(gap, performance.now() - last);
    last = performance.now();
    document.body.dispatchEvent(new Event('input', {bubbles: true}));
    move(37.79);
    await later(20);
  }
  const meanwhile = stats.updates - seen;
  while (stats.updates === seen) await later(10);
  return {meanwhile, gap, after: performance.now() - last};
}"""


def test_the_map_waits_for_whoever_types(open_map: Open) -> None:
    page = open_map()
    shown(page, [], [near(1)])

    # Unless this machine was too busy to type.
    while (typed := page.evaluate(TYPE))["gap"] > 200:
        pass

    assert typed["meanwhile"] == 0
    assert typed["after"] >= 200
    settled(page)


def test_many_drivers_become_clusters_that_open_when_clicked(open_map: Open, complaints: list[str]) -> None:
    page = open_map()
    crowd = [
        {"id": n, "name": f"Driver {n}", "lat": LAT + (n % 20) * 0.0004, "lng": LNG + (n // 20) * 0.0004}
        for n in range(1, 401)
    ]
    shown(page, [], [*crowd, {"id": 900, "name": "Far", "lat": LAT + 0.3, "lng": LNG - 0.3}])

    clusters = page.evaluate("rig.map.fleet.clusters.map(cluster => cluster.count)")
    assert sum(clusters) + page.evaluate("rig.map.fleet.packedCount") == 401
    assert max(clusters) > 50

    before = page.evaluate("rig.map.fleet.clusters.length")
    spot = page.evaluate(
        """() => { const largest = rig.map.fleet.clusters.toSorted((a, b) => b.count - a.count)[0];
                   return rig.map.pixels(rig.map.placeOf(largest)); }"""
    )
    assert page.evaluate("spot => rig.map.at(spot.x, spot.y).kind", spot) == "cluster"
    page.locator(".map-ground canvas").click(position=spot)

    until(page, "rig.map.fleet.packedCount > 40")
    assert page.evaluate("rig.map.fleet.clusters.length") != before
    assert complaints == []


def test_twenty_thousand_drivers_are_taken_in_and_found_again(open_map: Open, complaints: list[str]) -> None:
    page = open_map()
    page.evaluate(
        """() => rig.show([], Array.from({length: 20000}, (_, n) => ({id: n + 1, name: `D ${n}`,
             lat: 37.6 + (n % 200) * 0.001, lng: -122.5 + Math.floor(n / 200) * 0.001})))"""
    )
    until(page, "rig.map.fleet.count === 20000")
    settled(page)

    assert page.evaluate("rig.map.fleet.clusters.reduce((sum, c) => sum + c.count, rig.map.fleet.packedCount)") == 20000
    nearest = page.evaluate("rig.map.fleet.nearest({lat: 37.6, lng: -122.5}, 3, () => true)")
    # One step north is farther than one step west on the ground, and as far on the map.
    assert nearest[0] == 1
    assert set(nearest) <= {1, 2, 201}
    assert complaints == []


def test_clicking_a_driver_selects_them(open_map: Open) -> None:
    page = open_map()
    shown(page, [], [near(1), near(5)])
    box = page.locator(".map-ground").bounding_box()
    assert box is not None
    at = pixel(page, 5)

    page.mouse.move(at["x"], at["y"])
    expect(page.locator(".map-tip")).to_contain_text("Driver 5\nFree, 0 of 1")
    page.mouse.click(at["x"], at["y"])

    assert page.evaluate("rig.store.selection.driver") == 5


@pytest.fixture
def chosen(alice: Any, bob: Any) -> Order:
    """An order at the ferry building; Alice stands there, Bob half a kilometre away."""
    return cast.order(reference="A-17")


def with_order(page: Page, order: Order, *drivers: Any) -> None:
    places = {"alice": cast.FERRY_BUILDING, "bob": cast.EMBARCADERO}
    rows = [
        {
            "id": driver.pk,
            "name": driver.name,
            "lat": places[driver.name.lower()][0],
            "lng": places[driver.name.lower()][1],
        }
        for driver in drivers
    ]
    shown(page, [document(order)], rows)
    page.evaluate("id => rig.store.select({order: id})", str(order.pk))


def test_an_order_shows_its_nearest_drivers_and_a_click_assigns_one(
    open_map: Open, complaints: list[str], chosen: Order, alice: Any, bob: Any
) -> None:
    page = open_map()
    with_order(page, chosen, alice, bob)

    panel = page.locator(".map-near")
    expect(panel.get_by_role("heading")).to_have_text("Assign A-17")
    rows = panel.locator(".near-list li:visible")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("Alice")
    expect(rows.nth(0)).to_contain_text("0 m")
    expect(rows.nth(1)).to_contain_text("Bob")
    expect(rows.nth(1)).to_contain_text("420 m")
    expect(rows.nth(1)).to_contain_text("0 of 1")

    rows.nth(1).get_by_role("button").click()

    expect(panel.get_by_role("heading")).to_be_visible()
    until(page, "rig.outcomes.length === 1")
    chosen.refresh_from_db()
    assert (chosen.status, chosen.driver_id) == ("assigned", bob.pk)
    assert complaints == []


def test_an_assigned_order_is_moved_to_another_driver_by_a_click(
    open_map: Open, complaints: list[str], chosen: Order, alice: Any, bob: Any
) -> None:
    services.assign_order(order_id=chosen.pk, driver_id=alice.pk, actor=cast.DISPATCHER)
    page = open_map()
    with_order(page, chosen, alice, bob)

    panel = page.locator(".map-near")
    expect(panel.get_by_role("heading")).to_have_text("Reassign A-17")
    # Its holder has no room left.
    expect(panel.locator(".near-list li:visible")).to_have_count(1)
    panel.locator(".near-list li:visible").get_by_role("button").click()

    until(page, "rig.outcomes.length === 1")
    assert page.evaluate("rig.outcomes[0].act") == "reassign"
    chosen.refresh_from_db()
    assert (chosen.status, chosen.driver_id) == ("assigned", bob.pk)
    assert complaints == []


def test_what_is_selected_is_not_under_the_list_of_the_nearest(
    open_map: Open, chosen: Order, alice: Any, bob: Any
) -> None:
    page = open_map()
    # As narrow as between the lists and the panel of a small screen.
    page.evaluate("document.querySelector('.board-map').style.right = '820px'; rig.map.resize()")
    with_order(page, chosen, alice, bob)
    expect(page.locator(".near-list li:visible")).to_have_count(2)
    settled(page)

    hidden = page.evaluate(
        """order => { const places = [rig.store.orders.get(order).pickup, ...rig.store.drivers.values()];
             const list = document.querySelector('.map-near').getBoundingClientRect();
             const ground = document.querySelector('.map-ground').getBoundingClientRect();
             return places.map(place => rig.map.pixels(place)).filter(at =>
               at.x + ground.x > list.left && at.y + ground.y < list.bottom); }""",
        str(chosen.pk),
    )
    assert hidden == []


def test_the_numbers_on_the_map_assign_too(open_map: Open, chosen: Order, alice: Any, bob: Any) -> None:
    page = open_map()
    with_order(page, chosen, alice, bob)
    expect(page.locator(".near-list li:visible")).to_have_count(2)
    settled(page)

    at = pixel(page, bob.pk)
    page.mouse.click(at["x"], at["y"])

    until(page, "rig.outcomes.length === 1")
    chosen.refresh_from_db()
    assert (chosen.status, chosen.driver_id) == ("assigned", bob.pk)


def test_an_order_that_has_moved_on_is_not_assigned_and_the_list_says_so(
    open_map: Open, chosen: Order, alice: Any, bob: Any
) -> None:
    page = open_map()
    with_order(page, chosen, alice, bob)
    expect(page.locator(".near-list li:visible")).to_have_count(2)
    # The list holds still under the focus, so the row is there to be pressed however slow this machine is.
    page.locator(".near-one").nth(1).focus()
    services.accept_order(order_id=chosen.pk, driver_id=alice.pk)

    page.keyboard.press("Enter")

    until(page, "rig.outcomes.length === 1")
    assert page.evaluate("rig.outcomes[0].results[0].problem.code") == "version_conflict"
    chosen.refresh_from_db()
    assert chosen.driver_id == alice.pk


def test_everything_on_the_map_can_be_reached_by_the_keyboard(
    open_map: Open, complaints: list[str], chosen: Order, alice: Any, bob: Any
) -> None:
    page = open_map()
    with_order(page, chosen, alice, bob)
    expect(page.locator(".near-list li:visible")).to_have_count(2)

    page.locator(".near-one").nth(0).focus()
    page.keyboard.press("Enter")
    until(page, "rig.outcomes.length === 1")
    chosen.refresh_from_db()
    assert chosen.driver_id == alice.pk

    page.locator(".map-inview summary").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Fit all").press("Enter")
    expect(page.locator(".inview-body").get_by_role("button", name="A-17")).to_be_visible()
    page.locator(".inview-body").get_by_role("button", name="Bob").press("Enter")
    assert page.evaluate("rig.store.selection.driver") == bob.pk
    assert complaints == []


def test_somebody_who_may_not_assign_is_shown_no_way_to(open_map: Open, chosen: Order, alice: Any) -> None:
    watcher = User.objects.create_user("wanda", is_staff=True)
    watcher.user_permissions.set(Permission.objects.filter(codename__in=["view_order", "view_driver"]))
    page = open_map(user=watcher)
    with_order(page, chosen, alice)

    expect(page.locator(".map-near").get_by_role("heading")).to_have_text("Near A-17")
    expect(page.locator(".near-one").first).to_have_attribute("aria-disabled", "true")
    page.locator(".near-one").first.click(force=True)
    expect(page.locator(".near-told")).to_have_text("You may not do this.")
    chosen.refresh_from_db()
    assert chosen.status == "pending"


def test_without_webgl_the_map_says_so_and_nothing_breaks(open_map: Open, complaints: list[str]) -> None:
    page = open_map(
        script="""const get = HTMLCanvasElement.prototype.getContext;
                  HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
                    return kind.startsWith("webgl") ? null : get.call(this, kind, ...more); };"""
    )

    expect(page.get_by_text("This browser draws no WebGL.")).to_be_visible()
    page.evaluate("rig.store.apply({type: 'driver', drivers: [{id: 1, lat: 1, lng: 1, is_online: true}]})")
    until(page, "rig.map.fleet.count === 1")
    assert page.evaluate("rig.map.centre()") is None
    assert complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_map_is_accessible(
    open_map: Open, complaints: list[str], chosen: Order, alice: Any, bob: Any, theme: str
) -> None:
    page = open_map(theme=theme)
    with_order(page, chosen, alice, bob)
    expect(page.locator(".near-list li:visible")).to_have_count(2)
    page.locator(".map-legend summary").click()

    assert inaccessible(page, ".board-map") == []
    assert complaints == []
