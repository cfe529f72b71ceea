"""A driver's taps, from the phone to the order's history: through a real server, a real database, a bad network."""

import base64
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser

from dispatch import services
from dispatch.models import ActionReceipt
from orders.models import Order
from tests import cast
from tests.browser.driver.rig import Phone, kill_tabs, wait_for
from tests.proxy import Proxy

pytestmark = pytest.mark.browser

#: The smallest PNG there is.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


@pytest.fixture
def offered(on_duty: Phone) -> Order:
    """An order in the feed of alice, who is on duty."""
    order = cast.order()
    on_duty.sees(lambda state: [offer["order"] for offer in state["offers"]] == [str(order.pk)], "the offer is pushed")
    return order


def statuses(state: dict[str, Any]) -> list[str]:
    return [order["status"] for order in state["active"]]


def acts_of(network: Proxy, verb: str) -> int:
    """How many requests of this kind came as far as the server."""
    return sum(request.endswith(f"/{verb}/") for request in network.requests)


def test_the_whole_day_of_a_driver(on_duty: Phone) -> None:
    order = cast.order(payout=Decimal("7.50"))
    key = str(order.pk)
    on_duty.sees(lambda state: state["offers"], "the offer is pushed")
    on_duty.do("seen", key)
    on_duty.do("accept", key)
    on_duty.sees(lambda state: statuses(state) == ["assigned"], "accepted")
    assert on_duty.offers == []
    assert on_duty.state["active"][0]["contact"] == {
        "name": "Carol Customer",
        "phone": "+1 415 555 0100",
        "notes": "Ring twice",
        "has_pin": False,
    }
    on_duty.do("pickUp", key)
    on_duty.sees(lambda state: statuses(state) == ["picked_up"], "picked up")
    on_duty.do("deliver", key, {"kind": "name", "note": "Left with Bob"})
    on_duty.sees(lambda state: state["active"] == [], "delivered")
    history = on_duty.do("history")
    assert [(past["id"], past["status"]) for past in history["results"]] == [(key, "delivered")]
    on_duty.go_off_duty()
    on_duty.sees(lambda state: state["duty"] == {"wanted": False, "confirmed": False}, "off duty")
    assert on_duty.told == ["accepted", "picked_up", "delivered"]
    on_duty.do("signOut")
    assert (on_duty.state["phase"], on_duty.state["signedOutWhy"]) == ("signed_out", None)
    assert cast.history(order) == ["created", "offered", "assigned", "picked_up", "delivered"]
    assert ActionReceipt.objects.filter(order_id=order.pk).count() == 3


# --- Without network --------------------------------------------------------------------------------------------------


def test_an_accept_without_network_is_accepted_later_if_the_order_is_still_free(
    on_duty: Phone, offered: Order, network: Proxy
) -> None:
    network.cut()
    on_duty.do("accept", str(offered.pk))
    assert [act["kind"] for act in on_duty.state["waiting"]] == ["accept"]
    assert on_duty.state["offers"][0]["act"]["kind"] == "accept"
    assert Order.objects.get(pk=offered.pk).status == "pending"
    network.restore()
    on_duty.sees(lambda state: statuses(state) == ["assigned"], "accepted")
    on_duty.sees(lambda state: state["waiting"] == [], "answered")
    assert on_duty.told == ["accepted"]
    assert cast.history(offered) == ["created", "offered", "assigned"]


def test_an_accept_without_network_is_cleared_with_the_reason_if_the_order_is_taken_meanwhile(
    on_duty: Phone, offered: Order, network: Proxy, bob: Any
) -> None:
    network.cut()
    on_duty.do("accept", str(offered.pk))
    services.offer_orders(order_ids=[offered.pk])
    services.accept_order(order_id=offered.pk, driver_id=bob.pk)
    before = cast.history(offered)
    assert on_duty.offers == [str(offered.pk)]
    network.restore()
    notice = on_duty.sees(lambda state: state["notices"], "the receipt")[0]
    assert (notice["tone"], notice["code"], notice["order"]) == ("bad", "order_taken", str(offered.pk))
    assert 0 <= notice["data"]["seconds"] < 300
    on_duty.sees(lambda state: state["offers"] == [] and state["waiting"] == [], "cleared")
    assert on_duty.active == {}
    assert cast.history(offered) == before


