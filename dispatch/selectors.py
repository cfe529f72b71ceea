"""Reads: who is near an order, and what a driver's screen shows. Nothing here writes or locks."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import (
    BooleanField,
    Case,
    Count,
    IntegerField,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    When,
)
from django.db.models.functions import Coalesce

from dispatch.models import REFUSED, Message, Offer, OfferStatus
from dispatch.nearest import Candidate, nearest_drivers
from drivers.access import as_driver
from drivers.clock import ClockTimestamp
from drivers.errors import NotFound
from drivers.models import Driver, Presence
from drivers.rows import Rows, array_of, prepared
from orders.lifecycle import HELD, Status
from orders.models import Order, OrderContact
from orders.months import SettledBefore, first_id

#: Messages that a driver's screen shows at most.
MESSAGES_SHOWN = 50


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
    """The drivers within `radius_km` of the pickup who could take the order: live, with room and the right vehicle, not
    having declined it and not relieved of it. Nearest first by geodesics on the WGS 84 spheroid, ties by driver id; at most
    `limit`. Raises NotFound."""
    found = nearest_drivers({order_id: limit}, radius_km=radius_km, without=REFUSED)
    if order_id not in found:
        raise NotFound
    return found[order_id]


@dataclass(frozen=True, slots=True)
class FeedState:
    """What a heartbeat answers: enough for the app to notice that it missed something."""

    #: `(order id, version)` of the orders the driver holds, oldest first.
    active: tuple[tuple[UUID, int], ...]
    open_offers: int


NOTHING_IN_IT = FeedState((), 0)

#: By hand, because each batch of heartbeats asks them: thousands of ids are one array, not as many parameters.
FEEDS_SQL = """
SELECT driver_id, id, version FROM orders_order
WHERE driver_id = ANY(%s::bigint[]) AND status IN ('assigned', 'picked_up') ORDER BY assigned_at, id
"""
OPEN_OFFERS_SQL = """
SELECT offer.driver_id, count(*) FROM dispatch_offer offer JOIN orders_order offered ON offered.id = offer.order_id
WHERE offer.driver_id = ANY(%s::bigint[]) AND offer.order_id >= baton_settled_before() AND offer.status = 'open'
  AND offered.status = 'pending' AND offered.expires_at > clock_timestamp()
GROUP BY offer.driver_id
"""


def feed_states(driver_ids: Collection[int]) -> dict[int, FeedState]:
    """The state of many drivers' feeds at once, one entry per id, for the process that gathers heartbeats."""
    array = array_of(driver_ids)
    active: dict[int, list[tuple[UUID, int]]] = {}
    with prepared() as cursor:
        cursor.execute(FEEDS_SQL, [array])
        for driver_id, order_id, version in cursor.fetchall():
            active.setdefault(driver_id, []).append((order_id, version))
        cursor.execute(OPEN_OFFERS_SQL, [array])
        counts = dict(cursor.fetchall())
    states = dict.fromkeys(driver_ids, NOTHING_IN_IT)
    for driver_id in active.keys() | counts.keys():
        states[driver_id] = FeedState(tuple(active.get(driver_id, ())), counts.get(driver_id, 0))
    return states


def open_offers() -> QuerySet[Offer]:
    """Offers that can be accepted right now: a deadline that has passed counts even before the sweep has seen it."""
    return Offer.objects.filter(
        Q(status=OfferStatus.OPEN),
        Q(order__status=Status.PENDING),
        order_id__gte=SettledBefore(),
        order__expires_at__gt=ClockTimestamp(),
    )


@dataclass(frozen=True, slots=True)
class Sync:
    """The whole truth for one driver, nearest offers first, oldest held order first."""

    server_time: datetime
    offers: list[Offer]
    active: list[Order]
    #: What dispatchers wrote and the driver has not read, oldest first; the latest MESSAGES_SHOWN.
    messages: list[Message]


