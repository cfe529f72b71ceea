"""Time the back office's pages on a filled database (benchmarks/fill.py), in this process, as a superuser would see them.

    DATABASE_URL=… python benchmarks/admin_pages.py [--limit-ms 500] [--rounds 5]

Prints, per page, the first and the median time of the whole request inside Django with its database, and the number of
queries; exits 1 when a median is over the limit.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from drivers.models import Driver, Presence
from orders.models import Order


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
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit-ms", type=float, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    # Nothing here is about static files; without this they would have to be collected first.
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.ALLOWED_HOSTS = ["testserver"]
    # The fill is a while ago: let its drivers be heard of again, so that there is somebody near.
    Presence.objects.filter(is_online=True).update(last_seen=Now())
    root, _ = User.objects.get_or_create(username="benchmark", defaults={"is_staff": True, "is_superuser": True})
    client = Client()
    client.force_login(root)
    slow = 0
    print(f"{'page':36} {'first':>8} {'median':>8} {'queries':>8} {'in them':>8}")
    for name, url in pages().items():
        times = []
        for _ in range(asked.rounds):
            started = time.perf_counter()
            answer = client.get(url)
            times.append((time.perf_counter() - started) * 1000)
            assert answer.status_code == 200, (url, answer.status_code)
        with CaptureQueriesContext(connection) as queries:
            client.get(url)
        inside = sum(float(query["time"]) for query in queries) * 1000
        median = statistics.median(times)
        slow += median > asked.limit_ms
        mark = "  SLOW" if median > asked.limit_ms else ""
        print(f"{name:36} {times[0]:6.0f}ms {median:6.0f}ms {len(queries):8} {inside:6.0f}ms{mark}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
