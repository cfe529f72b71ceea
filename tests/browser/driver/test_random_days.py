"""The randomized test of the outbox once more in small, with nothing scripted: real tabs that are really killed, a real
server, real rows. What test_outbox_model.py believes of receipts is thereby held against them."""

import os
import random
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser

from dispatch.models import ActionReceipt
from tests import cast
from tests.browser.driver.rig import Phone, kill_tabs
from tests.proxy import Proxy

pytestmark = pytest.mark.browser

DAYS = int(os.environ.get("BATON_OUTBOX_DAYS", "4"))
Life = tuple[tuple[str, list[Any]], ...]
LIVES: tuple[Life, ...] = (
    (("accept", []), ("pickUp", []), ("deliver", [{"kind": "none"}])),
    (("accept", []), ("pickUp", [])),
    (("decline", []),),
)
EVENTS = {"accept": ["assigned"], "pickUp": ["picked_up"], "deliver": ["delivered"], "decline": []}
TROUBLE = ("cut", "back", "lose", "lose", "drop", "slow", "kill", "reload", "wait")


@pytest.mark.parametrize("seed", range(1, DAYS + 1))
def test_on_a_random_day_every_tap_counts_once_and_in_order(
    chromium: Browser, open_phone: Callable[..., Phone], network: Proxy, seed: int
) -> None:
    chance = random.Random(seed)
    alice = cast.driver("alice", at=cast.FERRY_BUILDING, capacity=5)
    phone = open_phone()
    phone.sign_in("alice", cast.PASSWORD)
    orders = [cast.order() for _ in range(4)]
    phone.sees(lambda state: len(state["offers"]) == 4, "all are on offer")
    lives = {str(order.pk): chance.choice(LIVES) for order in orders}
    left: dict[str, list[tuple[str, list[Any]]]] = {key: list(life) for key, life in lives.items()}
    story: list[str] = [f"seed {seed}"]
    while any(left.values()):
        trouble = chance.choice(TROUBLE)
        story.append(trouble)
        _happens(trouble, chance, chromium, phone, network)
        key = chance.choice([key for key, life in left.items() if life])
        action, args = left[key].pop(0)
        story.append(f"{action} {key}")
        phone.do(action, key, *args)
    network.restore()
    if chance.random() < 0.5:
        phone.reload()
    phone.sees(lambda state: state["waiting"] == [], f"everything is answered: {story}")
    for order in orders:
        expected = ["created", "offered", *(event for action, _ in lives[str(order.pk)] for event in EVENTS[action])]
        assert cast.history(order) == expected, story
    taps = sum(len(life) for life in lives.values())
    assert ActionReceipt.objects.filter(driver_id=alice.pk).count() == taps, story


def _happens(trouble: str, chance: random.Random, chromium: Browser, phone: Phone, network: Proxy) -> None:
    match trouble:
        case "cut":
            network.cut()
        case "back":
            network.restore()
        case "lose":
            network.lose_answers(chance.randint(1, 3), "POST /api/v1/orders/")
        case "drop":
            network.drop()
        case "slow":
            network.delay(chance.choice((0.05, 0.3)))
        case "kill" | "reload":
            # The test's page itself comes over the network; the real one would come from the service worker.
            network.restore()
            if trouble == "kill":
                kill_tabs(chromium)
                phone.close()
                phone.reopen()
            else:
                phone.reload()
        case _:
            phone.page.wait_for_timeout(chance.choice((5, 50, 300)))
