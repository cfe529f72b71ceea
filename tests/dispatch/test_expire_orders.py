import pytest
from django.db import IntegrityError

from dispatch import services
from dispatch.models import Offer
from dispatch.services.batches import together
from drivers.models import Driver
from orders.models import Order, OrderEvent
from tests import cast

pytestmark = pytest.mark.django_db


def overdue() -> Order:
    order = cast.order()
    cast.let_time_pass(order, seconds=125)
    return order


def test_an_order_past_its_deadline_is_flagged_and_its_offers_lapse(alice: Driver, bob: Driver) -> None:
    order = overdue()

    assert services.expire_orders() == 1

    fresh = Order.objects.get(pk=order.pk)
    assert (fresh.status, fresh.expired, fresh.driver_id, fresh.version) == ("pending", True, None, 4)
    assert cast.history(order) == ["created", "offered", "corrected", "expired"]
    assert cast.offers(order) == {"alice": "lapsed", "bob": "lapsed"}
    assert set(Offer.objects.values_list("closed_reason", flat=True)) == {"order_expired"}
    event = OrderEvent.objects.get(order=order, kind="order.expired")
    assert (event.actor_type, event.data) == ("system", {"offered": True})


def test_it_happens_once(alice: Driver) -> None:
    order = overdue()
    services.expire_orders()

    assert services.expire_orders() == 0

    assert cast.history(order).count("expired") == 1


def test_an_order_that_was_never_offered_to_anybody_says_so() -> None:
    order = overdue()

    services.expire_orders()

    assert OrderEvent.objects.get(order=order, kind="order.expired").data == {"offered": False}


def test_whoever_has_time_left_or_a_holder_does_not_expire(alice: Driver) -> None:
    fresh, held = cast.order(), cast.order()
    services.accept_order(order_id=held.pk, driver_id=alice.pk)
    cast.let_time_pass(held, seconds=125)

    assert services.expire_orders() == 0

    assert Order.objects.filter(pk__in=[fresh.pk, held.pk], expired=True).count() == 0


def test_a_backlog_is_worked_off_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatch.services.expire.EXPIRE_BATCH", 2)
    orders = [overdue() for _ in range(3)]

    assert [services.expire_orders() for _ in range(3)] == [2, 1, 0]

    assert Order.objects.filter(pk__in=[o.pk for o in orders], expired=True).count() == 3


def test_one_row_that_is_refused_does_not_hold_up_the_others(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    def act(items: object) -> None:
        assert isinstance(items, list)
        if 5 in items:
            raise IntegrityError("5 is not right")
        done.extend(items)

    together(act, list(range(9)))

    assert sorted(done) == [0, 1, 2, 3, 4, 6, 7, 8]
    assert [record.getMessage() for record in caplog.records] == ["Cannot be done, left for a dispatcher: 5"]
