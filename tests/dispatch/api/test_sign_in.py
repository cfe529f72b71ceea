"""A driver's device in and out: passwords, tokens, tickets."""

from collections import Counter
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client

from drivers import signin, tickets
from drivers.limits import Limit
from drivers.models import DeviceToken, Driver, Presence
from tests import cast
from tests.dispatch.api.callers import Caller, bearer, errors, phone, problem
from tests.staff import member

pytestmark = pytest.mark.django_db

#: Nothing was collected for the tests, so nothing has a hash in its name.
PLAIN_FILES = "django.contrib.staticfiles.storage.StaticFilesStorage"


@pytest.fixture
def anybody() -> Caller:
    return Caller(Client())


def sign_in(caller: Caller, username: str = "alice", password: str = cast.PASSWORD, **more: Any) -> Any:
    return caller.post("auth/login/", {"username": username, "password": password, **more})


def test_the_right_password_gets_a_token_for_this_device(anybody: Caller, alice: Driver) -> None:
    response = sign_in(anybody, device="Alice's phone")

    assert response.status_code == 200
    document = response.json()
    assert document["driver"]["id"] == alice.pk
    assert document["driver"] == bearer(document["token"]).get("driver/").json()
    (device,) = DeviceToken.objects.all()
    assert (device.user, device.device) == (alice.user, "Alice's phone")
    assert document["expires_at"] == f"{device.expiry:%Y-%m-%dT%H:%M:%S.%f}Z"
    assert response.headers["Cache-Control"] == "no-store"
    assert "sessionid" not in response.cookies


def test_each_device_has_a_token_of_its_own(anybody: Caller, alice: Driver) -> None:
    first, second = (sign_in(anybody).json()["token"] for _ in range(2))

    assert first != second
    assert bearer(first).get("driver/").status_code == 200
    assert bearer(second).get("driver/").status_code == 200


@pytest.mark.parametrize(
    ("username", "password"), [("alice", "wrong"), ("nobody", cast.PASSWORD), ("alice", cast.PASSWORD.upper())]
)
def test_a_wrong_name_and_a_wrong_password_are_refused_alike(
    anybody: Caller, alice: Driver, username: str, password: str
) -> None:
    response = sign_in(anybody, username, password)

    assert problem(response, 401, "sign_in_refused") == {
        "type": "urn:baton:problem:sign_in_refused",
        "title": "Unauthorized",
        "status": 401,
        "code": "sign_in_refused",
        "detail": "User name or password is wrong.",
    }
    assert DeviceToken.objects.count() == 0


def test_a_user_who_is_no_driver_is_refused_alike(anybody: Caller, dora: User) -> None:
    problem(sign_in(anybody, "dora"), 401, "sign_in_refused")

    assert DeviceToken.objects.count() == 0


def test_a_deactivated_driver_is_refused_alike(anybody: Caller, alice: Driver) -> None:
    User.objects.filter(pk=alice.user_id).update(is_active=False)

    problem(sign_in(anybody), 401, "sign_in_refused")


def test_a_suspended_driver_is_told_so_if_the_password_is_right(anybody: Caller, alice: Driver) -> None:
    Driver.objects.update(suspended=True)

    problem(sign_in(anybody), 403, "driver_suspended")
    problem(sign_in(anybody, password="wrong"), 401, "sign_in_refused")
    assert DeviceToken.objects.count() == 0


def test_a_name_typed_in_another_form_of_the_same_letters_is_the_same_name(anybody: Caller) -> None:
    cast.driver("ﬁnn")  # create_user stores it in normal form: "finn"

    assert sign_in(anybody, "ﬁnn").status_code == 200
    assert sign_in(anybody, "finn").status_code == 200


def test_a_password_is_taken_as_it_is_spaces_included(anybody: Caller, alice: Driver) -> None:
    problem(sign_in(anybody, password=f" {cast.PASSWORD} "), 401, "sign_in_refused")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["password", "username"]),
        ({"username": "alice"}, ["password"]),
        ({"username": 5, "password": True}, ["password", "username"]),
        ({"username": "a", "password": "b", "remember": True, "device": None}, ["device", "remember"]),
        ({"username": "a" * 151, "password": "b" * 1001}, ["password", "username"]),
    ],
)
def test_what_is_wrong_with_a_sign_in_is_named(anybody: Caller, body: dict[str, Any], fields: list[str]) -> None:
    assert sorted(errors(anybody.post("auth/login/", body))) == fields
    assert AccessAttempt.objects.count() == 0


