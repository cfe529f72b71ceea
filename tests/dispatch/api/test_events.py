"""The history of an order and the feed of all, over HTTP. That the feed never skips is proved in tests/orders/test_feed.py
and, through the door, at the end here."""

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from dispatch import services
from dispatch.api.queries import cursor_of
from drivers.models import Driver
from orders.models import Order, OrderEvent
from tests import cast
from tests.dispatch.api import callers
from tests.dispatch.api.callers import Caller, errors, order_of, placed
from tests.feed import wait_for_horizon
from tests.orders.test_feed import late_writer

pytestmark = pytest.mark.django_db


def test_the_history_of_an_order_is_told_oldest_first(shop: Caller) -> None:
    order = placed(shop, reference="A")
    shop.post(f"orders/{order['id']}/cancel/", {"reason": "Sold out"})

    page = shop.get(f"orders/{order['id']}/events/").json()

    actor = {"type": "integrator", "id": str(callers.integrator_id()), "name": "Shop"}
    stored = list(OrderEvent.objects.order_by("version"))
    assert page == {
        "results": [
            {
                "id": stored[0].pk,
                "order": order["id"],
                "version": 1,
                "kind": "order.created",
                "at": order["created_at"],
                "actor": actor,
                "data": {"reference": "A", "expires_at": order_of(order).expires_at.isoformat()},
            },
            {
                "id": stored[1].pk,
                "order": order["id"],
                "version": 2,
                "kind": "order.cancelled",
                "at": stored[1].at.isoformat().replace("+00:00", "Z"),
                "actor": actor,
                "data": {"reason": "Sold out"},
            },
        ],
        "next": None,
        "previous": None,
    }


def test_a_long_history_comes_in_pages(shop: Caller) -> None:
    order = placed(shop)
    for n in range(4):
        shop.patch(f"orders/{order['id']}/", {"priority": n + 1})

    first = shop.get(f"orders/{order['id']}/events/?limit=2").json()
    second = shop.get(first["next"]).json()
    third = shop.get(second["next"]).json()

    versions = [[event["version"] for event in page["results"]] for page in (first, second, third)]
    assert versions == [[1, 2], [3, 4], [5]]
    assert third["next"] is None
    assert shop.get(third["previous"]).json()["results"] == second["results"]


def test_an_integrator_is_not_told_of_drivers_who_were_passed_over(
    shop: Caller, script: Caller, alice: Driver, bob: Driver
) -> None:
    order = placed(shop)
    cast.let_time_pass(order_of(order), seconds=20)
    services.auto_assign()

    (theirs,) = events(shop.get(f"orders/{order['id']}/events/"), "order.assigned")
    (ours,) = events(script.get(f"orders/{order['id']}/events/"), "order.assigned")

    assert [considered["driver"] for considered in ours["data"]["candidates"]] == [alice.pk, bob.pk]
    assert theirs["data"] == {name: value for name, value in ours["data"].items() if name != "candidates"}


def events(response: Any, kind: str | None = None) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.content
    return [event for event in response.json()["results"] if kind in {None, event["kind"]}]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("after=%00", "after"),
        ("after=nonsense", "after"),
        ("after=MA", "after"),
        ("after=" + cursor_of(2**62, 0), "after"),
        ("after=" + "A" * 3000, "after"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("since=0", "since"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_by_its_name(shop: Caller, query: str, name: str) -> None:
    assert list(errors(shop.get(f"events/?{query}"))) == [name]


def test_a_history_costs_the_same_queries_however_long_it_is(
    shop: Caller, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    order = placed(shop)
    for n in range(9):
        shop.patch(f"orders/{order['id']}/", {"priority": n + 1})
    shop.get(f"orders/{order['id']}/events/")

    # The key and the note of its use, whose order it is, the events.
    with django_assert_num_queries(4):
        assert len(events(shop.get(f"orders/{order['id']}/events/"))) == 10


@pytest.mark.django_db(transaction=True)
def test_the_feed_of_nothing_can_be_asked_again_and_finds_what_came_since() -> None:
    shop = callers.shop()
    nothing = shop.get("events/").json()
    assert nothing == {"results": [], "next": nothing["next"], "previous": None}

    order = placed(shop)
    wait_for_horizon()

    found = shop.get(f"events/?after={nothing['next']}").json()
    assert [(event["order"], event["kind"]) for event in found["results"]] == [(order["id"], "order.created")]
    assert shop.get(f"events/?after={found['next']}").json()["results"] == []


@pytest.mark.django_db(transaction=True)
def test_the_feed_is_each_integrators_own_and_everybodys_for_dispatch() -> None:
    shop, other_shop, script = callers.shop(), callers.shop("Other shop"), callers.script()
    ours, theirs = placed(shop), placed(other_shop)
    wait_for_horizon()

    assert [event["order"] for event in events(shop.get("events/"))] == [ours["id"]]
    assert [event["order"] for event in events(other_shop.get("events/"))] == [theirs["id"]]
    assert [event["order"] for event in events(script.get("events/"))] == [ours["id"], theirs["id"]]
    assert [event["order"] for event in events(script.get("events/?limit=1"))] == [ours["id"]]


@pytest.mark.django_db(transaction=True)
def test_whoever_polls_while_writers_overlap_is_told_of_everything_once() -> None:
    shop = callers.shop()
    slow, quick = placed(shop), placed(shop)
    seen: list[tuple[str, int]] = []
    cursor = ""

    def poll() -> None:
        nonlocal cursor
        page = shop.get(f"events/?limit=1&after={cursor}").json()
        cursor = page["next"]
        seen.extend((event["order"], event["version"]) for event in page["results"])

    with late_writer(Order.objects.get(pk=slow["id"])) as commit:
        for priority in range(1, 5):
            shop.patch(f"orders/{quick['id']}/", {"priority": priority})
            poll()
        commit.set()
    wait_for_horizon()
    for _ in range(10):
        poll()

    assert sorted(seen) == sorted(
        [(slow["id"], 1), (slow["id"], 2), *((quick["id"], version) for version in range(1, 6))]
    )
