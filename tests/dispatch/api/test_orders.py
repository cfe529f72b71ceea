"""Orders looked up, corrected and cancelled by whoever may."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries

from dispatch import services
from drivers.limits import Limit
from drivers.models import Driver
from orders.models import ContactAccess, Order, OrderContact, OrderEvent
from tests import cast
from tests.dispatch.api import callers
from tests.dispatch.api.callers import Caller, errors, order_of, placed, problem

pytestmark = pytest.mark.django_db

NOT_FOUND = "There is no such thing, or it is not yours to see."


# --- Lists -----------------------------------------------------------------------------------------------------------


def ids(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [order["id"] for order in response.json()["results"]]


def test_an_integrator_lists_its_own_orders_newest_first_with_their_contacts(shop: Caller, other_shop: Caller) -> None:
    first, second = placed(shop, reference="A"), placed(shop, reference="B")
    placed(other_shop)
    cast.order()

    assert shop.get("orders/").json() == {"results": [second, first], "next": None, "previous": None}


def test_dispatchers_list_everybodys_orders(shop: Caller, script: Caller) -> None:
    order, house = placed(shop), cast.order()

    dora = callers.staff("dora", "orders.view_order")

    assert ids(script.get("orders/")) == ids(dora.get("orders/")) == [str(house.pk), order["id"]]


def test_orders_are_filtered_by_status_and_reference(shop: Caller) -> None:
    first, second = placed(shop, reference="A"), placed(shop, reference="A")
    placed(shop, reference="B")
    shop.post(f"orders/{second['id']}/cancel/")

    assert ids(shop.get("orders/?reference=A")) == [second["id"], first["id"]]
    assert ids(shop.get("orders/?reference=A&status=cancelled")) == [second["id"]]
    assert ids(shop.get("orders/?reference=nothing")) == []


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("status=lost", "status"),
        ("status=PENDING", "status"),
        ("reference=%00", "reference"),
        ("reference=" + "x" * 101, "reference"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("limit=ten", "limit"),
        ("cursor=%00", "cursor"),
        ("cursor=nonsense", "cursor"),
        ("cursor=%F0%9F%8D%95", "cursor"),
        ("staus=pending", "staus"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_by_its_name(shop: Caller, query: str, name: str) -> None:
    assert list(errors(shop.get(f"orders/?{query}"))) == [name]


def test_pages_stay_where_they_are_while_orders_come_in(shop: Caller) -> None:
    old = [placed(shop)["id"] for _ in range(5)][::-1]

    first = shop.get("orders/?limit=2")
    placed(shop)
    second = shop.get(first.json()["next"])
    placed(shop)
    third = shop.get(second.json()["next"])
    back = shop.get(third.json()["previous"])

    assert ids(first) + ids(second) + ids(third) == old
    assert third.json()["next"] is None
    assert ids(back) == ids(second)


def test_a_page_of_orders_costs_the_same_queries_however_long_it_is(
    shop: Caller, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    placed(shop)
    shop.get("orders/")
    # The key with its integrator, the note of its use, the orders with their contacts.
    with django_assert_num_queries(3):
        assert len(ids(shop.get("orders/"))) == 1
    for _ in range(20):
        placed(shop)
    with django_assert_num_queries(3):
        assert len(ids(shop.get("orders/"))) == 21


# --- One order -------------------------------------------------------------------------------------------------------


def test_an_order_is_shown_with_its_etag_and_not_sent_again_while_it_is_the_same(shop: Caller) -> None:
    order = placed(shop)

    first = shop.get(f"orders/{order['id']}/")
    again = shop.get(f"orders/{order['id']}/", **{"If-None-Match": first.headers["ETag"]})

    assert (first.status_code, first.json()) == (200, order)
    assert first.headers["ETag"] == f'"{order["id"]}-1"'
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]

    shop.post(f"orders/{order['id']}/cancel/")
    changed = shop.get(f"orders/{order['id']}/", **{"If-None-Match": first.headers["ETag"]})
    assert (changed.status_code, changed.json()["status"]) == (200, "cancelled")


def test_another_integrators_order_does_not_exist(shop: Caller, other_shop: Caller) -> None:
    order = placed(other_shop)
    before = callers.written()

    for refused in (
        shop.get(f"orders/{order['id']}/"),
        shop.get(f"orders/{order['id']}/events/"),
        shop.patch(f"orders/{order['id']}/", {"reference": "mine"}),
        shop.post(f"orders/{order['id']}/cancel/"),
        shop.get(f"orders/{uuid4()}/"),
    ):
        assert problem(refused, 404, "not_found")["detail"] == NOT_FOUND
    assert callers.written() == before


@pytest.mark.parametrize("path", ["orders/17/", "orders/not-a-uuid/", "orders/%00/", "orders/x/cancel/", "nothing/"])
def test_an_address_without_a_uuid_is_not_found(shop: Caller, path: str) -> None:
    problem(shop.get(path), 404, "not_found")


def test_a_driver_sees_of_an_order_what_concerns_them(shop: Caller, alice: Driver) -> None:
    order = placed(shop, reference="A-1")
    app = callers.phone(alice)

    offered = app.get(f"orders/{order['id']}/").json()
    assert offered["pickup"] == order["pickup"]
    assert offered["dropoff_area"] == {"lat": 37.79, "lng": -122.41}
    assert offered["contact"] is None
    assert not {"dropoff", "reference", "metadata"} & offered.keys()

    services.accept_order(order_id=order_of(order).pk, driver_id=alice.pk)
    held = app.get(f"orders/{order['id']}/").json()
    assert (held["dropoff"], held["contact"]) == (order["dropoff"], {**order["contact"], "has_pin": False})


def test_an_order_that_does_not_concern_a_driver_does_not_exist(shop: Caller) -> None:
    far = cast.driver("far", at=cast.OCEAN_BEACH)
    order = placed(shop)

    problem(callers.phone(far).get(f"orders/{order['id']}/"), 404, "not_found")


# --- Corrections -----------------------------------------------------------------------------------------------------


def test_everything_that_was_said_can_be_corrected_while_nobody_holds_it(shop: Caller) -> None:
    order = placed(shop)
    later = (cast.now() + timedelta(hours=1)).replace(microsecond=0)
    corrections = {
        "pickup": {"lat": 37.7929, "lng": -122.3971, "address": "Embarcadero"},
        "dropoff": {"lat": 37.7594, "lng": -122.5107, "address": ""},
        "contact": {"name": "Dan", "phone": "2", "notes": ""},
        "reference": "B",
        "vehicle": "van",
        "priority": 9,
        "payout": "20.00",
        "currency": "EUR",
        "release_at": later.isoformat().replace("+00:00", "Z"),
        "auto_assign_at": (later + timedelta(minutes=1)).isoformat().replace("+00:00", "Z"),
        "expires_at": (later + timedelta(minutes=2)).isoformat().replace("+00:00", "Z"),
        "metadata": {"a": 1},
    }

    response = shop.patch(f"orders/{order['id']}/", corrections)

    assert response.status_code == 200
    assert response.json() == {**order, **corrections, "version": 2}
    assert response.headers["ETag"] == f'"{order["id"]}-2"'
    event = OrderEvent.objects.get(order_id=order["id"], version=2)
    assert (event.kind, event.actor_type, event.actor_name) == ("order.corrected", "integrator", "Shop")
    assert "contact" in event.data["fields"]
    assert "Dan" not in str(event.data)


def test_a_correction_that_changes_nothing_is_no_event(shop: Caller) -> None:
    order = placed(shop, reference="A")

    for same in ({}, {"reference": "A", "pickup": order["pickup"], "contact": order["contact"]}):
        assert shop.patch(f"orders/{order['id']}/", same).json() == order
    assert cast.history(order_of(order)) == ["created"]


def test_a_correction_of_another_version_is_refused(shop: Caller) -> None:
    order = placed(shop)
    shop.patch(f"orders/{order['id']}/", {"reference": "B", "version": 1})
    before = callers.written()

    refused = shop.patch(f"orders/{order['id']}/", {"reference": "C", "version": 1})

    document = problem(refused, 409, "version_conflict")
    assert (document["version"], document["order_status"]) == (2, "pending")
    assert callers.written() == before


def test_an_order_that_somebody_holds_cannot_be_corrected(shop: Caller, alice: Driver) -> None:
    order = placed(shop)
    services.accept_order(order_id=order_of(order).pk, driver_id=alice.pk)
    before = callers.written()

    refused = shop.patch(f"orders/{order['id']}/", {"contact": {"name": "Eve", "phone": "3"}})

    assert problem(refused, 409, "order_not_pending")["order_status"] == "assigned"
    assert callers.written() == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"status": "delivered"}, "status"),
        ({"driver": 1}, "driver"),
        ({"pickup": {"lat": 1}}, "pickup.lng"),
        ({"contact": {"phone": "1"}}, "contact.name"),
        ({"contact": None}, "contact"),
        ({"reference": None}, "reference"),
        ({"version": 0}, "version"),
        ({"version": "1"}, "version"),
        ({"version": 2**31}, "version"),
        ({"expires_at": "2026-01-01T00:00:00Z"}, "expires_at"),
        ({"release_at": "2027-01-01T00:00:00"}, "release_at"),
    ],
)
def test_a_correction_that_makes_no_sense_is_refused(shop: Caller, change: dict[str, Any], field: str) -> None:
    order = placed(shop)
    before = callers.written()

    assert list(errors(shop.patch(f"orders/{order['id']}/", change))) == [field]
    assert callers.written() == before


# --- Cancelling ------------------------------------------------------------------------------------------------------


def test_an_order_is_cancelled_with_a_reason(shop: Caller, alice: Driver) -> None:
    order = placed(shop)

    response = shop.post(f"orders/{order['id']}/cancel/", {"reason": "Sold out", "version": 2})

    assert (response.status_code, response.json()["status"], response.json()["version"]) == (200, "cancelled", 3)
    event = OrderEvent.objects.get(order_id=order["id"], version=3)
    assert (event.kind, event.actor_type, event.data) == ("order.cancelled", "integrator", {"reason": "Sold out"})
    assert cast.offers(order_of(order)) == {"alice": "lapsed"}


def test_cancelling_again_changes_nothing(shop: Caller) -> None:
    order = placed(shop)
    first = shop.post(f"orders/{order['id']}/cancel/")

    again = shop.post(f"orders/{order['id']}/cancel/", {"version": 1})

    assert (again.status_code, again.json()) == (200, first.json())
    assert cast.history(order_of(order)) == ["created", "cancelled"]


def test_a_cancellation_needs_no_body(shop: Caller) -> None:
    order = placed(shop)

    response = shop.client.generic("POST", f"/api/v1/orders/{order['id']}/cancel/", headers=shop.headers)

    assert (response.status_code, response.json()["status"]) == (200, "cancelled")


def test_a_delivered_order_cannot_be_cancelled(shop: Caller, alice: Driver) -> None:
    order = placed(shop)
    for act in (services.accept_order, services.pick_up_order, services.deliver_order):
        act(order_id=order_of(order).pk, driver_id=alice.pk)
    before = callers.written()

    refused = shop.post(f"orders/{order['id']}/cancel/")

    assert problem(refused, 409, "order_not_pending")["order_status"] == "delivered"
    assert callers.written() == before


def test_a_cancellation_of_another_version_is_refused(shop: Caller) -> None:
    order = placed(shop)
    before = callers.written()

    problem(shop.post(f"orders/{order['id']}/cancel/", {"version": 7}), 409, "version_conflict")
    assert callers.written() == before


@pytest.mark.parametrize("change", [{"reason": "x" * 501}, {"reason": None}, {"reason": ["x"]}])
def test_a_reason_is_a_short_text(shop: Caller, change: dict[str, Any]) -> None:
    order = placed(shop)

    assert list(errors(shop.post(f"orders/{order['id']}/cancel/", change))) == ["reason"]
    assert order_of(order).status == "pending"


def test_wrong_methods_are_problem_documents(shop: Caller) -> None:
    order = placed(shop)

    refused = shop.client.delete(f"/api/v1/orders/{order['id']}/", headers=shop.headers)

    problem(refused, 405, "method_not_allowed")
    assert refused.headers["Allow"] == "GET, PATCH, HEAD"
    assert Order.objects.count() == OrderContact.objects.count() == 1


def test_who_asks_too_often_is_told_to_wait_and_nobody_else(
    shop: Caller, other_shop: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatch.api.principals.REQUESTS_PER_CALLER", Limit("test", per_second=0.1, burst=2))

    assert [shop.get("orders/").status_code for _ in range(2)] == [200, 200]
    refused = shop.post("orders/", callers.body())

    problem(refused, 429, "throttled")
    assert refused.headers["Retry-After"] == "10"
    assert Order.objects.count() == 0
    assert other_shop.get("orders/").status_code == 200


def test_what_is_answered_is_kept_by_nobody_on_the_way(shop: Caller) -> None:
    placed(shop)

    assert shop.get("orders/").headers["Cache-Control"] == "no-store"


# --- Who looks at customers ------------------------------------------------------------------------------------------


def looks() -> list[tuple[str, str, str]]:
    return list(ContactAccess.objects.order_by("pk").values_list("actor_type", "actor_name", "via"))


def test_a_dispatchers_look_at_a_customer_is_on_record(shop: Caller, script: Caller) -> None:
    order = placed(shop)
    dora = callers.staff("dora", "orders.view_order", "orders.view_ordercontact")
    path = f"orders/{order['id']}/"

    shown = dora.get(path)
    assert shown.json()["contact"] == order["contact"]
    assert looks() == [("dispatcher", "dora", "api")]

    # What is not sent again is not looked at again.
    assert dora.get(path, **{"If-None-Match": shown.headers["ETag"]}).status_code == 304
    assert len(looks()) == 1
    assert script.get(path).json()["contact"] == order["contact"]
    assert looks() == [("dispatcher", "dora", "api"), ("integrator", "Script", "api")]


def test_the_sender_of_an_order_is_not_watched(shop: Caller) -> None:
    order = placed(shop)

    assert shop.get(f"orders/{order['id']}/").json()["contact"] == order["contact"]
    assert shop.get("orders/").json()["results"] == [order]
    assert looks() == []


def test_staff_who_may_not_see_customers_are_shown_none(shop: Caller) -> None:
    order = placed(shop)
    vera = callers.staff("vera", "orders.view_order")

    assert vera.get(f"orders/{order['id']}/").json() == {name: order[name] for name in order if name != "contact"}
    assert looks() == []


def test_lists_and_answers_to_acts_hold_no_customers_of_others(shop: Caller, script: Caller) -> None:
    order = placed(shop)
    dora = callers.staff(
        "dora", "orders.view_order", "orders.dispatch_order", "orders.add_order", "orders.view_ordercontact"
    )

    said = [
        dora.get("orders/"),
        script.get("orders/"),
        script.post(f"orders/{order['id']}/reoffer/"),
        script.post(f"orders/{order['id']}/cancel/"),
    ]

    for answer in said:
        assert answer.status_code == 200, answer.content
        assert "Carol" not in answer.content.decode()
    assert looks() == []


def test_a_page_of_everybodys_orders_costs_the_same_queries_however_long_it_is(
    shop: Caller, script: Caller, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        placed(shop)
    script.get("orders/")
    # The key with its integrator, the note of its use, the orders.
    with django_assert_num_queries(3):
        assert len(ids(script.get("orders/"))) == 5
