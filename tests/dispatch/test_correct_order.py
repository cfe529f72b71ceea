"""What a correction does to the cards that drivers already have."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.gis.geos import Point

from dispatch import services
from dispatch.errors import NotOffered
from dispatch.models import Offer
from drivers.models import Driver, Vehicle
from orders.actors import SYSTEM
from orders.models import Order
from tests import cast

pytestmark = pytest.mark.django_db


def correct(order: Order, **corrections: object) -> Order:
    return services.correct_order(order_id=order.pk, corrections=dict(corrections), actor=SYSTEM)


def at(place: tuple[float, float]) -> Point:
    return Point(place[1], place[0], srid=4326)


def closed_because(order: Order, driver: Driver) -> str:
    return Offer.objects.get(order=order, driver=driver).closed_reason


def test_a_pickup_that_moved_away_is_taken_out_of_the_feeds_it_is_too_far_for(alice: Driver) -> None:
    order = cast.order()
    near_the_new_place = cast.driver("far", at=cast.OCEAN_BEACH)
    assert cast.offers(order) == {"alice": "open"}

    correct(order, pickup=at(cast.OCEAN_BEACH))

    assert cast.offers(order) == {"alice": "lapsed", "far": "open"}
    assert closed_because(order, alice) == "order_corrected"
    assert Offer.objects.get(order=order, driver=near_the_new_place).distance_m == 0


def test_who_stays_near_enough_sees_the_distance_to_the_new_pickup(alice: Driver) -> None:
    order = cast.order()
    before = Offer.objects.get(order=order)
    assert before.distance_m == 0

    correct(order, pickup=at(cast.UNION_SQUARE))

    after = Offer.objects.get(order=order)
    assert (after.pk, after.status, after.offered_at) == (before.pk, "open", before.offered_at)
    assert round(after.distance_m) == 1473


def test_another_vehicle_takes_it_from_everybody_who_has_none(alice: Driver) -> None:
    van = cast.driver("van", at=cast.EMBARCADERO, vehicle=Vehicle.VAN)
    order = cast.order()
    assert cast.offers(order) == {"alice": "open", "van": "open"}

    correct(order, vehicle=Vehicle.VAN)

    assert cast.offers(order) == {"alice": "lapsed", "van": "open"}
    assert closed_because(order, alice) == "order_corrected"
    assert closed_because(order, van) == ""


def test_a_correction_of_something_else_closes_no_offer(alice: Driver) -> None:
    order = cast.order()

    correct(order, payout=Decimal("12.00"))

    assert cast.offers(order) == {"alice": "open"}


def test_an_order_that_is_to_be_offered_later_leaves_all_feeds_until_then(alice: Driver) -> None:
    order = cast.order()
    later = cast.now() + timedelta(hours=2)
    end = later + timedelta(minutes=5)

    correct(order, release_at=later, auto_assign_at=end, expires_at=end)

    assert cast.offers(order) == {"alice": "lapsed"}
    assert closed_because(order, alice) == "order_corrected"
    with pytest.raises(NotOffered):
        services.accept_order(order_id=order.pk, driver_id=alice.pk)

    correct(order, release_at=cast.now())

    assert cast.offers(order) == {"alice": "open"}
    assert cast.history(order) == ["created", "offered", "corrected", "corrected"]
