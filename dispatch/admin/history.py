"""The history of orders: read, never written."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html_join

from dispatch.admin.filters import LatestOnlyFilter
from dispatch.admin.search import find_by_order
from dispatch.admin.shown import count, label_of, link, metres, span
from drivers.backoffice import ReadOnlyAdmin
from drivers.models import Driver
from orders.actors import ActorType
from orders.lifecycle import Kind
from orders.models import ContactAccess, OrderEvent

HOW = {
    "accepted": "the driver accepted",
    "auto": "matched by the system",
    "by_hand": "chosen by a dispatcher",
    "nearest": "nearest, asked for by a dispatcher",
    "reassigned": "moved by a dispatcher",
    "undo": "an act by hand was undone",
}
PASSED_OVER = {
    "busy": "somebody else was changing them",
    "no_room": "no room left",
    "other_order": "got another order in the same round",
    "farther": "farther",
    "not_chosen": "not chosen",
    "not_answered": "saw it, had not answered",
    "not_seen": "had not seen it",
    "at_capacity": "no room",
    "silent": "not heard of",
    "wrong_vehicle": "another vehicle is needed",
    "declined": "had declined it",
    "barred": "was relieved of it",
    "suspended": "suspended",
    "lapsed": "their offer had lapsed",
}
#: What an event's data says, in the order in which it is told: key → (label, how to write it).
FACTS: dict[str, tuple[str, Any]] = {
    "how": ("how", lambda value: HOW.get(value, value)),
    "driver_name": ("driver", str),
    "reason": ("reason", str),
    "distance_m": ("distance", metres),
    "position_age_s": ("position", lambda value: f"{span(value)} old"),
    "drivers": ("offered to", lambda value: count(value, "driver")),
    "nearest_m": ("nearest", metres),
    "seconds": ("lasts", span),
    "was_expired": ("was expired", lambda value: "yes" if value else "no"),
    "offered": ("was offered", lambda value: "yes" if value else "to nobody"),
    "fields": ("corrected", ", ".join),
    "radius_km": ("looked within", lambda value: f"{value} km"),
    "considered": ("considered", lambda value: count(value, "driver")),
    "matched_together": ("matched together with", lambda value: count(value - 1, "other order")),
    "reference": ("reference", str),
    "proof": ("proof", lambda value: ", ".join(f"{k}: {v}" for k, v in value.items())),
}


@dataclass(frozen=True, slots=True)
class Considered:
    """A driver who was weighed when an order was assigned, and why it was not them."""

    name: str
    distance: str
    position: str
    load: str
    passed_over: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Told:
    """An event as people read it."""

    event: OrderEvent
    what: str
    who: str
    facts: list[tuple[str, str]]
    candidates: list[Considered]


def read(events: Iterable[OrderEvent]) -> list[Told]:
    """Events in words. One query for the names of all the drivers they mention."""
    listed = list(events)
    ids = {row["driver"] for event in listed for row in event.data.get("candidates", ())}
    ids |= {event.data["driver"] for event in listed if "driver" in event.data}
    names = dict(Driver.objects.filter(pk__in=ids).values_list("pk", "name")) if ids else {}
    return [_told(event, names) for event in listed]


def _told(event: OrderEvent, names: dict[int, str]) -> Told:
    data = {**event.data}
    candidates = data.pop("candidates", [])
    driver = data.pop("driver", None)
    if driver is not None:
        data.setdefault("driver_name", names.get(driver, f"driver {driver}"))
    return Told(
        event=event,
        what=event.kind.removeprefix("order.").replace("_", " "),
        who=event.actor_name or event.actor_type,
        facts=facts_of(data),
        candidates=[
            Considered(
                name=names.get(row["driver"], f"driver {row['driver']}"),
                distance=metres(row["distance_m"]) if "distance_m" in row else "–",
                position=span(row["position_age_s"]) if row.get("position_age_s") is not None else "–",
                load=str(row["load"]) if row.get("load") is not None else "–",
                passed_over=PASSED_OVER.get(row.get("passed_over", ""), row.get("passed_over", "")),
                chosen="passed_over" not in row,
            )
            for row in candidates
        ],
    )


def facts_of(data: dict[str, Any]) -> list[tuple[str, str]]:
    """`data` as (label, text); what is empty says nothing, and what is unknown is shown as it is."""
    said = [(label, write(data[key])) for key, (label, write) in FACTS.items() if data.get(key) not in (None, "", [])]
    other = [(key.replace("_", " "), _plain(key, value)) for key, value in data.items() if key not in FACTS]
    return said + other


def _plain(key: str, value: Any) -> str:
    moment = parse_datetime(value) if key.endswith("_at") and isinstance(value, str) else None
    return str(value) if moment is None else f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S}"


class KindFilter(LatestOnlyFilter):
    title = "what (latest 100,000)"
    parameter_name = column = "kind"
    options = [(kind.value, kind.removeprefix("order.").replace("_", " ").capitalize()) for kind in Kind]


class ActorFilter(LatestOnlyFilter):
    title = "who (latest 100,000)"
    parameter_name = column = "actor_type"
    options = [(actor.value, actor.capitalize()) for actor in ActorType]


@admin.register(OrderEvent)
class OrderEventAdmin(ReadOnlyAdmin[OrderEvent]):
    list_display = ["at", "order_label", "version", "what", "who", "details"]
    list_display_links = ["at"]
    list_filter = [KindFilter, ActorFilter]
    list_select_related = ["order"]
    ordering = ["-id"]
    sortable_by = ()
    search_fields = ["order"]
    search_help_text = "The start of an order's reference or id."
    fields = ["order", "version", "kind", "at", "actor_type", "actor_id", "actor_name", "data", "txid"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OrderEvent], search_term: str
    ) -> tuple[QuerySet[OrderEvent], bool]:
        term = search_term.strip()
        return (find_by_order(queryset, term) if term else queryset), False

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return lookup in {"kind", "actor_type", "order__id__exact"}

    @admin.display(description="order")
    def order_label(self, event: OrderEvent) -> str:
        return link(event.order, label_of(event.order_id, event.order.reference))

    @admin.display(description="what")
    def what(self, event: OrderEvent) -> str:
        return event.kind.removeprefix("order.").replace("_", " ")

    @admin.display(description="who")
    def who(self, event: OrderEvent) -> str:
        return event.actor_name or event.actor_type

    @admin.display(description="details")
    def details(self, event: OrderEvent) -> str:
        data = {key: value for key, value in event.data.items() if key not in {"candidates", "driver"}}
        return format_html_join(" · ", "{}: {}", facts_of(data))


@admin.register(ContactAccess)
class ContactAccessAdmin(ReadOnlyAdmin[ContactAccess]):
    """Who of the staff looked at a customer, and when."""

    list_display = ["at", "order_label", "actor_name", "actor_type", "via"]
    list_select_related = ["order"]
    ordering = ["-id"]
    sortable_by = ()
    search_fields = ["order"]
    search_help_text = "The start of an order's reference or id."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ContactAccess], search_term: str
    ) -> tuple[QuerySet[ContactAccess], bool]:
        term = search_term.strip()
        return (find_by_order(queryset, term) if term else queryset), False

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return False

    @admin.display(description="order")
    def order_label(self, access: ContactAccess) -> str:
        return link(access.order, label_of(access.order_id, access.order.reference))
