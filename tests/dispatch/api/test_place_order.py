"""POST orders/: what is taken, what is refused, and the same request twice."""

import math
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from drivers.models import Driver
from orders.models import IdempotencyKey, Order, OrderEvent
from tests import cast
from tests.dispatch.api import callers
from tests.dispatch.api.callers import Caller, body, errors, order_of, problem
from tests.race.rig import at_once

pytestmark = pytest.mark.django_db


def test_a_placed_order_is_answered_whole_and_offered_at_once(shop: Caller, alice: Driver) -> None:
    response = shop.post(
        "orders/",
        body(reference="A-1", vehicle="car", priority=3, payout="12.5", currency="EUR", metadata={"boxes": [1, "a"]}),
    )

    assert response.status_code == 201
    order = Order.objects.get()
    times = {
        name: cast_time(getattr(order, name)) for name in ("created_at", "release_at", "auto_assign_at", "expires_at")
    }
    assert response.json() == {
        "id": str(order.pk),
        "reference": "A-1",
        "status": "pending",
        "expired": False,
        "version": 2,
        "pickup": {"lat": 37.7955, "lng": -122.3937, "address": "Ferry Building"},
        "dropoff": {"lat": 37.788, "lng": -122.4075, "address": "Union Square"},
        "vehicle": "car",
        "priority": 3,
        "payout": "12.50",
        "currency": "EUR",
        "driver": None,
        **times,
        "assigned_at": None,
        "picked_up_at": None,
        "delivered_at": None,
        "cancelled_at": None,
        "failed_at": None,
        "metadata": {"boxes": [1, "a"]},
        "pinned": False,
        "contact": {"name": "Carol Customer", "phone": "+1 415 555 0100", "notes": "Ring twice"},
    }
    assert order.expires_at - order.release_at == timedelta(seconds=120)
    assert response.headers["Location"] == f"/api/v1/orders/{order.pk}/"
    assert response.headers["ETag"] == f'"{order.pk}-2"'
    assert "Idempotent-Replayed" not in response.headers
    assert cast.offers(order) == {"alice": "open"}


def cast_time(time: Any) -> str:
    text: str = time.isoformat()
    return text.replace("+00:00", "Z")


def test_the_order_is_the_integrators_and_the_history_says_so(shop: Caller) -> None:
    callers.placed(shop)

    order, event = Order.objects.get(), OrderEvent.objects.get()
    assert order.integrator_id == callers.integrator_id()
    assert (event.kind, event.actor_type, event.actor_id, event.actor_name) == (
        "order.created",
        "integrator",
        str(callers.integrator_id()),
        "Shop",
    )


def test_a_dispatchers_order_is_nobodys_but_the_houses_and_the_history_names_the_person() -> None:
    dora = callers.staff("dora", "orders.add_order")

    callers.placed(dora)

    order, event = Order.objects.get(), OrderEvent.objects.get()
    assert order.integrator_id is None
    assert (event.actor_type, event.actor_name) == ("dispatcher", "dora")


def test_the_defaults_are_the_products_own(shop: Caller) -> None:
    order = callers.placed(shop, contact={"name": "Carol", "phone": "1"})

    assert (order["reference"], order["vehicle"], order["priority"], order["metadata"]) == ("", "", 0, {})
    assert (order["payout"], order["currency"]) == ("0.00", "USD")
    assert order["contact"] == {"name": "Carol", "phone": "1", "notes": ""}


def test_times_with_any_zone_are_answered_in_utc(shop: Caller) -> None:
    soon = (cast.now() + timedelta(hours=1)).replace(microsecond=0)
    from_cairo = (soon + timedelta(hours=2)).isoformat().replace("+00:00", "+02:00")

    order = callers.placed(shop, release_at=from_cairo)

    assert order["release_at"] == cast_time(soon)
    assert order_of(order).auto_assign_at == soon + timedelta(seconds=15)


