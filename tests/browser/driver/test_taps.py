"""A driver's taps, from the phone to the order's history: through a real server, a real database, a bad network."""

from decimal import Decimal

import pytest

from orders.models import Order
from tests import cast
from tests.browser.driver.rig import Phone
from tests.proxy import Proxy

pytestmark = pytest.mark.browser


def test_the_whole_day_of_a_driver(on_duty: Phone) -> None:
    order = cast.order(payout=Decimal("7.50"))
    key = str(order.pk)
    on_duty.sees(lambda state: state["offers"], "the offer is pushed")
    on_duty.do("seen", key)
    on_duty.do("accept", key)
    on_duty.sees(lambda state: [o["status"] for o in state["active"]] == ["assigned"], "accepted")
    assert on_duty.offers == []
    assert on_duty.state["active"][0]["contact"] == {
        "name": "Carol Customer",
        "phone": "+1 415 555 0100",
        "notes": "Ring twice",
    }
    on_duty.do("pickUp", key)
    on_duty.sees(lambda state: [o["status"] for o in state["active"]] == ["picked_up"], "picked up")
    on_duty.do("deliver", key, {"kind": "name", "note": "Left with Bob"})
    on_duty.sees(lambda state: state["active"] == [], "delivered")
    on_duty.go_off_duty()
    on_duty.sees(lambda state: state["duty"] == {"wanted": False, "confirmed": False}, "off duty")
    on_duty.do("signOut")
    assert on_duty.state["phase"] == "signed_out"
    assert on_duty.told == ["accepted", "picked_up", "delivered"]
    assert cast.history(order) == ["created", "offered", "assigned", "picked_up", "delivered"]


def test_an_accept_without_network_is_sent_when_it_is_back(on_duty: Phone, network: Proxy) -> None:
    order = cast.order()
    key = str(order.pk)
    on_duty.sees(lambda state: state["offers"], "the offer is pushed")
    network.cut()
    on_duty.do("accept", key)
    assert [act["kind"] for act in on_duty.state["waiting"]] == ["accept"]
    assert on_duty.state["offers"][0]["act"]["kind"] == "accept"
    assert Order.objects.get(pk=order.pk).status == "pending"
    network.restore()
    on_duty.sees(lambda state: [o["status"] for o in state["active"]] == ["assigned"], "accepted")
    on_duty.sees(lambda state: state["waiting"] == [], "answered")
    assert cast.history(order) == ["created", "offered", "assigned"]
