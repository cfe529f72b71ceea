"""Offers: which order was in whose feed, and what became of it. Read only."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from dispatch.admin.filters import LatestOnlyFilter
from dispatch.admin.search import HELP, find_by_order
from dispatch.admin.shown import badge, label_of, link, metres
from dispatch.models import Offer, OfferStatus
from drivers.backoffice import ReadOnlyAdmin


class OfferStatusFilter(LatestOnlyFilter):
    title = "status (latest 100,000)"
    parameter_name = column = "status"
    options = list(OfferStatus.choices)


@admin.register(Offer)
class OfferAdmin(ReadOnlyAdmin[Offer]):
    list_display = [
        "offered_at",
        "order_label",
        "driver_label",
        "state",
        "distance",
        "seen_at",
        "answered_at",
        "reason",
    ]
    list_display_links = ["offered_at"]
    list_filter = [OfferStatusFilter]
    list_select_related = ["order", "driver"]
    ordering = ["-id"]
    sortable_by = ()
    search_fields = ["order"]
    search_help_text = HELP

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Offer], search_term: str
    ) -> tuple[QuerySet[Offer], bool]:
        term = search_term.strip()
        return (find_by_order(queryset, term, by_driver=True) if term else queryset), False

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return lookup in {"status", "order__id__exact", "driver__id__exact"}

    @admin.display(description="order")
    def order_label(self, offer: Offer) -> SafeString:
        return link(offer.order, label_of(offer.order_id, offer.order.reference))

    @admin.display(description="driver")
    def driver_label(self, offer: Offer) -> SafeString:
        return link(offer.driver, offer.driver)

    @admin.display(description="status")
    def state(self, offer: Offer) -> SafeString:
        return badge(f"offer-{offer.status}", offer.get_status_display())

    @admin.display(description="distance")
    def distance(self, offer: Offer) -> str:
        return metres(offer.distance_m)

    @admin.display(description="closed because")
    def reason(self, offer: Offer) -> str:
        return offer.closed_reason.replace("_", " ")
