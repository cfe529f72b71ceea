from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from dispatch import services
from dispatch.models import Offer
from drivers.models import Driver
from orders.models import Order, OrderEvent
from tests import cast

pytestmark = pytest.mark.django_db


def test_a_driver_who_comes_near_while_the_order_waits_is_offered_it_too(alice: Driver) -> None:
    order = cast.order()
    far = cast.driver("far", at=cast.OCEAN_BEACH)
    services.offer_orders()
    assert cast.offers(order) == {"alice": "open"}

    cast.move(far, cast.UNION_SQUARE)
    services.offer_orders()

    assert cast.offers(order) == {"alice": "open", "far": "open"}
    offer = Offer.objects.get(order=order, driver=far)
    assert round(offer.distance_m) == 1473
    assert cast.history(order) == ["created", "offered"], "a later offer changes nothing for whoever watches the order"


def test_it_only_adds_what_is_missing(alice: Driver) -> None:
    order = cast.order()
    before = Offer.objects.get(order=order)

    services.offer_orders()

    after = Offer.objects.get(order=order)
    assert (after.pk, after.offered_at, after.status) == (before.pk, before.offered_at, "open")


def test_nobody_is_offered_what_they_declined(alice: Driver) -> None:
    order = cast.order()
    services.decline_order(order_id=order.pk, driver_id=alice.pk)

    services.offer_orders()

    assert cast.offers(order) == {"alice": "declined"}


def test_a_lapsed_offer_is_opened_afresh(alice: Driver) -> None:
    order = cast.order()
    services.go_offline(driver_id=alice.pk)
    services.go_online(driver_id=alice.pk)
    Offer.objects.filter(order=order).update(delivered_at=cast.now(), seen_at=cast.now())
    before = Offer.objects.get(order=order)

    services.offer_orders()

    after = Offer.objects.get(order=order)
    assert (after.pk, after.status, after.closed_at, after.closed_reason) == (before.pk, "open", None, "")
    assert (after.delivered_at, after.seen_at) == (None, None)
    assert after.offered_at > before.offered_at


def test_the_first_drivers_who_turn_up_make_it_offered() -> None:
    order = cast.order()
    assert cast.history(order) == ["created"]
    cast.driver("first", at=cast.EMBARCADERO)

    services.offer_orders()

    assert cast.history(order) == ["created", "offered"]
    assert OrderEvent.objects.get(order=order, kind="order.offered").data == {"drivers": 1, "nearest_m": 416}
    assert Order.objects.get(pk=order.pk).offered_at is not None


def test_an_order_for_later_is_offered_from_its_release_on(alice: Driver) -> None:
    order = cast.order(release_at=cast.now() + timedelta(minutes=5))
    services.offer_orders()
    assert cast.offers(order) == {}

    cast.let_time_pass(order, seconds=301)
    services.offer_orders()

    assert cast.offers(order) == {"alice": "open"}


def test_an_expired_order_is_offered_to_nobody() -> None:
    order = cast.order()
    cast.let_time_pass(order, seconds=125)
    cast.driver("late", at=cast.FERRY_BUILDING)

    services.offer_orders()

    assert cast.offers(order) == {}


def test_drivers_without_room_are_left_out(alice: Driver) -> None:
    services.accept_order(order_id=cast.order().pk, driver_id=alice.pk)
    order = cast.order()

    services.offer_orders()

    assert cast.offers(order) == {}


def test_at_most_so_many_drivers_have_an_order_the_nearest_ones(settings: Settings) -> None:
    settings.OFFER_FANOUT = 2
    order = cast.order()
    for name, place in [("c", cast.UNION_SQUARE), ("b", cast.EMBARCADERO), ("a", cast.FERRY_BUILDING)]:
        cast.driver(name, at=place)

    services.offer_orders()
    services.offer_orders()

    assert cast.offers(order) == {"a": "open", "b": "open"}
    services.decline_order(order_id=order.pk, driver_id=Offer.objects.get(driver__user__username="a").driver_id)
    services.offer_orders()
    assert cast.offers(order) == {"a": "declined", "b": "open", "c": "open"}


def test_it_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatch.services.offers.OFFER_BATCH", 2)
    orders = [cast.order() for _ in range(3)]
    cast.driver("late", at=cast.FERRY_BUILDING)

    resume = services.offer_orders()
    assert resume == orders[1].pk
    assert [cast.offers(order) for order in orders] == [{"late": "open"}, {"late": "open"}, {}]

    assert services.offer_orders(after=resume) is None
    assert cast.offers(orders[2]) == {"late": "open"}


def test_one_run_makes_only_so_many_offers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatch.services.offers.OFFERS_AT_ONCE", 3)
    orders = [cast.order() for _ in range(3)]
    for name in ("a", "b"):
        cast.driver(name, at=cast.FERRY_BUILDING)

    resume = services.offer_orders()

    assert resume == orders[1].pk
    assert [len(cast.offers(order)) for order in orders] == [2, 2, 0]


def test_single_orders_can_be_named(alice: Driver) -> None:
    first, second = cast.order(), cast.order()
    bob = cast.driver("bob", at=cast.EMBARCADERO)

    services.offer_orders(order_ids=[second.pk])

    assert list(Offer.objects.filter(driver=bob).values_list("order", flat=True)) == [second.pk]
    assert cast.offers(first) == {"alice": "open"}


def test_the_number_of_queries_does_not_grow_with_the_orders() -> None:
    def queries_for(orders: int) -> int:
        for _ in range(orders):
            cast.order()
        driver = cast.driver(f"for {orders}", at=cast.FERRY_BUILDING)
        with CaptureQueriesContext(connection) as captured:
            services.offer_orders()
        assert Offer.objects.filter(driver=driver, order__offered_at__isnull=False).count() >= orders
        services.go_offline(driver_id=driver.pk)
        return len(captured)

    assert queries_for(1) == queries_for(12)
