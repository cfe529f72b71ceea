"""Offering orders to nearby drivers, and closing offers. `offer_orders` is both a step of creating and a sweep."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, QuerySet

from dispatch import live
from dispatch.locks import lock_available_orders, lock_order
from dispatch.models import REFUSED, Offer, OfferStatus
from dispatch.nearest import Candidate, FreeDrivers, near_among, nearest_drivers
from dispatch.selectors import nearby_drivers
from dispatch.services.batches import together
from dispatch.services.closing import close_offers_of_order
from dispatch.services.push import push_later
from drivers.clock import ClockTimestamp, database_now
from orders import changes
from orders.actors import SYSTEM, Actor
from orders.errors import OrderNotPending
from orders.lifecycle import Kind, Status
from orders.models import Order
from orders.services import check_version

#: Orders looked at, and offers made, in one run of the sweep: bound how long one tick takes.
OFFER_BATCH = 500
OFFERS_AT_ONCE = 2000


def orders_on_offer() -> QuerySet[Order]:
    """Pending orders whose time has come and has not run out, by the database's clock."""
    return Order.objects.filter(
        status=Status.PENDING, expired=False, release_at__lte=ClockTimestamp(), expires_at__gt=ClockTimestamp()
    )


def offer_orders(*, order_ids: Sequence[UUID] | None = None, after: UUID | None = None) -> UUID | None:
    """Offer pending orders to the nearest eligible drivers who do not have them in their feed yet.

    With `order_ids` those orders, otherwise the next ones after `after` by id, and the id to go on from is returned
    (None: start again). Safe to run at any time, any number of times: it only adds what is missing. Candidates are
    looked up without a lock; an order is locked only if there is somebody new to offer it to, and skipped if somebody
    else is busy with it.
    """
    orders = orders_on_offer().order_by("pk")
    if order_ids is not None:
        batch = list(orders.filter(pk__in=order_ids).values_list("pk", flat=True))
    else:
        on_from = orders.filter(pk__gt=after) if after is not None else orders
        batch = list(on_from.values_list("pk", flat=True)[:OFFER_BATCH])
    open_to = _open_counts(batch)
    wanted = {pk: count for pk in batch if (count := settings.OFFER_FANOUT - open_to.get(pk, 0)) > 0}
    looked_up_to, all_done = _offer_missing(wanted, bounded=order_ids is None)
    if order_ids is not None:
        return None
    if not all_done:
        return looked_up_to
    return batch[-1] if len(batch) == OFFER_BATCH else None


def _offer_missing(wanted: Mapping[UUID, int], *, bounded: bool) -> tuple[UUID | None, bool]:
    """Offer each order to so many more drivers; bounded: until OFFERS_AT_ONCE are made. How far it came, and whether that
    is all."""
    free = FreeDrivers()
    budget = OFFERS_AT_ONCE
    rest = list(wanted)
    done: UUID | None = None
    while rest and (budget > 0 or not bounded):
        # As many orders at a time as could use up the budget.
        totals = accumulate(wanted[pk] for pk in rest)
        count = next((n for n, total in enumerate(totals, 1) if total >= budget), len(rest))
        budget -= _offer_to_nearest({pk: wanted[pk] for pk in rest[:count]}, free)
        done, rest = rest[count - 1], rest[count:]
    return done, not rest


def _offer_to_nearest(wanted: Mapping[UUID, int], free: FreeDrivers) -> int:
    """How many drivers were found for the orders, all together."""
    nearest = nearest_drivers(
        wanted,
        radius_km=settings.OFFER_RADIUS_KM,
        without=[OfferStatus.OPEN, *REFUSED],
        free=free,
    )
    missing = {pk: candidates for pk, candidates in nearest.items() if candidates}
    together(lambda ids: _offer(ids, missing), sorted(missing))
    return sum(map(len, missing.values()))


def _offer(order_ids: Sequence[UUID], candidates: Mapping[UUID, Sequence[Candidate]]) -> None:
    with transaction.atomic(durable=True):
        orders = lock_available_orders(orders_on_offer().filter(pk__in=order_ids).order_by("pk"))
        make_offers([(order, candidates[order.pk]) for order in orders])


def _open_counts(orders: Sequence[UUID]) -> dict[UUID, int]:
    open_offers = Offer.objects.filter(order__in=orders, status=OfferStatus.OPEN).order_by()
    return dict(open_offers.values_list("order_id").annotate(n=Count("*")).values_list("order_id", "n"))


def offer_to_nearby(order: Order) -> int:
    """Offer a locked, pending order to the nearest drivers if its time has come; how many got it."""
    now = database_now()
    if order.release_at > now or order.expires_at <= now or order.expired:
        return 0
    nearest = nearby_drivers(order_id=order.pk, radius_km=settings.OFFER_RADIUS_KM, limit=settings.OFFER_FANOUT)
    return make_offers([(order, nearest)]) if nearest else 0


def make_offers(to: Sequence[tuple[Order, Sequence[Candidate]]]) -> int:
    """Put locked, pending orders into the feeds of their candidates and announce it; how many offers are new.

    The first offers of a round are a change of the order (event `order.offered`); drivers who turn up later only get
    their row, because that changes nothing for anybody who watches the order.
    """
    now = database_now()
    first = {order: candidates for order, candidates in to if order.offered_at is None}
    data = {o.pk: {"drivers": len(found), "nearest_m": round(found[0].distance_m)} for o, found in first.items()}
    events = changes.change_all(list(first), Kind.OFFERED, SYSTEM, data=data, at=now, offered_at=now)
    for order, event in zip(first, events, strict=True):
        live.order_changed(order, event)
    told = _open_offers({order.pk: {c.driver_id: c.distance_m for c in candidates} for order, candidates in to}, now)
    for order, _ in to:
        if distances := told.get(order.pk):
            live.offers_made(order, distances)
    push_later(told)
    return sum(len(distances) for distances in told.values())


