"""How often an address may ask without saying who it is."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from config import rates
from dispatch.api import principals
from drivers.limits import Limit
from drivers.models import Driver
from tests.dispatch.api.callers import Caller, bearer, phone, problem, shop

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _two_per_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "REQUESTS_PER_ADDRESS", Limit("test", per_second=0.1, burst=2))


def test_an_address_that_does_not_say_who_it_is_is_told_to_wait() -> None:
    nobody = Caller(Client())
    for _ in range(2):
        problem(nobody.get("driver/"), 401, "not_authenticated")

    refused = nobody.get("driver/")

    assert problem(refused, 429, "throttled")["retry_after"] == 10
    assert refused.headers["Retry-After"] == "10"
    problem(Caller(Client(REMOTE_ADDR="203.0.113.9")).get("driver/"), 401, "not_authenticated")


def test_a_bad_token_is_counted_and_whoever_has_a_good_one_at_that_address_works_on(alice: Driver) -> None:
    app, key = phone(alice), shop()
    for _ in range(2):
        problem(bearer("guessed").get("driver/"), 401, "not_authenticated")

    problem(bearer("guessed").get("driver/"), 429, "throttled")
    problem(bearer("bk_guessed").get("orders/"), 429, "throttled")

    assert {app.get("driver/").status_code for _ in range(5)} == {200}
    assert {key.get("orders/").status_code for _ in range(5)} == {200}


def test_staff_who_are_signed_in_are_not_counted_by_address_and_a_made_up_session_is(dora: User, settings: Any) -> None:
    plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": plain}}
    signed_in, stranger = Client(), Client()
    signed_in.force_login(dora)
    stranger.cookies["sessionid"] = "made-up"

    assert [stranger.get("/admin/").status_code for _ in range(3)] == [302, 302, 429]
    assert {signed_in.get("/admin/password_change/done/").status_code for _ in range(3)} == {200}


def test_people_get_a_page() -> None:
    client = Client()
    statuses = [client.get("/admin/").status_code for _ in range(2)]

    response = client.get("/admin/")

    assert (statuses, response.status_code) == ([302, 302], 429)
    assert response.headers["Content-Type"].startswith("text/html")
    assert b"Wait 10 s before" in response.content
    assert "Vary" not in response.headers


def test_health_checks_are_always_answered() -> None:
    assert {Client().get("/healthz").status_code for _ in range(5)} == {200}


def test_what_is_not_permitted_is_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(principals, "REQUESTS_PER_CALLER", Limit("test", per_second=0.1, burst=1))
    reader = shop("Reader", "orders:read")

    problem(reader.get("drivers/"), 403, "permission_denied")
    problem(reader.get("drivers/"), 429, "throttled")


def test_two_keys_are_counted_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(principals, "REQUESTS_PER_CALLER", Limit("test", per_second=0.1, burst=1))
    one, other = shop("One"), shop("Other")

    assert [one.get("orders/").status_code for _ in range(2)] == [200, 429]
    assert other.get("orders/").status_code == 200


def test_a_suspended_drivers_app_that_goes_on_asking_is_told_to_wait(alice: Driver, bob: Driver) -> None:
    app, other = phone(alice), phone(bob)
    Driver.objects.filter(pk=alice.pk).update(suspended=True)
    for _ in range(2):
        problem(app.get("driver/sync/"), 403, "driver_suspended")

    problem(app.get("driver/sync/"), 429, "throttled")

    assert {other.get("driver/sync/").status_code for _ in range(5)} == {200}
