"""What a driver has done in a day."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from dispatch import services
from drivers.models import Driver
from orders.models import Order
from tests import cast
from tests.dispatch.api.callers import Caller, errors
from tests.dispatch.api.carrying import deliver, fail, in_hand, let_days_pass

pytestmark = pytest.mark.django_db


def test_figures_of_a_day(app: Caller, alice: Driver, bob: Driver) -> None:
    Driver.objects.update(capacity=9)
    today = cast.now().date().isoformat()
    assert app.get("driver/figures/").json() == {
        "date": today, "delivered": 0, "failed": 0, "released": 0, "payouts": []
    }  # fmt: skip

    def carried(driver: Driver, **changes: Any) -> Order:
        order = cast.order(**changes)
        services.accept_order(order_id=order.pk, driver_id=driver.pk)
        return order

    def picked_up(driver: Driver, **changes: Any) -> Order:
        order = carried(driver, **changes)
        services.pick_up_order(order_id=order.pk, driver_id=driver.pk)
        return order

    for payout, currency in (("12.50", "USD"), ("0.55", "USD"), ("7.00", "EUR")):
        deliver(picked_up(alice, payout=Decimal(payout), currency=currency), alice)
    deliver(picked_up(bob, payout=Decimal(99)), bob)
    fail(picked_up(alice, payout=Decimal(50)), alice)
    services.release_order(order_id=carried(alice).pk, driver_id=alice.pk)
    services.decline_order(order_id=cast.order().pk, driver_id=alice.pk)
    yesterday = picked_up(alice, payout=Decimal(1000))
    deliver(yesterday, alice)
    let_days_pass(yesterday, 1.01)

    assert app.get("driver/figures/").json() == {
        "date": today,
        "delivered": 3,
        "failed": 1,
        "released": 1,
        "payouts": [{"currency": "EUR", "amount": "7.00"}, {"currency": "USD", "amount": "13.05"}],
    }


@pytest.mark.parametrize("offset", [-720, -420, 0, 330, 840])
def test_today_is_the_drivers_own(app: Caller, alice: Driver, offset: int) -> None:
    order = in_hand(alice)
    deliver(order, alice)
    local = cast.now() + timedelta(minutes=offset)
    since_midnight = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)

    figures = app.get(f"driver/figures/?tz_offset_minutes={offset}").json()
    assert (figures["date"], figures["delivered"]) == (local.date().isoformat(), 1)

    let_days_pass(order, (since_midnight + timedelta(seconds=30)) / timedelta(days=1))
    assert app.get(f"driver/figures/?tz_offset_minutes={offset}").json()["delivered"] == 0


@pytest.mark.parametrize("offset", ["901", "-901", "x", "", "1.5", "٣", "+60"])
def test_a_zone_that_there_is_not_is_refused(app: Caller, offset: str) -> None:
    assert list(errors(app.get(f"driver/figures/?tz_offset_minutes={offset}"))) == ["tz_offset_minutes"]
