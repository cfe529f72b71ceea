"""What the back office says at a glance: counts over open orders and drivers only, so they stay cheap for ever."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from dispatch.selectors import live_presences
from drivers.clock import ClockTimestamp
from drivers.models import Presence
from orders.lifecycle import HELD, Status
from orders.models import Order


@dataclass(frozen=True, slots=True)
class Overview:
    #: Pending and still to be taken.
    waiting: int
    #: Pending, but their time ran out: a dispatcher must decide.
    expired: int
    assigned: int
    picked_up: int
    #: Held by a driver who has not been heard of for LIVE_SECONDS, or is off duty.
    held_by_silent: int
    live_drivers: int
    #: On duty, but not heard of.
    silent_drivers: int


def held_in_silence(orders: QuerySet[Order]) -> QuerySet[Order]:
    """Those of `orders` that are held by a driver who is not live."""
    lost = Presence.objects.exclude(pk__in=live_presences()).values("pk")
    return orders.filter(status__in=sorted(HELD), driver__in=lost)


def overview() -> Overview:
    """Four queries, each over an index or the one small table of drivers."""
    heard = Q(last_seen__gt=ClockTimestamp() - timedelta(seconds=settings.LIVE_SECONDS))
    orders = Order.objects.filter(status__in=sorted({Status.PENDING, *HELD})).aggregate(
        waiting=Count("pk", filter=Q(status=Status.PENDING, expired=False)),
        expired=Count("pk", filter=Q(status=Status.PENDING, expired=True)),
        assigned=Count("pk", filter=Q(status=Status.ASSIGNED)),
        picked_up=Count("pk", filter=Q(status=Status.PICKED_UP)),
    )
    silent = Presence.objects.filter(Q(is_online=True) | Q(silent_since__isnull=False)).exclude(heard, is_online=True)
    return Overview(
        **orders,
        held_by_silent=held_in_silence(Order.objects.all()).count(),
        live_drivers=live_presences().count(),
        silent_drivers=silent.count(),
    )
