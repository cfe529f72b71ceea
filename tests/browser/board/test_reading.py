"""Finding and reading: the lists, the filter, the keys, the panel with its story."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Permission, User
from playwright.sync_api import Page, expect

from dispatch import services
from drivers.models import Vehicle
from orders.models import ContactAccess, Order
from tests import cast, staff
from tests.browser.board.screen import area, chosen, fresh, panel, row, until
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

Open = Callable[..., Page]
AXE = Path(django_settings.BASE_DIR) / "node_modules/axe-core/axe.min.js"


@pytest.fixture
def dora(console: Any) -> Any:
    return staff.member("dora", "dispatcher")


def test_the_board_says_what_is_open_and_counts_down_in_the_servers_time(
    open_board: Open, dora: Any, complaints: list[str]
) -> None:
    cast.order(reference="A-1")
    # This browser's clock is two hours ahead: it does not matter.
    page = open_board(dora, live=False)
    page.add_init_script("const ahead = 7200e3, now = Date.now; Date.now = () => now() + ahead;")
    page.reload()

    expiry = row(page, "A-1").locator(".expiry")
    expect(expiry).to_have_text(re.compile(r"^1:\d\d$"))
    first = expiry.inner_text()
    expect(expiry).not_to_have_text(first)
    expect(page.locator(".stat-pending")).to_have_text("1 open")
    assert complaints == []


def test_the_lists_do_without_the_maps_scripts_and_the_page_says_so(open_board: Open, dora: Any) -> None:
    cast.driver("alice", at=cast.FERRY_BUILDING)
    order = cast.order(reference="A-1")
    page = open_board(dora, live=False)
    page.route("**/board/map/*.js", lambda route: route.abort())
    page.route("**/board/neworder/*.js", lambda route: route.abort())
    page.reload()

    expect(page.get_by_text("Its scripts could not be fetched.")).to_be_visible()
    page.keyboard.press("n")
    expect(page.get_by_text("The form could not be fetched.")).to_be_visible()
    row(page, "A-1").click()
    expect(panel(page).get_by_role("heading", name="A-1")).to_be_visible()
    page.keyboard.press("x")
    page.get_by_label("Reason").fill("Shop closed")
    page.keyboard.press("Enter")
    wait_until(lambda: Order.objects.get(pk=order.pk).status == "cancelled", seconds=10, what="it is cancelled")


def test_the_filter_finds_references_addresses_drivers_and_states(open_board: Open, dora: Any) -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING)
    cast.order(reference="A-1")
    held = cast.order(reference="B-2")
    services.assign_order(order_id=held.pk, driver_id=alice.pk, actor=cast.DISPATCHER)
    page = open_board(dora)
    expect(row(page, "A-1")).to_be_visible()

    def finds(text: str, *names: str) -> None:
        page.keyboard.press("/")
        page.get_by_label("Filter orders and drivers").fill(text)
        found = page.locator(".row.order .name")
        wait_until(lambda: {*found.all_inner_texts()} == {*names}, seconds=10, what=f"{text} finds {names}")

    finds("a-1", "A-1")
    finds("ferry", "A-1", "B-2")
    finds("ali", "B-2")
    finds("status:pending", "A-1")
    finds("ferry driver:alice", "B-2")
    finds("ferry -status:assigned", "A-1")
    finds("nowhere")
    expect(area(page, "Open orders")).to_contain_text("Nothing here matches the filter.")
    page.keyboard.press("Escape")
    expect(row(page, "A-1")).to_be_visible()


def test_a_row_that_is_written_anew_while_somebody_types_is_all_of_the_new_order(open_board: Open, dora: Any) -> None:
    cast.driver("alice", at=cast.FERRY_BUILDING)
    plain = [cast.order(reference=f"A-{number}") for number in range(30)]
    rich = [cast.order(reference=f"B-{number}", priority=7, vehicle="van") for number in range(30)]
    page = open_board(dora)
    rows = area(page, "Open orders").locator(".row.order")
    said = "rows => rows.map(row => [row.dataset.key, row.querySelector('.name').innerText, row.innerText])"

    def shows(text: str, orders: list[Order], *words: str) -> None:
        page.get_by_label("Filter orders and drivers").fill(text)
        expect(rows.first.locator(".name")).to_contain_text(orders[0].reference[:2])
        names = {str(order.pk): order.reference for order in orders}
        seen = rows.evaluate_all(said)
        assert 5 < len(seen) <= 30
        for key, name, whole in seen:
            assert names[key] == name
            assert [word for word in ("P7", "van") if word in whole] == [*words]

    shows("ref:a-", plain)
    page.evaluate("window.kept = document.querySelector('.area-open .row.order')")
    shows("ref:b-", rich, "P7", "van")
    assert page.evaluate("window.kept.isConnected && window.kept.querySelector('.name').innerText.startsWith('B-')")
    shows("ref:a-", plain)
    rows.first.click()
    expect(panel(page).get_by_role("heading", name=rows.first.locator(".name").inner_text())).to_be_visible()


def test_rows_are_moved_through_and_selected_with_the_keyboard(open_board: Open, dora: Any) -> None:
    cast.driver("alice", at=cast.FERRY_BUILDING, capacity=3)
    for name in ("A-1", "A-2", "A-3"):
        cast.order(reference=name)
    page = open_board(dora)
    expect(row(page, "A-3")).to_be_visible()
    expect(area(page, "Needs attention")).to_contain_text("Nothing needs you.")

    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    expect(chosen(page)).to_contain_text("2 orders selected")
    page.keyboard.press("End")
    page.keyboard.press("Space")
    expect(chosen(page)).to_contain_text("3 orders selected")
    expect(row(page, "A-3")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(chosen(page)).to_be_hidden()
    page.keyboard.press("Enter")
    expect(panel(page).get_by_role("heading", name="A-3")).to_be_visible()
    page.keyboard.press("Enter")
    expect(panel(page).get_by_role("heading", name="A-3")).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()
    expect(row(page, "A-3")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys and filter")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_tab_goes_through_the_whole_page_and_is_caught_nowhere(open_board: Open, dora: Any) -> None:
    cast.driver("alice", at=cast.FERRY_BUILDING)
    for name in ("A-1", "A-2"):
        cast.order(reference=name)
    page = open_board(dora)
    row(page, "A-1").click()
    expect(panel(page).locator(".chronicle")).to_be_visible()
    page.locator("body").evaluate("body => { body.tabIndex = -1; body.focus(); }")

    seen = []
    for _ in range(120):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                "(document.activeElement.closest('[data-key], .strip, .panel, .bar, .board-map') ?? {}).className"
            )
        )
        if page.evaluate("document.activeElement === document.body"):
            break
    else:
        pytest.fail(f"Tab never left the page: {seen[-10:]}")
    names = " ".join(str(name) for name in seen)
    assert [place for place in ("strip", "row", "bar-left", "panel") if place not in names] == []


def test_the_panel_tells_the_story_and_why_this_driver(open_board: Open, dora: Any, complaints: list[str]) -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING)
    cast.driver("bob", at=cast.UNION_SQUARE)
    order = cast.order(reference="A-1")
    services.assign_order(order_id=order.pk, driver_id=alice.pk, actor=cast.DISPATCHER)
    page = open_board(dora)

    row(page, "A-1", "In progress").click()
    told = panel(page).locator(".chronicle .told")
    expect(told).to_have_text(["dora assigned it to Alice", "offered to 2 drivers", "dora placed it"])
    panel(page).get_by_text("Why this driver?").click()
    chosen = panel(page).locator("tr.chosen")
    expect(chosen).to_contain_text("Alice")
    expect(chosen).to_contain_text("chosen")
    expect(panel(page).locator(".why-part")).to_contain_text("Bob")
    panel(page).get_by_text("Offers: 2").click()
    expect(panel(page).locator(".offers-part tbody tr")).to_have_count(2)
    assert complaints == []


def test_an_open_panel_follows_what_makes_no_new_version(open_board: Open, dora: Any, complaints: list[str]) -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING, capacity=2)
    held, order = cast.order(reference="A-1"), cast.order(reference="A-2")
    services.offer_orders(order_ids=[order.pk])
    services.assign_order(order_id=held.pk, driver_id=alice.pk, actor=cast.DISPATCHER)
    page = open_board(dora)

    row(page, "A-1", "In progress").click()
    expect(panel(page)).to_contain_text("Alice holds 1/2")
    panel(page).get_by_role("button", name="Alice").focus()
    services.go_offline(driver_id=alice.pk)
    expect(panel(page)).to_contain_text("Alice off duty, holds 1/2")
    expect(panel(page).get_by_role("button", name="Alice")).to_be_focused()
    services.go_online(driver_id=alice.pk)

    services.offer_orders(order_ids=[order.pk])
    row(page, "A-2").click()
    expect(panel(page)).to_contain_text("1 open one, 0 declined")
    panel(page).get_by_text("Offers: 1, answered: 0").click()
    services.decline_order(order_id=order.pk, driver_id=alice.pk)
    expect(panel(page)).to_contain_text("0 open, 1 declined")
    expect(panel(page)).to_contain_text("Offers: 1, answered: 1")
    assert complaints == []


def test_a_driver_off_duty_is_shown_with_name_vehicle_and_load(open_board: Open, dora: Any) -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING, vehicle=Vehicle.VAN, capacity=2)
    order = cast.order(reference="A-1")
    services.assign_order(order_id=order.pk, driver_id=alice.pk, actor=cast.DISPATCHER)
    services.unassign_order(order_id=order.pk, actor=cast.DISPATCHER, version=fresh(order).version)
    services.go_offline(driver_id=alice.pk)
    page = open_board(dora)

    until(page, lambda: page.evaluate("Boolean(window.baton)"), "the map is there")
    page.evaluate("(driver) => window.baton.store.select({ driver })", alice.pk)

    expect(panel(page).get_by_role("heading", level=2)).to_have_text("Alice")
    expect(panel(page)).to_contain_text("van")
    expect(panel(page)).to_contain_text("0 of 2")
    expect(panel(page).get_by_role("button", name="Put on duty")).to_be_visible()

    # An app that is open goes on beating, and a beat brings no name.
    cast.move(alice, cast.UNION_SQUARE)
    page.evaluate(
        """(id) => window.baton.store.apply(
            { type: "driver", drivers: [{ id, is_online: false, lat: 37.788, lng: -122.4075 }] })""",
        alice.pk,
    )
    page.evaluate("new Promise((done) => setTimeout(done, 100))")
    expect(panel(page).get_by_role("heading", level=2)).to_have_text("Alice")
    expect(panel(page)).to_contain_text("0 of 2")


def test_a_driver_who_is_in_no_new_snapshot_is_off_duty_in_an_open_panel(open_board: Open, dora: Any) -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING)
    page = open_board(dora)
    until(page, lambda: page.evaluate("Boolean(window.baton)"), "the map is there")
    page.evaluate("(driver) => window.baton.store.select({ driver })", alice.pk)
    expect(panel(page)).to_contain_text("free")
    expect(panel(page).get_by_role("button", name="Put off duty")).to_be_visible()

    page.evaluate(
        """() => window.baton.store.apply(
            { type: "snapshot", orders: [], drivers: [], stats: {}, server_time: new Date().toISOString() })"""
    )

    expect(panel(page)).to_contain_text("off duty")
    expect(panel(page).get_by_role("button", name="Put on duty")).to_be_visible()


def test_the_customer_is_shown_on_request_and_the_look_is_on_record(open_board: Open, dora: Any) -> None:
    order = cast.order(reference="A-1")
    page = open_board(dora)

    row(page, "A-1").click()
    expect(panel(page).locator(".chronicle")).to_be_visible()
    expect(page.get_by_text("Carol Customer")).to_have_count(0)
    assert ContactAccess.objects.count() == 0
    panel(page).get_by_role("button", name="Show customer").click()

    expect(panel(page)).to_contain_text("Carol Customer")
    assert list(ContactAccess.objects.values_list("order_id", "actor_name")) == [(order.pk, "dora")]


def test_without_a_permission_there_is_no_button_and_no_key(open_board: Open, console: Any) -> None:
    onlooker = User.objects.create_user("otto", is_staff=True)
    onlooker.user_permissions.set(Permission.objects.filter(codename__in=["view_order", "view_driver"]))
    cast.driver("alice", at=cast.FERRY_BUILDING)
    cast.order(reference="A-1")
    page = open_board(onlooker)

    row(page, "A-1").click()
    expect(panel(page).locator(".chronicle")).to_be_visible()
    assert page.locator("[data-act], .new, .show-contact, .act-duty").count() == 0
    for key in ("a", "x", "r", "n"):
        page.keyboard.press(key)
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_about(open_board: Open, dora: Any, theme: str) -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING, capacity=2)
    expired = cast.order(reference="A-0")
    cast.let_time_pass(expired, seconds=300)
    services.expire_orders()
    for name in ("A-1", "A-2"):
        cast.order(reference=name)
    held = cast.order(reference="B-2")
    services.assign_order(order_id=held.pk, driver_id=alice.pk, actor=cast.DISPATCHER)
    page = open_board(dora, color_scheme=theme, reduced_motion="reduce")
    expect(row(page, "A-0", "Needs attention")).to_be_visible()

    def check(state: str) -> None:
        # Through the debugger, so that the page's own policy stays as strict as it is.
        page.evaluate(AXE.read_text() + "; 0")
        found: Any = page.evaluate("axe.run({exclude: [['.maplibregl-map']]}, {resultTypes: ['violations']})")
        told = [
            (bad["id"], node["target"], node["failureSummary"]) for bad in found["violations"] for node in bad["nodes"]
        ]
        assert told == [], f"{state}: {json.dumps(told, indent=1)}"

    check("the lists")
    row(page, "B-2", "In progress").click()
    expect(panel(page).locator(".chronicle")).to_be_visible()
    for part in ("why-part", "offers-part"):
        panel(page).locator(f".{part} summary").click()
    row(page, "A-1").locator(".pick").click()
    row(page, "A-2").locator(".pick").click()
    check("an order's panel and selected rows")
    page.keyboard.press("a")
    expect(page.get_by_role("dialog")).to_be_visible()
    check("the dialog of an assignment")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    check("the help")
    page.keyboard.press("Escape")
    page.locator(".row.group").click()
    expect(panel(page)).to_contain_text("Last heard of")
    check("a driver's panel")
