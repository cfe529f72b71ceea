"""What the console reads: candidates and why not the others, a driver, places, the story of an order, messages."""

from typing import Any

import pytest
from django.contrib.gis.geos import Point
from django.db import connection

from dispatch import services
from dispatch.models import Message
from drivers.models import Driver, Presence, Vehicle
from orders.models import OrderEvent, SavedPlace
from tests import cast
from tests.dispatch.api import callers
from tests.dispatch.api.callers import Caller, errors, problem

pytestmark = pytest.mark.django_db


@pytest.fixture
def dora() -> Caller:
    return callers.staff(
        "dora", "orders.view_order", "orders.dispatch_order", "drivers.view_driver", "dispatch.add_message"
    )


@pytest.fixture
def street() -> dict[str, Driver]:
    """One of every kind, each a little farther from the ferry building."""
    names = ("eva", "full", "wheel", "said_no", "relieved", "out", "quiet", "home")
    people = {
        name: cast.driver(
            name,
            at=(cast.FERRY_BUILDING[0] - number / 1000, cast.FERRY_BUILDING[1]),
            vehicle=Vehicle.BICYCLE if name == "wheel" else Vehicle.CAR,
        )
        for number, name in enumerate(names)
    }
    services.assign_order(order_id=cast.order().pk, driver_id=people["full"].pk, actor=cast.DISPATCHER)
    return people


def test_those_who_could_take_it_come_first_and_the_others_with_the_reason(
    dora: Caller, street: dict[str, Driver]
) -> None:
    order = cast.order(vehicle="car")
    services.decline_order(order_id=order.pk, driver_id=street["said_no"].pk)
    services.assign_order(order_id=order.pk, driver_id=street["relieved"].pk, actor=cast.DISPATCHER)
    services.unassign_order(order_id=order.pk, actor=cast.DISPATCHER)
    services.suspend_driver(driver_id=street["out"].pk)
    Presence.objects.filter(pk=street["out"].pk).update(is_online=True)
    Presence.objects.filter(pk=street["quiet"].pk).update(last_seen=cast.now() - cast.MINUTE)
    services.go_offline(driver_id=street["home"].pk)

    told = dora.get(f"board/candidates/?order={order.pk}").json()

    assert [(one["name"], one["distance_m"], one["verdict"]) for one in told["results"]] == [("Eva", 0, None)]
    assert [(one["name"], one["verdict"]) for one in told["ruled_out"]] == [
        ("Full", "at_capacity"),
        ("Wheel", "wrong_vehicle"),
        ("Said_No", "declined"),
        ("Relieved", "barred"),
        ("Out", "suspended"),
        ("Quiet", "silent"),
    ]
    assert [one["distance_m"] for one in told["ruled_out"]] == [111, 222, 333, 444, 555, 666]
    assert (told["ruled_out"][0]["load"], told["ruled_out"][0]["capacity"]) == (1, 1)


def test_of_a_place_where_nothing_is_to_be_picked_up_yet(dora: Caller, street: dict[str, Driver]) -> None:
    where = f"lat={cast.FERRY_BUILDING[0]}&lng={cast.FERRY_BUILDING[1]}"

    anybody = dora.get(f"board/candidates/?{where}&radius_km=0.3").json()
    bicycles = dora.get(f"board/candidates/?{where}&radius_km=0.3&vehicle=bicycle").json()

    assert [one["name"] for one in anybody["results"]] == ["Eva", "Wheel"]
    assert [one["name"] for one in bicycles["results"]] == ["Wheel"]
    assert [one["verdict"] for one in bicycles["ruled_out"]] == ["wrong_vehicle", "wrong_vehicle"]


