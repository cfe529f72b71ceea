"""Heartbeats, half-open sockets, lost pushes: what the app notices by itself, and how soon."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from dispatch import services
from drivers.models import Presence
from tests import cast
from tests.browser.driver.rig import QUICK, Phone, stopwatch, wait_for
from tests.proxy import Proxy

pytestmark = pytest.mark.browser


@contextmanager
def unheard(settings: Any) -> Iterator[None]:
    """What happens in here is pushed where nobody listens."""
    real = settings.CHANNEL_LAYERS
    layers = deepcopy(real)
    layers["default"]["CONFIG"]["prefix"] = "nobody"
    settings.CHANNEL_LAYERS = layers
    try:
        yield
    finally:
        settings.CHANNEL_LAYERS = real


def sockets(network: Proxy) -> int:
    return sum(request.startswith("GET /ws/driver/") for request in network.requests)


def test_a_half_open_socket_is_noticed_and_made_anew(on_duty: Phone, network: Proxy) -> None:
    made = sockets(network)
    # A twentieth of the real times: 1 s between heartbeats, half a second for each answer. 45 s are 2.25 s.
    with stopwatch() as elapsed:
        network.freeze()
        on_duty.sees(lambda state: state["link"]["state"] == "connecting", "the link is given up", within=10)
        noticed = elapsed()
    assert noticed < 2.25 + 1.0, f"after {noticed} s"
    network.drop()
    network.restore()
    on_duty.sees(lambda state: state["link"]["state"] == "live", "the link is back")
    assert sockets(network) > made


def test_with_the_real_times_a_half_open_socket_is_noticed_within_45_seconds(
    open_phone: Callable[..., Phone], network: Proxy
) -> None:
    cast.driver("alice", is_online=False)
    phone = open_phone({**QUICK, "link": {}})
    phone.sign_in("alice", cast.PASSWORD)
    phone.go_on_duty()
    phone.sees(lambda state: state["link"]["roundTripMs"] is not None, "a heartbeat was answered")
    # The worst moment: everything was answered just now.
    phone.sees(
        lambda state: phone.page.evaluate("Date.now()") - state["link"]["heardAt"] > 1500,
        "nothing is on its way any more",
    )
    with stopwatch() as elapsed:
        network.freeze()
        phone.sees(lambda state: state["link"]["state"] == "connecting", "the link is given up", within=60)
        assert 35 < elapsed() < 45


def test_a_lost_push_is_corrected_within_one_heartbeat(on_duty: Phone, settings: Any) -> None:
    with unheard(settings):
        order = cast.order()
    with stopwatch() as elapsed:
        on_duty.sees(
            lambda state: [offer["order"] for offer in state["offers"]] == [str(order.pk)], "the offer is found"
        )
        # A heartbeat a second here, 20 s in life, and what asking takes.
        assert elapsed() < 3
    bob = cast.driver("bob", at=cast.EMBARCADERO)
    services.offer_orders(order_ids=[order.pk])
    with unheard(settings):
        services.accept_order(order_id=order.pk, driver_id=bob.pk)
    with stopwatch() as elapsed:
        on_duty.sees(lambda state: state["offers"] == [], "the card is gone")
        assert elapsed() < 3


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


def test_a_card_leaves_by_its_own_countdown_without_network(on_duty: Phone, network: Proxy) -> None:
    soon = cast.now() + timedelta(seconds=4)
    cast.order(expires_at=soon, auto_assign_at=soon)
    on_duty.sees(lambda state: state["offers"], "the offer is pushed")
    network.cut()
    on_duty.sees(lambda state: state["offers"] == [], "its time is over", within=6)
    assert cast.now() - soon < timedelta(seconds=1)


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
    cast.order()
    on_duty.sees(lambda state: state["offers"], "the offer is pushed")
    services.go_offline(driver_id=on_duty.driver_id)
    on_duty.sees(lambda state: state["duty"] == {"wanted": False, "confirmed": False}, "off duty")
    assert on_duty.told == ["duty_ended"]
    assert on_duty.offers == []
