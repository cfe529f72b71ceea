"""How pieces of the truth that arrive in any order become one: by version, by arrival, by the next whole truth."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.driver.scripted import ScriptedServer

pytestmark = pytest.mark.browser

HELPERS = """async () => {
    const { createTruth } = await import("/static/driver/core/truth.js");
    const { createClock } = await import("/static/driver/core/clock.js");
    const { ask, retryAfterMs } = await import("/static/driver/core/api.js");
    const { uncertaintyM } = await import("/static/driver/core/position.js");
    const offer = (order, version) => ({ order, version, distance_m: 1, expires_at: "2100-01-01T00:00:00Z" });
    const held = (id, version) => ({ id, version, status: "assigned", driver: 7, assigned_at: "" });
    const at = (second) => `2026-01-01T00:00:0${second}Z`;
    const whole = (second, offers, active = []) => ({ server_time: at(second), offers, active });
    const shown = (truth) => [truth.offers().map((o) => [o.order, o.version]), truth.held().map((o) => [o.id, o.version])];
    Object.assign(window, { createTruth, createClock, ask, retryAfterMs, uncertaintyM, offer, held, whole, shown });
}"""


@pytest.fixture(scope="module")
def bench(chromium: Browser) -> Iterator[Page]:
    server = ScriptedServer()
    page = chromium.new_page()
    page.goto(f"{server.url}/tab/")
    page.evaluate(HELPERS)
    yield page
    page.close()
    server.close()


@pytest.fixture
def run(bench: Page) -> Callable[[str], Any]:
    return lambda script: bench.evaluate("() => { const truth = createTruth(); " + script + "}")


def test_an_older_version_never_overwrites_a_newer_one(run: Callable[[str], Any]) -> None:
    assert run("""
        truth.one("a", 5, { offer: offer("a", 5) });
        const was = truth.one("a", 4, { offer: offer("a", 4) });
        return [was, shown(truth)];
    """) == [False, [[["a", 5]], []]]


def test_a_late_push_does_not_bring_back_what_has_gone(run: Callable[[str], Any]) -> None:
    assert run("""
        truth.one("a", 3, { offer: offer("a", 3) });
        truth.closed("a", 4);
        truth.one("a", 3, { offer: offer("a", 3) });
        return shown(truth);
    """) == [[], []]


def test_a_whole_truth_that_was_asked_for_earlier_does_not_undo_a_push(run: Callable[[str], Any]) -> None:
    # Asked, then pushed, then answered: the answer was read before the push.
    assert run("""
        truth.whole(whole(1, [offer("a", 1)]), truth.begin());
        const begun = truth.begin();
        truth.closed("a", 1);
        truth.one("b", 1, { offer: offer("b", 1) });
        const isSettled = truth.whole(whole(2, [offer("a", 1)]), begun);
        return [isSettled, shown(truth)];
    """) == [False, [[["b", 1]], []]]


def test_a_whole_truth_removes_what_was_known_before_it_was_asked_for(run: Callable[[str], Any]) -> None:
    assert run("""
        truth.one("a", 1, { offer: offer("a", 1) });
        truth.order(held("b", 2), 7);
        const isSettled = truth.whole(whole(1, [offer("c", 1)]), truth.begin());
        return [isSettled, shown(truth)];
    """) == [True, [[["c", 1]], []]]


def test_of_two_whole_truths_that_overtook_each_other_the_later_reading_counts(run: Callable[[str], Any]) -> None:
    assert run("""
        const first = truth.begin();
        const second = truth.begin();
        truth.whole(whole(5, [offer("new", 1)]), second);
        const isSettled = truth.whole(whole(4, [offer("old", 1)]), first);
        return [isSettled, shown(truth)];
    """) == [True, [[["new", 1]], []]]


def test_an_accepted_order_is_not_turned_back_into_an_offer(run: Callable[[str], Any]) -> None:
    assert run("""
        truth.whole(whole(1, [offer("a", 2)]), truth.begin());
        const begun = truth.begin();
        truth.order(held("a", 3), 7);
        truth.closed("a", 3);
        truth.whole(whole(2, [offer("a", 2)]), begun);
        return shown(truth);
    """) == [[], [["a", 3]]]


def test_unchanged_means_the_truth_of_that_name_and_not_what_is_shown(run: Callable[[str], Any]) -> None:
    # A push was wrong or lost its successor; the server says that its truth is still the named one.
    assert run("""
        const named = whole(1, [offer("a", 1)]);
        truth.whole(named, truth.begin());
        truth.closed("a", 1);
        truth.whole(named, truth.begin(), { readAt: NaN });
        return shown(truth);
    """) == [[["a", 1]], []]


def test_a_heartbeat_that_says_otherwise_is_noticed(run: Callable[[str], Any]) -> None:
    assert run("""
        truth.whole(whole(1, [offer("a", 1)], [held("b", 2)]), truth.begin());
        const now = Date.now();
        return [
            truth.agrees({ active: [["b", 2]], open_offers: 1 }, now),
            truth.agrees({ active: [["b", 3]], open_offers: 1 }, now),
            truth.agrees({ active: [], open_offers: 1 }, now),
            truth.agrees({ active: [["b", 2]], open_offers: 2 }, now),
            truth.agrees({ active: [["b", 2]], open_offers: 0 }, Date.parse("2200-01-01")),
        ];
    """) == [True, False, False, False, True]


def test_the_clock_believes_the_quickest_answer_and_notices_when_it_was_set(run: Callable[[str], Any]) -> None:
    assert run("""
        const clock = createClock();
        const said = (ms) => new Date(ms).toISOString();
        const found = [clock.isKnown()];
        clock.heard(said(10_000), 4_000, 5_000);
        found.push(clock.offsetMs());
        clock.heard(said(10_600), 5_050, 5_150);
        found.push(clock.offsetMs());
        clock.heard(said(12_000), 5_900, 6_900);
        found.push(clock.offsetMs());
        clock.heard(said(13_000), 3_607_000, 3_607_100);
        found.push(clock.offsetMs());
        return found;
    """) == [False, 5500, 5500, 5500, -3594050]


def test_retry_after_is_seconds_or_a_date_and_bounded(run: Callable[[str], Any]) -> None:
    assert run("""
        const now = Date.parse("2026-01-01T00:00:00Z");
        const values = ["7", "0", "Thu, 01 Jan 2026 00:00:30 GMT", "soon", "999999", "-5", null];
        return values.map((one) => retryAfterMs(one, now));
    """) == [7000, 0, 30_000, None, 600_000, 0, None]


def test_of_two_fixes_the_one_that_may_be_less_wrong_by_now_is_sent(run: Callable[[str], Any]) -> None:
    assert run("""
        const fix = (accuracy_m, at, speed_mps) => ({ lat: 0, lng: 0, accuracy_m, at, speed_mps });
        return [
            uncertaintyM(fix(10, 0, 0), 20_000), uncertaintyM(fix(10, 0, 14), 20_000),
            uncertaintyM(fix(10, 0), 20_000), uncertaintyM(fix(80, 20_000), 20_000),
        ];
    """) == [10, 290, 110, 80]
