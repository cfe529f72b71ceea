"""Offering orders to nearby drivers, and closing offers. `offer_orders` is both a step of creating and a sweep."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, QuerySet

from dispatch import live
from dispatch.locks import lock_available_offers, lock_available_orders, lock_order
from dispatch.models import Offer, OfferStatus
from dispatch.selectors import Candidate, nearby_drivers_of
from drivers.clock import ClockTimestamp, database_now
from orders import changes
from orders.actors import SYSTEM, Actor
from orders.errors import OrderNotPending
from orders.lifecycle import Kind, Status
from orders.models import Order
from orders.services import check_version

#: Orders looked at per run of the sweep: bounds how long one tick takes.
OFFER_BATCH = 40


def orders_on_offer() -> QuerySet[Order]:
    """Pending orders whose time has come and has not run out, by the database's clock."""
    return Order.objects.filter(
        status=Status.PENDING, expired=False, release_at__lte=ClockTimestamp(), expires_at__gt=ClockTimestamp()
    )


def offer_orders(*, order_ids: Sequence[UUID] | None = None, after: UUID | None = None) -> UUID | None:
    """Offer pending orders to the nearest eligible drivers who do not have them in their feed yet.

    With `order_ids` those orders, otherwise the next OFFER_BATCH ones after `after` by id, and the id to go on from is
    returned (None: start again). Safe to run at any time, any number of times: it only adds what is missing. Candidates
    are looked up without a lock; each order is locked only if there is somebody new to offer it to, and skipped if
    somebody else is busy with it.
    """
    orders = orders_on_offer()
    if order_ids is not None:
        batch = list(orders.filter(pk__in=order_ids))
        resume = None
    else:
        if after is not None:
            orders = orders.filter(pk__gt=after)
        batch = list(orders.order_by("pk")[:OFFER_BATCH])
        resume = batch[-1].pk if len(batch) == OFFER_BATCH else None
    open_to = _open_counts(batch)
    for order in batch:
        wanted = settings.OFFER_FANOUT - open_to.get(order.pk, 0)
        if wanted <= 0:
            continue
        already = set(Offer.objects.filter(order=order, status=OfferStatus.OPEN).values_list("driver_id", flat=True))
        nearest = nearby_drivers_of(
            order, radius_km=settings.OFFER_RADIUS_KM, limit=settings.OFFER_FANOUT + len(already)
        )
        if missing := [candidate for candidate in nearest if candidate.driver_id not in already][:wanted]:
            with transaction.atomic():
                for locked in lock_available_orders(orders_on_offer().filter(pk=order.pk)):
                    make_offers(locked, missing)
    return resume


def _open_counts(orders: Sequence[Order]) -> dict[UUID, int]:
    open_offers = Offer.objects.filter(order__in=orders, status=OfferStatus.OPEN).order_by()
    return dict(open_offers.values_list("order_id").annotate(n=Count("*")).values_list("order_id", "n"))


def offer_to_nearby(order: Order) -> int:
    """Offer a locked, pending order to the nearest drivers if its time has come; how many got it."""
    now = database_now()
    if order.release_at > now or order.expires_at <= now or order.expired:
        return 0
    nearest = nearby_drivers_of(order, radius_km=settings.OFFER_RADIUS_KM, limit=settings.OFFER_FANOUT)
    return make_offers(order, nearest) if nearest else 0


def make_offers(order: Order, candidates: Sequence[Candidate]) -> int:
    """Put a locked, pending order into the feeds of the candidates and announce it; how many are new.

    The first offers of a round are a change of the order (event `order.offered`); drivers who turn up later only get
    their row, because that changes nothing for anybody who watches the order.
    """
    if order.offered_at is None:
        data = {"drivers": len(candidates), "nearest_m": round(candidates[0].distance_m)}
        now = database_now()
        event = changes.change(order, Kind.OFFERED, SYSTEM, data=data, at=now, offered_at=now)
        live.order_changed(order, event)
    return _insert_offers(order, {candidate.driver_id: candidate.distance_m for candidate in candidates})


def _insert_offers(order: Order, distances: Mapping[int, float]) -> int:
    now = database_now()
    again = Offer.objects.filter(order=order, driver_id__in=distances, status=OfferStatus.LAPSED)
    reopened = set(again.values_list("driver_id", flat=True))
    for offer in lock_lapsed(again):
        Offer.objects.filter(pk=offer.pk, status=OfferStatus.LAPSED).update(
            status=OfferStatus.OPEN,
            distance_m=distances[offer.driver_id],
            offered_at=now,
            delivered_at=None,
            seen_at=None,
            answered_at=None,
            closed_at=None,
            closed_reason="",
        )
    known = set(Offer.objects.filter(order=order, driver_id__in=distances).values_list("driver_id", flat=True))
    fresh = [driver_id for driver_id in distances if driver_id not in known]
    Offer.objects.bulk_create(
        [
            Offer(order=order, driver_id=driver_id, distance_m=distances[driver_id], offered_at=now)
            for driver_id in fresh
        ],
        ignore_conflicts=True,
    )
    told = {driver_id: distances[driver_id] for driver_id in (*fresh, *sorted(reopened))}
    if told:
        live.offers_made(order, told)
    return len(told)


def lock_lapsed(offers: QuerySet[Offer]) -> list[Offer]:
    """The lapsed offers of a locked order: nobody else reopens them, so there is nothing to wait for."""
    return list(offers.order_by("pk").select_for_update(no_key=True, of=("self",)))


def close_offers_of_order(order: Order, reason: str, *, now: datetime, holder_id: int | None = None) -> None:
    """The order left the market: every open offer lapses. `holder_id`, who now holds it, needs no telling."""
    closed = Offer.objects.filter(order=order, status=OfferStatus.OPEN)
    driver_ids = sorted(closed.values_list("driver_id", flat=True))
    if not driver_ids:
        return
    closed.update(status=OfferStatus.LAPSED, closed_at=now, closed_reason=reason)
    live.offers_closed(order.pk, order.version, [d for d in driver_ids if d != holder_id], reason)


def close_offers_of_driver(driver_id: int, reason: str, *, now: datetime) -> None:
    """The driver left the market (no room, off duty, suspended): their open offers lapse.

    Offers of other orders are not ours to wait for (dispatch/locks.py, rule 3): one that is locked right now is being
    closed or answered by somebody else, and the check under the lock decides whatever is left.
    """
    offers = lock_available_offers(Offer.objects.filter(driver_id=driver_id))
    Offer.objects.filter(pk__in=[offer.pk for offer in offers], status=OfferStatus.OPEN).update(
        status=OfferStatus.LAPSED, closed_at=now, closed_reason=reason
    )
    for offer in offers:
        live.offers_closed(offer.order_id, offer.order.version, [driver_id], reason)


def reoffer_order(*, order_id: UUID, actor: Actor, seconds: int | None = None, version: int | None = None) -> Order:
    """Give a pending order a new round: no longer expired, new deadlines counted from now, offered at once.

    Drivers who declined it stay left out. Raises NotFound, VersionConflict, OrderNotPending.
    """
    with transaction.atomic(durable=True):
        order = lock_order(order_id)
        check_version(order, version)
        reopen(order, actor=actor, seconds=seconds)
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