#: An offer that was declined, or is open already, stays as it is. A lapsed one that is being closed this very moment is
#: waited for: whoever closes it (dispatch/locks.py, rule 3) waits for nobody.
OPEN_OFFERS = """
INSERT INTO dispatch_offer AS offer (order_id, driver_id, distance_m, status, offered_at, closed_reason)
SELECT order_id, driver_id, distance_m, 'open', %(now)s, ''
FROM unnest(%(orders)s::uuid[], %(drivers)s::bigint[], %(distances)s::float8[]) AS t (order_id, driver_id, distance_m)
ON CONFLICT (order_id, driver_id) DO UPDATE SET
    status = 'open', distance_m = excluded.distance_m, offered_at = excluded.offered_at, delivered_at = NULL,
    seen_at = NULL, answered_at = NULL, closed_at = NULL, closed_reason = ''
    WHERE offer.status = 'lapsed'
RETURNING order_id, driver_id, distance_m
"""


def _open_offers(distances: Mapping[UUID, Mapping[int, float]], now: datetime) -> dict[UUID, dict[int, float]]:
    """Order id → driver id → metres, as given; returns those that were not open before."""
    rows = sorted((order, driver, metres) for order, given in distances.items() for driver, metres in given.items())
    if not rows:
        return {}
    orders, drivers, metres = zip(*rows, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            OPEN_OFFERS, {"now": now, "orders": list(orders), "drivers": list(drivers), "distances": list(metres)}
        )
        opened: dict[UUID, dict[int, float]] = {}
        for order_id, driver_id, distance_m in cursor.fetchall():
            opened.setdefault(order_id, {})[driver_id] = distance_m
    return opened


#: What a driver's card shows of an order, and what decides who may see it.
ON_THE_CARD = {"pickup", "pickup_address", "dropoff", "payout", "currency", "expires_at"}
WHO_IS_NEAR = {"pickup", "vehicle"}


def revise_offers(order: Order, changed: Collection[str], *, now: datetime) -> None:
    """A locked, pending order was corrected: whoever is no longer near or suitable loses the card (`order_corrected`), and
    everybody when it is to be offered later; the others see it as it is now. `changed` are the names of its fields."""
    if "release_at" in changed and order.release_at > now:
        close_offers_of_order(order, "order_corrected", now=now)
        return
    if not ON_THE_CARD.union(WHO_IS_NEAR).intersection(changed):
        return
    shown = dict(
        Offer.objects.filter(order=order, status=OfferStatus.OPEN)
        .order_by("driver_id")
        .values_list("driver_id", "distance_m")
    )
    if WHO_IS_NEAR.intersection(changed) and shown:
        still = near_among(shown, order_id=order.pk, radius_km=settings.OFFER_RADIUS_KM)
        near = {candidate.driver_id: candidate.distance_m for candidate in still}
        gone = sorted(shown.keys() - near.keys())
        Offer.objects.filter(order=order, driver_id__in=gone, status=OfferStatus.OPEN).update(
            status=OfferStatus.LAPSED, closed_at=now, closed_reason="order_corrected"
        )
        live.offers_closed(order.pk, order.version, gone, "order_corrected")
        shown = {driver_id: near[driver_id] for driver_id in shown if driver_id in near}
        with connection.cursor() as cursor:
            cursor.execute(MOVE_OFFERS, {"order": order.pk, "drivers": list(shown), "distances": list(shown.values())})
    if shown:
        live.offers_made(order, shown)


MOVE_OFFERS = """
UPDATE dispatch_offer AS offer SET distance_m = t.distance_m
FROM unnest(%(drivers)s::bigint[], %(distances)s::float8[]) AS t (driver_id, distance_m)
WHERE offer.order_id = %(order)s AND offer.driver_id = t.driver_id AND offer.status = 'open'
"""


def reoffer_order(*, order_id: UUID, actor: Actor, seconds: int | None = None, version: int | None = None) -> Order:
    """Give a pending order a new round: no longer expired, new deadlines counted from now, offered at once.

    Drivers who declined it stay left out. Raises NotFound, VersionConflict, OrderNotPending.
    """
    with transaction.atomic(durable=True):
        order = lock_order(order_id)
        check_version(order, version)
        reopen(order, actor=actor, seconds=seconds)
        revise_offers(order, {"expires_at"}, now=database_now())
        offer_to_nearby(order)
    return order


def reopen(order: Order, *, actor: Actor, seconds: int | None = None) -> None:
    """The change itself, on a locked order: a new round of `seconds` (default EXPIRE_AFTER_SECONDS)."""
    if order.status != Status.PENDING:
        raise OrderNotPending(status=order.status)
    now = database_now()
    lasts = settings.EXPIRE_AFTER_SECONDS if seconds is None else seconds
    expires_at = now + timedelta(seconds=lasts)
    fields = {
        "expired": False,
        "offered_at": None,
        "release_at": min(order.release_at, now),
        "auto_assign_at": min(now + timedelta(seconds=settings.AUTO_ASSIGN_AFTER_SECONDS), expires_at),
        "expires_at": expires_at,
    }
    event = changes.change(
        order, Kind.REOFFERED, actor, data={"seconds": lasts, "was_expired": order.expired}, at=now, **fields
    )
    live.order_changed(order, event)
