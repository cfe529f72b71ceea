"""What the page of one order shows, and which acts it offers. Whether an act is possible is decided by its service."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings

from dispatch import services
from dispatch.admin import acts, history
from dispatch.admin.order_forms import ActForm, AssignForm, DriverChoice, ExtendForm, ReasonForm
from dispatch.admin.shown import badge, deadlines, metres, since, status_badges
from dispatch.models import Offer
from drivers.models import Driver
from orders.lifecycle import Status
from orders.models import Order, OrderContact

OFFERS_SHOWN = 50
EVENTS_SHOWN = 100
CANDIDATES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Verb:
    """One button: what it sends, what it calls, and in which states it is shown."""

    act: Callable[..., str]
    form: type[forms.Form]
    shown_when: frozenset[str]


PENDING = frozenset({Status.PENDING})
VERBS: dict[str, Verb] = {
    "assign-nearest": Verb(acts.assign_to_nearest, ActForm, PENDING),
    "assign": Verb(acts.assign, AssignForm, PENDING),
    "pin": Verb(acts.pin, ActForm, PENDING),
    "unpin": Verb(acts.unpin, ActForm, PENDING),
    "reassign": Verb(acts.reassign, AssignForm, frozenset({Status.ASSIGNED})),
    "unassign": Verb(acts.release, ReasonForm, frozenset({Status.ASSIGNED})),
    "reoffer": Verb(acts.reoffer, ActForm, PENDING),
    "extend": Verb(acts.extend, ExtendForm, PENDING),
    "cancel": Verb(acts.cancel, ReasonForm, frozenset({Status.PENDING, Status.ASSIGNED, Status.PICKED_UP})),
}


def page(order: Order, *, may_act: bool, contact: OrderContact | None) -> dict[str, Any]:
    """Everything beside the form, as the template's variables."""
    verbs = [name for name, verb in VERBS.items() if may_act and order.status in verb.shown_when]
    if order.expired and "extend" in verbs:
        verbs.remove("extend")
    if "pin" in verbs:
        verbs.remove("pin" if order.pinned else "unpin")
    offers = Offer.objects.filter(order=order).select_related("driver").order_by("distance_m", "id")
    shown = list(offers[: OFFERS_SHOWN + 1])
    events = order.events.order_by("-version")
    choice = DriverChoice() if {"assign", "reassign"} & set(verbs) else None
    return {
        "order": order,
        "badges": status_badges(order),
        "deadlines": deadlines(order),
        "details": details(order),
        "contact": contact,
        "verbs": verbs,
        "driver_choice": choice,
        "media": choice.media if choice else forms.Media(),
        "candidates": candidates(order) if "assign" in verbs else [],
        "radius_km": max(settings.ASSIGN_RADII_KM),
        "told": history.read(events[:EVENTS_SHOWN]),
        "offers": [offer_row(offer) for offer in shown[:OFFERS_SHOWN]],
        "offers_cut": len(shown) > OFFERS_SHOWN,
        "events_cut": order.version > EVENTS_SHOWN,
    }


def offer_row(offer: Offer) -> dict[str, Any]:
    return {
        "driver": offer.driver,
        "distance": metres(offer.distance_m),
        "badge": badge(f"offer-{offer.status}", offer.get_status_display().lower()),
        "offered_at": offer.offered_at,
        "seen_at": offer.seen_at,
        "answered_at": offer.answered_at,
        "reason": offer.closed_reason.replace("_", " "),
    }


def candidates(order: Order) -> list[dict[str, Any]]:
    """The nearest drivers who could take it now."""
    near = services.nearby_drivers(order_id=order.pk, radius_km=max(settings.ASSIGN_RADII_KM), limit=CANDIDATES_SHOWN)
    drivers = Driver.objects.in_bulk([candidate.driver_id for candidate in near])
    return [
        {
            "driver": drivers[candidate.driver_id],
            "distance": metres(candidate.distance_m),
            "position": since(candidate.located_at, suffix=" ago"),
            "load": f"{candidate.load} of {candidate.capacity}",
        }
        for candidate in near
        if candidate.driver_id in drivers
    ]


def details(order: Order) -> list[tuple[str, Any]]:
    """(label, text) of what is fixed or worth a glance; empty ones are left out."""
    times = [
        ("Created", order.created_at),
        ("Offered from", order.release_at),
        ("First offered", order.offered_at),
        ("Auto-assigned from", order.auto_assign_at if order.status == Status.PENDING else None),
        ("Expires", order.expires_at if order.status == Status.PENDING else None),
        ("Assigned", order.assigned_at),
        ("Picked up", order.picked_up_at),
        ("Delivered", order.delivered_at),
        ("Cancelled", order.cancelled_at),
        ("Failed", order.failed_at),
    ]
    return [
        ("Vehicle", order.get_vehicle_display() or "any will do"),
        ("Priority", order.priority),
        ("Payout", f"{order.payout} {order.currency}"),
        *([("From", order.integrator)] if order.integrator_id else []),
        *((label, moment) for label, moment in times if moment is not None),
        *([("Metadata", order.metadata)] if order.metadata else []),
        ("Id", order.pk),
        ("Version", order.version),
    ]