def test_an_accept_without_network_is_cleared_with_the_reason_if_the_order_expires_meanwhile(
    on_duty: Phone, offered: Order, network: Proxy
) -> None:
    network.cut()
    on_duty.do("accept", str(offered.pk))
    cast.let_time_pass(offered, seconds=200)
    before = cast.history(offered)
    network.restore()
    on_duty.sees(lambda state: [notice["code"] for notice in state["notices"]] == ["order_expired"], "the receipt")
    on_duty.sees(lambda state: state["offers"] == [] and state["waiting"] == [], "cleared")
    assert on_duty.active == {}
    assert cast.history(offered) == before


def test_a_whole_delivery_without_network_arrives_in_order(on_duty: Phone, offered: Order, network: Proxy) -> None:
    key = str(offered.pk)
    network.cut()
    on_duty.do("accept", key)
    on_duty.do("pickUp", key)
    on_duty.do("deliver", key, {"kind": "none"})
    assert [act["kind"] for act in on_duty.state["waiting"]] == ["accept", "pick_up", "deliver"]
    network.restore()
    on_duty.sees(lambda state: state["waiting"] == [], "all sent")
    assert on_duty.told == ["accepted", "picked_up", "delivered"]
    assert cast.history(offered) == ["created", "offered", "assigned", "picked_up", "delivered"]


def test_one_order_does_not_wait_for_another(on_duty: Phone, offered: Order, network: Proxy) -> None:
    second = cast.order()
    on_duty.sees(lambda state: len(state["offers"]) == 2, "both offers")
    network.lose_answers(1000, f"POST /api/v1/orders/{offered.pk}/")
    on_duty.do("decline", str(offered.pk))
    on_duty.do("decline", str(second.pk))
    on_duty.sees(lambda state: [act["order"] for act in state["waiting"]] == [str(offered.pk)], "the other is through")
    network.restore()
    on_duty.sees(lambda state: state["waiting"] == [], "this one, too")


# --- Answers that get lost --------------------------------------------------------------------------------------------


def test_lost_answers_are_given_again_and_nothing_happens_twice(on_duty: Phone, offered: Order, network: Proxy) -> None:
    key = str(offered.pk)
    for action, args, verb in (
        ("accept", [], "accept"),
        ("pickUp", [], "pick-up"),
        ("deliver", [{"kind": "none"}], "deliver"),
    ):
        network.lose_answers(2, f"POST /api/v1/orders/{key}/{verb}/")
        on_duty.do(action, key, *args)
        on_duty.sees(lambda state: state["waiting"] == [], f"{action} answered in the end")
        assert acts_of(network, verb) == 3
    assert network.lost == 6
    assert on_duty.told == ["accepted", "picked_up", "delivered"]
    assert cast.history(offered) == ["created", "offered", "assigned", "picked_up", "delivered"]
    assert ActionReceipt.objects.filter(order_id=offered.pk).count() == 3


# --- Tabs that die, and tabs that are two -----------------------------------------------------------------------------


def test_a_tap_outlives_its_tab_and_is_sent_once(
    chromium: Browser, on_duty: Phone, offered: Order, network: Proxy
) -> None:
    network.cut()
    on_duty.do("accept", str(offered.pk))
    kill_tabs(chromium)
    on_duty.close()
    network.restore()
    assert cast.history(offered) == ["created", "offered"]
    on_duty.reopen()
    on_duty.sees(lambda state: statuses(state) == ["assigned"], "accepted")
    on_duty.sees(lambda state: state["waiting"] == [], "answered")
    # A phone that was killed on duty is on duty again, without a tap.
    on_duty.sees(lambda state: state["link"]["state"] == "live" and state["duty"]["wanted"], "on duty")
    assert on_duty.told == ["accepted"]
    assert acts_of(network, "accept") == 1
    assert cast.history(offered) == ["created", "offered", "assigned"]