def test_the_next_free_driver_is_found_beyond_a_crowd_of_busy_ones(dora: Caller, monkeypatch: Any) -> None:
    monkeypatch.setattr("dispatch.selectors_considered.LOOKED_AT", 3)
    for number in range(3):
        busy = cast.driver(f"busy{number}", at=cast.FERRY_BUILDING)
        services.assign_order(order_id=cast.order().pk, driver_id=busy.pk, actor=cast.DISPATCHER)
    cast.driver("far", at=cast.OCEAN_BEACH)

    told = dora.get(f"board/candidates/?order={cast.order().pk}").json()

    assert [one["name"] for one in told["results"]] == ["Far"]
    assert [one["verdict"] for one in told["ruled_out"]] == ["at_capacity"] * 3


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "lng"),
        ("lat=1", "lng"),
        ("lat=91&lng=0", "lat"),
        ("lat=1e1&lng=0", "lat"),
        ("lat=1&lng=1&vehicle=ship", "vehicle"),
        ("lat=1&lng=1&radius_km=0", "radius_km"),
        ("order=7", "order"),
        ("order=00000000-0000-0000-0000-000000000000&lat=1", "lat"),
        ("colour=red", "colour"),
    ],
)
def test_a_wrong_question_about_candidates_is_named(dora: Caller, query: str, field: str) -> None:
    assert field in errors(dora.get(f"board/candidates/?{query}"))


def test_places_are_found_by_a_part_of_their_name_or_address(dora: Caller) -> None:
    for name, address in (("Depot north", "1 Main St"), ("North shop", "2 Main St"), ("Kiosk", "North Pier")):
        SavedPlace.objects.create(name=name, address=address, point=Point(-122.4, 37.8, srid=4326))

    assert [place["name"] for place in dora.get("board/places/?q=north").json()["results"]] == [
        "North shop",
        "Depot north",
        "Kiosk",
    ]
    assert dora.get("board/places/?q=%25").json()["results"] == []
    (kiosk,) = dora.get("board/places/?q=kiosk").json()["results"]
    assert (kiosk["lat"], kiosk["lng"], kiosk["address"]) == (37.8, -122.4, "North Pier")


def test_a_driver_at_a_glance(dora: Caller, alice: Driver) -> None:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    services.send_message(driver_id=alice.pk, text="Side door", actor=cast.DISPATCHER)

    told = dora.get(f"board/drivers/{alice.pk}/").json()

    assert (told["name"], told["load"], told["live"]) == ("Alice", 1, True)
    assert [one["id"] for one in told["orders"]] == [str(order.pk)]
    assert [(one["text"], one["from"], one["read_at"]) for one in told["messages"]] == [("Side door", "dora", None)]
    problem(dora.get("board/drivers/999999/"), 404, "not_found")
    problem(dora.get("board/drivers/99999999999999999999/"), 404, "not_found")
    only_watching = callers.staff("otto", "drivers.view_driver").get(f"board/drivers/{alice.pk}/").json()
    assert (only_watching["orders"], only_watching["messages"]) == ([], [])


# --- The story -------------------------------------------------------------------------------------------------------


def story(caller: Caller, order: Any) -> Any:
    response = caller.get(f"orders/{order.pk}/story/")
    assert response.status_code == 200, response.content
    return response.json()


def verdicts(told: Any) -> list[tuple[str, str]]:
    return [(one["name"], one["verdict"]) for one in told["choice"]["candidates"]]


def test_the_story_of_an_order_that_nobody_has_yet(dora: Caller, alice: Driver) -> None:
    told = story(dora, cast.order())

    assert [event["kind"] for event in told["events"]] == ["order.created", "order.offered"]
    assert told["choice"] is None
    assert told["order"]["offers"] == {"open": 1, "declined": 0, "made": 1}


def test_why_this_driver_when_they_accepted(dora: Caller, alice: Driver, bob: Driver) -> None:
    carl = cast.driver("carl", at=cast.UNION_SQUARE)
    order = cast.order()
    services.mark_offers_seen(cards=[(alice.pk, order.pk)])
    services.decline_order(order_id=order.pk, driver_id=bob.pk)
    services.accept_order(order_id=order.pk, driver_id=carl.pk)

    told = story(dora, order)

    assert (told["choice"]["how"], told["choice"]["chosen"], told["choice"]["by"]) == ("accepted", carl.pk, "Carl")
    assert verdicts(told) == [("Alice", "not_answered"), ("Bob", "declined"), ("Carl", "chosen")]
    seen, answered = told["offers"][0], told["offers"][1]
    assert (seen["name"], seen["status"], seen["seen_at"] is not None) == ("Alice", "lapsed", True)
    assert (answered["status"], answered["answered_at"] is not None, answered["seen_at"]) == ("declined", True, None)