def _columns(model: type[Model], *, besides: Collection[str] = ()) -> tuple[str, ...]:
    """As `from_db` wants them: the columns of the model's fields in their order."""
    return tuple(field.attname for field in model._meta.concrete_fields if field.attname not in besides)


#: Columns of an order that no driver sees are not read.
ORDER_COLUMNS = _columns(Order, besides={"integrator_id", "metadata"})
OFFER_COLUMNS, CONTACT_COLUMNS, MESSAGE_COLUMNS = _columns(Offer), _columns(OrderContact), _columns(Message)
#: What `baton_driver_sync` shows (migration dispatch 0011). The time is there even when nothing else is.
SYNC_SQL = "SELECT statement_timestamp(), {} FROM (SELECT) always LEFT JOIN LATERAL {} mine ON true".format(
    ", ".join(
        [f"(mine.offer).{name}" for name in OFFER_COLUMNS]
        + [f"(mine.carried).{name}" for name in ORDER_COLUMNS]
        + [f"(mine.contact).{name}" for name in CONTACT_COLUMNS]
        + [f"(mine.message).{name}" for name in MESSAGE_COLUMNS]
    ),
    "baton_driver_sync(%s)",
)


def sync_driver(*, driver_id: int) -> Sync:
    """Read what the driver's screen should show, under the driver's own row level policies: at one moment, and in one
    round trip, because every driver asks it at once when a network comes back."""
    with prepared() as cursor:
        cursor.execute(SYNC_SQL, [driver_id])
        rows = cursor.fetchall()
    offers, active, messages = [], [], []
    for _, *row in rows:
        of_offer, of_order, of_contact, of_message = _split(row)
        if of_message[0] is not None:
            messages.append(Message.from_db("default", MESSAGE_COLUMNS, of_message))
        if of_order[0] is None:
            continue
        order = Order.from_db("default", ORDER_COLUMNS, of_order)
        shown = OrderContact.from_db("default", CONTACT_COLUMNS, of_contact) if of_contact[0] else None
        # Also when there is none: whoever asks the order for it later would ask without the driver's policies.
        Order._meta.get_field("contact").set_cached_value(order, shown)
        if of_offer[0] is None:
            active.append(order)
        else:
            offer = Offer.from_db("default", OFFER_COLUMNS, of_offer)
            offer.order = order
            offers.append(offer)
    offers.sort(key=lambda offer: (offer.distance_m, offer.pk))
    active.sort(key=lambda order: (order.assigned_at, order.pk))
    messages.sort(key=lambda message: message.pk)
    return Sync(server_time=rows[0][0], offers=offers, active=active, messages=messages)


def _split(row: list[Any]) -> list[list[Any]]:
    parts, start = [], 0
    for columns in (OFFER_COLUMNS, ORDER_COLUMNS, CONTACT_COLUMNS, MESSAGE_COLUMNS):
        parts.append(row[start : start + len(columns)])
        start += len(columns)
    return parts


#: An order of today was made at most so long ago: bounds what is looked through (orders.services, FARTHEST_RELEASE).
OLDEST_ORDER = timedelta(days=100)


@dataclass(frozen=True, slots=True)
class Figures:
    """A driver's day so far."""

    date: date
    delivered: int
    failed: int
    released: int
    #: (currency, amount) of what was delivered.
    payouts: list[tuple[str, Decimal]]


def figures_of(*, driver_id: int, minutes_east: int = 0) -> Figures:
    """Today by the database's clock, in a zone so many minutes east of UTC; under the driver's own policies."""
    with as_driver(driver_id) as now:
        local = now.astimezone(timezone(timedelta(minutes=minutes_east)))
        start = local.replace(hour=0, minute=0, second=0, microsecond=0)
        mine = Order.objects.filter(driver_id=driver_id, created_at__gte=start - OLDEST_ORDER).order_by()
        delivered = mine.filter(delivered_at__gte=start, status=Status.DELIVERED)
        sums = list(delivered.values_list("currency").annotate(n=Count("*"), amount=Sum("payout")).order_by("currency"))
        failed = mine.filter(failed_at__gte=start, status=Status.FAILED).count()
        given_back = Offer.objects.filter(
            driver_id=driver_id,
            order_id__gte=first_id(start - OLDEST_ORDER),
            offered_at__gte=start - OLDEST_ORDER,
            closed_reason="released",
            closed_at__gte=start,
        )
        return Figures(
            date=start.date(),
            delivered=sum(count for _, count, _ in sums),
            failed=failed,
            released=given_back.count(),
            payouts=[(currency, amount) for currency, _, amount in sums],
        )