def test_the_answer_to_a_tab_that_died_is_given_to_the_next_one(
    chromium: Browser, on_duty: Phone, offered: Order, network: Proxy
) -> None:
    network.delay(1.0)
    on_duty.do("accept", str(offered.pk))
    wait_for(lambda: acts_of(network, "accept") == 1, "the request is on its way")
    kill_tabs(chromium)
    on_duty.close()
    network.restore()
    on_duty.reopen()
    on_duty.sees(lambda state: state["waiting"] == [] and statuses(state) == ["assigned"], "accepted")
    assert on_duty.told == ["accepted"]
    assert cast.history(offered) == ["created", "offered", "assigned"]


def test_two_tabs_see_the_same_and_send_once(on_duty: Phone, offered: Order, network: Proxy) -> None:
    key = str(offered.pk)
    other = on_duty.another_tab()
    other.sees(lambda state: [offer["order"] for offer in state["offers"]] == [key], "the same offer")
    network.cut()
    on_duty.do("accept", key)
    other.sees(lambda state: [act["kind"] for act in state["waiting"]] == ["accept"], "the tap of the other tab")
    # The same button in the other tab is the same tap.
    other.do("accept", key)
    other.do("pickUp", key)
    on_duty.sees(lambda state: [act["kind"] for act in state["waiting"]] == ["accept", "pick_up"], "both taps")
    network.restore()
    for tab in (on_duty, other):
        tab.sees(lambda state: state["waiting"] == [] and statuses(state) == ["picked_up"], "picked up")
        tab.sees(lambda state: len(state["notices"]) == 2, "the same news")
        assert tab.told == ["accepted", "picked_up"]
    assert (acts_of(network, "accept"), acts_of(network, "pick-up")) == (1, 1)
    assert cast.history(offered) == ["created", "offered", "assigned", "picked_up"]


# --- A phone without room ---------------------------------------------------------------------------------------------


#: How a browser refuses to write: at once, or when the transaction would end. (DevTools' `Storage.overrideQuotaForOrigin`
#: changes nothing for IndexedDB in Chromium 156: writes and `estimate()` go on as before.)
FULL = {
    "full": 'throw new DOMException("No room.", "QuotaExceededError")',
    "unavailable": "queueMicrotask(() => this.transaction.abort())",
}
FULL_SCRIPT = """() => {
for (const name of ["add", "put"]) {
    const real = IDBObjectStore.prototype[name];
    IDBObjectStore.prototype[name] = function (...args) {
        if (window.isFull) { REFUSE; }
        return real.apply(this, args);
    };
}
window.isFull = true;
}"""


@pytest.mark.parametrize("storage", FULL)
def test_a_full_phone_sends_directly_and_says_so(on_duty: Phone, offered: Order, network: Proxy, storage: str) -> None:
    key = str(offered.pk)
    on_duty.page.evaluate(FULL_SCRIPT.replace("REFUSE", FULL[storage]))
    network.cut()
    on_duty.do("accept", key)
    on_duty.do("pickUp", key)
    state = on_duty.state
    assert state["storage"] == storage
    assert [(act["kind"], act["stored"]) for act in state["waiting"]] == [("accept", False), ("pick_up", False)]
    assert [(notice["code"], notice["tone"]) for notice in state["notices"]] == [("not_kept", "bad")] * 2
    network.restore()
    on_duty.sees(lambda state: statuses(state) == ["picked_up"] and state["waiting"] == [], "done all the same")
    on_duty.page.evaluate("window.isFull = false")
    on_duty.do("deliver", key, {"kind": "none"})
    on_duty.sees(lambda state: state["active"] == [] and state["waiting"] == [], "delivered")
    assert on_duty.state["storage"] == "ok"
    assert on_duty.told == ["not_kept", "not_kept", "accepted", "picked_up", "delivered"]
    assert cast.history(offered) == ["created", "offered", "assigned", "picked_up", "delivered"]


def test_what_a_full_phone_could_not_keep_is_kept_as_soon_as_it_can(
    on_duty: Phone, offered: Order, network: Proxy
) -> None:
    key = str(offered.pk)
    on_duty.page.evaluate(FULL_SCRIPT.replace("REFUSE", FULL["full"]))
    network.cut()
    on_duty.do("accept", key)
    on_duty.page.evaluate("window.isFull = false")
    on_duty.do("pickUp", key)
    assert [(act["kind"], act["stored"]) for act in on_duty.state["waiting"]] == [("accept", True), ("pick_up", True)]
    on_duty.close()
    network.restore()
    on_duty.reopen()
    on_duty.sees(lambda state: statuses(state) == ["picked_up"] and state["waiting"] == [], "both, in order")
    assert cast.history(offered) == ["created", "offered", "assigned", "picked_up"]


