"""How live the board is: it says so, stops acts while it is not, and catches up by itself."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, Route, WebSocket, WebSocketRoute, expect

from dispatch import live, services
from tests import cast, staff
from tests.browser.board.screen import area, fresh, panel, row, toast, until
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
    expect(page.locator(".live")).to_have_attribute("data-state", "live", timeout=60_000)
    expect(row(page, "A-2")).to_be_visible()
    expect(extend).not_to_have_attribute("aria-disabled", "true")


def test_a_line_that_hangs_is_shown_as_behind_and_replaced(open_board: Open, dora: Any, network: Proxy) -> None:
    cast.order(reference="A-1")
    page = open_board(dora, port=network.port)
    row(page, "A-1").click()

    network.freeze()
    expect(page.locator(".live")).to_have_text(re.compile(r"^\d+ s behind$"))
    expect(panel(page).get_by_role("button", name="Cancel")).to_have_attribute("aria-disabled", "true")
    expect(page.locator(".live")).to_have_attribute("data-state", "reconnecting")
    network.restore()
    expect(page.locator(".live")).to_have_attribute("data-state", "live", timeout=60_000)
    cast.order(reference="A-2")
    expect(row(page, "A-2")).to_be_visible()


def test_what_happens_is_pushed_to_the_screen_and_nothing_is_asked_for(open_board: Open, dora: Any) -> None:
    page = open_board(dora)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/" in request.url else None)

    # How soon is measured by benchmarks/console.py.
    for number in range(5):
        cast.order(reference=f"NEW-{number}")
        expect(row(page, f"NEW-{number}")).to_be_visible()

    assert asked == []


def test_the_board_is_read_while_the_scripts_are_on_their_way_and_only_once(open_board: Open, dora: Any) -> None:
    cast.order(reference="A-1")
    page = open_board(dora)
    sockets: list[WebSocket] = []
    frames: list[str | bytes] = []
    scripts: list[Route] = []
    page.on("websocket", lambda socket: sockets.append(socket))
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(frame)))
    page.route("**/board/main.*", lambda route: scripts.append(route))

    page.reload(wait_until="commit")
    until(
        page,
        lambda: scripts and any(str(frame).startswith('{"type":"snapshot"') for frame in frames),
        "the orders come before the scripts",
    )
    expect(row(page, "A-1")).to_have_count(0)
    for script in scripts:
        script.continue_()

    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    expect(row(page, "A-1")).to_be_visible()
    cast.order(reference="A-2")
    expect(row(page, "A-2")).to_be_visible()
    assert len(sockets) == 1


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
    expect(page.locator(".live")).to_have_text("signed out", timeout=60_000)


@pytest.mark.parametrize("answer", ["none", "signed out"])
def test_whether_somebody_is_signed_in_is_old_news_once_another_line_is_there(
    open_board: Open, dora: Any, network: Proxy, answer: str
) -> None:
    page = open_board(dora, port=network.port)
    until(page, lambda: page.evaluate("Boolean(window.baton)"), "the map is there")
    asked: list[Route] = []
    page.route(
        "**/admin/board/", lambda route: asked.append(route) if route.request.method == "HEAD" else route.continue_()
    )

    network.cut()
    expect(page.locator(".live")).to_have_attribute("data-state", "reconnecting")
    until(page, lambda: asked, "the page asks whether it is still signed in")
    network.restore()
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    with page.expect_event("requestfailed" if answer == "none" else "response"):
        asked[0].abort() if answer == "none" else asked[0].fulfill(status=403)
    page.evaluate("new Promise((done) => setTimeout(done))")

    assert page.evaluate("window.baton.store.link.state") == "live"


def test_drivers_that_did_not_come_with_a_snapshot_are_asked_for_again(open_board: Open, dora: Any) -> None:
    cast.driver("alice", at=cast.FERRY_BUILDING)
    asked: list[str | bytes] = []
    page = open_board(dora, live=False)

    def between(socket: WebSocketRoute) -> None:
        """What the server says when it cannot read the drivers, once."""
        server = socket.connect_to_server()
        failed: list[str] = []

        def from_server(frame: str | bytes) -> None:
            if '"chunk":' in str(frame) and not failed:
                failed.append("once")
                frame = '{"type":"error","problem":{"status":503,"code":"busy","detail":"Later."}}'
            socket.send(frame)

        def from_page(frame: str | bytes) -> None:
            if "sync" in str(frame):
                asked.append(frame)
            server.send(frame)

        server.on_message(from_server)
        socket.on_message(from_page)

    page.route_web_socket("**/ws/dispatch/**", between)
    page.reload()
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    page.keyboard.press("/")
    page.keyboard.type("alice")

    expect(area(page, "Drivers").get_by_role("row")).to_contain_text("Alice")
    assert len(asked) == 1


def test_an_order_that_needs_attention_but_was_not_sent_keeps_its_name_after_a_new_snapshot(
    open_board: Open, dora: Any
) -> None:
    """A snapshot brings the newest 500 of a kind."""
    order = cast.order(reference="A-1")
    cast.let_time_pass(order, seconds=300)
    services.expire_orders()
    page = open_board(dora, live=False)
    sockets: list[WebSocketRoute] = []
    snapshots: list[str] = []

    def between(socket: WebSocketRoute) -> None:
        sockets.append(socket)

        def from_server(frame: str | bytes) -> None:
            told = json.loads(frame)
            if told["type"] == "snapshot":
                snapshots.append(told["server_time"])
                told["orders"] = []
            socket.send(json.dumps(told))

        socket.connect_to_server().on_message(from_server)

    page.route_web_socket("**/ws/dispatch/**", between)
    page.reload()
    expect(row(page, "A-1", "Needs attention")).to_be_visible()

    sockets[0].send('{"type":"resync"}')
    until(page, lambda: len(snapshots) == 2, "the board is sent anew")

    expect(row(page, "A-1", "Needs attention")).to_be_visible()


def test_news_is_in_the_page_although_its_animation_frames_do_not_come(open_board: Open, dora: Any) -> None:
    """Without a graphics processor a frame of the map takes half a second; the lists do not wait for it."""
    page = open_board(dora)
    page.evaluate("window.requestAnimationFrame = () => 0")

    cast.order(reference="A-1")

    expect(row(page, "A-1")).to_be_attached()
