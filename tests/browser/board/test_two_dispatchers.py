"""Two dispatchers on one board: each sees what the other does, and nobody undoes it by accident."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from dispatch import services
from drivers.models import Driver
from orders import actors
from tests import cast, staff
from tests.browser.board.screen import fresh, panel, report, row, toast

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

Open = Callable[..., Page]


def test_each_sees_who_else_has_the_order_open(open_board: Open, complaints: list[str]) -> None:
    cast.order(reference="A-1")
    doras = open_board(staff.member("dora", "dispatcher"))
    sams = open_board(staff.member("sam", "dispatcher"))

    row(doras, "A-1").click()
    expect(row(sams, "A-1").locator(".tag.eye")).to_have_text("dora")
    row(sams, "A-1").click()
    expect(panel(sams)).to_contain_text("dora has this order open, too.")
    expect(panel(doras)).to_contain_text("sam has this order open, too.")

    doras.keyboard.press("Escape")
    expect(panel(sams)).not_to_contain_text("dora has this order open, too.")
    assert complaints == []


def test_what_one_does_the_other_sees_at_once(open_board: Open) -> None:
    cast.driver("alice", at=cast.FERRY_BUILDING)
    cast.order(reference="A-1")
    doras = open_board(staff.member("dora", "dispatcher"))
    sams = open_board(staff.member("sam", "dispatcher"))
    expect(row(sams, "A-1")).to_be_visible()

    row(doras, "A-1").click()
    doras.keyboard.press("a")
    doras.get_by_role("dialog").get_by_role("button", name="Assign to Alice, 0 m").click()

    expect(row(sams, "A-1", "In progress")).to_be_visible()
    expect(row(doras, "A-1", "In progress")).to_be_visible()


def test_an_act_on_an_order_that_has_moved_on_changes_nothing_and_says_who_did_what(open_board: Open) -> None:
    cast.driver("alice", at=cast.FERRY_BUILDING)
    bob = cast.driver("bob", at=cast.UNION_SQUARE)
    order = cast.order(reference="A-1")
    page = open_board(staff.member("dora", "dispatcher"))

    row(page, "A-1").click()
    page.keyboard.press("a")
    choice = page.get_by_role("dialog").get_by_role("button", name="Assign to Alice, 0 m")
    expect(choice).to_be_visible()
    # While dora looks at the candidates, sam is quicker.
    sam = actors.dispatcher(7, "sam")
    services.assign_order(order_id=order.pk, driver_id=bob.pk, actor=sam)
    expect(row(page, "A-1", "In progress")).to_be_visible()
    seen = fresh(order).version
    choice.click()

    expect(report(page)).to_contain_text("Nothing was done: sam assigned it to Bob")
    assert (fresh(order).driver_id, fresh(order).version) == (bob.pk, seen)
    assert Driver.objects.count() == 2


def test_an_undo_after_the_order_moved_on_is_refused_with_the_reason(open_board: Open) -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING)
    order = cast.order(reference="A-1")
    page = open_board(staff.member("dora", "dispatcher"))

    row(page, "A-1").click()
    page.keyboard.press("a")
    page.get_by_role("dialog").get_by_role("button", name="Assign to Alice, 0 m").click()
    expect(toast(page)).to_contain_text("A-1: assigned to Alice.")
    services.pick_up_order(order_id=order.pk, driver_id=alice.pk)
    page.keyboard.press("z")

    expect(toast(page)).to_contain_text("Not undone: Nothing was done: Alice picked it up")
    assert fresh(order).status == "picked_up"
