"""The console's verbs over HTTP: nearby drivers, assign, unassign, re-offer, extend, and the list of drivers."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from pytest_django import DjangoAssertNumQueries

from dispatch import services
from drivers.models import Driver, Presence, Vehicle
from orders.models import Order, OrderEvent
from tests import cast
from tests.dispatch.api import callers
from tests.dispatch.api.callers import Caller, errors, problem

pytestmark = pytest.mark.django_db


def verb(order: Order, name: str) -> str:
    return f"orders/{order.pk}/{name}/"


# --- Nearby drivers --------------------------------------------------------------------------------------------------


def test_nearby_drivers_are_listed_nearest_first_with_what_a_dispatcher_weighs(
    script: Caller, alice: Driver, bob: Driver
) -> None:
    order = cast.order()

    response = script.get(verb(order, "nearby-drivers"))

    assert response.status_code == 200
    page = response.json()
    assert (page["next"], page["previous"]) == (None, None)
    located = Presence.objects.in_bulk([alice.pk, bob.pk])
    assert page["results"] == [
        {
            "driver": driver.pk,
            "name": driver.name,
            "vehicle": "car",
            "distance_m": distance,
            "located_at": located[driver.pk].located_at.isoformat().replace("+00:00", "Z"),  # type: ignore[union-attr]  # just located
            "load": 0,
            "capacity": 1,
        }
        for driver, distance in ((alice, 0), (bob, 416))
    ]


def test_the_radius_decides_who_is_near(script: Caller, alice: Driver, bob: Driver) -> None:
    order = cast.order()
    far = cast.driver("far", at=cast.OCEAN_BEACH)

    def found(radius: str) -> list[int]:
        results = script.get(verb(order, "nearby-drivers") + f"?radius_km={radius}").json()["results"]
        return [near["driver"] for near in results]

    assert found("0.4") == [alice.pk]
    assert found("0.42") == [alice.pk, bob.pk]
    assert found("100") == [alice.pk, bob.pk, far.pk]


@pytest.mark.parametrize("radius", ["0", "-1", "100.0001", "1e2", "nan", "inf", "1_0", "9" * 400, "%00", "near", "0.0"])
def test_a_radius_that_makes_no_sense_is_refused(script: Caller, radius: str) -> None:
    order = cast.order()

    refused = script.get(verb(order, "nearby-drivers") + f"?radius_km={radius}")

    assert errors(refused) == {"radius_km": ["Must be a number above 0 and at most 100."]}


def test_nearby_drivers_cost_the_same_queries_however_many_they_are(
    script: Caller, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    order = cast.order()
    for n in range(10):
        cast.driver(f"d{n}", at=cast.EMBARCADERO)
    script.get(verb(order, "nearby-drivers"))

    # The key and the note of its use, the candidates (with the order), their names.
    with django_assert_num_queries(4):
        assert len(script.get(verb(order, "nearby-drivers")).json()["results"]) == 10


# --- Verbs -----------------------------------------------------------------------------------------------------------


def test_an_order_is_given_to_a_driver(script: Caller, alice: Driver, bob: Driver) -> None:
    order = cast.order()

    response = script.post(verb(order, "assign"), {"driver": bob.pk, "version": 2})

    assert response.status_code == 200
    answered = response.json()
    assert (answered["status"], answered["driver"], answered["version"]) == ("assigned", bob.pk, 3)
    assert response.headers["ETag"] == f'"{order.pk}-3"'
    event = OrderEvent.objects.get(order=order, version=3)
    assert (event.kind, event.actor_type, event.actor_name) == ("order.assigned", "integrator", "Script")
    assert cast.offers(order) == {"alice": "lapsed", "bob": "lapsed"}


def test_an_order_is_taken_back_with_a_reason(script: Caller, alice: Driver) -> None:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)

    response = script.post(verb(order, "unassign"), {"reason": "Flat tyre", "version": 3})

    answered = response.json()
    assert (response.status_code, answered["status"], answered["driver"]) == (200, "pending", None)
    event = OrderEvent.objects.get(order=order, kind="order.released")
    assert (event.data["driver"], event.data["reason"]) == (alice.pk, "Flat tyre")


def test_an_expired_order_gets_a_new_round_of_the_given_length(script: Caller, alice: Driver) -> None:
    order = cast.order()
    cast.let_time_pass(order, seconds=125)
    services.expire_orders()

    response = script.post(verb(order, "reoffer"), {"seconds": 600})

    assert response.status_code == 200
    assert response.json()["expired"] is False
    left = Order.objects.get().expires_at - cast.now()
    assert timedelta(seconds=590) < left <= timedelta(seconds=600)
    assert cast.history(order)[-3:] == ["expired", "reoffered", "offered"]
    assert cast.offers(order) == {"alice": "open"}


def test_a_pending_order_gets_more_time(script: Caller) -> None:
    order = cast.order()

    response = script.post(verb(order, "extend"), {"seconds": 60, "version": 1})

    assert response.status_code == 200
    assert Order.objects.get().expires_at == order.expires_at + timedelta(seconds=60)
    assert cast.history(order) == ["created", "corrected"]


VERBS: list[tuple[str, dict[str, Any]]] = [
    ("assign", {"driver": 1}),
    ("unassign", {}),
    ("reoffer", {}),
    ("extend", {"seconds": 5}),
]


@pytest.mark.parametrize(("name", "given"), VERBS)
def test_an_act_on_another_version_is_refused(script: Caller, name: str, given: dict[str, Any]) -> None:
    order = cast.order()
    before = callers.written()

    document = problem(script.post(verb(order, name), {**given, "version": 9}), 409, "version_conflict")

    assert document["detail"] == "The order has changed since you looked at it. Nothing was done."
    assert (document["version"], document["order_status"]) == (1, "pending")
    assert callers.written() == before


@pytest.mark.parametrize(("name", "given"), VERBS)
def test_an_act_on_a_cancelled_order_is_refused(script: Caller, name: str, given: dict[str, Any]) -> None:
    order = cast.order()
    services.cancel_order(order_id=order.pk, actor=cast.DISPATCHER)
    before = callers.written()

    document = problem(script.post(verb(order, name), given), 409, "order_not_pending")

    assert document["order_status"] == "cancelled"
    assert callers.written() == before


@pytest.mark.parametrize(("name", "given"), VERBS)
def test_an_act_on_an_unknown_order_is_not_found(script: Caller, name: str, given: dict[str, Any]) -> None:
    problem(script.post(f"orders/{uuid4()}/{name}/", given), 404, "not_found")


@pytest.mark.parametrize(
    ("name", "given", "field"),
    [
        ("assign", {}, "driver"),
        ("assign", {"driver": "1"}, "driver"),
        ("assign", {"driver": 0}, "driver"),
        ("assign", {"driver": 2**63}, "driver"),
        ("assign", {"driver": None}, "driver"),
        ("assign", {"driver": 1, "force": True}, "force"),
        ("assign", {"driver": 1, "version": -1}, "version"),
        ("unassign", {"reason": "x" * 501}, "reason"),
        ("reoffer", {"seconds": 0}, "seconds"),
        ("reoffer", {"seconds": 10**18}, "seconds"),
        ("extend", {}, "seconds"),
        ("extend", {"seconds": 604_801}, "seconds"),
        ("extend", {"seconds": 604_800}, "expires_at"),
        ("extend", {"seconds": 1.5}, "seconds"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(
    script: Caller, name: str, given: dict[str, Any], field: str
) -> None:
    order = cast.order()
    before = callers.written()

    assert list(errors(script.post(verb(order, name), given))) == [field]
    assert callers.written() == before


def test_a_driver_without_room_cannot_be_given_another(script: Caller, alice: Driver) -> None:
    first, second = cast.order(), cast.order()
    script.post(verb(first, "assign"), {"driver": alice.pk})
    before = callers.written()

    problem(script.post(verb(second, "assign"), {"driver": alice.pk}), 409, "driver_at_capacity")
    assert callers.written() == before


def test_a_driver_off_duty_suspended_or_unknown_cannot_be_given_an_order(script: Caller, alice: Driver) -> None:
    off = cast.driver("off", is_online=False)
    services.suspend_driver(driver_id=alice.pk)
    order = cast.order()
    before = callers.written()

    problem(script.post(verb(order, "assign"), {"driver": off.pk}), 409, "driver_offline")
    problem(script.post(verb(order, "assign"), {"driver": alice.pk}), 403, "driver_suspended")
    problem(script.post(verb(order, "assign"), {"driver": off.pk + 1000}), 404, "not_found")
    assert callers.written() == before


def test_an_order_that_somebody_holds_must_be_taken_back_first(script: Caller, alice: Driver, bob: Driver) -> None:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    before = callers.written()

    for name, given in (("assign", {"driver": bob.pk}), ("reoffer", {}), ("extend", {"seconds": 5})):
        document = problem(script.post(verb(order, name), given), 409, "order_not_pending")
        assert document["order_status"] == "assigned"
    assert callers.written() == before


def test_more_time_for_an_expired_order_is_refused_because_it_needs_a_new_round(script: Caller) -> None:
    order = cast.order()
    cast.let_time_pass(order, seconds=125)
    before = callers.written()

    document = problem(script.post(verb(order, "extend"), {"seconds": 5}), 409, "order_not_pending")

    assert (document["order_status"], document["expired"]) == ("pending", True)
    assert callers.written() == before


# --- Drivers ---------------------------------------------------------------------------------------------------------


def test_drivers_are_listed_with_duty_position_and_load(script: Caller, alice: Driver) -> None:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    off = cast.driver("off", is_online=False, vehicle=Vehicle.VAN, capacity=3)

    page = script.get("drivers/").json()

    presence = Presence.objects.get(pk=alice.pk)
    assert presence.last_seen is not None
    assert presence.recorded_at is not None
    assert page == {
        "results": [
            {
                "id": alice.pk,
                "name": "Alice",
                "phone": "",
                "vehicle": "car",
                "capacity": 1,
                "load": 1,
                "suspended": False,
                "is_online": True,
                "live": True,
                "last_seen": presence.last_seen.isoformat().replace("+00:00", "Z"),
                "location": {"lat": 37.7955, "lng": -122.3937},
                "accuracy_m": None,
                "heading": None,
                "speed_mps": None,
                "recorded_at": presence.recorded_at.isoformat().replace("+00:00", "Z"),
            },
            {
                "id": off.pk,
                "name": "Off",
                "phone": "",
                "vehicle": "van",
                "capacity": 3,
                "load": 0,
                "suspended": False,
                "is_online": False,
                "live": False,
                "last_seen": None,
                "location": None,
                "accuracy_m": None,
                "heading": None,
                "speed_mps": None,
                "recorded_at": None,
            },
        ],
        "next": None,
        "previous": None,
    }


def drivers(response: Any) -> list[int]:
    assert response.status_code == 200, response.content
    return [driver["id"] for driver in response.json()["results"]]


def test_live_means_on_duty_heard_of_lately_and_not_suspended(script: Caller, alice: Driver, bob: Driver) -> None:
    silent = cast.driver("silent", at=cast.UNION_SQUARE)
    Presence.objects.filter(pk=silent.pk).update(last_seen=cast.now() - timedelta(seconds=61))
    off = cast.driver("off", is_online=False)
    never_heard = cast.driver("new", is_online=False)
    services.suspend_driver(driver_id=bob.pk)

    assert drivers(script.get("drivers/?live=true")) == [alice.pk]
    assert drivers(script.get("drivers/?live=false")) == [bob.pk, silent.pk, off.pk, never_heard.pk]
    assert [row["live"] for row in script.get("drivers/").json()["results"]] == [True, False, False, False, False]


def test_pages_of_drivers_stay_where_they_are_while_drivers_join(script: Caller) -> None:
    old = [cast.driver(f"d{n}", is_online=False).pk for n in range(5)]

    first = script.get("drivers/?limit=2&live=false")
    cast.driver("new1", is_online=False)
    second = script.get(first.json()["next"])
    third = script.get(second.json()["next"])
    back = script.get(third.json()["previous"])

    assert drivers(first) + drivers(second) + drivers(third)[:1] == old
    assert drivers(back) == drivers(second)
    assert drivers(script.get(back.json()["previous"])) == drivers(first)
    assert first.json()["previous"] is None


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("live=maybe", "live"),
        ("live=1", "live"),
        ("limit=1000", "limit"),
        ("cursor=%00", "cursor"),
        ("cursor=MCwx,", "cursor"),
        ("cursor=MCwxLDI", "cursor"),
        ("cursor=MCw5OTk5OTk5OTk5OTk5OTk5OTk5", "cursor"),
        ("online=true", "online"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_by_its_name(script: Caller, query: str, name: str) -> None:
    assert list(errors(script.get(f"drivers/?{query}"))) == [name]


def test_a_page_of_drivers_costs_the_same_queries_however_long_it_is(
    script: Caller, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for n in range(20):
        with transaction.atomic():
            cast.driver(f"d{n}", at=cast.EMBARCADERO)
    script.get("drivers/")

    # The key and the note of its use, the page.
    with django_assert_num_queries(3):
        assert len(drivers(script.get("drivers/?live=true"))) == 20
