"""The outbox against a model: taps, cuts, lost answers, kills, two tabs, a full disk, another driver, in hundreds of orders.

Each schedule is made from a seed. One that fails is made as short as it can be while it still fails, and printed with its
seed. That the test would notice is shown with mistakes put into the app on purpose.
"""

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.driver.scripted import WEATHER, Mistake, Order, ScriptedServer, World

pytestmark = pytest.mark.browser

#: Enough for every run of the gate; a night's worth: BATON_OUTBOX_SCHEDULES=5000.
SCHEDULES = int(os.environ.get("BATON_OUTBOX_SCHEDULES", "40"))
FIRST_SEED = int(os.environ.get("BATON_OUTBOX_SEED", "1"))
#: Once the network is back: what an act may be shown to go through, or for how long nothing may happen at all, until it is
#: given up.
PATIENCE = {"tries": 100, "silenceMs": 60_000}
DRIVERS = (1, 2)
LIVES = (
    ("accept", "pick_up", "deliver"),
    ("accept", "pick_up", "deliver"),
    ("accept", "pick_up", "fail"),
    ("accept", "release"),
    ("decline",),
)
TABS = (1, 2)
QUIET = {("decline", "not_found"), ("decline", "order_expired"), ("decline", "order_cancelled")}

Step = list[Any]


@dataclass(frozen=True)
class Schedule:
    orders: tuple[str, ...]
    steps: tuple[Step, ...]


def schedule_of(seed: int) -> Schedule:
    """Taps of one driver on several orders at once, each order's in a sensible order, and everything that may go wrong in
    between."""
    chance = random.Random(seed)
    lives = {f"o{seed}-{number}": chance.choice(LIVES) for number in range(chance.randint(1, 4))}
    left = {order: list(life) for order, life in lives.items()}
    owner = {order: 1 if chance.random() < 0.8 else 2 for order in lives}
    steps: list[Step] = [["open", 1], ["sign_in", 1, 1]]
    if chance.random() < 0.6:
        steps.append(["open", 2])
    while any(left.values()):
        for _ in range(chance.choice((0, 1, 1, 2))):
            steps.extend(_trouble(chance, sorted(lives)))
        order = chance.choice([order for order, life in left.items() if life])
        tab, kind = chance.choice(TABS), left[order].pop(0)
        steps.append(["open", tab])
        if owner[order] == 2:
            steps.append(["sign_in", tab, 2])
        tap = ["tap", tab, owner[order], kind, order]
        dies = chance.random() < 0.15
        steps.append([*tap, not dies])
        if dies:
            steps.append(["wait", chance.choice((0, 0, 1, 3))])
            steps.append(["kill", tab])
        elif chance.random() < 0.15:
            # A nervous thumb, or the other tab.
            again = chance.choice(TABS)
            steps.extend([["open", again], ["tap", again, owner[order], kind, order, True]])
        if owner[order] == 2:
            steps.append(["sign_in", tab, 1])
    return Schedule(orders=tuple(lives), steps=tuple(steps))


def _trouble(chance: random.Random, orders: list[str]) -> list[Step]:
    tab = chance.choice(TABS)
    kind = chance.choice(
        ("weather", "weather", "weather", "cut", "back", "kill", "wait", "wake", "take", "full", "room", "revoke")
    )
    match kind:
        case "weather":
            return [["control", {"weather": chance.choices(WEATHER, k=chance.randint(1, 4))}]]
        case "cut" | "back":
            return [["control", {"cut": kind == "cut"}]]
        case "kill":
            return [["kill", tab], ["open", tab]]
        case "wait":
            return [["wait", chance.choice((1, 5, 20, 60))]]
        case "wake":
            return [["wake", tab]]
        case "take":
            return [["control", {"take": chance.choice(orders)}]] if chance.random() < 0.4 else []
        case "full" | "room":
            return [["full", tab, kind == "full"]]
        case _:
            if chance.random() < 0.7:
                return []
            return [["control", {"revoke": 1}], ["wait", 5], ["sign_in", tab, 1]]


class Phone:
    """A Chromium page that plays schedules against a scripted server."""

    def __init__(self, browser: Browser, mistake: Mistake | None = None) -> None:
        self.server = ScriptedServer(mistake)
        self.context = browser.new_context()
        self.page: Page = self.context.new_page()
        self.page.goto(f"{self.server.url}/tab/")
        self.page.add_script_tag(path=str(Path(__file__).with_name("tabs.js")))

    def close(self) -> None:
        self.context.close()
        self.server.close()

    def play(self, schedule: Schedule) -> list[str]:
        """What was wrong; nothing, if all is well."""
        world = self.server.world = World()
        world.orders = {order: Order() for order in schedule.orders}
        seen = self.page.evaluate(
            "([steps, drivers, patience]) => window.play(steps, drivers, patience)",
            [list(schedule.steps), list(DRIVERS), PATIENCE],
        )
        return list(faults_of(world, seen))


