"""Whoever takes a driver off the market waits for nobody's row: an offer that somebody is at work on right then (a socket
marks it as delivered) stays open, and so does one that is made at that moment. A sweep finds it."""

from threading import Thread
from typing import Any

import pytest
from django.db import connections

from dispatch import services
from dispatch.locks import lock_available_orders
from dispatch.models import Offer
from drivers.models import Driver
from orders.models import Order
from tests import cast
from tests.race.rig import somebody_locks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]


def busy(order: Order, driver: Driver) -> int:
    return Offer.objects.get(order=order, driver=driver).pk


def test_an_offer_that_was_busy_when_duty_ended_is_withdrawn_by_the_sweep(alice: Driver, bob: Driver) -> None:
    order = cast.order()
    with somebody_locks("dispatch_offer", busy(order, alice)):
        services.go_offline(driver_id=alice.pk)
        assert cast.offers(order) == {"alice": "open", "bob": "open"}, "the race"
        services.withdraw_left_over_offers()
        assert cast.offers(order) == {"alice": "open", "bob": "open"}, "it is still busy, and nobody waits for it"

    assert services.withdraw_left_over_offers() == 1

    assert cast.offers(order) == {"alice": "lapsed", "bob": "open"}
    assert Offer.objects.get(order=order, driver=alice).closed_reason == "driver_offline"
    assert services.withdraw_left_over_offers() == 0


def test_an_offer_that_was_busy_when_its_driver_became_full_is_withdrawn_by_the_sweep(
    alice: Driver, bob: Driver
) -> None:
    order, other = cast.order(), cast.order()
    with somebody_locks("dispatch_offer", busy(other, alice)):
        services.accept_order(order_id=order.pk, driver_id=alice.pk)
    assert cast.offers(other) == {"alice": "open", "bob": "open"}, "the race"

    assert services.withdraw_left_over_offers() == 1

    assert cast.offers(other) == {"alice": "lapsed", "bob": "open"}
    assert Offer.objects.get(order=other, driver=alice).closed_reason == "driver_at_capacity"
    assert Order.objects.get(pk=order.pk).driver_id == alice.pk


def test_an_offer_that_is_made_while_its_driver_goes_is_withdrawn_by_the_sweep(
    alice: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = cast.order()
    Offer.objects.all().delete()

    def leaves() -> None:
        services.go_offline(driver_id=alice.pk)
        connections.close_all()

    def lock(*given: Any, **more: Any) -> list[Order]:
        # The candidates were looked up already.
        leaving = Thread(target=leaves)
        leaving.start()
        leaving.join()
        return lock_available_orders(*given, **more)

    monkeypatch.setattr("dispatch.services.offers.lock_available_orders", lock)
    services.offer_orders()
    assert cast.offers(order) == {"alice": "open"}, "the race"

    assert services.withdraw_left_over_offers() == 1

    assert cast.offers(order) == {"alice": "lapsed"}


def test_the_offers_of_a_driver_with_room_are_left_alone(alice: Driver) -> None:
    Driver.objects.filter(pk=alice.pk).update(capacity=2)
    held, offered = cast.order(), cast.order()
    services.accept_order(order_id=held.pk, driver_id=alice.pk)

    assert services.withdraw_left_over_offers() == 0

    assert cast.offers(offered) == {"alice": "open"}


def test_the_sweep_does_not_wait_for_a_driver_whom_somebody_has_locked(alice: Driver) -> None:
    order = cast.order()
    with somebody_locks("dispatch_offer", busy(order, alice)):
        services.go_offline(driver_id=alice.pk)

    with somebody_locks("drivers_driver", alice.pk):
        assert services.withdraw_left_over_offers() == 0
    assert cast.offers(order) == {"alice": "open"}
    assert services.withdraw_left_over_offers() == 1