@pytest.mark.parametrize(
    ("payout", "stored"), [("99999999.99", "99999999.99"), (7, "7.00"), (0.1, "0.10"), ("0", "0.00")]
)
def test_a_payout_may_be_text_or_a_number(shop: Caller, payout: Any, stored: str) -> None:
    order = callers.placed(shop, payout=payout)

    assert order["payout"] == stored
    assert order_of(order).payout == Decimal(stored)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"pickup": {"lat": 91, "lng": 0}}, "pickup.lat"),
    ({"pickup": {"lat": 0, "lng": -180.0001}}, "pickup.lng"),
    ({"pickup": {"lat": "37.7", "lng": 0}}, "pickup.lat"),
    ({"pickup": {"lat": True, "lng": 0}}, "pickup.lat"),
    ({"pickup": {"lat": None, "lng": 0}}, "pickup.lat"),
    ({"pickup": {"lat": 0}}, "pickup.lng"),
    ({"pickup": {"lat": 0, "lng": 0, "city": "x"}}, "pickup.city"),
    ({"pickup": [1, 2]}, "pickup"),
    ({"pickup": {"lat": 0, "lng": 0, "address": "x" * 301}}, "pickup.address"),
    ({"dropoff": "Union Square"}, "dropoff"),
    ({"contact": {"name": "Carol"}}, "contact.phone"),
    ({"contact": {"name": "", "phone": "1"}}, "contact.name"),
    ({"contact": {"name": "C", "phone": "1" * 33}}, "contact.phone"),
    ({"contact": {"name": "C", "phone": "1", "notes": "n" * 1001}}, "contact.notes"),
    ({"contact": {"name": "C", "phone": 1}}, "contact.phone"),
    ({"reference": "r" * 101}, "reference"),
    ({"reference": 17}, "reference"),
    ({"vehicle": "rocket"}, "vehicle"),
    ({"priority": 10}, "priority"),
    ({"priority": -1}, "priority"),
    ({"priority": "1"}, "priority"),
    ({"priority": 1.0}, "priority"),
    ({"priority": 10**30}, "priority"),
    ({"payout": "-0.01"}, "payout"),
    ({"payout": "100000000"}, "payout"),
    ({"payout": "1.005"}, "payout"),
    ({"payout": "NaN"}, "payout"),
    ({"payout": "1e3"}, "payout"),
    ({"payout": "1_0"}, "payout"),
    ({"payout": True}, "payout"),
    ({"payout": 10**400}, "payout"),
    ({"payout": {}}, "payout"),
    ({"currency": "usd"}, "currency"),
    ({"currency": "EURO"}, "currency"),
    ({"currency": "USD\n"}, "currency"),
    ({"currency": 978}, "currency"),
    ({"release_at": "2026-01-31T12:00:00"}, "release_at"),
    ({"release_at": "tomorrow"}, "release_at"),
    ({"release_at": 1700000000}, "release_at"),
    ({"release_at": "2099-01-01T00:00:00Z"}, "release_at"),
    ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
    ({"expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at"),
    ({"auto_assign_at": "2001-01-01T00:00:00Z"}, "auto_assign_at"),
    ({"metadata": []}, "metadata"),
    ({"metadata": "x"}, "metadata"),
    ({"metadata": {"long": "é" * 4100}}, "metadata"),
    ({"metadata": {"nul": "a\x00b"}}, "body"),
    ({"contact": {"name": "a\x00b", "phone": "1"}}, "body"),
    ({"status": "delivered"}, "status"),
    ({"driver": 1}, "driver"),
    ({"version": 1}, "version"),
    ({"id": "x"}, "id"),
]


@pytest.mark.parametrize(("changes", "field"), REFUSED, ids=[f"{field}-{n}" for n, (_, field) in enumerate(REFUSED)])
def test_what_makes_no_sense_is_refused_by_its_name_and_nothing_is_written(
    shop: Caller, changes: dict[str, Any], field: str
) -> None:
    response = shop.post("orders/", body(**changes))

    assert list(errors(response)) == [field]
    assert Order.objects.count() == OrderEvent.objects.count() == 0


@pytest.mark.parametrize("missing", ["pickup", "dropoff", "contact"])
def test_places_and_contact_are_required(shop: Caller, missing: str) -> None:
    assert errors(shop.post("orders/", body(**{missing: None}))) == {missing: ["This field is required."]}
    assert Order.objects.count() == 0


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"pickup": NaN}', '{"a": 1, "a": 2}', "\xff"])
def test_a_body_that_is_no_json_object_is_refused(shop: Caller, text: str) -> None:
    response = shop.client.post(
        "/api/v1/orders/", text.encode("latin-1"), content_type="application/json", headers=shop.headers
    )

    assert response.status_code == 400
    assert response.json()["code"] == "invalid"
    assert Order.objects.count() == 0


