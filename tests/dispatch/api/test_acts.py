"""What a driver does with an order, over HTTP: the answers, the receipts, and what must not have happened."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from dispatch import services
from dispatch.models import ActionReceipt
from drivers.models import Driver
from orders.models import Order, OrderContact, OrderEvent
from tests import cast
from tests.dispatch.api.callers import Caller, errors, phone, problem, written

pytestmark = pytest.mark.django_db

VERBS = ["accept", "decline", "release", "pick-up", "deliver", "fail"]
BODY: dict[str, dict[str, Any]] = {"fail": {"reason": "nobody there"}}


def act(caller: Caller, order: Order | str, verb: str, **body: Any) -> Any:
    order_id = order.pk if isinstance(order, Order) else order
    return caller.post(f"orders/{order_id}/{verb}/", {**BODY.get(verb, {}), **body})


def events(order: Order) -> list[dict[str, Any]]:
    return list(OrderEvent.objects.filter(order=order).order_by("version").values_list("data", flat=True))


# --- Accept ----------------------------------------------------------------------------------------------------------


def test_who_accepts_gets_the_whole_order_with_its_contact(app: Caller, alice: Driver) -> None:
    order = cast.order(payout=12, reference="A-7")

    response = act(app, order, "accept", action_id="tap-1", tapped_at="2026-01-31T12:00:00Z")

    assert response.status_code == 200
    assert "Idempotent-Replayed" not in response.headers
    document = response.json()
    order.refresh_from_db()
    assert order.assigned_at is not None
    assert document == {
        "id": str(order.pk),
        "reference": "A-7",
        "status": "assigned",
        "expired": False,
        "version": 3,
        "pickup": {"lat": 37.7955, "lng": -122.3937, "address": "Ferry Building"},
        "dropoff": {"lat": 37.788, "lng": -122.4075, "address": "Union Square"},
        "vehicle": "",
        "priority": 0,
        "payout": "12.00",
        "currency": "USD",
        "driver": alice.pk,
        "created_at": f"{order.created_at:%Y-%m-%dT%H:%M:%S.%f}Z",
        "release_at": f"{order.release_at:%Y-%m-%dT%H:%M:%S.%f}Z",
        "auto_assign_at": f"{order.auto_assign_at:%Y-%m-%dT%H:%M:%S.%f}Z",
        "expires_at": f"{order.expires_at:%Y-%m-%dT%H:%M:%S.%f}Z",
        "assigned_at": f"{order.assigned_at:%Y-%m-%dT%H:%M:%S.%f}Z",
        "picked_up_at": None,
        "delivered_at": None,
        "cancelled_at": None,
        "failed_at": None,
        "contact": {"name": "Carol Customer", "phone": "+1 415 555 0100", "notes": "Ring twice", "has_pin": False},
    }
    assert events(order)[-1]["tapped_at"] == "2026-01-31T12:00:00+00:00"


def test_the_same_driver_again_gets_the_same_answer(app: Caller) -> None:
    order = cast.order()
    first = act(app, order, "accept")

    again = act(app, order, "accept")

    assert (again.status_code, again.json()) == (200, first.json())
    assert cast.history(order) == ["created", "offered", "assigned"]


def test_the_same_tap_again_says_that_it_was_done_before(app: Caller) -> None:
    order = cast.order()
    first = act(app, order, "accept", action_id="tap-1")

    again = act(app, order, "accept", action_id="tap-1")

    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert cast.history(order) == ["created", "offered", "assigned"]
    assert ActionReceipt.objects.count() == 1


def test_the_same_tap_long_after_the_order_has_moved_on_still_succeeds(app: Caller, bob: Driver) -> None:
    order = cast.order()
    act(app, order, "accept", action_id="tap-1")
    act(app, order, "release")
    act(phone(bob), order, "accept")

    again = act(app, order, "accept", action_id="tap-1")

    assert (again.status_code, again.json()) == (200, {"id": str(order.pk), "version": 3})
    assert again.headers["Idempotent-Replayed"] == "true"


def test_who_comes_second_gets_an_honest_receipt(app: Caller, bob: Driver) -> None:
    order = cast.order()
    act(phone(bob), order, "accept")
    before = written()

    response = act(app, order, "accept", action_id="tap-1")

    assert problem(response, 409, "order_taken") == {
        "type": "urn:baton:problem:order_taken",
        "title": "Conflict",
        "status": 409,
        "code": "order_taken",
        "detail": "Another driver has taken this order.",
        "seconds_ago": 0,
    }
    assert written() == before
    assert ActionReceipt.objects.count() == 0


def test_an_order_past_its_deadline_says_how_long(app: Caller) -> None:
    order = cast.order()
    cast.let_time_pass(order, seconds=125)
    before = written()

    assert problem(act(app, order, "accept"), 410, "order_expired")["seconds_ago"] == 5
    assert written() == before


def test_a_cancelled_order_says_so(app: Caller) -> None:
    order = cast.order()
    services.cancel_order(order_id=order.pk, actor=cast.DISPATCHER)

    assert problem(act(app, order, "accept"), 410, "order_cancelled")["seconds_ago"] == 0


def test_a_driver_with_full_hands_is_told_so(app: Caller) -> None:
    first, second = cast.order(), cast.order()
    act(app, first, "accept")

    problem(act(app, second, "accept"), 409, "driver_at_capacity")


def test_a_driver_off_duty_is_told_so(app: Caller, alice: Driver) -> None:
    order = cast.order()
    app.patch("driver/", {"is_online": False})

    problem(act(app, order, "accept"), 409, "driver_offline")


def test_an_order_that_was_offered_to_others_only_is_not_on_offer(app: Caller) -> None:
    far = cast.driver("far", at=cast.OCEAN_BEACH)
    order = cast.order()

    response = act(phone(far), order, "accept")

    assert sorted(problem(response, 403, "not_offered")) == ["code", "detail", "status", "title", "type"]


def test_a_tap_of_another_order_is_refused(app: Caller, alice: Driver) -> None:
    Driver.objects.update(capacity=2)
    first, second = cast.order(), cast.order()
    act(app, first, "accept", action_id="tap-1")
    before = written()

    problem(act(app, second, "accept", action_id="tap-1"), 422, "idempotency_mismatch")
    problem(act(app, first, "pick-up", action_id="tap-1"), 422, "idempotency_mismatch")
    assert written() == before


def test_two_drivers_may_give_their_taps_the_same_name(app: Caller, bob: Driver) -> None:
    first, second = cast.order(), cast.order()

    assert act(app, first, "accept", action_id="1").status_code == 200
    assert act(phone(bob), second, "accept", action_id="1").status_code == 200


# --- Carrying --------------------------------------------------------------------------------------------------------


def test_an_order_is_carried_from_accept_to_deliver(app: Caller) -> None:
    order = cast.order()

    said = [act(app, order, verb).json() for verb in ("accept", "pick-up", "deliver")]

    assert [document["status"] for document in said] == ["assigned", "picked_up", "delivered"]
    assert [document["version"] for document in said] == [3, 4, 5]
    assert [document["contact"] is not None for document in said] == [True, True, False]
    assert cast.history(order) == ["created", "offered", "assigned", "picked_up", "delivered"]


def test_proof_goes_into_the_history_without_what_the_driver_wrote(app: Caller) -> None:
    order = cast.order()
    act(app, order, "accept")
    act(app, order, "pick-up")

    act(app, order, "deliver", proof={"kind": "name", "note": "left with Carol's neighbour Dave"})

    assert events(order)[-1] == {"proof": {"kind": "name"}}
    assert OrderContact.objects.get(order=order).proof_note == "left with Carol's neighbour Dave"


@pytest.mark.parametrize(
    ("proof", "fields"),
    [
        ({"kind": "blood"}, ["proof.kind"]),
        ({}, ["proof.kind"]),
        ("photo", ["proof"]),
        ({"kind": "photo", "name": "Carol"}, ["proof.name"]),
        ({"kind": "photo", "note": "x" * 301}, ["proof.note"]),
        ({"kind": ["photo"]}, ["proof.kind"]),
    ],
)
def test_a_proof_has_a_known_kind_and_nothing_unknown(app: Caller, proof: Any, fields: list[str]) -> None:
    order = cast.order()
    act(app, order, "accept")
    act(app, order, "pick-up")
    before = written()

    assert sorted(errors(act(app, order, "deliver", proof=proof))) == fields
    assert written() == before


def test_what_could_not_be_delivered_needs_a_reason(app: Caller) -> None:
    order = cast.order()
    act(app, order, "accept")
    act(app, order, "pick-up")
    before = written()

    assert list(errors(app.post(f"orders/{order.pk}/fail/"))) == ["reason"]
    assert list(errors(app.post(f"orders/{order.pk}/fail/", {"reason": "  "}))) == ["reason"]
    assert written() == before

    assert act(app, order, "fail", reason="nobody there").json()["status"] == "failed"
    assert events(order)[-1] == {"reason": "nobody there"}


def test_who_gives_an_order_back_has_nothing_to_do_with_it_any_more(app: Caller) -> None:
    order = cast.order()
    act(app, order, "accept")

    response = act(app, order, "release", reason="flat tyre", action_id="tap-2")

    assert (response.status_code, response.json()) == (200, {"id": str(order.pk), "version": 4})
    order.refresh_from_db()
    assert (order.status, order.driver_id) == ("pending", None)
    assert events(order)[3]["reason"] == "flat tyre"
    problem(app.get(f"orders/{order.pk}/"), 404, "not_found")
    again = act(app, order, "release", reason="flat tyre", action_id="tap-2")
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (response.json(), "true")


def test_who_declines_never_sees_it_again(app: Caller) -> None:
    order = cast.order()

    response = act(app, order, "decline")

    assert (response.status_code, response.json()) == (200, {"id": str(order.pk), "version": 2})
    assert cast.offers(order) == {"alice": "declined"}
    assert act(app, order, "decline").json() == response.json()


@pytest.mark.parametrize("verb", ["release", "pick-up", "deliver", "fail"])
def test_a_cancelled_order_is_told_to_its_holder(app: Caller, verb: str) -> None:
    order = cast.order()
    act(app, order, "accept")
    services.cancel_order(order_id=order.pk, actor=cast.DISPATCHER)
    before = written()

    problem(act(app, order, verb), 410, "order_cancelled")
    assert written() == before


@pytest.mark.parametrize("verb", ["deliver", "fail"])
def test_what_was_not_picked_up_is_not_delivered(app: Caller, verb: str) -> None:
    order = cast.order()
    act(app, order, "accept")
    before = written()

    assert problem(act(app, order, verb), 409, "order_not_pending")["status"] == 409
    assert written() == before


# --- Other people's orders -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["release", "pick-up", "deliver", "fail"])
def test_an_order_in_other_hands_is_not_to_be_found(app: Caller, bob: Driver, verb: str) -> None:
    order = cast.order()
    act(phone(bob), order, "accept")
    before = written()

    problem(act(app, order, verb), 404, "not_found")
    problem(app.get(f"orders/{order.pk}/"), 404, "not_found")
    assert written() == before


@pytest.mark.parametrize("verb", VERBS)
def test_an_order_that_there_is_not_is_not_to_be_found(app: Caller, verb: str) -> None:
    problem(act(app, str(uuid4()), verb), 404, "not_found")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("order_id", ["7", "x", "00000000-0000-0000-0000-00000000000", "%00", "..%2f.."])
def test_an_id_that_is_none_is_not_to_be_found(app: Caller, verb: str, order_id: str) -> None:
    problem(act(app, order_id, verb), 404, "not_found")


def test_an_order_on_offer_shows_only_roughly_where_it_goes(app: Caller) -> None:
    order = cast.order(reference="For Carol")

    document = app.get(f"orders/{order.pk}/").json()

    assert document["dropoff_area"] == {"lat": 37.79, "lng": -122.41}
    assert document["contact"] is None
    assert not {"dropoff", "reference", "metadata"} & set(document)


def test_an_order_in_ones_own_hands_shows_everything(app: Caller) -> None:
    order = cast.order()
    accepted = act(app, order, "accept").json()

    assert app.get(f"orders/{order.pk}/").json() == accepted


# --- Bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action_id": 7}, "action_id"),
        ({"action_id": ""}, "action_id"),
        ({"action_id": "x" * 65}, "action_id"),
        ({"action_id": None}, "action_id"),
        ({"tapped_at": "12:00"}, "tapped_at"),
        ({"tapped_at": "2026-01-31T12:00:00"}, "tapped_at"),
        ({"driver": 7}, "driver"),
    ],
)
def test_what_is_wrong_with_a_tap_is_named(app: Caller, verb: str, body: dict[str, Any], field: str) -> None:
    order = cast.order()
    before = written()

    assert list(errors(act(app, order, verb, **body))) == [field]
    assert written() == before


@pytest.mark.parametrize("off", [timedelta(days=1), timedelta(days=-1), timedelta(days=365 * 60)])
def test_a_device_clock_that_is_off_decides_nothing(app: Caller, off: timedelta) -> None:
    order = cast.order()
    at = (cast.now() + off).isoformat()

    for verb in ("accept", "pick-up", "deliver"):
        assert act(app, order, verb, action_id=verb, tapped_at=at).status_code == 200


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b'{"action_id": ', "application/json", 400, "invalid"),
        (b"[]", "application/json", 400, "invalid"),
        (b"\xff\xfe", "application/json", 400, "invalid"),
        (b'{"action_id": "\\u0000"}', "application/json", 400, "invalid"),
        (b'{"action_id": "a", "action_id": "b"}', "application/json", 400, "invalid"),
        (b"[" * 60_000, "application/json", 400, "invalid"),
        (b'{"action_id": "' + b"x" * 70_000 + b'"}', "application/json", 413, "too_large"),
        (b"action_id=1", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"<a/>", "text/xml", 415, "unsupported_media_type"),
        (b"{}", "", 415, "unsupported_media_type"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(
    app: Caller, content: bytes, media_type: str, status: int, code: str
) -> None:
    order = cast.order()
    before = written()

    response = app.client.post(
        f"/api/v1/orders/{order.pk}/accept/", content, content_type=media_type, headers=app.headers
    )

    problem(response, status, code)
    assert written() == before


def test_no_body_at_all_is_fine_for_a_tap(app: Caller) -> None:
    order = cast.order()

    response = app.client.generic("POST", f"/api/v1/orders/{order.pk}/accept/", headers=app.headers)

    assert response.status_code == 200


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options", "head"])
def test_an_act_is_a_post(app: Caller, method: str) -> None:
    order = cast.order()
    before = written()

    response = getattr(app.client, method)(f"/api/v1/orders/{order.pk}/accept/", headers=app.headers)

    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
    assert method == "head" or problem(response, 405, "method_not_allowed")
    assert written() == before


@pytest.mark.parametrize("verb", VERBS)
def test_nobody_acts_without_a_token(verb: str, shop: Caller, client: Any, dora: Any) -> None:
    order = cast.order()
    client.force_login(dora)
    before = written()

    for caller in (Caller(client), shop):
        problem(act(caller, order, verb), 401, "not_authenticated")
    assert written() == before
