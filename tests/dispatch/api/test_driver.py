"""What a driver's app reads and says: profile, duty, heartbeat, sync, history."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils.dateparse import parse_datetime

from dispatch import services
from dispatch.api import base
from drivers.limits import Limit
from drivers.models import Driver, Presence
from tests import cast
from tests.dispatch.api.callers import Caller, errors, phone, problem

pytestmark = pytest.mark.django_db


# --- Profile and duty ------------------------------------------------------------------------------------------------


def test_a_driver_sees_their_own_profile(app: Caller, alice: Driver, bob: Driver) -> None:
    response = app.get("driver/")

    seen = Presence.objects.get(pk=alice.pk).last_seen
    assert seen is not None
    assert response.json() == {
        "id": alice.pk,
        "name": "Alice",
        "phone": "",
        "vehicle": "car",
        "capacity": 1,
        "is_online": True,
        "last_seen": f"{seen:%Y-%m-%dT%H:%M:%S.%f}Z",
    }
    assert response.headers["Cache-Control"] == "no-store"


def test_a_driver_goes_off_duty_and_on_again(app: Caller, alice: Driver) -> None:
    order = cast.order()

    assert app.patch("driver/", {"is_online": False}).json()["is_online"] is False
    assert cast.offers(order) == {"alice": "lapsed"}
    assert app.patch("driver/", {"is_online": True}).json()["is_online"] is True
    assert Presence.objects.get(pk=alice.pk).is_online is True


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "is_online"),
        ({"is_online": "no"}, "is_online"),
        ({"is_online": 0}, "is_online"),
        ({"is_online": None}, "is_online"),
    ],
)
def test_duty_is_yes_or_no(app: Caller, alice: Driver, body: dict[str, Any], field: str) -> None:
    assert list(errors(app.patch("driver/", body))) == [field]
    assert Presence.objects.get(pk=alice.pk).is_online is True


def test_nothing_else_of_the_profile_can_be_set(app: Caller, alice: Driver) -> None:
    found = errors(app.patch("driver/", {"is_online": False, "capacity": 50, "id": 7}))

    assert found == {"capacity": ["There is no such field."], "id": ["There is no such field."]}
    assert Presence.objects.get(pk=alice.pk).is_online is True
    assert Driver.objects.get(pk=alice.pk).capacity == 1


# --- Heartbeat -------------------------------------------------------------------------------------------------------


def where(driver: Driver) -> tuple[float, float] | None:
    location = Presence.objects.get(pk=driver.pk).location
    return (location.y, location.x) if location is not None else None


def test_a_heartbeat_moves_the_driver_and_says_what_the_app_should_have(app: Caller, alice: Driver) -> None:
    Driver.objects.update(capacity=2)
    held, offered = cast.order(), cast.order()
    version = services.accept_order(order_id=held.pk, driver_id=alice.pk).version

    answer = app.post(
        "driver/heartbeat/", {"lat": 37.8, "lng": -122.4, "heading": 0, "speed_mps": 3.5, "accuracy_m": 8}
    )

    assert where(alice) == (37.8, -122.4)
    presence = Presence.objects.get(pk=alice.pk)
    assert (presence.heading, presence.speed_mps, presence.accuracy_m) == (0, 3.5, 8)
    document = answer.json()
    assert document["active"] == [[str(held.pk), version]]
    assert document["open_offers"] == 1
    assert offered.pk != held.pk
    time = parse_datetime(document["server_time"])
    assert time is not None
    assert abs(cast.now() - time) < timedelta(seconds=5)


def test_a_heartbeat_without_a_position_is_a_sign_of_life(app: Caller, alice: Driver) -> None:
    Presence.objects.update(last_seen=datetime(2026, 1, 1, tzinfo=UTC))

    assert app.post("driver/heartbeat/").status_code == 200

    presence = Presence.objects.get(pk=alice.pk)
    assert presence.last_seen is not None
    assert cast.now() - presence.last_seen < timedelta(seconds=5)
    assert where(alice) == cast.FERRY_BUILDING


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"lat": 37.8}, ["lng"]),
        ({"lng": -122.4}, ["lat"]),
        ({"lat": 91, "lng": 181}, ["lat", "lng"]),
        ({"lat": -90.0001, "lng": 0}, ["lat"]),
        ({"lat": "37.8", "lng": "-122.4"}, ["lat", "lng"]),
        ({"lat": True, "lng": False}, ["lat", "lng"]),
        ({"lat": None, "lng": None}, ["lat", "lng"]),
        ({"lat": [37.8], "lng": {"deg": 1}}, ["lat", "lng"]),
        ({"lat": 10**400, "lng": 0}, ["lat"]),
        ({"lat": 1, "lng": 1, "heading": 361}, ["heading"]),
        ({"lat": 1, "lng": 1, "speed_mps": -1, "accuracy_m": -1}, ["accuracy_m", "speed_mps"]),
        ({"lat": 1, "lng": 1, "recorded_at": "2026-01-31T12:00:00"}, ["recorded_at"]),
        ({"lat": 1, "lng": 1, "recorded_at": 1700000000}, ["recorded_at"]),
        ({"lat": 1, "lng": 1, "driver": 7, "latitude": 3}, ["driver", "latitude"]),
    ],
)
def test_a_heartbeat_that_makes_no_sense_moves_nobody(
    app: Caller, alice: Driver, body: dict[str, Any], fields: list[str]
) -> None:
    before = Presence.objects.values().get(pk=alice.pk)

    assert sorted(errors(app.post("driver/heartbeat/", body))) == fields
    assert Presence.objects.values().get(pk=alice.pk) == before


@pytest.mark.parametrize("text", ['{"lat": NaN, "lng": 0}', '{"lat": 1e999, "lng": 0}', '{"lat": Infinity, "lng": 0}'])
def test_nan_and_infinity_are_no_json(app: Caller, alice: Driver, text: str) -> None:
    response = app.client.post("/api/v1/driver/heartbeat/", text, content_type="application/json", headers=app.headers)

    assert list(errors(response)) == ["body"]
    assert where(alice) == cast.FERRY_BUILDING


@pytest.mark.parametrize(
    "clock",
    ["0001-01-01T00:00:00+14:00", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "2400-02-29T00:00:00Z"],
)
def test_an_absurd_device_clock_is_harmless(app: Caller, alice: Driver, clock: str) -> None:
    Presence.objects.update(recorded_at=None, located_at=None)
    for lat in (37.8, 37.9):
        assert app.post("driver/heartbeat/", {"lat": lat, "lng": -122.4, "recorded_at": clock}).status_code == 200

    assert where(alice) == (37.9, -122.4)
    recorded = Presence.objects.get(pk=alice.pk).recorded_at
    assert recorded is not None
    assert recorded <= cast.now()


@pytest.mark.parametrize("off", [timedelta(days=1), timedelta(days=-1)])
def test_a_device_clock_a_day_off_still_moves_the_driver(app: Caller, alice: Driver, off: timedelta) -> None:
    Presence.objects.update(recorded_at=None, located_at=None)
    device = cast.now() + off
    for step in range(3):
        at = (device + timedelta(seconds=step)).isoformat()
        app.post("driver/heartbeat/", {"lat": 37.8 + step / 100, "lng": -122.4, "recorded_at": at})

    assert where(alice) == (37.82, -122.4)


def test_an_older_position_that_arrives_late_does_not_move_the_driver_back(app: Caller, alice: Driver) -> None:
    now = cast.now()
    app.post("driver/heartbeat/", {"lat": 37.8, "lng": -122.4, "recorded_at": now.isoformat()})
    late = (now - timedelta(seconds=30)).isoformat()

    assert app.post("driver/heartbeat/", {"lat": 37.1, "lng": -122.1, "recorded_at": late}).status_code == 200

    assert where(alice) == (37.8, -122.4)


# --- Sync ------------------------------------------------------------------------------------------------------------


def test_sync_is_the_whole_truth(app: Caller, alice: Driver, bob: Driver) -> None:
    Driver.objects.update(capacity=2)
    held, offered, taken = cast.order(), cast.order(payout=12), cast.order()
    services.accept_order(order_id=held.pk, driver_id=alice.pk)
    services.accept_order(order_id=taken.pk, driver_id=bob.pk)
    offered.refresh_from_db()

    document = app.get("driver/sync/").json()

    assert document["offers"] == [
        {
            "order": str(offered.pk),
            "distance_m": 0,
            "expires_at": f"{offered.expires_at:%Y-%m-%dT%H:%M:%S.%f}Z",
            "payout": "12.00",
            "currency": "USD",
            "pickup": {"lat": 37.7955, "lng": -122.3937, "address": "Ferry Building"},
            "dropoff_area": {"lat": 37.79, "lng": -122.41},
            "version": 2,
        }
    ]
    (active,) = document["active"]
    assert (active["id"], active["status"], active["driver"]) == (str(held.pk), "assigned", alice.pk)
    customer = {"name": "Carol Customer", "phone": "+1 415 555 0100", "notes": "Ring twice"}
    assert active["contact"] == {**customer, "has_pin": False}
    assert active["dropoff"] == {"lat": 37.788, "lng": -122.4075, "address": "Union Square"}


def test_an_offer_says_nothing_about_the_customer(app: Caller) -> None:
    cast.order(reference="For Carol")

    text = app.get("driver/sync/").content.decode()

    assert "Union Square" not in text
    assert "37.788" not in text
    assert not any(word in text for word in ("Carol", "415 555", "Ring twice"))


def test_sync_again_while_nothing_happened_is_304(app: Caller) -> None:
    order = cast.order()
    first = app.get("driver/sync/")
    etag = first.headers["ETag"]

    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = app.get("driver/sync/", **{"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)

    services.cancel_order(order_id=order.pk, actor=cast.DISPATCHER)
    changed = app.get("driver/sync/", **{"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.json()["offers"] == []
    assert changed.headers["ETag"] != etag


def test_an_offer_past_its_deadline_is_gone_before_any_sweep(app: Caller) -> None:
    order = cast.order()
    cast.let_time_pass(order, seconds=125)

    assert app.get("driver/sync/").json()["offers"] == []
    assert app.post("driver/heartbeat/").json()["open_offers"] == 0


def test_two_drivers_never_share_an_etag(app: Caller, bob: Driver) -> None:
    assert app.get("driver/sync/").headers["ETag"] != phone(bob).get("driver/sync/").headers["ETag"]


# --- History ---------------------------------------------------------------------------------------------------------


def delivered(driver: Driver) -> str:
    order = cast.order()
    for act in (services.accept_order, services.pick_up_order, services.deliver_order):
        act(order_id=order.pk, driver_id=driver.pk)
    return str(order.pk)


def test_history_is_ones_own_newest_first_page_by_page(app: Caller, alice: Driver) -> None:
    mine = [delivered(alice) for _ in range(5)]
    services.go_offline(driver_id=alice.pk)
    bob = cast.driver("bob", at=cast.EMBARCADERO)
    delivered(bob)

    pages = [app.get("driver/orders/?limit=2").json()]
    while pages[-1]["next"]:
        pages.append(app.get(pages[-1]["next"]).json())

    newest_first = [[order["id"] for order in page["results"]] for page in pages]
    assert newest_first == [[mine[4], mine[3]], [mine[2], mine[1]], [mine[0]]]
    assert pages[0]["previous"] is None
    assert pages[0]["next"].startswith("http://testserver/api/v1/driver/orders/?limit=2&cursor=")
    back = app.get(pages[2]["previous"]).json()
    assert [order["id"] for order in back["results"]] == newest_first[1]
    assert app.get(back["previous"]).json() == pages[0]
    assert app.get(back["next"]).json() == pages[2]


def test_a_finished_order_keeps_no_contact_open(app: Caller, alice: Driver) -> None:
    delivered(alice)

    (order,) = app.get("driver/orders/").json()["results"]

    assert (order["status"], order["contact"], order["driver"]) == ("delivered", None, alice.pk)


def cursor_of(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "%00",
        "AAAA",
        cursor_of(),
        cursor_of("next"),
        cursor_of("sideways", "2026-01-01T00:00:00+00:00", "546e1312-2de1-4428-8080-82f793135340"),
        cursor_of("next", "2026-01-01T00:00:00", "546e1312-2de1-4428-8080-82f793135340"),
        cursor_of("next", "tomorrow", "546e1312-2de1-4428-8080-82f793135340"),
        cursor_of("next", "0001-01-01T00:00:00+23:00", "546e1312-2de1-4428-8080-82f793135340"),
        cursor_of("next", "2026-01-01T00:00:00+00:00", "7"),
        cursor_of("next", 5, None),
        base64.urlsafe_b64encode(b"[" * 5000).decode(),
    ],
)
def test_a_cursor_that_is_none_of_ours_is_named(app: Caller, cursor: str) -> None:
    assert list(errors(app.get(f"driver/orders/?cursor={cursor}"))) == ["cursor"]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "", "1e3", "9" * 5000, "２"])
def test_a_page_has_at_most_a_hundred(app: Caller, limit: str) -> None:
    assert errors(app.get(f"driver/orders/?limit={limit}")) == {"limit": ["Must be a whole number from 1 to 100."]}


def test_a_parameter_that_there_is_not_is_named(app: Caller) -> None:
    assert list(errors(app.get("driver/orders/?page=2"))) == ["page"]


# --- Rates -----------------------------------------------------------------------------------------------------------


def test_an_app_that_runs_wild_is_told_to_wait(app: Caller, bob: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "REQUESTS_PER_DRIVER", Limit("test", per_second=0.1, burst=2))

    assert [app.get("driver/").status_code for _ in range(2)] == [200, 200]
    response = app.get("driver/")

    assert problem(response, 429, "throttled")["retry_after"] == 10
    assert response.headers["Retry-After"] == "10"
    assert phone(bob).get("driver/").status_code == 200
