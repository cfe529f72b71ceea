import pytest

from dispatch import services
from dispatch.errors import DriverAtCapacity
from drivers.errors import DriverOffline, DriverSuspended, NotFound
from drivers.models import Driver
from orders.errors import OrderNotPending, VersionConflict
from orders.models import Order, OrderEvent
from tests import cast

pytestmark = pytest.mark.django_db


def assign(order: Order, driver: Driver, version: int | None = None) -> Order:
    return services.assign_order(order_id=order.pk, driver_id=driver.pk, actor=cast.DISPATCHER, version=version)


def state(order: Order) -> tuple[str, int | None, bool]:
    fresh = Order.objects.get(pk=order.pk)
    return fresh.status, fresh.driver_id, fresh.expired


def test_a_dispatcher_gives_an_order_to_any_driver_on_duty(alice: Driver) -> None:
    far = cast.driver("far", at=cast.OCEAN_BEACH)
    order = cast.order()

    assign(order, far)

    assert state(order) == ("assigned", far.pk, False)
    assert cast.offers(order) == {"alice": "lapsed"}
    event = OrderEvent.objects.get(order=order, kind="order.assigned")
    assert (event.actor_type, event.actor_name, event.data["how"]) == ("dispatcher", "dora", "by_hand")


def test_an_expired_order_gets_a_new_round_first(alice: Driver) -> None:
    order = cast.order()
    cast.let_time_pass(order, seconds=125)
    services.expire_orders()

    assign(order, alice)

    assert state(order) == ("assigned", alice.pk, False)
    assert cast.history(order)[-3:] == ["expired", "reoffered", "assigned"]


def test_nothing_happens_when_the_order_has_moved_on_since_the_dispatcher_looked(alice: Driver, bob: Driver) -> None:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)

    with pytest.raises(VersionConflict) as refusal:
        assign(order, bob, version=2)

    assert refusal.value.data == {"version": 3, "status": "assigned"}
    assert state(order) == ("assigned", alice.pk, False)


def test_a_held_order_is_not_assigned_over_its_holder(alice: Driver, bob: Driver) -> None:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)

    with pytest.raises(OrderNotPending):
        assign(order, bob)

    assert state(order) == ("assigned", alice.pk, False)


def test_capacity_binds_dispatchers_too(alice: Driver) -> None:
    assign(cast.order(), alice)
    second = cast.order()

    with pytest.raises(DriverAtCapacity):
        assign(second, alice)

    assert state(second) == ("pending", None, False)


def test_a_driver_off_duty_suspended_or_unknown_gets_nothing(alice: Driver, bob: Driver) -> None:
    order = cast.order()
    services.go_offline(driver_id=alice.pk)
    services.suspend_driver(driver_id=bob.pk)

    with pytest.raises(DriverOffline):
        assign(order, alice)
    with pytest.raises(DriverSuspended):
        assign(order, bob)
    with pytest.raises(NotFound):
        services.assign_order(order_id=order.pk, driver_id=0, actor=cast.DISPATCHER)

    assert cast.history(order) == ["created", "offered"]


def test_the_nearest_eligible_driver_is_chosen(alice: Driver, bob: Driver) -> None:
    services.accept_order(order_id=cast.order().pk, driver_id=alice.pk)
    order = cast.order()

    services.assign_order_to_nearest(order_id=order.pk, actor=cast.DISPATCHER)

    assert state(order) == ("assigned", bob.pk, False)


def test_nobody_near_is_said_and_nothing_changes() -> None:
    order = cast.order()

    with pytest.raises(DriverOffline):
        services.assign_order_to_nearest(order_id=order.pk, actor=cast.DISPATCHER)

    assert cast.history(order) == ["created"]


def test_an_unassigned_order_is_offered_to_the_others_and_never_again_to_who_held_it(
    alice: Driver, bob: Driver
) -> None:
    order = cast.order()
    assign(order, alice)

    services.unassign_order(order_id=order.pk, actor=cast.DISPATCHER, reason="wrong car")
    services.offer_orders()

    assert state(order) == ("pending", None, False)
    assert cast.history(order)[-3:] == ["assigned", "released", "offered"]
    assert cast.offers(order) == {"alice": "barred", "bob": "open"}


def test_what_nobody_holds_cannot_be_unassigned(alice: Driver) -> None:
    order = cast.order()

    with pytest.raises(OrderNotPending):
        services.unassign_order(order_id=order.pk, actor=cast.DISPATCHER)

    assert cast.history(order) == ["created", "offered"]
