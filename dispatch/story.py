"""The story of one order, as the console tells it: what happened, who was offered it, and why this driver.

Everything is read from what was written at the time. Why somebody was chosen is in the event `order.assigned`: by whoever
wrote it (dispatch/services/auto_assign.py, accept.py, assign.py), bounded to a few near candidates each.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from dispatch import representations
from dispatch.models import Offer
from dispatch.selectors_board import offer_counts
from drivers.http import rfc3339
from drivers.models import Driver
from orders.lifecycle import Kind
from orders.models import OrderEvent
from orders.selectors import find_order

EVENTS_TOLD: Final = 500
OFFERS_TOLD: Final = 200


def of_order(order_id: UUID) -> dict[str, Any]:
    """Its document, its latest EVENTS_TOLD events (oldest first), its OFFERS_TOLD nearest offers and the present or last
    holder's `choice`, None if nobody holds or held it. Raises NotFound."""
    order = find_order(order_id=order_id)
    events = list(OrderEvent.objects.filter(order=order).order_by("-version")[:EVENTS_TOLD])
    offers = list(Offer.objects.filter(order=order).order_by("distance_m", "pk")[:OFFERS_TOLD])
    assigned = next((event for event in events if event.kind == Kind.ASSIGNED), None)
    choice = assigned if order.driver_id is not None else None
    names = _names(offers, choice)
    return {
        "order": representations.order_for_board(order, offer_counts([order.pk])[order.pk]),
        "events": [representations.event(event) for event in reversed(events)],
        "offers": [_offer(offer, names) for offer in offers],
        "choice": _choice(choice, names) if choice is not None else None,
    }


def _names(offers: list[Offer], choice: OrderEvent | None) -> Mapping[int, str]:
    ids = {offer.driver_id for offer in offers}
    if choice is not None:
        ids |= {choice.data["driver"], *(told["driver"] for told in choice.data.get("candidates", ()))}
    return dict(Driver.objects.filter(pk__in=ids).values_list("pk", "name"))


def _offer(offer: Offer, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "driver": offer.driver_id,
        "name": names.get(offer.driver_id, ""),
        "status": str(offer.status),
        "distance_m": round(offer.distance_m),
        "offered_at": rfc3339(offer.offered_at),
        "delivered_at": rfc3339(offer.delivered_at),
        "seen_at": rfc3339(offer.seen_at),
        "answered_at": rfc3339(offer.answered_at),
        "closed_reason": offer.closed_reason,
    }


def _choice(event: OrderEvent, names: Mapping[int, str]) -> dict[str, Any]:
    """`how`: accepted, auto, by_hand, nearest, reassigned, undo. Only the matching weighs by a cost, in metres."""
    data = event.data
    chosen = data["driver"]
    by_cost = data.get("how") == "auto"
    told = data.get("candidates") or [{"driver": chosen, "distance_m": data.get("distance_m")}]
    return {
        "how": data.get("how", ""),
        "at": rfc3339(event.at),
        "by": event.actor_name,
        "chosen": chosen,
        "candidates": [
            {
                "driver": one["driver"],
                "name": names.get(one["driver"], ""),
                "distance_m": one.get("distance_m"),
                "position_age_s": one.get("position_age_s"),
                "load": one.get("load"),
                "capacity": one.get("capacity"),
                "cost": one.get("distance_m") if by_cost and _was_weighed(one) else None,
                "verdict": "chosen" if one["driver"] == chosen else one.get("passed_over", ""),
            }
            for one in told
        ],
    }


#: Why the matching preferred somebody else to a candidate that it weighed; any other word is why it did not weigh them.
WEIGHED: Final = {"farther", "other_order", "no_room", "busy"}


def _was_weighed(one: dict[str, Any]) -> bool:
    return one.get("passed_over", "farther") in WEIGHED
