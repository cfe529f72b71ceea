import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dispatch import services
from dispatch.models import Offer
from drivers.models import Driver, Presence
from orders.models import Order
from tests import cast

pytestmark = pytest.mark.django_db


def fall_silent(*drivers: Driver) -> None:
    Presence.objects.filter(pk__in=[d.pk for d in drivers]).update(last_seen=cast.now() - cast.MINUTE)


def test_a_silent_driver_goes_off_duty_and_loses_the_offers_but_keeps_what_is_held(alice: Driver, bob: Driver) -> None:
    Driver.objects.filter(pk=alice.pk).update(capacity=2)
    held, offered = cast.order(), cast.order()
    services.accept_order(order_id=held.pk, driver_id=alice.pk)
    fall_silent(alice)

    assert services.mark_silent_drivers_offline() == 1

    presence = Presence.objects.get(pk=alice.pk)
    assert presence.is_online is False
    assert presence.silent_since is not None
    assert cast.offers(offered) == {"alice": "lapsed", "bob": "open"}
    assert Offer.objects.get(order=offered, driver=alice).closed_reason == "driver_offline"
    assert Order.objects.get(pk=held.pk).driver_id == alice.pk


def test_it_happens_once(alice: Driver) -> None:
    fall_silent(alice)
    services.mark_silent_drivers_offline()
    since = Presence.objects.get(pk=alice.pk).silent_since

    assert services.mark_silent_drivers_offline() == 0

    assert Presence.objects.get(pk=alice.pk).silent_since == since


def test_who_went_off_duty_by_choice_is_not_silent(alice: Driver) -> None:
    services.go_offline(driver_id=alice.pk)
    fall_silent(alice)

    assert services.mark_silent_drivers_offline() == 0

    assert Presence.objects.get(pk=alice.pk).silent_since is None


def test_the_number_of_queries_does_not_grow_with_the_drivers() -> None:
    cast.order()

    def queries_for(count: int) -> int:
        drivers = [cast.driver(f"d{count}-{n}", at=cast.FERRY_BUILDING) for n in range(count)]
        services.offer_orders()
        fall_silent(*drivers)
        with CaptureQueriesContext(connection) as captured:
            assert services.mark_silent_drivers_offline() == count
        return len(captured)

    assert queries_for(12) == queries_for(1)
