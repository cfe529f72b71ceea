"""What is published, when, and how often."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

from dispatch import live, services, shards
from drivers.models import Driver
from tests import cast
from tests.dispatch.live.rig import Client, Server

pytestmark = pytest.mark.django_db(transaction=True)

Connect = Callable[..., Client]


def published(act: Callable[[], object]) -> Counter[str]:
    """How many messages an act puts on each group."""
    before = Counter(live._publisher().counts)
    act()
    return Counter(live._publisher().counts) - before


def test_an_order_costs_the_same_however_many_drivers_hear_of_it(own_prefix: None) -> None:
    cast.driver("first", at=cast.FERRY_BUILDING)
    one = published(cast.order)
    for number in range(20):
        cast.driver(f"more{number}", at=cast.EMBARCADERO)

    # To drivers: the offer. To dispatchers: the order created, the order offered.
    assert one == Counter({shards.DRIVERS: 1, shards.DISPATCHERS: 2})
    assert published(cast.order) == one


def test_nothing_is_said_before_the_commit(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)
    order = cast.order()
    at_alice.get("offer")

    with transaction.atomic():
        live.order_removed(order, alice.pk, "released")
        assert at_alice.is_served()
        assert at_alice.others == []

    assert at_alice.get("order_removed")["order"] == str(order.pk)


def test_a_savepoint_that_is_rolled_back_takes_its_messages_along(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)
    order = cast.order()
    at_alice.get("offer")

    with transaction.atomic():
        live.order_removed(order, alice.pk, "first")
        with pytest.raises(RuntimeError), transaction.atomic():
            live.order_removed(order, alice.pk, "never")
            raise RuntimeError
        live.order_removed(order, alice.pk, "second")
        with transaction.atomic():
            live.order_removed(order, alice.pk, "third")

    assert [at_alice.get("order_removed")["reason"] for _ in range(3)] == ["first", "second", "third"]


def test_what_the_layer_would_publish_and_what_is_published_arrive_alike(server: Server) -> None:
    """The publisher goes around the layer's own `group_send`; both must mean the same channel and encoding."""

    @async_to_sync
    async def both() -> list[dict[str, object]]:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add("live.test", channel)
        first = asyncio.ensure_future(layer.receive(channel))
        while not first.done():
            # Until the subscription works.
            await layer.group_send("live.test", {"text": "é"})
            await asyncio.wait({first}, timeout=0.2)
        live._publisher().publish([("live.test", {"text": "é"})])
        while "by" not in (second := await layer.receive(channel)):
            pass
        return [first.result(), second]

    by_layer, by_us = both()

    assert by_layer == {"text": "é"}
    assert by_us["text"] == "é"


def test_a_driver_whose_feed_empties_is_told_of_every_order(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)
    orders = [cast.order() for _ in range(3)]

    services.accept_order(order_id=orders[0].pk, driver_id=alice.pk)

    closed = [at_alice.get("offer_closed") for _ in range(2)]
    assert {(frame["order"], frame["reason"]) for frame in closed} == {
        (str(order.pk), "driver_at_capacity") for order in orders[1:]
    }
