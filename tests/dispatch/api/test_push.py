"""Subscribing a device to Web Push."""

from typing import Any

import pytest

from drivers import push
from drivers.models import DeviceToken, Driver, PushSubscription
from tests.dispatch.api.callers import Caller, errors, phone, problem
from tests.pushservice import Device

pytestmark = pytest.mark.django_db

ENDPOINT = "https://fcm.googleapis.com/fcm/send/abc"


@pytest.fixture
def key(settings: Any) -> str:
    """Push is on; the public key."""
    settings.PUSH_PRIVATE_KEY, public = push.create_keys()
    settings.PUSH_CONTACT = "mailto:ops@example.com"
    return public


def subscription(endpoint: str = ENDPOINT, **changes: Any) -> dict[str, Any]:
    return {"endpoint": endpoint, "keys": Device("x").keys, **changes}


def kept() -> list[tuple[str, str]]:
    rows = PushSubscription.objects.order_by("pk")
    return list(rows.values_list("driver__user__username", "endpoint"))


def delete(app: Caller, body: Any) -> Any:
    return app._send("delete", "driver/push/", body, {})


def test_off_until_there_is_a_key(app: Caller) -> None:
    assert app.get("driver/push/").json() == {"public_key": None}
    problem(app.post("driver/push/", subscription()), 404, "not_found")
    assert kept() == []


def test_a_device_subscribes_and_unsubscribes(app: Caller, key: str) -> None:
    assert app.get("driver/push/").json() == {"public_key": key}

    assert app.post("driver/push/", subscription()).status_code == 204
    assert kept() == [("alice", ENDPOINT)]
    assert PushSubscription.objects.get().token == DeviceToken.objects.get()

    assert delete(app, {"endpoint": ENDPOINT}).status_code == 204
    assert kept() == []
    assert delete(app, {"endpoint": ENDPOINT}).status_code == 204


def test_the_same_endpoint_again_has_the_new_keys(app: Caller, key: str) -> None:
    app.post("driver/push/", subscription())
    renewed = subscription()

    assert app.post("driver/push/", renewed).status_code == 204

    row = PushSubscription.objects.get()
    assert {"p256dh": row.p256dh, "auth": row.auth} == renewed["keys"]


def test_a_phone_that_somebody_else_signs_in_with_wakes_only_them(app: Caller, bob: Driver, key: str) -> None:
    app.post("driver/push/", subscription())

    phone(bob).post("driver/push/", subscription())

    assert kept() == [("bob", ENDPOINT)]


def test_nobody_unsubscribes_another(app: Caller, bob: Driver, key: str) -> None:
    app.post("driver/push/", subscription())

    assert delete(phone(bob), {"endpoint": ENDPOINT}).status_code == 204

    assert kept() == [("alice", ENDPOINT)]


def test_the_latest_five_devices_are_woken(app: Caller, key: str) -> None:
    endpoints = [f"{ENDPOINT}{number}" for number in range(7)]

    for endpoint in endpoints:
        assert app.post("driver/push/", subscription(endpoint)).status_code == 204

    assert kept() == [("alice", endpoint) for endpoint in endpoints[2:]]


def test_signing_out_ends_it(app: Caller, key: str) -> None:
    app.post("driver/push/", subscription())

    assert app.post("auth/logout/").status_code == 204

    assert kept() == []


KEYS = Device("x").keys


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "endpoint"),
        ({"endpoint": ENDPOINT}, "keys"),
        ({"endpoint": "http://127.0.0.1/x", "keys": KEYS}, "endpoint"),
        ({"endpoint": "https://169.254.169.254/x", "keys": KEYS}, "endpoint"),
        ({"endpoint": 7, "keys": KEYS}, "endpoint"),
        ({"endpoint": ENDPOINT, "keys": {"auth": KEYS["auth"]}}, "keys.p256dh"),
        ({"endpoint": ENDPOINT, "keys": {**KEYS, "p256dh": "x"}}, "keys.p256dh"),
        ({"endpoint": ENDPOINT, "keys": {**KEYS, "auth": "x"}}, "keys.auth"),
        ({"endpoint": ENDPOINT, "keys": {**KEYS, "more": "x"}}, "keys.more"),
        ({"endpoint": ENDPOINT, "keys": KEYS, "expirationTime": None}, "expirationTime"),
        ({"endpoint": ENDPOINT, "keys": "x"}, "keys"),
    ],
)
def test_what_is_wrong_is_named(app: Caller, key: str, body: dict[str, Any], field: str) -> None:
    assert field in errors(app.post("driver/push/", body))
    assert kept() == []


def test_nobody_subscribes_without_a_token(client: Any, shop: Caller, key: str) -> None:
    assert client.post("/api/v1/driver/push/", subscription(), content_type="application/json").status_code == 401
    problem(shop.post("driver/push/", subscription()), 401, "not_authenticated")
    assert kept() == []