def faults_of(world: World, seen: dict[str, Any]) -> Iterator[str]:
    """Every promise of the outbox that was not kept."""
    for driver, kind, order, state in seen["left"]:
        yield f"driver {driver}'s {kind} of {order} never got its answer ({state})"
    for name in seen["twice"]:
        yield f"{name} waits twice"
    for (order, verb), count in world.effects.items():
        if count > 1:
            yield f"{verb} of {order} was carried out {count} times"
    taps: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for tap in seen["taps"]:
        taps.setdefault((tap["driver"], tap["order"]), []).append({**tap, "verb": tap["kind"].replace("_", "-")})
    judged: dict[tuple[int, str], list[str]] = {}
    ids: dict[tuple[int, str, str], set[str]] = {}
    for one in world.judged:
        ids.setdefault((one.driver, one.order, one.verb), set()).add(one.action_id)
        if one.is_first:
            judged.setdefault((one.driver, one.order), []).append(one.verb)
    for key in judged.keys() - taps.keys():
        yield f"driver {key[0]} never tapped on {key[1]}, but it was sent: {judged[key]}"
    for (driver, order), tapped in taps.items():
        came = judged.get((driver, order), [])
        # What a dying tab took along, or had just sent when it died, may be missing or late. Everything else may not.
        certain = {tap["verb"] for tap in tapped if tap["certain"]}
        wanted = [verb for verb, _ in groupby(tap["verb"] for tap in tapped if tap["certain"])]
        got = [verb for verb, _ in groupby(verb for verb in came if verb in certain)]
        if got != wanted:
            yield f"driver {driver}, {order}: tapped {wanted}, the server got {came}"
        counts = Counter(tap["verb"] for tap in tapped)
        for verb, count in counts.items():
            if len(ids.get((driver, order, verb), ())) > count:
                yield f"driver {driver}, {order}: {count} × {verb} tapped, sent under more ids"
    told = {(notice.get("order"), notice["data"].get("kind")) for notice in seen["told"] if notice["tone"] == "bad"}
    for one in world.judged:
        kind = one.verb.replace("-", "_")
        is_refused = one.code not in {"ok", "replayed"}
        # What the disk did not take goes with its page, the answer too; the app had said so.
        same = [tap for tap in taps.get((one.driver, one.order), []) if tap["verb"] == one.verb]
        is_gone = bool(same) and all(tap["isUnstored"] and not tap["certain"] for tap in same)
        if is_refused and not is_gone and (kind, one.code) not in QUIET and (one.order, kind) not in told:
            yield f"driver {one.driver} was not told that {kind} of {one.order} was refused ({one.code})"


def shortened(phone: Phone, schedule: Schedule) -> Schedule:
    """The schedule with every step left out that it fails without."""
    steps = list(schedule.steps)
    index = len(steps) - 1
    while index >= 0:
        fewer = Schedule(schedule.orders, tuple(steps[:index] + steps[index + 1 :]))
        if phone.play(fewer):
            steps = list(fewer.steps)
        index -= 1
    return Schedule(schedule.orders, tuple(steps))


def explained(seed: int, schedule: Schedule, faults: list[str]) -> str:
    lines = [f"seed {seed}:", *faults, "after:", *(json.dumps(step) for step in schedule.steps)]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def model_phone(chromium: Browser) -> Iterator[Phone]:
    phone = Phone(chromium)
    yield phone
    phone.close()


def test_every_tap_reaches_the_server_exactly_once_in_effect_and_in_order(model_phone: Phone) -> None:
    for seed in range(FIRST_SEED, FIRST_SEED + SCHEDULES):
        schedule = schedule_of(seed)
        if faults := model_phone.play(schedule):
            shorter = shortened(model_phone, schedule)
            pytest.fail(explained(seed, shorter, model_phone.play(shorter) or faults))


#: Each mistake, by the first seed whose schedule shows it: played first, and up to five times, as what a browser does in the
#: same milliseconds differs from run to run; after those, the schedules in their order.
NOTICED_BY = {
    "a new action_id for every try": 4,
    "the newest tap first": 1,
    "sent before it is stored, and forgotten": 1,
    "given up at the first trouble": 4,
    "whoever is signed in sends it": 5,
    "a hotel's page is an answer": 5,
    "a full disk swallows taps": 16,
    "bad news is not written down": 64,
    "a nervous thumb taps twice": 1,
}
MISTAKES = {
    "a new action_id for every try": Mistake(
        "outbox.js", "{ action_id: act.action_id, tapped_at:", "{ action_id: crypto.randomUUID(), tapped_at:"
    ),
    "the newest tap first": Mistake("outbox.js", "acts.find((one) =>", "acts.findLast((one) =>"),
    "sent before it is stored, and forgotten": Mistake(
        "outbox.js", "if (!twin) await table.add({ ...act });", "if (!twin) unstored.push(act);"
    ),
    "given up at the first trouble": Mistake(
        "outbox.js",
        "await postpone(act, ",
        'if (answer.kind === "retry") await settle(act, { kind: "refused", problem: answer.problem });\n'
        "      else await postpone(act, ",
    ),
    "whoever is signed in sends it": Mistake(
        "outbox.js",
        "const mine = (await waiting()).filter((act) => act.driver_id === driver.driver.id);\n    const acts",
        "const mine = await waiting();\n    const acts",
    ),
    "a hotel's page is an answer": Mistake(
        "api.js",
        'type.startsWith("application/json") && data !== undefined',
        "true",
    ),
    "a full disk swallows taps": Mistake("outbox.js", "          unstored.push(act);", ""),
    "bad news is not written down": Mistake("outbox.js", "if (!done.notice) return;", "if (done.notice) return;"),
    "a nervous thumb taps twice": Mistake("outbox.js", "if (!twin) await", "await"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_model_notices_a_mistake(chromium: Browser, name: str) -> None:
    phone = Phone(chromium, MISTAKES[name])
    try:
        seeds = [NOTICED_BY[name]] * 5 + list(range(1, 100))
        assert any(phone.play(schedule_of(seed)) for seed in seeds), f"nobody noticed: {name}"
    finally:
        phone.close()
