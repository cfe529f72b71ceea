"""The back office's site: Django's own, with a front page that leads to what matters."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse


class BatonAdminSite(AdminSite):
    site_header = "Baton"
    site_title = "Baton"
    index_title = "Back office"
    site_url = None
    empty_value_display = "–"

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        return super().index(request, {**(extra_context or {}), "tiles": _tiles(request)})


def _tiles(request: HttpRequest) -> list[dict[str, Any]]:
    """The counts on the front page and the lists behind them; only what this user may see."""
    # Imported late: this module is read before the models are.
    from dispatch.overview import overview

    may_see_orders = request.user.has_perm("orders.view_order")
    may_see_drivers = request.user.has_perm("drivers.view_driver")
    if not (may_see_orders or may_see_drivers):
        return []
    counts = overview()
    orders, drivers = reverse("admin:orders_order_changelist"), reverse("admin:drivers_driver_changelist")
    tiles: list[tuple[bool, str, int, str, str]] = [
        (
            may_see_orders,
            "Needs attention",
            counts.expired,
            f"{orders}?expired=yes",
            "expired: re-offer, assign or cancel",
        ),
        (may_see_orders, "Waiting", counts.waiting, f"{orders}?status=pending&expired=no", "for a driver"),
        (may_see_orders, "Assigned", counts.assigned, f"{orders}?status=assigned", "on the way to the pickup"),
        (may_see_orders, "Picked up", counts.picked_up, f"{orders}?status=picked_up", "on the way to the customer"),
        (
            may_see_orders,
            "Held in silence",
            counts.held_by_silent,
            f"{orders}?holder=silent",
            "their driver is not heard of",
        ),
        (may_see_drivers, "Live drivers", counts.live_drivers, f"{drivers}?duty=live", "on duty and heard of"),
        (may_see_drivers, "Silent drivers", counts.silent_drivers, f"{drivers}?duty=silent", "on duty, not heard of"),
    ]
    alarming = {"Needs attention", "Held in silence"}
    return [
        {"title": title, "count": count, "url": url, "text": text, "alarm": title in alarming and count > 0}
        for shown, title, count, url, text in tiles
        if shown
    ]
