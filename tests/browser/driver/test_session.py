"""Whose taps they are: tokens that are revoked, drivers who share a phone, signing out without network."""

from collections.abc import Callable
from typing import Any

import pytest

from dispatch import services
from dispatch.models import ActionReceipt
from drivers.models import DeviceToken, Presence
from tests import cast
from tests.browser.driver.rig import Phone, wait_for
from tests.proxy import Proxy

pytestmark = pytest.mark.browser


def kept_acts(phone: Phone) -> list[tuple[int, str]]:
    """What is on the phone's disk, whoever is signed in: driver and act."""
    found: list[list[Any]] = phone.page.evaluate(
        """() => new Promise((resolve) => {
            const opened = indexedDB.open("baton-driver");
            opened.onsuccess = () => {
                const all = opened.result.transaction("acts").objectStore("acts").getAll();
                all.onsuccess = () => {
                    opened.result.close();
                    resolve(all.result.map((act) => [act.driver_id, act.kind]));
                };
            };
        })"""
    )
    return [(driver, kind) for driver, kind in found]


def test_a_wrong_password_is_a_problem_and_signs_nobody_in(phone: Phone) -> None:
    cast.driver("alice")
    problem = phone.page.evaluate("window.app.actions.signIn('alice', 'wrong').catch((problem) => problem)")
    assert (problem["status"], problem["code"]) == (401, "sign_in_refused")
    assert phone.state["phase"] == "signed_out"


def test_a_revoked_driver_is_signed_out_and_the_taps_wait_for_the_same_driver(
    on_duty: Phone, network: Proxy, bob: Any
) -> None:
    order = cast.order()
    key = str(order.pk)
    on_duty.sees(lambda state: state["offers"], "the offer is pushed")
    network.cut()
    on_duty.do("accept", key)
    DeviceToken.objects.filter(user__driver=on_duty.driver_id).delete()
    network.restore()
    on_duty.sees(lambda state: state["phase"] == "signed_out", "signed out")
    state = on_duty.state
    assert state["signedOutWhy"] == "revoked"
    assert state["kept"] == {"driver": "alice", "count": 1}
    assert (state["offers"], state["active"], state["driver"]) == ([], [], None)
    assert kept_acts(on_duty) == [(on_duty.driver_id, "accept")]

    # Somebody else on the same phone: the tap is not theirs, and is never sent as theirs.
    on_duty.sign_in("bob", cast.PASSWORD)
    on_duty.sees(lambda state: state["link"]["state"] == "live", "bob is there")
    on_duty.do("sync")
    assert on_duty.state["waiting"] == []
    assert kept_acts(on_duty) == [(on_duty.driver_id, "accept")]
    assert cast.history(order) == ["created", "offered"]
    on_duty.do("signOut")

    on_duty.sign_in("alice", cast.PASSWORD)
    on_duty.sees(lambda state: [one["id"] for one in state["active"]] == [key], "accepted by the one who tapped")
    on_duty.sees(lambda state: state["waiting"] == [], "answered")
    assert kept_acts(on_duty) == []
    assert list(ActionReceipt.objects.values_list("driver_id", "verb")) == [(on_duty.driver_id, "accept")]


def test_a_suspended_driver_is_signed_out_with_the_reason(on_duty: Phone) -> None:
    services.suspend_driver(driver_id=on_duty.driver_id)
    on_duty.sees(lambda state: state["phase"] == "signed_out", "signed out")
    assert on_duty.state["signedOutWhy"] == "suspended"


def test_all_tabs_sign_in_and_out_together(on_duty: Phone) -> None:
    other = on_duty.another_tab()
    assert other.state["driver"]["username"] == "alice"
    other.do("signOut")
    on_duty.sees(lambda state: state["phase"] == "signed_out", "signed out here, too")
    assert on_duty.state["signedOutWhy"] is None
    assert not Presence.objects.get(pk=on_duty.driver_id).is_online


