"""The two headline promises as the world meets them: over HTTP, against the real server, all in the same instant."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from django.test import override_settings

from benchmarks.stampede import make_drivers, storm
from dispatch import services
from dispatch.models import Offer
from drivers.models import DeviceToken, Driver
from orders.models import Order
from tests import cast
from tests.config.rig import served
from tests.race import rig

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]


@override_settings(OFFER_FANOUT=1000)
def test_a_thousand_drivers_accept_one_order_and_one_of_them_gets_it(tmp_path: Path) -> None:
    tokens = make_drivers(1000)
    order = cast.order()
    assert Offer.objects.filter(order=order, status="open").count() == 1000

    with served(tmp_path) as server:
        answers = asyncio.run(storm([f"http://127.0.0.1:{server.port}"], [str(order.pk)] * 1000, tokens))

    assert Counter((answer.status, answer.code) for answer in answers) == {(200, ""): 1, (409, "order_taken"): 999}
    assert cast.history(order) == ["created", "offered", "assigned"]
    assert rig.holders(order) == [Order.objects.get(pk=order.pk).driver_id]
    assert Counter(Offer.objects.values_list("status", flat=True)) == {"accepted": 1, "lapsed": 999}


def test_one_driver_accepts_fifty_orders_and_gets_as_many_as_they_can_carry(tmp_path: Path, alice: Driver) -> None:
    orders = [cast.order() for _ in range(50)]
    _, token = DeviceToken.objects.create(user=alice.user)

    with served(tmp_path) as server:
        urls = [f"http://127.0.0.1:{server.port}"]
        answers = asyncio.run(storm(urls, [str(order.pk) for order in orders], [token] * 50))

    assert Counter((answer.status, answer.code) for answer in answers) == {
        (200, ""): 1,
        (409, "driver_at_capacity"): 49,
    }
    assert rig.held_by(alice) == 1
    assert sum(len(rig.holders(order)) for order in orders) == 1
    assert services.record_heartbeats(positions=[services.Position(alice.pk)])[alice.pk].open_offers == 0
