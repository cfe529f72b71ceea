"""Time the back office's pages with years of orders, in this process, as a superuser would see them.

    bin/bench admin_pages [--orders 1000000] [--limit-ms 500] [--rounds 5]

In a database of its own, filled by benchmarks/fill.py. The whole request inside Django with its database, and its number of
queries; misses its bar when a page's median is over the limit. Reports of the longest period have a limit of their own.
"""

import sys
import time
from datetime import timedelta
from urllib.parse import urlencode

# First, because it sets Django up.
from benchmarks.scratch import fill, scratch_database  # isort: split

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from benchmarks.fill import STEPS
from benchmarks.report import Report, arguments
from dispatch import services
from drivers.models import Driver, Presence
from orders.models import Order

LONGEST_REPORT = "report, 31 days"


def pages() -> dict[str, str]:
    orders, drivers = reverse("admin:orders_order_changelist"), reverse("admin:drivers_driver_changelist")
    events, offers = reverse("admin:orders_orderevent_changelist"), reverse("admin:dispatch_offer_changelist")
    newest = Order.objects.order_by("-created_at")
    delivered = newest.filter(status="delivered")[0]
    pending = newest.filter(status="pending", expired=False)[0]
    driver = Driver.objects.order_by("name")[1000]
    holder = newest.filter(status="assigned")[0].driver
    assert holder is not None
    complete = reverse("admin:autocomplete")
    return {
        "front page": reverse("admin:index"),
        "orders, open": orders,
        "orders, needs attention": f"{orders}?expired=yes",
        "orders, held in silence": f"{orders}?holder=silent",
        "orders, all": f"{orders}?status=all",
        "orders, all, oldest first": f"{orders}?status=all&o=6",
        "orders, all, last page": f"{orders}?status=all&p=100",
        "orders, delivered": f"{orders}?status=delivered",
        "orders, failed, of vans": f"{orders}?status=failed&vehicle=van",
        "orders, all, of motorbikes (none)": f"{orders}?status=all&vehicle=motorbike",
        "orders, today": f"{orders}?status=all&created_from={delivered.created_at.date()}",
        "orders, one old day": f"{orders}?status=failed&created_from=2026-09-20&created_to=2026-09-20",
        "orders, of one driver": f"{orders}?status=all&driver__id__exact={holder.pk}",
        "search, a reference": f"{orders}?q=a-500001",
        "search, start of a reference": f"{orders}?q=a-5000",
        "search, a letter": f"{orders}?q=a",
        "search, nothing": f"{orders}?q=zzzz",
        "search, nothing, failed": f"{orders}?q=zzzz&status=failed",
        "search, an id": f"{orders}?q={delivered.pk}",
        "search, start of an id": f"{orders}?q={str(delivered.pk)[:13]}",
        "search, a driver": f"{orders}?q={holder.name.replace(' ', '+')}",
        "search, many drivers": f"{orders}?q=smith",
        "order, place": reverse("admin:orders_order_add"),
        "order, pending": reverse("admin:orders_order_change", args=[pending.pk]),
        "order, delivered": reverse("admin:orders_order_change", args=[delivered.pk]),
        "drivers": drivers,
        "drivers, live": f"{drivers}?duty=live",
        "drivers, silent vans": f"{drivers}?duty=silent&vehicle__exact=van",
        "drivers, last page": f"{drivers}?p=100",
        "drivers, search": f"{drivers}?q=nguyen",
        "driver": reverse("admin:drivers_driver_change", args=[holder.pk]),
        "driver, autocomplete": f"{complete}?app_label=orders&model_name=order&field_name=driver&term=ada",
        "history": events,
        "history, failures": f"{events}?kind=order.failed",
        "history, by dispatchers (none)": f"{events}?actor_type=dispatcher",
        "history, of an order": f"{events}?q={delivered.pk}",
        "history, search": f"{events}?q=a-5000",
        "history, last page": f"{events}?p=200",
        "offers": offers,
        "offers, open": f"{offers}?status=open",
        "offers, accepted": f"{offers}?status=accepted",
        "offers, of a driver": f"{offers}?q={driver.name.replace(' ', '+')}",
        "offers, of an order": f"{offers}?q={delivered.pk}",
        "users": reverse("admin:auth_user_changelist"),
        **report_pages(),
    }


def report_pages() -> dict[str, str]:
    """The shift report of a day, a week and the longest that it takes; its tables for other programs."""
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)

    def of_days(count: int) -> str:
        ends = today + timedelta(days=1)
        spans = {"start": ends - timedelta(days=count), "end": ends}
        return urlencode({**{name: f"{at:%Y-%m-%dT%H:%M}" for name, at in spans.items()}, "zone": settings.TIME_ZONE})

    page = reverse("shift_report")
    return {
        "report, today": page,
        "report, a week": f"{page}?{of_days(7)}",
        LONGEST_REPORT: f"{page}?{of_days(31)}",
        f"{LONGEST_REPORT}, orders as CSV": f"{reverse('shift_report_orders')}?{of_days(31)}",
        f"{LONGEST_REPORT}, drivers as CSV": f"{reverse('shift_report_drivers')}?{of_days(31)}",
    }


def settle(report: Report) -> None:
    """As the schedule does it all the time; a backlog of years takes a few runs."""
    began, quarters = time.perf_counter(), 0
    while settled := services.settle_quarters():
        quarters += settled
    report.note(f"{quarters} quarters of an hour settled in {time.perf_counter() - began:.1f} s")


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--drivers", type=int, default=20_000)
    parser.add_argument("--limit-ms", type=float, default=500)
    parser.add_argument("--limit-long-ms", type=float, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    # Nothing here is about static files; without this they would have to be collected first.
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.ALLOWED_HOSTS = ["testserver"]
    report = Report("admin_pages")
    with scratch_database("admin_pages"):
        began = time.monotonic()
        fill(STEPS, drivers=asked.drivers, orders=asked.orders)
        report.value(f"filled with {asked.orders:,} orders of {asked.drivers:,} drivers", time.monotonic() - began, "s")
        settle(report)
        medians = time_pages(report, rounds=asked.rounds)
    long = {name for name in medians if name.startswith(LONGEST_REPORT)}
    for what, names, limit in (
        ("the slowest page's median, ms", medians.keys() - long, asked.limit_ms),
        ("the slowest of the longest reports, ms", long, asked.limit_long_ms),
    ):
        report.bar(what, max(medians[name] for name in names) * 1000, at_most=limit)
    return report.finish()


def time_pages(report: Report, *, rounds: int) -> dict[str, float]:
    """Each page's median, in seconds."""
    # The filling took a while: let its drivers be heard of again, so that there is somebody near.
    Presence.objects.filter(is_online=True).update(last_seen=Now())
    client = Client()
    client.force_login(User.objects.create(username="benchmark", is_staff=True, is_superuser=True))
    medians = {}
    for name, url in pages().items():
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            answer = client.get(url)
            size = len(answer.getvalue())
            times.append(time.perf_counter() - started)
            assert answer.status_code == 200, (url, answer.status_code)
            assert size, url
        with CaptureQueriesContext(connection) as queries:
            client.get(url)
        medians[name] = report.times(f"{name} ({len(queries)} queries)", times)
    return medians


if __name__ == "__main__":
    sys.exit(main())
