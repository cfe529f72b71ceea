"""How orders, offers and events look from outside: the same document over REST and over the socket (DESIGN §6).

Dicts by hand, because these are the hottest lines of the API. Nothing here reads the database: callers bring what is
shown, and decide by bringing it or not.
"""

from datetime import datetime
from typing import Any

from dispatch.models import Message, Offer
from drivers.http import rfc3339
from drivers.models import Driver, Presence
from drivers.rows import lng_lat
from orders.models import Order, OrderContact, OrderEvent

#: Decimals that a dropoff keeps before the order is held: about a kilometre.
AREA_DECIMALS = 2


def pickup(order: Order) -> dict[str, Any]:
    lng, lat = lng_lat(order, "pickup")
    return {"lat": lat, "lng": lng, "address": order.pickup_address}


def dropoff(order: Order) -> dict[str, Any]:
    lng, lat = lng_lat(order, "dropoff")
    return {"lat": lat, "lng": lng, "address": order.dropoff_address}


def dropoff_area(order: Order) -> dict[str, float]:
    lng, lat = lng_lat(order, "dropoff")
    return {"lat": round(lat, AREA_DECIMALS), "lng": round(lng, AREA_DECIMALS)}


def contact_of(contact: OrderContact) -> dict[str, str]:
    return {"name": contact.name, "phone": contact.phone, "notes": contact.notes}


def contact_for_driver(contact: OrderContact) -> dict[str, Any]:
    """With whether the customer has a PIN to be asked for; never which."""
    return {**contact_of(contact), "has_pin": contact.has_pin}


def offer_for_driver(offer: Offer | Order, distance_m: float | None = None) -> dict[str, Any]:
    """An order as a card in a driver's feed: where from, roughly where to, for how much. Never who it is for.

    Give the Offer with its order at hand, or the Order and the driver's own distance in metres.
    """
    if isinstance(offer, Offer):
        order, metres = offer.order, offer.distance_m
    else:
        order, metres = offer, distance_m or 0.0
    return {
        "order": str(order.pk),
        "distance_m": round(metres),
        "expires_at": rfc3339(order.expires_at),
        "payout": money(order),
        "currency": order.currency,
        "pickup": pickup(order),
        "dropoff_area": dropoff_area(order),
        "version": order.version,
    }


def order_for_driver(order: Order, contact: OrderContact | None) -> dict[str, Any]:
    """An order that the driver holds or held, or, while nobody does, one that is on offer to them: then without the
    exact dropoff and the sender's reference."""
    shown = _order(order)
    if order.driver_id is None:
        shown["dropoff_area"] = dropoff_area(order)
        del shown["dropoff"], shown["reference"]
    shown["contact"] = contact_for_driver(contact) if contact is not None else None
    return shown


def order_for_staff(order: Order, contact: OrderContact | None = None) -> dict[str, Any]:
    """The whole order, for dispatchers and for the integrator whose it is; `contact` only if it was brought along."""
    shown = _order(order)
    shown["metadata"] = order.metadata
    shown["pinned"] = order.pinned
    if contact is not None:
        shown["contact"] = contact_of(contact)
    return shown


def order_for_board(order: Order, offers: dict[str, int] | None = None) -> dict[str, Any]:
    """The order as the console keeps it; a pending one with its `offers` by state, if they were brought along."""
    shown = order_for_staff(order)
    if offers is not None:
        shown["offers"] = offers
    return shown


def _order(order: Order) -> dict[str, Any]:
    return {
        "id": str(order.pk),
        "reference": order.reference,
        "status": str(order.status),
        "expired": order.expired,
        "version": order.version,
        "pickup": pickup(order),
        "dropoff": dropoff(order),
        "vehicle": order.vehicle,
        "priority": order.priority,
        "payout": money(order),
        "currency": order.currency,
        "driver": order.driver_id,
        "created_at": rfc3339(order.created_at),
        "release_at": rfc3339(order.release_at),
        "auto_assign_at": rfc3339(order.auto_assign_at),
        "expires_at": rfc3339(order.expires_at),
        "assigned_at": rfc3339(order.assigned_at),
        "picked_up_at": rfc3339(order.picked_up_at),
        "delivered_at": rfc3339(order.delivered_at),
        "cancelled_at": rfc3339(order.cancelled_at),
        "failed_at": rfc3339(order.failed_at),
    }


def money(order: Order) -> str:
    """A decimal string with two places, also before the order went through the database."""
    return f"{order.payout:.2f}"


def event(event: OrderEvent) -> dict[str, Any]:
    return {
        "id": event.pk,
        "order": str(event.order_id),
        "version": event.version,
        "kind": str(event.kind),
        "at": rfc3339(event.at),
        "actor": {"type": str(event.actor_type), "id": event.actor_id, "name": event.actor_name},
        "data": event.data,
    }


def event_for_integrator(told: OrderEvent) -> dict[str, Any]:
    """An event without the drivers who were considered and passed over: they have nothing to do with this sender."""
    shown = event(told)
    shown["data"] = {name: value for name, value in told.data.items() if name != "candidates"}
    return shown


def message(told: Message) -> dict[str, Any]:
    """What a dispatcher wrote to a driver."""
    return {
        "id": told.pk,
        "at": rfc3339(told.at),
        "text": told.text,
        "from": told.actor_name,
        "read_at": rfc3339(told.read_at),
    }


def driver_for_staff(presence: Presence, *, load: int, live: bool) -> dict[str, Any]:
    """A driver as dispatchers see them; bring the presence with its driver."""
    driver, location = presence.driver, presence.location
    return {
        "id": driver.pk,
        "name": driver.name,
        "phone": driver.phone,
        "vehicle": str(driver.vehicle),
        "capacity": driver.capacity,
        "load": load,
        "suspended": driver.suspended,
        "is_online": presence.is_online,
        "live": live,
        "last_seen": rfc3339(presence.last_seen),
        "location": {"lat": location.y, "lng": location.x} if location is not None else None,
        "accuracy_m": presence.accuracy_m,
        "heading": presence.heading,
        "speed_mps": presence.speed_mps,
        "recorded_at": rfc3339(presence.recorded_at),
    }


def candidate(driver: Driver, *, distance_m: float, located_at: datetime | None, load: int) -> dict[str, Any]:
    """A driver who could take an order now."""
    return {
        "driver": driver.pk,
        "name": driver.name,
        "vehicle": str(driver.vehicle),
        "distance_m": round(distance_m),
        "located_at": rfc3339(located_at),
        "load": load,
        "capacity": driver.capacity,
    }
