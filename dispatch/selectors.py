"""Reads: who is near an order, and what a driver's screen shows. Nothing here writes or locks."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import BooleanField, Case, Count, IntegerField, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce

from dispatch.models import Offer, OfferStatus
from dispatch.nearest import Candidate, nearest_drivers
from drivers.access import as_driver
from drivers.clock import ClockTimestamp
from drivers.errors import NotFound
from drivers.models import Driver, Presence
from orders.lifecycle import HELD, Status
from orders.models import Order


def live_presences() -> QuerySet[Presence]:
    """Drivers who are on duty, heard of within LIVE_SECONDS by the database's clock, and not suspended."""
    heard_since = ClockTimestamp() - timedelta(seconds=settings.LIVE_SECONDS)
    return Presence.objects.filter(is_online=True, last_seen__gt=heard_since, driver__suspended=False)


def watched_presences(*, live: bool | None = None) -> QuerySet[Presence]:
    """Every driver with duty, position, `load` and `live`, for whoever watches over them; only live ones or only the
    others, if asked."""
    heard_since = ClockTimestamp() - timedelta(seconds=settings.LIVE_SECONDS)
    is_live = Q(is_online=True, last_seen__gt=heard_since, driver__suspended=False)
    presences = (live_presences() if live else Presence.objects.all()).annotate(
        load=Coalesce(_loads(), 0),
        live=Case(When(is_live, then=True), default=False, output_field=BooleanField()),
    )
    return (presences.filter(live=False) if live is False else presences).select_related("driver")


def _loads(driver: str = "driver_id") -> Subquery:
    held = Order.objects.filter(driver_id=OuterRef(driver), status__in=sorted(HELD)).order_by()
    counted = held.values("driver_id").annotate(n=Count("*")).values("n")
    return Subquery(counted, output_field=IntegerField())


def with_load(drivers: QuerySet[Driver]) -> QuerySet[Driver]:
    """The drivers with `load`: how many orders each holds now."""
    return drivers.annotate(load=Coalesce(_loads("pk"), 0))


def nearby_drivers(*, order_id: UUID, radius_km: float, limit: int | None = None) -> list[Candidate]:
    """The drivers within `radius_km` of the pickup who could take the order: live, with room and the right vehicle, and not
    having declined it. Nearest first by geodesics on the WGS 84 spheroid, ties by driver id; at most `limit`. Raises
    NotFound."""
    found = nearest_drivers({order_id: limit}, radius_km=radius_km, without=[OfferStatus.DECLINED])
    if order_id not in found:
        raise NotFound
    return found[order_id]


@dataclass(frozen=True, slots=True)
class FeedState:
    """What a heartbeat answers: enough for the app to notice that it missed something."""

    #: `(order id, version)` of the orders the driver holds, oldest first.
    active: tuple[tuple[UUID, int], ...]
    open_offers: int


def feed_states(driver_ids: Collection[int]) -> dict[int, FeedState]:
    """The state of many drivers' feeds at once, one entry per id, for the process that gathers heartbeats."""
    active: dict[int, list[tuple[UUID, int]]] = {driver_id: [] for driver_id in driver_ids}
    held = Order.objects.filter(driver_id__in=driver_ids, status__in=sorted(HELD)).order_by("assigned_at", "id")
    for driver_id, order_id, version in held.values_list("driver_id", "id", "version"):
        if driver_id is not None:
            active[driver_id].append((order_id, version))
    counts = dict(
        open_offers()
        .filter(driver_id__in=driver_ids)
        .order_by()
        .values_list("driver_id")
        .annotate(n=Count("*"))
        .values_list("driver_id", "n")
    )
    return {
        driver_id: FeedState(active=tuple(orders), open_offers=counts.get(driver_id, 0))
        for driver_id, orders in active.items()
    }


def open_offers() -> QuerySet[Offer]:
    """Offers that can be accepted right now: a deadline that has passed counts even before the sweep has seen it."""
    return Offer.objects.filter(
        Q(status=OfferStatus.OPEN), Q(order__status=Status.PENDING), order__expires_at__gt=ClockTimestamp()
    )


@dataclass(frozen=True, slots=True)
class Sync:
    """The whole truth for one driver, nearest offers first, oldest held order first."""

    server_time: datetime
    offers: list[Offer]
    active: list[Order]


def sync_driver(*, driver_id: int) -> Sync:
    """Read what the driver's screen should show, under the driver's own row level policies."""
    with as_driver(driver_id) as now:
        offers = open_offers().filter(driver_id=driver_id).select_related("order").order_by("distance_m", "id")
        active = (
            Order.objects.filter(driver_id=driver_id, status__in=sorted(HELD))
            .select_related("contact")
            .order_by("assigned_at", "id")
        )
        return Sync(server_time=now, offers=list(offers), active=list(active))


#: By hand, because a whole crowd asks it at once (dispatch/services/accept.py).
ORDER_OFFERED_SQL = """
SELECT id, status, expired, driver_id, expires_at, assigned_at, cancelled_at, clock_timestamp()
FROM orders_order
WHERE id = %(order)s
  AND EXISTS (SELECT FROM dispatch_offer WHERE order_id = %(order)s AND driver_id = %(driver)s)
  AND NOT EXISTS (
      SELECT FROM dispatch_actionreceipt WHERE driver_id = %(driver)s AND action_id = %(action)s AND %(action)s <> ''
  )
"""


def order_offered_to(*, order_id: UUID, driver_id: int, unless_acted: str = "") -> tuple[Order, datetime] | None:
    """The state and deadlines of an order that was ever offered to the driver, and the database's time; nothing else of it
    is loaded. None if there is no such order or offer, or the driver has carried out the act `unless_acted` before."""
    with connection.cursor() as cursor:
        cursor.execute(ORDER_OFFERED_SQL, {"order": order_id, "driver": driver_id, "action": unless_acted})
        row = cursor.fetchone()
    if row is None:
        return None
    names = ["id", "status", "expired", "driver_id", "expires_at", "assigned_at", "cancelled_at"]
    return Order.from_db("default", names, row[:-1]), row[-1]


def driver_profile(*, driver_id: int) -> tuple[Driver, Presence]:
    """The driver and their presence, as they may see them. Raises NotFound."""
    with as_driver(driver_id):
        presence = Presence.objects.filter(pk=driver_id).select_related("driver").first()
    if presence is None:
        raise NotFound
    return presence.driver, presence


def order_for_driver(*, driver_id: int, order_id: UUID) -> Order:
    """One order as the driver may see it; `contact` is readable only while they hold it. NotFound if it is not theirs."""
    with as_driver(driver_id):
        order = Order.objects.filter(pk=order_id).select_related("contact").first()
    if order is None:
        raise NotFound
    return order