def test_the_tenth_wrong_password_locks_this_name_from_this_address_for_a_while(anybody: Caller, alice: Driver) -> None:
    for _ in range(9):
        problem(sign_in(anybody, password="wrong"), 401, "sign_in_refused")

    for password in ("wrong", cast.PASSWORD):
        response = sign_in(anybody, password=password)
        assert problem(response, 429, "throttled")["retry_after"] == 900
        assert response.headers["Retry-After"] == "900"
    assert DeviceToken.objects.count() == 0


def test_others_and_elsewhere_are_not_locked_out_with_them(anybody: Caller, alice: Driver, bob: Driver) -> None:
    for _ in range(11):
        sign_in(anybody, password="wrong")

    assert sign_in(anybody, "bob").status_code == 200
    elsewhere = Caller(Client(REMOTE_ADDR="203.0.113.9"))
    assert sign_in(elsewhere, "alice").status_code == 200


def test_the_right_password_starts_the_count_again(anybody: Caller, alice: Driver) -> None:
    for _ in range(3):
        for _ in range(9):
            sign_in(anybody, password="wrong")
        assert sign_in(anybody).status_code == 200


def test_the_admin_is_locked_out_with_a_page(dora: User, client: Client, settings: Any) -> None:
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": PLAIN_FILES}}
    for _ in range(10):
        response = client.post("/admin/login/", {"username": "dora", "password": "wrong"})

    assert response.status_code == 429
    assert response.headers["Retry-After"] == "900"
    assert response.headers["Content-Type"].startswith("text/html")
    assert b"Too many attempts" in response.content


def test_one_password_tried_on_many_names_is_stopped(
    anybody: Caller, alice: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signin, "REFUSALS_PER_ADDRESS", Limit("test", per_second=0.001, burst=5))
    for number in range(5):
        problem(sign_in(anybody, f"user{number}", "Password1"), 401, "sign_in_refused")

    response = sign_in(anybody)

    assert problem(response, 429, "throttled")["retry_after"] == int(response.headers["Retry-After"]) > 900
    assert sign_in(Caller(Client(REMOTE_ADDR="203.0.113.9"))).status_code == 200