def test_another_media_type_is_refused(shop: Caller) -> None:
    response = shop.client.post("/api/v1/orders/", "a=1", content_type="text/plain", headers=shop.headers)

    problem(response, 415, "unsupported_media_type")


def test_infinity_smuggled_in_as_a_huge_number_is_refused(shop: Caller) -> None:
    text = '{"pickup": {"lat": 1e999, "lng": 0}}'
    response = shop.client.post("/api/v1/orders/", text, content_type="application/json", headers=shop.headers)

    assert list(errors(response)) == ["body"]
    assert math.isinf(float("1e999"))


# --- The same request twice ------------------------------------------------------------------------------------------


def test_the_same_key_and_body_again_answer_with_the_same_order(shop: Caller) -> None:
    first = shop.post("orders/", body(reference="A"), Idempotency_Key="k-1")
    again = shop.post("orders/", dict(reversed(body(reference="A").items())), Idempotency_Key="k-1")

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Order.objects.count() == IdempotencyKey.objects.count() == OrderEvent.objects.count() == 1


def test_a_replay_shows_the_order_as_it_is_by_now(shop: Caller) -> None:
    first = shop.post("orders/", body(), Idempotency_Key="k-1").json()
    shop.post(f"orders/{first['id']}/cancel/")

    again = shop.post("orders/", body(), Idempotency_Key="k-1")

    assert (again.status_code, again.json()["id"], again.json()["status"]) == (201, first["id"], "cancelled")


def test_the_same_key_for_another_body_is_refused(shop: Caller) -> None:
    shop.post("orders/", body(reference="A"), Idempotency_Key="k-1")
    before = callers.written()

    refused = shop.post("orders/", body(reference="B"), Idempotency_Key="k-1")

    assert problem(refused, 422, "idempotency_mismatch")["detail"] == "This key was used before for something else."
    assert callers.written() == before


def test_keys_of_different_integrators_have_nothing_to_do_with_each_other(shop: Caller, other_shop: Caller) -> None:
    ours = shop.post("orders/", body(reference="A"), Idempotency_Key="same").json()
    theirs = other_shop.post("orders/", body(reference="B"), Idempotency_Key="same").json()

    assert ours["id"] != theirs["id"]
    assert Order.objects.count() == 2


def test_a_refused_request_does_not_use_up_its_key(shop: Caller) -> None:
    shop.post("orders/", body(priority=77), Idempotency_Key="k-1")

    assert shop.post("orders/", body(), Idempotency_Key="k-1").status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 201, "caf\xe9", "a\tb", "a\x00b", " "])
def test_a_key_that_cannot_be_one_is_refused(shop: Caller, key: str) -> None:
    assert list(errors(shop.post("orders/", body(), Idempotency_Key=key))) == ["Idempotency-Key"]
    assert Order.objects.count() == 0


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_the_same_request_from_two_connections_at_once_makes_one_order() -> None:
    shop = callers.shop()

    def post() -> tuple[int, str, bool]:
        response = Caller(type(shop.client)(), shop.headers).post("orders/", body(), Idempotency_Key="k-1")
        return response.status_code, response.json()["id"], "Idempotent-Replayed" in response.headers

    for _ in range(5):
        IdempotencyKey.objects.all().delete()
        before = Order.objects.count()
        answers = at_once([post, post, post])

        assert {status for status, _, _ in answers} == {201}
        assert len({order_id for _, order_id, _ in answers}) == 1
        assert sorted(replayed for _, _, replayed in answers) == [False, True, True]
        assert Order.objects.count() == before + 1


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_different_requests_with_one_key_at_once_make_one_order_and_one_refusal() -> None:
    shop = callers.shop()

    def post(reference: str) -> int:
        caller = Caller(type(shop.client)(), shop.headers)
        status: int = caller.post("orders/", body(reference=reference), Idempotency_Key="k-1").status_code
        return status

    assert sorted(at_once([lambda: post("A"), lambda: post("B")])) == [201, 422]
    assert Order.objects.count() == OrderEvent.objects.count() == 1
