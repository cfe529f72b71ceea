import pytest

from dispatch import services
from drivers.errors import DriverSuspended, NotFound
from drivers.models import Driver, Presence
from orders.models import Order
from tests import cast

pytestmark = pytest.mark.django_db


def test_going_off_duty_withdraws_the_open_offers_and_keeps_what_is_held(alice: Driver) -> None:
    Driver.objects.filter(pk=alice.pk).update(capacity=2)
    held, offered = cast.order(), cast.order()
    services.accept_order(order_id=held.pk, driver_id=alice.pk)

    services.go_offline(driver_id=alice.pk)

    assert Presence.objects.get(pk=alice.pk).is_online is False
    assert cast.offers(offered) == {"alice": "lapsed"}
    assert Order.objects.get(pk=held.pk).driver_id == alice.pk


def test_coming_back_on_duty_brings_the_waiting_orders_back(alice: Driver) -> None:
    order = cast.order()
    services.go_offline(driver_id=alice.pk)
    services.go_online(driver_id=alice.pk)

    services.offer_orders()

    assert cast.offers(order) == {"alice": "open"}
    assert cast.history(order) == ["created", "offered"]


def test_a_suspended_driver_is_off_duty_without_offers_and_cannot_come_back(alice: Driver) -> None:
    order = cast.order()

    services.suspend_driver(driver_id=alice.pk)

    assert cast.offers(order) == {"alice": "lapsed"}
    with pytest.raises(DriverSuspended):
        services.go_online(driver_id=alice.pk)
    assert Presence.objects.get(pk=alice.pk).is_online is False
    services.reinstate_driver(driver_id=alice.pk)
    services.go_online(driver_id=alice.pk)
    assert Presence.objects.get(pk=alice.pk).is_online is True


def test_a_silent_driver_is_taken_off_duty_and_the_next_heartbeat_puts_them_back(alice: Driver, bob: Driver) -> None:
    order = cast.order()
    Presence.objects.filter(pk=alice.pk).update(last_seen=cast.now() - cast.MINUTE)

    assert services.mark_silent_drivers_offline() == 1
    assert services.mark_silent_drivers_offline() == 0

    assert Presence.objects.get(pk=alice.pk).is_online is False
    assert cast.offers(order) == {"alice": "lapsed", "bob": "open"}
    cast.move(alice, cast.FERRY_BUILDING)
    assert Presence.objects.get(pk=alice.pk).is_online is True


def test_a_heartbeat_does_not_put_a_driver_on_duty_who_went_off_by_choice(alice: Driver) -> None:
    services.go_offline(driver_id=alice.pk)

    cast.move(alice, cast.FERRY_BUILDING)

    assert Presence.objects.get(pk=alice.pk).is_online is False


def test_a_heartbeat_answers_what_the_feed_should_hold(alice: Driver) -> None:
    Driver.objects.filter(pk=alice.pk).update(capacity=3)
    held, _, late = cast.order(), cast.order(), cast.order()
    services.accept_order(order_id=held.pk, driver_id=alice.pk)
    cast.let_time_pass(late, seconds=125)

    answer = services.record_heartbeats(positions=[services.Position(driver_id=alice.pk)])

    assert answer[alice.pk].active == ((held.pk, 3),)
    assert answer[alice.pk].open_offers == 1, "an offer past its deadline counts no more, swept or not"


def test_an_unknown_driver_cannot_go_on_duty() -> None:
    with pytest.raises(NotFound):
        services.go_online(driver_id=0)
