"""Every door that believes a session asks for the second factor."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLResolver, get_resolver
from django.urls.resolvers import RegexPattern
from websockets.exceptions import InvalidStatus

from dispatch.errors import NotSignedIn
from dispatch.selectors_access import dispatcher_by_session
from drivers import second_factor
from tests import cast, codes, staff
from tests.dispatch.live.rig import Server, open_board

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("plain_files")]


@pytest.fixture
def member() -> User:
    return staff.member("sam", "supervisor")


def test_rest_and_the_board_refuse_a_session_that_has_not_shown_it(member: User, server: Server) -> None:
    here, there = staff.signed_in(member), staff.signed_in(member)
    board = open_board(server, member)
    board.get("snapshot")

    codes.set_up(here)

    assert board.close_code(within=2) == 4001
    board.close()
    assert here.get("/api/v1/orders/").status_code == 200
    refused = there.get("/api/v1/orders/")
    assert (refused.status_code, refused.json()["code"]) == (401, "not_authenticated")
    with pytest.raises(InvalidStatus) as refusal:
        open_board(server, member)
    assert refusal.value.response.status_code == 403


def test_where_it_is_required_there_is_nothing_else_before_it(member: User, settings: Any) -> None:
    settings.SECOND_FACTOR = "required"
    browser = Client()
    assert codes.sign_in(browser, member).status_code == 302

    led = browser.get("/admin/drivers/driver/", follow=True)
    assert led.redirect_chain[-1] == ("/admin/second-factor/?next=%2Fadmin%2Fdrivers%2Fdriver%2F", 302)
    assert "needed" in staff.page_text(led)
    assert "Drivers" not in staff.page_text(led)
    for path in ("", "orders/order/", "password_change/", "autocomplete/", "jsi18n/", "drivers/driver/add/"):
        assert browser.get(f"/admin/{path}").status_code == 302, path
    assert browser.post("/admin/orders/order/add/", {}).status_code == 302
    assert browser.get("/api/v1/orders/").status_code == 401
    assert second_factor.standing(user_id=member.pk, session=browser.session) is second_factor.Standing.NOT_ENROLLED

    codes.set_up(browser)

    assert staff.is_in(browser)
    assert browser.get("/api/v1/orders/").status_code == 200


def test_the_board_is_closed_to_those_who_need_one_and_have_none(member: User, settings: Any) -> None:
    session = str(staff.signed_in(member).session.session_key)
    assert dispatcher_by_session(session_key=session) == member.pk
    settings.SECOND_FACTOR = "required"
    with pytest.raises(NotSignedIn):
        dispatcher_by_session(session_key=session)


def test_where_it_is_off_nobody_is_asked(member: User, settings: Any) -> None:
    codes.enrolled(member)
    settings.SECOND_FACTOR = "off"
    browser = Client()

    assert codes.sign_in(browser, member).status_code == 302
    assert staff.is_in(browser)
    assert browser.get(codes.PAGE).status_code == 404


def test_a_driver_has_no_page_for_it(alice: Any) -> None:
    browser = Client()
    browser.force_login(alice.user)
    assert browser.get(codes.PAGE).status_code == 302
    assert browser.post(codes.PAGE, {"act": "enrol", "code": "1"}).status_code == 302


def test_after_setting_it_up_nobody_is_sent_to_another_site(member: User) -> None:
    browser = staff.signed_in(member)
    page = browser.get(codes.PAGE + "?next=https://elsewhere.example/")
    assert b"elsewhere.example" not in page.content


# --- No door is forgotten ---

#: What anybody may see, or a session that must set up a second factor first.
OPEN = {
    "/",
    "/api/v1/auth/login/",
    "/admin/login/",
    "/admin/logout/",
    codes.PAGE,
    "/sw.js",
    "/healthz",
    "/readyz",
    "/metrics",
}
OPEN_BENEATH = ("/healthz", "/readyz", "/metrics", "/driver/", "/api/schema/", "/api/docs/")
PARTS = {"uuid": "00000000-0000-7000-8000-000000000000", "int": "1", "slug": "x", "path": "1", "str": "1"}


def addresses(resolver: URLResolver, beneath: str = "/") -> Iterator[str]:
    """Every address that there is, with something in the place of its arguments."""
    for part in resolver.url_patterns:
        if isinstance(part.pattern, RegexPattern):
            # The admin's own: /admin/<app>/ and whatever is not found.
            yield f"{beneath}orders/"
            continue
        path = beneath + re.sub(r"<(?:(\w+):)?\w+>", lambda found: PARTS[found[1] or "str"], str(part.pattern))
        if isinstance(part, URLResolver):
            yield from addresses(part, path)
        else:
            yield path


@pytest.mark.parametrize("rule", ["required", "optional"])
def test_no_address_believes_a_session_that_has_not_shown_it(member: User, settings: Any, rule: str) -> None:
    root = User.objects.create_superuser("root", password=cast.PASSWORD)
    browser = staff.signed_in(root)
    if rule == "optional":
        # Set up elsewhere: this session has not shown it.
        codes.set_up(staff.signed_in(root))
    settings.SECOND_FACTOR = rule
    asked = {path for path in addresses(get_resolver()) if path not in OPEN and not path.startswith(OPEN_BENEATH)}
    assert {"/admin/", "/admin/board/", "/admin/orders/order/", "/api/v1/orders/", "/api/v1/drivers/"} <= asked
    assert len(asked) > 80

    for path in sorted(asked):
        for method in ("get", "post"):
            answer = getattr(browser, method)(path)
            place = answer.headers.get("Location", "")
            led = answer.status_code == 302 and place.startswith("/admin/login/?")
            assert led or answer.status_code in {401, 405}, (method, path, answer.status_code, place)