def test_why_this_driver_when_the_system_chose(dora: Caller, street: dict[str, Driver]) -> None:
    order = cast.order(vehicle="car")
    services.decline_order(order_id=order.pk, driver_id=street["eva"].pk)
    cast.let_time_pass(order, seconds=20)
    assert services.auto_assign() == 1

    told = story(dora, order)

    assert (told["choice"]["how"], told["choice"]["chosen"], told["choice"]["by"]) == (
        "auto",
        street["said_no"].pk,
        "Baton",
    )
    assert verdicts(told) == [
        ("Said_No", "chosen"),
        ("Relieved", "farther"),
        ("Out", "farther"),
        ("Quiet", "farther"),
        ("Home", "farther"),
        ("Eva", "declined"),
        ("Full", "at_capacity"),
        ("Wheel", "wrong_vehicle"),
    ]
    costs = [one["cost"] for one in told["choice"]["candidates"]]
    assert costs == [333, 444, 555, 666, 777, None, None, None]


def test_why_this_driver_when_a_dispatcher_chose(dora: Caller, alice: Driver, bob: Driver) -> None:
    order = cast.order()
    services.assign_order(order_id=order.pk, driver_id=bob.pk, actor=cast.DISPATCHER)

    told = story(dora, order)

    assert (told["choice"]["how"], told["choice"]["by"]) == ("by_hand", "dora")
    assert verdicts(told) == [("Alice", "not_chosen"), ("Bob", "chosen")]
    services.unassign_order(order_id=order.pk, actor=cast.DISPATCHER)
    assert story(dora, order)["choice"] is None


def test_what_an_assignment_keeps_of_the_others_is_bounded(dora: Caller) -> None:
    crowd = [cast.driver(f"d{number}", at=cast.FERRY_BUILDING) for number in range(30)]
    accepted, by_hand, auto = (cast.order() for _ in range(3))
    services.accept_order(order_id=accepted.pk, driver_id=crowd[0].pk)
    services.assign_order(order_id=by_hand.pk, driver_id=crowd[1].pk, actor=cast.DISPATCHER)
    cast.let_time_pass(auto, seconds=20)
    services.auto_assign()

    with connection.cursor() as cursor:
        cursor.execute("SELECT max(length(data::text)) FROM orders_orderevent WHERE kind = 'order.assigned'")
        assert cursor.fetchone()[0] < 2500
    for order in (accepted, by_hand, auto):
        told = OrderEvent.objects.get(order=order, kind="order.assigned").data["candidates"]
        assert 10 <= len(told) <= 15


def test_an_unknown_order_has_no_story(dora: Caller) -> None:
    problem(dora.get("orders/00000000-0000-0000-0000-000000000000/story/"), 404, "not_found")


# --- Messages, as the driver has them --------------------------------------------------------------------------------


def test_a_message_is_in_the_drivers_sync_until_it_is_read(alice: Driver, bob: Driver) -> None:
    message = services.send_message(driver_id=alice.pk, text=" Side door ", actor=cast.DISPATCHER)
    phone, other = callers.phone(alice), callers.phone(bob)
    first = phone.get("driver/sync/")

    assert [(one["id"], one["text"], one["from"]) for one in first.json()["messages"]] == [
        (message.pk, "Side door", "dora")
    ]
    assert other.get("driver/sync/").json()["messages"] == other.get("driver/messages/").json()["results"] == []

    problem(other.post(f"driver/messages/{message.pk}/read/"), 404, "not_found")
    assert Message.objects.get().read_at is None
    read = phone.post(f"driver/messages/{message.pk}/read/").json()
    assert phone.post(f"driver/messages/{message.pk}/read/").json() == read
    assert read["read_at"] is not None

    assert phone.get("driver/sync/").json()["messages"] == []
    assert phone.get("driver/sync/").headers["ETag"] != first.headers["ETag"]
    assert [one["id"] for one in phone.get("driver/messages/").json()["results"]] == [message.pk]
    problem(phone.post("driver/messages/99999999999999999999/read/"), 404, "not_found")


def test_only_the_latest_fifty_messages_are_told(alice: Driver) -> None:
    for number in range(52):
        services.send_message(driver_id=alice.pk, text=str(number), actor=cast.DISPATCHER)

    unread = callers.phone(alice).get("driver/sync/").json()["messages"]

    assert [one["text"] for one in unread] == [str(number) for number in range(2, 52)]
