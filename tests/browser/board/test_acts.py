"""Every act of the console, one row at a time, by mouse and by keyboard."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dispatch import services
from dispatch.models import Message
from drivers.models import Presence
from tests import cast, staff
from tests.browser.board.screen import area, chosen, fresh, panel, report, row, toast

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

Open = Callable[..., Page]


@pytest.fixture
def dora(console: Any) -> Any:
    return staff.member("dora", "dispatcher")


def test_an_order_is_assigned_with_the_keyboard_alone(open_board: Open, dora: Any, complaints: list[str]) -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING)
    cast.driver("bob", at=cast.UNION_SQUARE)
    order = cast.order(reference="A-1")
    page = open_board(dora)
    expect(row(page, "A-1")).to_be_visible()
    expect(area(page, "Needs attention")).to_contain_text("Nothing needs you.")

    page.keyboard.press("ArrowDown")
    expect(row(page, "A-1")).to_be_focused()
    page.keyboard.press("a")
    dialog = page.get_by_role("dialog", name="Assign A-1")
    expect(dialog.get_by_role("row")).to_have_count(3)
    expect(dialog.get_by_role("button", name="Assign to Alice, 0 m")).to_be_focused()
    page.keyboard.press("Enter")

    expect(toast(page)).to_contain_text("A-1: assigned to Alice.")
    expect(row(page, "A-1", "In progress")).to_be_visible()
    expect(area(page, "Open orders").get_by_text("No open orders.")).to_be_visible()
    done = fresh(order)
    assert (done.status, done.driver_id, done.pinned) == ("assigned", alice.pk, True)
    assert complaints == []


def test_an_assignment_is_undone_within_ten_seconds(open_board: Open, dora: Any, complaints: list[str]) -> None:
    cast.driver("alice", at=cast.FERRY_BUILDING)
    order = cast.order(reference="A-1")
    page = open_board(dora)

    row(page, "A-1").click()
    panel(page).get_by_role("button", name="Assign", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Assign to Alice, 0 m").click()
    expect(toast(page).locator(".left")).to_have_text(re.compile(r"^\d s$"))
    page.keyboard.press("z")

    expect(toast(page)).to_contain_text("Undone.")
    expect(row(page, "A-1")).to_be_visible()
    back = fresh(order)
    assert (back.status, back.driver_id, back.pinned) == ("pending", None, False)
    assert complaints == []


def test_an_order_is_moved_to_another_driver_who_is_found_by_name(open_board: Open, dora: Any) -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING)
    zoe = cast.driver("zoe", at=cast.OCEAN_BEACH)
    order = cast.order(reference="A-1")
    services.assign_order(order_id=order.pk, driver_id=alice.pk, actor=cast.DISPATCHER)
    page = open_board(dora)

    row(page, "A-1", "In progress").click()
    page.keyboard.press("a")
    dialog = page.get_by_role("dialog", name="Reassign A-1")
    dialog.get_by_label("Somebody else, by name").fill("zo")
    dialog.get_by_role("button", name="Zoe", exact=True).click()

    expect(toast(page)).to_contain_text("A-1: assigned to Zoe.")
    assert fresh(order).driver_id == zoe.pk


def test_an_order_is_taken_back_and_undo_gives_it_to_the_same_driver_again(open_board: Open, dora: Any) -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING)
    order = cast.order(reference="A-1")
    services.assign_order(order_id=order.pk, driver_id=alice.pk, actor=cast.DISPATCHER)
    page = open_board(dora)

    row(page, "A-1", "In progress").click()
    page.keyboard.press("u")
    expect(toast(page)).to_contain_text("A-1: taken back.")
    expect(row(page, "A-1")).to_be_visible()
    assert fresh(order).driver_id is None

    toast(page).get_by_role("button", name="Undo").click()
    expect(row(page, "A-1", "In progress")).to_be_visible()
    assert fresh(order).driver_id == alice.pk


def test_an_expired_order_is_offered_again(open_board: Open, dora: Any) -> None:
    order = cast.order(reference="A-1")
    cast.let_time_pass(order, seconds=300)
    services.expire_orders()
    page = open_board(dora)
    expect(row(page, "A-1", "Needs attention")).to_contain_text("Expired")

    page.keyboard.press("ArrowDown")
    page.keyboard.press("r")

    expect(toast(page)).to_contain_text("A-1: offered again.")
    expect(row(page, "A-1")).to_be_visible()
    # The last row of its list is dealt with: the keyboard goes on in the next.
    expect(row(page, "A-1")).to_be_focused()
    again = fresh(order)
    assert (again.status, again.expired) == ("pending", False)


def test_a_deadline_is_extended(open_board: Open, dora: Any) -> None:
    order = cast.order(reference="A-1")
    page = open_board(dora)

    row(page, "A-1").click()
    page.keyboard.press("e")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="10 min").click()
    dialog.get_by_role("button", name="Extend").click()

    expect(toast(page)).to_contain_text("A-1: extended.")
    assert round((fresh(order).expires_at - order.expires_at).total_seconds()) == 600


def test_an_extension_whose_answer_was_lost_is_not_made_twice_by_trying_again(open_board: Open, dora: Any) -> None:
    order = cast.order(reference="A-1")
    page = open_board(dora)

    def lose_the_answer(route: Any) -> None:
        route.fetch()
        route.abort()

    page.route("**/board/acts/", lose_the_answer)
    row(page, "A-1").click()
    page.keyboard.press("e")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="10 min").click()
    dialog.get_by_role("button", name="Extend").click()
    expect(report(page).get_by_role("listitem")).to_contain_text("No answer from the server")
    page.unroute("**/board/acts/")
    # The news of it has come all the same.
    expect(panel(page)).to_contain_text("changed it")

    report(page).get_by_role("button", name="Try again").click()

    expect(report(page).get_by_role("listitem")).not_to_contain_text("No answer from the server")
    assert round((fresh(order).expires_at - order.expires_at).total_seconds()) == 600
    assert cast.history(order) == ["created", "corrected"]


def test_an_order_is_cancelled_only_with_a_reason(open_board: Open, dora: Any) -> None:
    order = cast.order(reference="A-1")
    page = open_board(dora)

    row(page, "A-1").click()
    page.keyboard.press("x")
    dialog = page.get_by_role("dialog", name="Cancel A-1?")
    dialog.get_by_role("button", name="Cancel order").click()
    expect(dialog).to_be_visible()
    assert fresh(order).status == "pending"
    dialog.get_by_label("Reason").fill("Shop closed")
    page.keyboard.press("Enter")

    expect(toast(page)).to_contain_text("A-1: cancelled.")
    expect(panel(page)).to_contain_text("reason: Shop closed")
    assert fresh(order).status == "cancelled"
    assert toast(page).get_by_role("button", name="Undo").count() == 0


def write_to(page: Page, name: str, text: str) -> None:
    page.keyboard.press("/")
    page.keyboard.type(name)
    area(page, "Drivers").get_by_role("row").click()
    page.keyboard.press("m")
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def test_a_driver_is_put_off_duty_and_written_to(open_board: Open, dora: Any, complaints: list[str]) -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING)
    page = open_board(dora)

    write_to(page, "alice", "Ring me, please")
    expect(toast(page)).to_contain_text("Alice: messaged.")
    expect(panel(page)).to_contain_text("Ring me, please")
    assert list(Message.objects.values_list("driver_id", "text")) == [(alice.pk, "Ring me, please")]

    panel(page).get_by_role("button", name="Put off duty").click()
    expect(panel(page).get_by_role("button", name="Put on duty")).to_be_visible()
    assert not Presence.objects.get(pk=alice.pk).is_online
    panel(page).get_by_role("button", name="Put on duty").click()
    expect(panel(page).get_by_role("button", name="Put off duty")).to_be_visible()
    assert Presence.objects.get(pk=alice.pk).is_online
    assert complaints == []


def test_a_message_whose_answer_was_lost_is_not_sent_twice_by_trying_again(open_board: Open, dora: Any) -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING)
    order = cast.order(reference="A-1")
    page = open_board(dora)

    def lose_the_answer(route: Any) -> None:
        route.fetch()
        route.fulfill(status=504, content_type="text/html", body="<h1>Gateway timeout</h1>")

    page.route("**/board/acts/", lose_the_answer)
    write_to(page, "alice", "Ring me, please")
    expect(report(page).get_by_role("listitem")).to_contain_text("No answer from the server")
    page.unroute("**/board/acts/")

    # Meanwhile something else succeeds, and what was not done is still there to be tried again.
    page.get_by_role("searchbox").fill("")
    row(page, "A-1").click()
    page.keyboard.press("p")
    expect(toast(page)).to_contain_text("A-1: kept out of auto-assignment.")
    report(page).get_by_role("button", name="Try again").click()

    expect(toast(page)).to_contain_text("Alice: messaged.")
    expect(report(page)).to_have_count(0)
    assert list(Message.objects.values_list("driver_id", "text")) == [(alice.pk, "Ring me, please")]
    assert fresh(order).pinned


def test_the_drivers_of_many_orders_are_written_to_and_put_off_duty_at_once(open_board: Open, dora: Any) -> None:
    names = ("alice", "bob")
    for name in names:
        driver = cast.driver(name, at=cast.FERRY_BUILDING)
        order = cast.order(reference=f"for {name}")
        services.assign_order(order_id=order.pk, driver_id=driver.pk, actor=cast.DISPATCHER)
    page = open_board(dora)
    for name in names:
        row(page, f"for {name}", "In progress").locator(".pick").click()

    chosen(page).get_by_role("button", name="Message").click()
    page.get_by_label("Message", exact=True).fill("Rain ahead")
    page.keyboard.press("Enter")
    expect(toast(page)).to_contain_text("2 of 2 messaged.")
    assert Message.objects.filter(text="Rain ahead").count() == 2

    page.keyboard.press("o")
    page.get_by_role("dialog", name="Duty of 2 drivers").get_by_role("button", name="Change").click()
    expect(toast(page)).to_contain_text("2 of 2 changed.")
    assert not Presence.objects.filter(is_online=True).exists()


def test_a_pinned_order_says_so_and_has_no_countdown_to_auto_assignment(open_board: Open, dora: Any) -> None:
    order = cast.order(reference="A-1")
    page = open_board(dora)

    row(page, "A-1").click()
    expect(row(page, "A-1")).to_contain_text("auto")
    page.keyboard.press("p")

    expect(row(page, "A-1")).to_contain_text("pinned")
    expect(row(page, "A-1")).not_to_contain_text("auto")
    assert fresh(order).pinned


def test_a_bulk_act_says_what_became_of_each_row_and_tries_only_the_failed_ones_again(
    open_board: Open, dora: Any, complaints: list[str]
) -> None:
    cast.driver("alice", at=cast.FERRY_BUILDING, capacity=2)
    orders = [cast.order(reference=name) for name in ("A-1", "A-2", "A-3")]
    page = open_board(dora)
    expect(row(page, "A-3")).to_be_visible()
    expect(area(page, "Needs attention")).to_contain_text("Nothing needs you.")

    page.keyboard.press("ArrowDown")
    page.keyboard.press("Control+a")
    expect(chosen(page)).to_contain_text("3 orders selected")
    page.keyboard.press("a")
    page.get_by_role("button", name="The nearest free driver for each of 3 orders").click()

    expect(toast(page)).to_contain_text("2 of 3 assigned.")
    expect(report(page).get_by_role("alert")).to_have_text("Assign nearest: 1 of 3 not done")
    expect(report(page).get_by_role("listitem")).to_have_text(["A-3 No free driver within 20 km."])
    assert [fresh(order).status for order in orders] == ["assigned", "assigned", "pending"]

    cast.driver("bob", at=cast.FERRY_BUILDING)
    report(page).get_by_role("button", name="Try again").click()
    expect(toast(page)).to_contain_text("A-3: assigned to Bob.")
    expect(report(page)).to_be_hidden()
    assert [order.version for order in map(fresh, orders[:2])] == [order.version + 1 for order in orders[:2]]
    assert complaints == []


def test_a_bulk_assignment_is_undone_as_a_whole(open_board: Open, dora: Any) -> None:
    cast.driver("alice", at=cast.FERRY_BUILDING, capacity=3)
    orders = [cast.order(reference=name) for name in ("A-1", "A-2")]
    page = open_board(dora)

    for name in ("A-1", "A-2"):
        row(page, name).locator(".pick").click()
    chosen(page).get_by_role("button", name="Assign", exact=True).click()
    page.get_by_role("button", name="The nearest free driver for each of 2 orders").click()
    expect(toast(page)).to_contain_text("2 of 2 assigned.")
    page.keyboard.press("z")

    expect(toast(page)).to_contain_text("2 acts undone.")
    assert [fresh(order).status for order in orders] == ["pending", "pending"]


def select_all(page: Page, count: int) -> None:
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Control+a")
    expect(chosen(page)).to_contain_text(f"{count} orders selected")


def test_many_are_extended_at_once(open_board: Open, dora: Any, complaints: list[str]) -> None:
    orders = [cast.order(reference=name) for name in ("A-1", "A-2")]
    page = open_board(dora)
    expect(row(page, "A-2")).to_be_visible()

    for name in ("A-1", "A-2"):
        row(page, name).locator(".pick").click()
    page.keyboard.press("e")
    page.get_by_role("dialog").get_by_role("button", name="10 min").click()
    page.get_by_role("dialog").get_by_role("button", name="Extend").click()

    expect(toast(page)).to_contain_text("2 of 2 extended.")
    assert [round((fresh(order).expires_at - order.expires_at).total_seconds()) for order in orders] == [600, 600]
    assert complaints == []


def test_many_are_taken_back_at_once_and_given_to_the_same_driver_again(open_board: Open, dora: Any) -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING, capacity=2)
    orders = [cast.order(reference=name) for name in ("A-1", "A-2")]
    for order in orders:
        services.assign_order(order_id=order.pk, driver_id=alice.pk, actor=cast.DISPATCHER)
    page = open_board(dora)

    for name in ("A-1", "A-2"):
        row(page, name, "In progress").locator(".pick").click()
    page.keyboard.press("u")
    expect(toast(page)).to_contain_text("2 of 2 taken back.")
    assert [fresh(order).driver_id for order in orders] == [None, None]
    page.keyboard.press("z")

    expect(toast(page)).to_contain_text("2 acts undone.")
    assert [fresh(order).driver_id for order in orders] == [alice.pk, alice.pk]


def test_many_expired_orders_are_offered_again_at_once(open_board: Open, dora: Any) -> None:
    orders = [cast.order(reference=name) for name in ("A-1", "A-2")]
    for order in orders:
        cast.let_time_pass(order, seconds=300)
    services.expire_orders()
    page = open_board(dora)

    for name in ("A-1", "A-2"):
        row(page, name, "Needs attention").locator(".pick").click()
    page.keyboard.press("r")

    expect(toast(page)).to_contain_text("2 of 2 offered again.")
    assert [(fresh(order).status, fresh(order).expired) for order in orders] == [("pending", False)] * 2


def test_of_many_that_are_cancelled_the_one_that_has_moved_on_is_named_and_left(open_board: Open, dora: Any) -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING)
    mine, gone = (cast.order(reference=name) for name in ("A-1", "A-2"))
    page = open_board(dora)
    for name in ("A-1", "A-2"):
        row(page, name).locator(".pick").click()

    page.keyboard.press("x")
    page.get_by_role("dialog").get_by_label("Reason").fill("Storm")
    services.assign_order(order_id=gone.pk, driver_id=alice.pk, actor=cast.DISPATCHER)
    expect(row(page, "A-2", "In progress")).to_have_count(1)
    page.keyboard.press("Enter")

    expect(toast(page)).to_contain_text("1 of 2 cancelled.")
    expect(report(page).get_by_role("listitem")).to_have_count(1)
    expect(report(page).get_by_role("listitem")).to_contain_text("A-2")
    assert (fresh(mine).status, fresh(gone).status) == ("cancelled", "assigned")