def test_attempts_at_the_same_moment_all_count(anybody: Caller, alice: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is spent before the password is looked at, and given back when it was right."""
    monkeypatch.setattr(signin, "REFUSALS_PER_ADDRESS", Limit("test", per_second=0.001, burst=1))
    looked_at: list[float] = []

    def authenticate(**_: Any) -> None:
        looked_at.append(signin.REFUSALS_PER_ADDRESS.wait("127.0.0.1"))

    for _ in range(3):
        assert sign_in(anybody).status_code == 200
    monkeypatch.setattr(signin, "authenticate", authenticate)
    problem(sign_in(anybody), 401, "sign_in_refused")
    problem(sign_in(anybody), 429, "throttled")

    assert len(looked_at) == 1
    assert looked_at[0] > 0


def test_staff_and_drivers_are_counted_together(
    anybody: Caller, alice: Driver, dora: User, client: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": PLAIN_FILES}}
    monkeypatch.setattr(signin, "REFUSALS_PER_ADDRESS", Limit("test", per_second=0.001, burst=3))
    right = {"username": "dora", "password": cast.PASSWORD}
    for _ in range(4):
        assert Client().post("/admin/login/", right).status_code == 302
    for _ in range(2):
        assert client.post("/admin/login/", {"username": "dora", "password": "wrong"}).status_code == 200
    problem(sign_in(anybody, password="wrong"), 401, "sign_in_refused")

    response = client.post("/admin/login/", right)

    assert (response.status_code, response.wsgi_request.user.is_authenticated) == (429, False)
    assert 990 < int(response.headers["Retry-After"]) <= 1000
    problem(sign_in(anybody), 429, "throttled")
    assert client.get("/admin/login/").status_code == 200


def test_a_thousand_wrong_passwords_from_fifty_addresses_at_one_account(
    alice: Driver, client: Client, settings: Any
) -> None:
    """Those addresses are locked out, the driver at work notices nothing, and staff can unlock."""
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": PLAIN_FILES}}
    app = phone(alice)
    strangers = [Caller(Client(REMOTE_ADDR=f"203.0.113.{number}")) for number in range(1, 51)]

    codes = Counter(
        sign_in(stranger, password=f"guess {turn}").status_code for turn in range(20) for stranger in strangers
    )

    assert codes == {401: 50 * 9, 429: 50 * 11}
    for stranger in strangers:
        problem(sign_in(stranger), 429, "throttled")
    assert app.get("driver/").status_code == 200
    assert app.post("driver/heartbeat/", {"lat": 37.7955, "lng": -122.3937}).status_code == 200
    assert sign_in(Caller(Client(REMOTE_ADDR="198.51.100.7"))).status_code == 200

    client.force_login(member("sue", "supervisor"))
    attempts = AccessAttempt.objects.filter(ip_address="203.0.113.1")
    ticked = {"action": "unlock", "index": 0, "_selected_action": [attempt.pk for attempt in attempts]}
    assert client.post("/admin/axes/accessattempt/", ticked).status_code == 302
    assert sign_in(strangers[0]).status_code == 200
    problem(sign_in(strangers[1]), 429, "throttled")


# --- Signing out -----------------------------------------------------------------------------------------------------


def test_signing_out_ends_this_devices_token_and_goes_off_duty(alice: Driver) -> None:
    one, other = phone(alice), phone(alice)
    order = cast.order()

    response = one.post("auth/logout/")

    assert (response.status_code, response.content) == (204, b"")
    problem(one.get("driver/"), 401, "not_authenticated")
    assert other.get("driver/").json()["is_online"] is False
    assert cast.offers(order) == {"alice": "lapsed"}
    assert Presence.objects.get(pk=alice.pk).is_online is False


def test_signing_out_twice_is_a_token_that_is_no_more(alice: Driver) -> None:
    app = phone(alice)
    app.post("auth/logout/")

    problem(app.post("auth/logout/"), 401, "not_authenticated")


def test_orders_in_hand_stay_in_hand(alice: Driver) -> None:
    app = phone(alice)
    order = cast.order()
    app.post(f"orders/{order.pk}/accept/")

    app.post("auth/logout/")

    order.refresh_from_db()
    assert (order.status, order.driver_id) == ("assigned", alice.pk)


# --- Tokens and tickets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer a b",
        "Token x",
        "Basic YWxpY2U6eA==",
        "Bearer é",
        "Bearer bk_x",
        "x",
    ],
)
def test_without_a_good_token_there_is_only_401(alice: Driver, authorization: str) -> None:
    response = Caller(Client(), {"Authorization": authorization}).get("driver/")

    document = problem(response, 401, "not_authenticated")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert authorization not in document["detail"] or not authorization


def test_an_api_key_and_a_session_do_not_open_the_drivers_doors(shop: Caller, dora: User, client: Client) -> None:
    client.force_login(dora)

    problem(shop.get("driver/"), 401, "not_authenticated")
    problem(Caller(client).get("driver/"), 401, "not_authenticated")


def test_a_suspended_drivers_token_says_so(alice: Driver) -> None:
    app = phone(alice)
    Driver.objects.update(suspended=True)

    problem(app.get("driver/"), 403, "driver_suspended")


def test_a_ticket_leads_to_this_driver_and_device(alice: Driver) -> None:
    app = phone(alice)

    response = app.post("auth/ticket/")

    assert response.json()["expires_in"] == 30
    assert tickets.redeem_ticket(response.json()["ticket"]) == (alice.pk, DeviceToken.objects.get().digest)


def test_tickets_and_sign_out_take_nothing(alice: Driver) -> None:
    app = phone(alice)

    assert errors(app.post("auth/ticket/", {"for": "bob"})) == {"for": ["There is no such field."]}
    assert errors(app.post("auth/logout/", {"all": True})) == {"all": ["There is no such field."]}
    assert app.get("driver/").status_code == 200
