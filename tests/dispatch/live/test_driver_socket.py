"""What a driver's socket says, when."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.gis.geos import Point

from dispatch import services
from dispatch.models import Offer
from drivers.models import Driver, Presence
from orders.actors import SYSTEM
from tests import cast
from tests.dispatch.live.rig import Client, Server, open_driver, wait_until
from tests.race.rig import somebody_locks

pytestmark = pytest.mark.django_db(transaction=True)

Connect = Callable[..., Client]


def test_a_new_socket_starts_with_the_whole_truth(server: Server, clients: list[Client], bob: Driver) -> None:
    held = cast.order()
    services.accept_order(order_id=held.pk, driver_id=bob.pk)
    Driver.objects.filter(pk=bob.pk).update(capacity=2)
    offered = cast.order()

    client = open_driver(server, bob)
    clients.append(client)
    snapshot = client.frame()

    assert set(snapshot) == {"type", "at", "server_time", "offers", "active", "messages"}
    assert [(card["order"], card["version"]) for card in snapshot["offers"]] == [(str(offered.pk), 2)]
    assert [(order["id"], order["version"], order["status"]) for order in snapshot["active"]] == [
        (str(held.pk), 3, "assigned")
    ]
    assert snapshot["active"][0]["contact"]["name"] == "Carol Customer"
    assert abs((datetime.fromisoformat(snapshot["server_time"]) - cast.now()).total_seconds()) < 5


def test_an_order_is_offered_to_each_with_their_own_distance(
    connect_driver: Connect, alice: Driver, bob: Driver
) -> None:
    at_alice, at_bob = connect_driver(alice), connect_driver(bob)

    order = cast.order()

    offers = {driver.pk: client.get("offer") for driver, client in ((alice, at_alice), (bob, at_bob))}
    stored = dict(Offer.objects.filter(order=order).values_list("driver_id", "distance_m"))
    assert {pk: frame["offer"]["distance_m"] for pk, frame in offers.items()} == {
        alice.pk: round(stored[alice.pk]),
        bob.pk: round(stored[bob.pk]),
    }
    assert offers[alice.pk]["offer"]["distance_m"] == 0
    assert 300 < offers[bob.pk]["offer"]["distance_m"] < 600
    frame = offers[bob.pk]
    assert (frame["version"], frame["offer"]["version"], frame["offer"]["order"]) == (2, 2, str(order.pk))
    assert "Carol" not in str(offers)
    assert "0100" not in str(offers)


def test_the_winner_gets_the_contact_and_the_loser_loses_the_card(
    connect_driver: Connect, alice: Driver, bob: Driver
) -> None:
    at_alice, at_bob = connect_driver(alice), connect_driver(bob)
    order = cast.order()
    at_alice.get("offer")
    at_bob.get("offer")

    services.accept_order(order_id=order.pk, driver_id=alice.pk)

    won = at_alice.get("order")
    assert (won["version"], won["kind"], won["order"]["status"]) == (3, "order.assigned", "assigned")
    customer = {"name": "Carol Customer", "phone": "+1 415 555 0100", "notes": "Ring twice"}
    assert won["order"]["contact"] == {**customer, "has_pin": False}
    lost = at_bob.get("offer_closed")
    assert (lost["order"], lost["version"], lost["reason"]) == (str(order.pk), 3, "order_taken")
    # Everything that was ever said to the loser, up to the answer to a heartbeat sent afterwards.
    assert at_bob.is_served()
    assert "Carol" not in str(at_bob.others)


def test_versions_only_grow_and_the_contact_goes_with_the_order(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    services.pick_up_order(order_id=order.pk, driver_id=alice.pk)
    services.deliver_order(order_id=order.pk, driver_id=alice.pk)

    frames = [at_alice.get("offer"), *(at_alice.get("order") for _ in range(3))]

    assert [frame["version"] for frame in frames] == [2, 3, 4, 5]
    assert [frame["order"]["status"] for frame in frames[1:]] == ["assigned", "picked_up", "delivered"]
    assert [frame["order"]["contact"] is None for frame in frames[1:]] == [False, False, True]


def test_a_driver_who_loses_an_order_is_told_why(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)

    services.unassign_order(order_id=order.pk, actor=cast.DISPATCHER)

    removed = at_alice.get("order_removed")
    assert (removed["order"], removed["version"], removed["reason"]) == (str(order.pk), 4, "unassigned")


def test_a_cancelled_order_leaves_the_holder(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)

    services.cancel_order(order_id=order.pk, actor=cast.DISPATCHER)

    removed = at_alice.get("order_removed")
    assert (removed["order"], removed["version"], removed["reason"]) == (str(order.pk), 4, "order_cancelled")
    last = [frame for frame in at_alice.others if frame["type"] == "order"][-1]
    assert (last["order"]["status"], last["order"]["contact"]) == ("cancelled", None)


def test_going_off_duty_clears_the_feed(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)
    order = cast.order()
    at_alice.get("offer")

    services.go_offline(driver_id=alice.pk)

    closed = at_alice.get("offer_closed")
    assert (closed["order"], closed["reason"]) == (str(order.pk), "driver_offline")


def test_a_card_that_could_not_be_withdrawn_goes_with_the_sweep(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)
    order = cast.order()
    at_alice.get("offer")
    offer = wait_until(lambda: Offer.objects.filter(order=order, delivered_at__isnull=False).first())
    with somebody_locks("dispatch_offer", offer.pk):
        services.go_offline(driver_id=alice.pk)

    services.withdraw_left_over_offers()

    closed = at_alice.get("offer_closed")
    assert (closed["order"], closed["reason"]) == (str(order.pk), "driver_offline")


def test_an_act_that_fails_announces_nothing(connect_driver: Connect, alice: Driver, bob: Driver) -> None:
    at_bob = connect_driver(bob)
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    at_bob.get("offer_closed")

    with pytest.raises(Exception, match="taken"):
        services.accept_order(order_id=order.pk, driver_id=bob.pk)

    assert at_bob.is_served()
    assert [frame["type"] for frame in at_bob.others] == ["offer"]


def test_a_heartbeat_moves_the_driver_and_says_what_the_feed_should_hold(
    connect_driver: Connect, alice: Driver
) -> None:
    Driver.objects.filter(pk=alice.pk).update(capacity=3)
    at_alice = connect_driver(alice)
    held = cast.order()
    services.accept_order(order_id=held.pk, driver_id=alice.pk)
    cast.order()
    cast.order()

    at_alice.send(type="heartbeat", lat=37.79, lng=-122.4, accuracy_m=5, heading=90.5, speed_mps=3, id="h1")

    answer = at_alice.get("heartbeat_ack")
    assert (answer["id"], answer["active"], answer["open_offers"]) == ("h1", [[str(held.pk), 3]], 2)
    assert abs((datetime.fromisoformat(answer["server_time"]) - cast.now()).total_seconds()) < 5
    presence = Presence.objects.get(pk=alice.pk)
    assert presence.location is not None
    assert (presence.location.y, presence.location.x, presence.heading, presence.speed_mps) == (37.79, -122.4, 90.5, 3)


def test_every_heartbeat_is_answered_and_the_last_position_counts(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)

    for number in range(5):
        at_alice.send(type="heartbeat", lat=37.79 + number / 1000, lng=-122.4, id=number)

    assert [at_alice.get("heartbeat_ack")["id"] for _ in range(5)] == [0, 1, 2, 3, 4]
    presence = Presence.objects.get(pk=alice.pk)
    assert presence.location is not None
    assert presence.location.y == 37.794


def test_a_device_clock_of_another_century_changes_nothing(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)

    for number, time in enumerate(("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")):
        at_alice.send(type="heartbeat", lat=37.7, lng=-122.4, recorded_at=time, id=number)
        assert at_alice.get("heartbeat_ack")["id"] == number

    recorded_at = Presence.objects.get(pk=alice.pk).recorded_at
    assert recorded_at is not None
    assert abs((recorded_at - cast.now()).total_seconds()) < 10


def test_an_offer_is_marked_when_it_arrives_and_when_it_is_seen(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)
    order = cast.order()
    at_alice.get("offer")

    wait_until(lambda: Offer.objects.get(order=order).delivered_at)
    assert Offer.objects.get(order=order).seen_at is None

    at_alice.send(type="seen", order=str(order.pk))
    first = wait_until(lambda: Offer.objects.get(order=order).seen_at)
    at_alice.send(type="seen", order=str(order.pk))
    assert at_alice.is_served()
    assert Offer.objects.get(order=order).seen_at == first


def test_an_offer_that_a_snapshot_brings_counts_as_delivered(connect_driver: Connect, alice: Driver) -> None:
    order = cast.order()
    assert Offer.objects.get(order=order).delivered_at is None

    connect_driver(alice)

    wait_until(lambda: Offer.objects.get(order=order).delivered_at)


def test_somebody_elses_offer_cannot_be_marked_as_seen(connect_driver: Connect, alice: Driver) -> None:
    far = cast.driver("far", at=cast.OCEAN_BEACH)
    order = cast.order()

    at_far = connect_driver(far)
    at_far.send(type="seen", order=str(order.pk))

    assert at_far.is_served()
    assert at_far.is_served()
    assert Offer.objects.get(order=order).seen_at is None


def test_sync_brings_the_whole_truth_again(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)
    order = cast.order()

    at_alice.send(type="sync")

    assert [card["order"] for card in at_alice.get("snapshot")["offers"]] == [str(order.pk)]


def test_a_driver_has_at_most_five_sockets(connect_driver: Connect, alice: Driver) -> None:
    sockets = [connect_driver(alice) for _ in range(6)]

    assert sockets[0].close_code() == 4010
    assert all(socket.is_served() for socket in sockets[1:])


def test_a_card_is_shown_anew_when_what_it_says_was_corrected(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)
    order = cast.order()
    first = at_alice.get("offer")["offer"]

    services.correct_order(order_id=order.pk, corrections={"payout": Decimal("12.50")}, actor=SYSTEM)
    again = at_alice.get("offer")["offer"]
    assert again == {**first, "payout": "12.50", "version": first["version"] + 1}

    services.extend_order(order_id=order.pk, seconds=60, actor=SYSTEM)
    longer = at_alice.get("offer")["offer"]
    gained = datetime.fromisoformat(longer["expires_at"]) - datetime.fromisoformat(first["expires_at"])
    assert gained == timedelta(seconds=60)

    services.reoffer_order(order_id=order.pk, actor=SYSTEM, seconds=600)
    assert datetime.fromisoformat(at_alice.get("offer")["offer"]["expires_at"]) > cast.now() + timedelta(seconds=590)


def test_a_card_whose_pickup_moved_out_of_reach_is_closed(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)
    order = cast.order()
    at_alice.get("offer")

    beach = Point(cast.OCEAN_BEACH[1], cast.OCEAN_BEACH[0], srid=4326)
    services.correct_order(order_id=order.pk, corrections={"pickup": beach}, actor=SYSTEM)

    closed = at_alice.get("offer_closed")
    assert (closed["order"], closed["version"], closed["reason"]) == (str(order.pk), 3, "order_corrected")


def test_a_correction_that_no_card_shows_is_not_pushed(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)
    order = cast.order()
    at_alice.get("offer")

    services.correct_order(order_id=order.pk, corrections={"reference": "B-2"}, actor=SYSTEM)

    assert at_alice.is_served()
    assert [frame["type"] for frame in at_alice.others if frame["type"] == "offer"] == []
