"""Heartbeats, half-open sockets, lost pushes: what the app notices by itself, and how soon."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import BrowserContext

from dispatch import services
from dispatch.models import Offer
from drivers.models import Presence
from tests import cast
from tests.browser.driver.rig import Phone, wait_for
from tests.dispatch.live.rig import unheard
from tests.proxy import Proxy

pytestmark = pytest.mark.browser


def sockets(network: Proxy) -> int:
    return sum(request.startswith("GET /ws/driver/") for request in network.requests)


@pytest.fixture
def in_its_own_time(open_phone: Callable[..., Phone], browser_context: BrowserContext) -> Phone:
    """The phone of alice, on duty at the ferry building, with the app's real times. Its clock stands still, and a heartbeat
    was answered this very moment."""
    browser_context.clock.install()
    alice = cast.driver("alice", is_online=False)
    phone = open_phone({})
    phone.driver_id = alice.pk
    phone.sign_in("alice", cast.PASSWORD)
    phone.go_on_duty()
    phone.sees(lambda state: state["link"]["state"] == "live" and state["duty"]["confirmed"], "alice is on duty")
    phone.sees(lambda state: state["position"], "alice is somewhere")
    cast.move(alice, cast.FERRY_BUILDING)
    phone.stop_time()
    # Looking again sends a heartbeat; the next one is due in 20 seconds.
    phone.do("sync")
    now = phone.page.evaluate("Date.now()")
    phone.sees(lambda state: (state["link"]["heardAt"], state["link"]["roundTripMs"]) == (now, 0), "it was answered")
    return phone


def test_a_half_open_socket_is_made_anew(on_duty: Phone, network: Proxy) -> None:
    made = sockets(network)
    network.freeze()
    on_duty.sees(lambda state: state["link"]["state"] == "connecting", "the link is given up")
    network.drop()
    network.restore()
    on_duty.sees(lambda state: state["link"]["state"] == "live", "the link is back")
    assert sockets(network) > made


def test_a_half_open_socket_is_noticed_within_45_seconds(in_its_own_time: Phone, network: Proxy) -> None:
    # The worst moment: everything was answered just now.
    network.freeze()
    in_its_own_time.let_pass(39)
    assert in_its_own_time.state["link"]["state"] == "live"
    in_its_own_time.let_pass(6)
    assert in_its_own_time.state["link"]["state"] == "connecting"


def test_a_position_that_is_found_late_is_told_at_once(
    open_phone: Callable[..., Phone], browser_context: BrowserContext
) -> None:
    browser_context.clock.install()
    browser_context.set_geolocation(None)
    alice = cast.driver("alice", is_online=False)
    phone = open_phone({})
    phone.sign_in("alice", cast.PASSWORD)
    phone.go_on_duty()
    phone.sees(lambda state: state["link"]["state"] == "live" and state["duty"]["confirmed"], "alice is on duty")
    phone.stop_time()
    phone.do("sync")
    now = phone.page.evaluate("Date.now()")
    phone.sees(lambda state: (state["link"]["heardAt"], state["link"]["roundTripMs"]) == (now, 0), "she is heard")
    assert not phone.state["position"]
    assert not Presence.objects.filter(driver=alice, location__isnull=False).exists()

    # No time goes by in which a heartbeat would be due.
    browser_context.set_geolocation({"latitude": 37.7955, "longitude": -122.3937, "accuracy": 8})
    wait_for(
        Presence.objects.filter(driver=alice, is_online=True, location__isnull=False).exists,
        "the server knows where alice is",
    )
    assert phone.page.evaluate("Date.now()") == now


def test_a_lost_push_is_corrected_within_one_heartbeat(in_its_own_time: Phone, settings: Any, bob: Any) -> None:
    phone = in_its_own_time
    with unheard(settings):
        order = cast.order()
    phone.let_pass(20)
    phone.sees(lambda state: [offer["order"] for offer in state["offers"]] == [str(order.pk)], "the offer is found")
    with unheard(settings):
        services.accept_order(order_id=order.pk, driver_id=bob.pk)
    assert phone.offers == [str(order.pk)]
    phone.let_pass(20)
    phone.sees(lambda state: state["offers"] == [], "the card is gone")


def test_an_order_that_was_assigned_and_taken_away_unheard_is_told_of(on_duty: Phone, settings: Any) -> None:
    order = cast.order()
    on_duty.sees(lambda state: state["offers"], "the offer is pushed")
    with unheard(settings):
        services.assign_order(order_id=order.pk, driver_id=on_duty.driver_id, actor=cast.DISPATCHER)
    on_duty.sees(lambda state: [one["id"] for one in state["active"]] == [str(order.pk)], "assigned")
    with unheard(settings):
        services.unassign_order(order_id=order.pk, actor=cast.DISPATCHER)
    on_duty.sees(lambda state: state["active"] == [], "taken away")
    assert on_duty.told == ["order_assigned", "order_removed"]


def test_heartbeats_go_over_http_when_there_is_no_socket(on_duty: Phone, network: Proxy, settings: Any) -> None:
    network.lose_answers(1000, "GET /ws/driver/")
    network.drop()
    on_duty.sees(lambda state: state["link"]["state"] == "connecting", "no socket")
    Presence.objects.filter(pk=on_duty.driver_id).update(last_seen=None)
    wait_for(lambda: Presence.objects.get(pk=on_duty.driver_id).last_seen, "heard of over HTTP")
    with unheard(settings):
        order = cast.order()
    on_duty.sees(lambda state: [offer["order"] for offer in state["offers"]] == [str(order.pk)], "its answer tells")


def test_a_card_leaves_by_its_own_countdown_without_network(in_its_own_time: Phone, network: Proxy) -> None:
    phone = in_its_own_time
    expires_at = cast.now() + timedelta(seconds=300)
    cast.order(expires_at=expires_at, auto_assign_at=expires_at)
    phone.sees(lambda state: state["offers"], "the offer is pushed")
    network.cut()
    server_now = (phone.page.evaluate("Date.now()") + phone.state["clockOffsetMs"]) / 1000
    left = expires_at.timestamp() - server_now
    phone.let_pass(left - 1)
    assert len(phone.offers) == 1
    phone.let_pass(1.1)
    assert phone.offers == []


def test_a_driver_whom_the_sweep_took_off_duty_is_back_with_the_next_heartbeat(on_duty: Phone, network: Proxy) -> None:
    network.cut()
    Presence.objects.filter(pk=on_duty.driver_id).update(last_seen=cast.now() - cast.MINUTE)
    assert services.mark_silent_drivers_offline() == 1
    network.restore()
    wait_for(lambda: Presence.objects.get(pk=on_duty.driver_id).is_online, "back on duty")
    on_duty.sees(lambda state: state["link"]["state"] == "live", "the link is back")
    on_duty.sees(lambda state: state["duty"] == {"wanted": True, "confirmed": True}, "still on duty")
    assert on_duty.told == []


def test_a_dispatcher_who_ends_the_duty_is_believed(on_duty: Phone) -> None:
    order = cast.order()
    on_duty.sees(lambda state: state["offers"], "the offer is pushed")
    # While a socket marks an offer, only the sweep can withdraw it, and here none runs.
    wait_for(lambda: Offer.objects.filter(order=order, delivered_at__isnull=False).exists(), "marked")
    services.go_offline(driver_id=on_duty.driver_id)
    on_duty.sees(lambda state: state["duty"] == {"wanted": False, "confirmed": False}, "off duty")
    assert on_duty.told == ["duty_ended"]
    assert on_duty.offers == []


def test_a_message_that_was_sent_while_the_line_was_down_is_there_with_the_next_line(
    on_duty: Phone, network: Proxy, settings: Any
) -> None:
    with unheard(settings):
        services.send_message(driver_id=on_duty.driver_id, text="Ring at the back door", actor=cast.DISPATCHER)
    network.drop()
    on_duty.sees(lambda state: [one["text"] for one in state["messages"]] == ["Ring at the back door"], "the message")
    assert on_duty.told == ["message"]


def test_a_message_whose_push_was_lost_comes_with_the_next_sync_and_is_told_once(on_duty: Phone, settings: Any) -> None:
    with unheard(settings):
        services.send_message(driver_id=on_duty.driver_id, text="Call the customer", actor=cast.DISPATCHER)
    assert on_duty.state["messages"] == []
    for _ in range(2):
        on_duty.do("sync")
    on_duty.sees(lambda state: [one["text"] for one in state["messages"]] == ["Call the customer"], "the message")
    assert on_duty.told == ["message"]


def test_the_line_comes_back_although_the_phone_could_not_read_who_is_signed_in(on_duty: Phone, network: Proxy) -> None:
    on_duty.page.evaluate(
        """() => {
            const get = IDBObjectStore.prototype.get;
            window.reads = 0;
            window.isBroken = true;
            IDBObjectStore.prototype.get = function (...given) {
                window.reads += 1;
                if (window.isBroken) throw new DOMException("no", "UnknownError");
                return get.apply(this, given);
            };
        }"""
    )
    network.drop()
    on_duty.sees(lambda state: state["link"]["state"] == "connecting", "no line")
    wait_for(lambda: on_duty.page.evaluate("window.reads") >= 3, "it tries again")
    assert on_duty.state["link"]["state"] == "connecting"

    on_duty.page.evaluate("window.isBroken = false")

    on_duty.sees(lambda state: state["link"]["state"] == "live", "the line is back")
