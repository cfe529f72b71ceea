"""Each permission has its buttons: without it they are not there, and all others are. (That the server refuses the acts
anyway: tests/dispatch/api/test_board_acts.py.)"""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from playwright.sync_api import Page, expect

from dispatch import services
from tests import cast
from tests.browser.board.screen import panel, row

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: Permission → what it shows on the page of an order and of its driver.
BUTTONS = {
    "orders.dispatch_order": {"assign", "reoffer", "extend", "unassign", "pin", "cancel", "reassign"},
    "drivers.duty_driver": {"duty"},
    "dispatch.add_message": {"message"},
    "orders.add_order": {"new"},
    "orders.view_ordercontact": {"show-contact"},
}


#: To see the board at all, and the panel of a driver.
READING = {"orders.view_order", "drivers.view_driver"}


def grant(user: User, names: set[str]) -> None:
    found = [
        Permission.objects.get(content_type__app_label=app, codename=name)
        for app, name in (permission.split(".") for permission in names)
    ]
    user.user_permissions.set(found)


def buttons(page: Page) -> set[str]:
    """What can be pressed, by its class, on an open order's panel, a held one's, and their driver's."""
    page.goto("/admin/board/")
    found: set[str] = set()
    for reference, where in (("A-1", "Open orders"), ("B-2", "In progress")):
        row(page, reference, where).click()
        expect(panel(page).get_by_role("heading", name=reference)).to_be_visible()
        expect(panel(page).locator(".chronicle")).to_be_visible()
        found |= shown(page)
    page.locator(".row.group").click()
    expect(panel(page)).to_contain_text("Last heard of")
    return found | shown(page)


def shown(page: Page) -> set[str]:
    names: list[str] = page.locator(".act:visible, .new:visible, .show-contact:visible").evaluate_all(
        "all => all.map(one => one.dataset.act ?? [...one.classList].at(-1))"
    )
    return {name.removeprefix("act-") for name in names}


def test_without_a_permission_its_buttons_are_not_there_and_all_others_are(
    open_board: Callable[..., Page], console: Any, complaints: list[str]
) -> None:
    eric = User.objects.create_user("eric", is_staff=True)
    grant(eric, {*READING, *BUTTONS})
    alice = cast.driver("alice", at=cast.FERRY_BUILDING)
    cast.order(reference="A-1")
    held = cast.order(reference="B-2")
    services.assign_order(order_id=held.pk, driver_id=alice.pk, actor=cast.DISPATCHER)
    page = open_board(eric)
    everything = buttons(page)
    assert everything >= {"assign", "cancel", "duty", "message", "new", "show-contact"}

    for missing, theirs in BUTTONS.items():
        grant(eric, {*READING, *BUTTONS} - {missing})
        assert buttons(page) == everything - theirs, missing
    assert complaints == []