def test_signing_out_without_network_is_told_to_the_server_later(on_duty: Phone, network: Proxy) -> None:
    network.cut()
    on_duty.do("signOut")
    assert on_duty.state["phase"] == "signed_out"
    assert DeviceToken.objects.filter(user__driver=on_duty.driver_id).count() == 1
    network.restore()
    on_duty.reload()
    wait_for(lambda: not DeviceToken.objects.filter(user__driver=on_duty.driver_id).exists(), "the token is gone")
    assert not Presence.objects.get(pk=on_duty.driver_id).is_online


def test_nothing_of_the_customer_stays_on_a_phone_that_is_signed_out(
    on_duty: Phone, open_phone: Callable[..., Phone]
) -> None:
    order = cast.order()
    on_duty.sees(lambda state: state["offers"], "the offer is pushed")
    on_duty.do("accept", str(order.pk))
    on_duty.sees(lambda state: state["active"], "accepted")
    on_duty.do("signOut")
    stored = on_duty.page.evaluate(
        """() => new Promise((resolve) => {
            const opened = indexedDB.open("baton-driver");
            opened.onsuccess = async () => {
                const everything = [];
                for (const name of opened.result.objectStoreNames) {
                    const all = opened.result.transaction(name).objectStore(name).getAll();
                    everything.push(await new Promise((done) => { all.onsuccess = () => done(all.result); }));
                }
                opened.result.close();
                resolve(JSON.stringify(everything));
            };
        })"""
    )
    assert "Carol" not in stored
    assert "Ferry" not in stored


def test_the_screen_stays_on_while_on_duty(phone: Phone) -> None:
    cast.driver("alice", is_online=False)
    # A Chromium without a screen gives no lock to anybody; and a page cannot be hidden here, which takes it away.
    phone.page.evaluate(
        """() => {
            window.given = [];
            class Sentinel extends EventTarget {
                released = false;
                async release() {
                    this.released = true;
                    this.dispatchEvent(new Event("release"));
                }
            }
            navigator.wakeLock.request = async (kind) => {
                window.given.push(new Sentinel());
                return window.given.at(-1);
            };
        }"""
    )

    def screen() -> str:
        return str(phone.do("measure")["wakeLock"])

    phone.sign_in("alice", cast.PASSWORD)
    assert screen() == "released"

    phone.go_on_duty()
    wait_for(lambda: screen() == "held", "the screen stays on")

    phone.page.evaluate("window.given[0].release()")
    wait_for(lambda: screen() == "released", "the browser took the lock")
    phone.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    wait_for(lambda: screen() == "held", "asked again when the page is back")

    phone.go_off_duty()
    wait_for(lambda: screen() == "released", "the screen may go dark")
    assert phone.page.evaluate("window.given.map((lock) => lock.released)") == [True, True]


#: Another tab taps "off duty" in the last moment before this one writes down what the server answered.
TAP_BEFORE_THE_ANSWER_IS_WRITTEN = """() => {
    const [send, begin] = [window.fetch, IDBDatabase.prototype.transaction];
    window.fetch = async (...args) => {
        const answer = await send(...args);
        if (args[1]?.method === "PATCH" && !window.isTapped) window.isAnswered = true;
        return answer;
    };
    IDBDatabase.prototype.transaction = function (stores, mode, ...rest) {
        if (window.isAnswered && !window.isTapped && mode === "readwrite" && [...stores].includes("session")) {
            window.isTapped = true;
            const session = begin.call(this, ["session"], "readwrite").objectStore("session");
            session.get("current").onsuccess = ({ target }) => {
                session.put({ ...target.result, wanted: false, pending: true });
            };
        }
        return begin.call(this, stores, mode, ...rest);
    };
}"""


def test_a_tap_off_duty_counts_although_the_answer_to_the_tap_before_is_being_written(phone: Phone) -> None:
    alice = cast.driver("alice", is_online=False)
    phone.sign_in("alice", cast.PASSWORD)
    phone.page.evaluate(TAP_BEFORE_THE_ANSWER_IS_WRITTEN)
    phone.go_on_duty()
    phone.sees(lambda state: state["duty"] == {"wanted": False, "confirmed": False}, "off duty")
    assert not Presence.objects.get(pk=alice.pk).is_online
    assert phone.page.evaluate("window.isTapped")