def test_bad_news_that_the_disk_did_not_take_waits_in_the_page_for_its_driver(
    on_duty: Phone, offered: Order, network: Proxy, bob: Any
) -> None:
    on_duty.page.evaluate(FULL_SCRIPT.replace("REFUSE", FULL["full"]))
    network.cut()
    on_duty.do("accept", str(offered.pk))
    services.offer_orders(order_ids=[offered.pk])
    services.accept_order(order_id=offered.pk, driver_id=bob.pk)
    network.restore()
    on_duty.sees(lambda state: "order_taken" in [notice["code"] for notice in state["notices"]], "the receipt")
    on_duty.do("signOut")
    cast.driver("carol")
    on_duty.sign_in("carol", cast.PASSWORD)
    assert on_duty.told == []
    on_duty.do("signOut")
    on_duty.sign_in("alice", cast.PASSWORD)
    assert on_duty.told == ["order_taken"]


def test_an_answer_that_one_tab_could_not_write_down_reaches_the_other_as_soon_as_it_is(
    on_duty: Phone, offered: Order
) -> None:
    other = on_duty.another_tab()
    other.sees(lambda state: state["offers"], "the same offer")
    on_duty.page.evaluate(FULL_SCRIPT.replace("REFUSE", FULL["full"]))
    # This one keeps the tap and never gets a turn to send it.
    other.page.evaluate("() => { navigator.locks.request = () => new Promise(() => {}); }")
    other.do("accept", str(offered.pk))
    on_duty.sees(lambda state: statuses(state) == ["assigned"], "accepted by the tab without room")
    assert [act["kind"] for act in other.state["waiting"]] == ["accept"]
    on_duty.page.evaluate("window.isFull = false")
    other.sees(lambda state: state["waiting"] == [], "nothing waits any more")


def test_a_phone_without_storage_works_for_as_long_as_the_page_lives(
    open_phone: Callable[..., Phone], browser_context: Any
) -> None:
    browser_context.add_init_script(
        "IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError'); };"
    )
    alice = cast.driver("alice", is_online=False)
    phone = open_phone()
    assert phone.state["storage"] == "unavailable"
    phone.sign_in("alice", cast.PASSWORD)
    phone.go_on_duty()
    phone.sees(lambda state: state["link"]["state"] == "live" and state["duty"]["confirmed"], "on duty")
    cast.move(alice, cast.FERRY_BUILDING)
    order = cast.order()
    phone.sees(lambda state: state["offers"], "the offer is pushed")
    phone.do("accept", str(order.pk))
    phone.sees(lambda state: statuses(state) == ["assigned"] and state["waiting"] == [], "accepted")
    assert phone.told == ["not_kept", "accepted"]


# --- Photos -----------------------------------------------------------------------------------------------------------


def test_a_photo_never_holds_up_the_next_act(on_duty: Phone, offered: Order, network: Proxy) -> None:
    key = str(offered.pk)
    on_duty.do("accept", key)
    on_duty.do("pickUp", key)
    on_duty.sees(lambda state: statuses(state) == ["picked_up"], "picked up")
    # Photos cannot get through for now.
    network.lose_answers(1000, f"POST /api/v1/orders/{key}/proofs/")
    on_duty.page.evaluate(
        """([order, photo]) => window.app.actions.deliver(order, {
            kind: "photo", photo: new Blob([Uint8Array.from(atob(photo), (c) => c.charCodeAt(0))], { type: "image/png" }),
        })""",
        [key, base64.b64encode(PIXEL).decode()],
    )
    on_duty.sees(lambda state: state["active"] == [], "delivered, without its photo")
    second = cast.order()
    on_duty.sees(lambda state: state["offers"], "the next offer")
    on_duty.do("accept", str(second.pk))
    on_duty.sees(lambda state: statuses(state) == ["assigned"], "the next order")
    on_duty.sees(lambda state: [act["kind"] for act in state["waiting"]] == ["proof"], "only the photo waits")
    assert cast.history(offered)[-1] == "delivered"
