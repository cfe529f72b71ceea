"""Taking back an act by hand: for ten seconds, by whoever did it, and only while nothing has happened since.

What is needed for it is a row that is written with the act, so it survives a restart and works in any process. A
cancelled order cannot be brought back (the state is final, and the sender has been told): that act asks for a reason
instead.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from dispatch import live
from dispatch.errors import UndoTooLate
from dispatch.locks import check_capacity, lock_driver, lock_order
from dispatch.models import REFUSED, Offer, OfferStatus, Undo
from dispatch.services.accept import hand_over
from dispatch.services.carry import fresh_deadlines, give_back
from dispatch.services.closing import close_offers_of_order
from dispatch.services.offers import offer_to_nearby, reopen
from drivers.clock import database_now
from drivers.errors import DriverSuspended, NotFound
from orders import changes
from orders.actors import Actor
from orders.errors import VersionConflict
from orders.lifecycle import Kind, Status
from orders.models import Order, OrderEvent

UNDO_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Before:
    """What an act by hand is about to change, read under the order's lock."""

    at: datetime
    holder_id: int | None
    pinned: bool
    expired: bool
    auto_assign_at: datetime
    expires_at: datetime
    #: What the chosen driver's offer was if they had refused it; else empty.
    refusal: str

    @classmethod
    def of(cls, order: Order, chosen_id: int | None) -> "Before":
        """The locked order as it is; `chosen_id` is who is about to get it."""
        refused = Offer.objects.filter(order=order, driver_id=chosen_id, status__in=REFUSED) if chosen_id else None
        now = database_now()
        return cls(
            at=now,
            holder_id=order.driver_id,
            pinned=order.pinned,
            expired=order.expired or (order.status == Status.PENDING and order.expires_at <= now),
            auto_assign_at=order.auto_assign_at,
            expires_at=order.expires_at,
            refusal=(refused.values_list("status", flat=True).first() or "") if refused is not None else "",
        )


def remember(verb: str, order: Order, before: Before, *, actor: Actor) -> Undo:
    """Write, in the act's own transaction, what it takes to undo it."""
    return Undo.objects.create(
        order=order,
        version=order.version,
        verb=verb,
        actor_type=actor.type,
        actor_id=actor.id,
        holder_id=before.holder_id,
        pinned=before.pinned,
        expired=before.expired,
        auto_assign_at=before.auto_assign_at,
        expires_at=before.expires_at,
        refusal=before.refusal,
        done_at=before.at,
        until=database_now() + timedelta(seconds=UNDO_SECONDS),
    )


def undo_of(*, order: Order, actor: Actor) -> Undo | None:
    """The way back from the act that this person has just done and that left the order in this version."""
    return Undo.objects.filter(
        order=order, version=order.version, actor_type=actor.type, actor_id=actor.id, undone_at=None
    ).first()


def order_of_undo(*, undo_id: UUID) -> UUID | None:
    """Which order an undo is about."""
    return Undo.objects.filter(pk=undo_id).values_list("order_id", flat=True).first()


def undo_act(*, undo_id: UUID, actor: Actor) -> Order:
    """Restore who held the order before the act: the earlier holder, or nobody, with the time it had left then.

    Raises NotFound (also when somebody else did it), UndoTooLate, VersionConflict (something has happened to the order
    since), DriverAtCapacity or DriverSuspended (the earlier holder cannot have it back), Busy.
    """
    with transaction.atomic(durable=True):
        mine = Undo.objects.filter(pk=undo_id, actor_type=actor.type, actor_id=actor.id)
        order_id = mine.values_list("order_id", flat=True).first()
        if order_id is None:
            raise NotFound
        order = lock_order(order_id)
        undo = mine.get()
        now = database_now()
        if undo.undone_at is not None or undo.until < now:
            raise UndoTooLate
        if _has_moved_on(order, undo):
            raise VersionConflict(version=order.version, status=order.status)
        _restore(order, undo, actor=actor, now=now)
        Undo.objects.filter(pk=undo_id, undone_at=None).update(undone_at=now)
    return order


def _has_moved_on(order: Order, undo: Undo) -> bool:
    """That the system has offered a returned order to drivers meanwhile does not count: nobody has decided anything."""
    since = OrderEvent.objects.filter(order=order, version__gt=undo.version)
    return since.exclude(kind=Kind.OFFERED).exists()


def _restore(order: Order, undo: Undo, *, actor: Actor, now: datetime) -> None:
    if order.status == Status.ASSIGNED:
        # The time that it was held does not count.
        held = now - undo.done_at
        had = {"auto_assign_at": undo.auto_assign_at + held, "expires_at": undo.expires_at + held}
        give_back(
            order,
            actor=actor,
            data={"reason": "undone", "undo": undo.verb},
            now=now,
            reason="undone",
            offer=OfferStatus(undo.refusal) if undo.refusal else OfferStatus.LAPSED,
            deadlines=fresh_deadlines(order, now=now) if undo.expired else had,
            pinned=undo.pinned and undo.holder_id is None,
        )
    if undo.holder_id is not None:
        _give_again(order, undo.holder_id, undo, actor=actor)
    elif undo.expired:
        _expire_again(order, actor=actor)
    else:
        offer_to_nearby(order)


def _give_again(order: Order, holder_id: int, undo: Undo, *, actor: Actor) -> None:
    """To the earlier holder: that they are off duty by now makes no difference, it did not when they held it."""
    driver = lock_driver(holder_id)
    if driver.suspended:
        raise DriverSuspended
    check_capacity(driver)
    if order.expired or order.expires_at <= database_now():
        reopen(order, actor=actor)
    now = database_now()
    Offer.objects.filter(order=order, driver=driver, status=OfferStatus.BARRED).update(
        status=OfferStatus.LAPSED, closed_at=now, closed_reason="order_taken"
    )
    hand_over(order, driver, actor=actor, data={"how": "undo", "undo": undo.verb}, now=now, pinned=undo.pinned)


def _expire_again(order: Order, *, actor: Actor) -> None:
    now = database_now()
    event = changes.change(order, Kind.EXPIRED, actor, data={"offered": False, "undo": True}, at=now, expired=True)
    close_offers_of_order(order, "order_expired", now=now)
    live.order_changed(order, event)
