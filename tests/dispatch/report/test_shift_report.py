"""The numbers of the shift report, to the second; the same whether they are settled or counted afresh."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from dispatch import services
from dispatch.models import ReportQuarter
from dispatch.selectors_report import Bin, DriverHours, Period, Times, driver_hours, each_driver, report_bins
from drivers.clock import database_now
from orders.models import Order
from tests import cast
from tests.dispatch.report import shift
from tests.dispatch.report.shift import yesterday

pytestmark = pytest.mark.django_db(transaction=True)

UTC = ZoneInfo("UTC")


def two_hours() -> Period:
    return Period(start=yesterday(10), end=yesterday(12), zone=UTC)


def test_orders_are_counted_where_they_were_released_by_what_became_of_them() -> None:
    shift.work()

    total, bins = report_bins(two_hours())

    ten = Bin(
        yesterday(10),
        orders=4,
        delivered=2,
        failed=1,
        cancelled=1,
        offers=4,
        offers_accepted=3,
        offers_declined=1,
        to_assign=Times(40, 60),
        to_deliver=Times(600, 1200),
    )
    eleven = Bin(yesterday(11), orders=1, expired=1, ran_out=1, offers=1)
    assert bins == [ten, eleven]
    assert (total.starts_at, total.orders, total.delivered, total.failed, total.cancelled) == (None, 5, 2, 1, 1)
    assert (total.expired, total.ran_out, total.expiry_rate) == (1, 1, 0.2)
    assert (total.offers_accepted, total.offers_declined, total.decline_rate) == (3, 1, 0.25)
    assert (total.to_assign, total.to_deliver) == (Times(40, 60), Times(600, 1200))


def test_a_report_begins_and_ends_to_the_second() -> None:
    shift.work()

    total, bins = report_bins(Period(start=yesterday(10, 0, 1), end=yesterday(10, 20), zone=UTC))

    assert (total.orders, total.to_assign, total.to_deliver) == (1, Times(40, 40), Times(1200, 1200))
    assert [bin_.starts_at for bin_ in bins] == [yesterday(10)]


def test_an_empty_time_has_no_rates_and_no_times() -> None:
    total, bins = report_bins(Period(start=yesterday(1), end=yesterday(2), zone=UTC))

    assert (total, bins) == (Bin(None), [])
    assert (total.expiry_rate, total.decline_rate) == (None, None)


def test_the_hours_of_half_hour_zones_begin_where_their_clocks_say() -> None:
    shift.work()

    _, bins = report_bins(Period(start=yesterday(9, 30), end=yesterday(12), zone=ZoneInfo("Asia/Kolkata")))

    # 10:00 UTC is 15:30 there.
    assert [(bin_.starts_at, bin_.orders) for bin_ in bins] == [(yesterday(9, 30), 3), (yesterday(10, 30), 2)]


def test_more_than_three_days_are_told_by_the_day_of_the_zone() -> None:
    shift.work()
    zone = ZoneInfo("Asia/Tokyo")

    _, bins = report_bins(Period(start=yesterday(12) - timedelta(days=4), end=yesterday(12), zone=zone))

    (only,) = bins
    assert only.starts_at is not None
    assert only.starts_at.astimezone(zone).strftime("%H:%M") == "00:00"
    assert only.orders == 5


def test_settling_changes_no_number() -> None:
    shift.work()
    before = report_bins(two_hours())

    settled = services.settle_quarters()

    assert settled == ReportQuarter.objects.count()
    assert set(ReportQuarter.objects.filter(orders__gt=0).values_list("starts_at", "orders")) == {
        (yesterday(10), 2),
        (yesterday(10, 15), 1),
        (yesterday(10, 45), 1),
    }
    assert report_bins(two_hours()) == before
    assert services.settle_quarters() == 0


def test_a_quarter_with_an_order_that_may_still_change_is_not_settled() -> None:
    shift.work()
    services.settle_quarters()
    assert not ReportQuarter.objects.filter(starts_at=yesterday(11)).exists()

    services.cancel_order(order_id=Order.objects.get(reference="left").pk, actor=cast.DISPATCHER)
    services.settle_quarters()

    quarter = ReportQuarter.objects.get(starts_at=yesterday(11))
    assert (quarter.orders, quarter.cancelled, quarter.ran_out) == (1, 1, 1)


def test_the_report_reads_what_is_settled() -> None:
    shift.work()
    services.settle_quarters()

    ReportQuarter.objects.filter(starts_at=yesterday(10)).update(orders=1000)

    assert report_bins(two_hours())[0].orders == 1003


def test_an_order_that_is_placed_into_a_settled_quarter_is_found_by_the_next_settling() -> None:
    shift.work()
    services.settle_quarters()
    late = cast.order(reference="late")
    shift.happened(late, yesterday(10, 1))
    assert report_bins(two_hours())[0].orders == 5

    services.settle_quarters()

    total, _ = report_bins(two_hours())
    assert (total.orders, total.waiting) == (6, 1)
    assert not ReportQuarter.objects.filter(starts_at=yesterday(10)).exists()


def test_a_drivers_work_counts_once_however_many_orders_and_idle_is_duty_without_any() -> None:
    alice = shift.work()

    drivers, number = driver_hours(two_hours())

    # On duty 10:00 to 10:30 and from 11:00. At work 10:00:20 to 10:10:00 and 10:10:40 to 10:35:00.
    expected = DriverHours(
        driver_id=alice.pk,
        name="Alice",
        vehicle="car",
        on_duty=1800 + 3600,
        working=580 + 1460,
        idle=20 + 40 + 3600,
        delivered=2,
        failed=1,
    )
    assert (drivers, number) == ([expected], 1)
    assert list(each_driver(two_hours())) == [expected]


def test_what_goes_on_now_has_lasted_until_now() -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING)
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    shift.happened(order, yesterday(10), assigned=0)

    ((one,), _) = driver_hours(Period(start=yesterday(10), end=yesterday(10) + timedelta(days=7), zone=UTC))

    age = (database_now() - yesterday(10)).total_seconds()
    assert age - 30 < one.working <= age + 1
    assert one.on_duty < 30
    assert (one.idle, one.delivered) == (0, 0)


def test_drivers_come_in_the_order_that_is_asked_for_and_are_counted_beyond_the_limit() -> None:
    shift.work()
    cast.driver("bob", at=cast.EMBARCADERO)
    week = Period(start=yesterday(0), end=yesterday(0) + timedelta(days=6), zone=UTC)

    def names(by: str, limit: int | None = None) -> list[str]:
        return [row.name for row in driver_hours(week, by=by, limit=limit)[0]]

    assert names("working") == ["Alice", "Bob"]
    assert names("name") == ["Alice", "Bob"]
    assert names("delivered", limit=1) == ["Alice"]
    assert driver_hours(week, limit=1)[1] == 2