#: By hand, because a whole crowd asks it at once (dispatch/services/accept.py).
SIGHT_SQL = """
SELECT EXISTS (SELECT FROM dispatch_offer WHERE order_id = %(order)s AND driver_id = %(driver)s),
       %(action)s <> '' AND EXISTS (
           SELECT FROM dispatch_actionreceipt WHERE driver_id = %(driver)s AND action_id = %(action)s
       ),
       clock_timestamp(), id, status, expired, driver_id, expires_at, assigned_at, cancelled_at
FROM orders_order WHERE id = %(order)s
"""


class Sight(NamedTuple):
    """One look at an order that a driver wants to accept, at one moment and without a lock."""

    #: It is or once was in the driver's feed.
    is_offered: bool
    #: The driver has carried out an act of this name before, whatever it was.
    has_acted: bool
    #: The database's time.
    now: datetime
    #: State and deadlines; nothing else of it is loaded.
    order: Order


def sight_of_order(*, order_id: UUID, driver_id: int, action_id: str = "") -> Sight | None:
    """What there is to know before the order is locked for the driver; None if there is no such order."""
    with prepared() as cursor:
        cursor.execute(SIGHT_SQL, {"order": order_id, "driver": driver_id, "action": action_id})
        row = cursor.fetchone()
    if row is None:
        return None
    names = ["id", "status", "expired", "driver_id", "expires_at", "assigned_at", "cancelled_at"]
    is_offered, has_acted, now, *loaded = row
    return Sight(is_offered, has_acted, now, Order.from_db("default", names, loaded))


def driver_profile(*, driver_id: int) -> tuple[Driver, Presence]:
    """The driver and their presence, as they may see them. Raises NotFound."""
    with as_driver(driver_id):
        presence = Presence.objects.filter(pk=driver_id).select_related("driver").first()
    if presence is None:
        raise NotFound
    return presence.driver, presence


ORDERS, CONTACTS = Rows(Order), Rows(OrderContact)
#: One statement with a kept plan (migration dispatch 0016), because the answer to every act of a driver is read by it.
ORDER_SQL = "SELECT {}, {} FROM {} row".format(
    ORDERS.columns.replace("row.", "(row.carried)."),
    CONTACTS.columns.replace("row.", "(row.contact)."),
    "baton_driver_order(%s, %s)",
)


def order_for_driver(*, driver_id: int, order_id: UUID) -> Order:
    """One order under the driver's own policies; `contact` is readable only while they hold it. NotFound if it is not
    theirs."""
    with prepared() as cursor:
        cursor.execute(ORDER_SQL, [driver_id, order_id])
        found = cursor.fetchone()
    if found is None:
        raise NotFound
    order, of_contact = ORDERS.of(found[: len(ORDERS.names)]), found[len(ORDERS.names) :]
    # Also when there is none: whoever asks the order for it later would ask without the driver's policies.
    contact = CONTACTS.of(of_contact) if of_contact[0] else None
    Order._meta.get_field("contact").set_cached_value(order, contact)
    return order


def messages_of_driver(*, driver_id: int) -> list[Message]:
    """The latest MESSAGES_SHOWN to the driver, newest first, as they may see them."""
    with as_driver(driver_id):
        return list(Message.objects.filter(driver_id=driver_id).order_by("-pk")[:MESSAGES_SHOWN])
