"""Writes to what somebody wants carried, without drivers: creating and correcting. Each requires a transaction; the verbs
that doors call are in dispatch/services."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.gis.geos import Point
from django.db import transaction

from drivers.clock import database_now
from drivers.errors import Invalid, NotFound
from orders import changes
from orders.actors import Actor
from orders.errors import IdempotencyMismatch, OrderNotPending, VersionConflict
from orders.lifecycle import Kind, Status
from orders.models import ApiKey, DeliveryPin, IdempotencyKey, Integrator, Order, OrderContact, OrderEvent, Scope

#: Deadlines beyond this are a mistake of the sender.
FARTHEST_RELEASE = timedelta(days=90)
LONGEST_OFFER = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Place:
    """Degrees, WGS 84 (SRID 4326)."""

    lat: float
    lng: float
    address: str = ""

    @property
    def point(self) -> Point:
        return Point(self.lng, self.lat, srid=4326)


@dataclass(frozen=True, slots=True)
class Contact:
    name: str
    phone: str
    notes: str = ""
    #: 4 to 8 digits that the receiver must say; '': none; None: as it is.
    pin: str | None = None


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a sender says of an order; None: the default."""

    pickup: Place
    dropoff: Place
    contact: Contact
    reference: str = ""
    vehicle: str = ""
    priority: int = 0
    payout: Decimal = Decimal(0)
    currency: str = ""
    release_at: datetime | None = None
    auto_assign_at: datetime | None = None
    expires_at: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def create_order(*, new: NewOrder, actor: Actor, integrator_id: int | None = None) -> tuple[Order, OrderEvent]:
    """Write a pending order, its contact and its first event. Raises Invalid for deadlines that make no sense."""
    now = database_now()
    release_at = new.release_at or now
    order = Order(
        integrator_id=integrator_id,
        reference=new.reference,
        pickup=new.pickup.point,
        pickup_address=new.pickup.address,
        dropoff=new.dropoff.point,
        dropoff_address=new.dropoff.address,
        vehicle=new.vehicle,
        priority=new.priority,
        payout=new.payout,
        currency=new.currency or settings.DEFAULT_CURRENCY,
        metadata=new.metadata,
        created_at=now,
        release_at=release_at,
        **_deadlines(release_at, new.auto_assign_at, new.expires_at),
    )
    check_deadlines(order, now=now)
    order.save(force_insert=True)
    given = new.contact
    contact = OrderContact.objects.create(
        order=order, name=given.name, phone=given.phone, notes=given.notes, has_pin=bool(given.pin)
    )
    if given.pin:
        DeliveryPin.objects.create(contact=contact, digits=given.pin)
    facts = {"reference": order.reference, "expires_at": order.expires_at.isoformat()}
    event = changes.record(order, Kind.CREATED, actor, facts, at=now)
    return order, event


def _deadlines(
    release_at: datetime, auto_assign_at: datetime | None, expires_at: datetime | None
) -> dict[str, datetime]:
    """Defaults for the deadlines that were not given, never past one that was."""
    if expires_at is None:
        expires_at = max(release_at, auto_assign_at or release_at) + timedelta(seconds=settings.EXPIRE_AFTER_SECONDS)
    if auto_assign_at is None:
        auto_assign_at = min(release_at + timedelta(seconds=settings.AUTO_ASSIGN_AFTER_SECONDS), expires_at)
    return {"auto_assign_at": auto_assign_at, "expires_at": expires_at}


def check_deadlines(order: Order, *, now: datetime) -> None:
    """Raises Invalid, naming the field, when the deadlines of an order contradict each other or are absurd."""
    if order.release_at > now + FARTHEST_RELEASE:
        raise Invalid(release_at=f"May be at most {FARTHEST_RELEASE.days} days from now.")
    if order.expires_at <= order.release_at:
        raise Invalid(expires_at="Must be later than release_at.")
    if order.expires_at <= now:
        raise Invalid(expires_at="Must be in the future.")
    if order.expires_at > max(order.release_at, now) + LONGEST_OFFER:
        raise Invalid(expires_at=f"May be at most {LONGEST_OFFER.days} days after release_at.")
    if order.auto_assign_at < order.release_at:
        raise Invalid(auto_assign_at="Must not be earlier than release_at.")


def correct_order(
    *, order: Order, corrections: dict[str, Any], contact: Contact | None, actor: Actor
) -> OrderEvent | None:
    """Change details of a locked, pending order; `corrections` are model fields. None if nothing is different.

    Raises OrderNotPending, Invalid.
    """
    if order.status != Status.PENDING:
        raise OrderNotPending(status=order.status)
    changed = {name: value for name, value in corrections.items() if getattr(order, name) != value}
    contact_changed = contact is not None and _correct_contact(order, contact)
    if not changed and not contact_changed:
        return None
    preview = Order(**{name: getattr(order, name) for name in ("release_at", "auto_assign_at", "expires_at")})
    for name in changed.keys() & {"release_at", "auto_assign_at", "expires_at"}:
        setattr(preview, name, changed[name])
    if changed.keys() & {"release_at", "auto_assign_at", "expires_at"}:
        check_deadlines(preview, now=database_now())
    # The history names what changed; values of the contact never leave its own table.
    names = sorted(changed) + (["contact"] if contact_changed else [])
    return changes.change(order, Kind.CORRECTED, actor, data={"fields": names}, **changed)


def _correct_contact(order: Order, contact: Contact) -> bool:
    """Whether anything is different now."""
    contacts = OrderContact.objects.filter(order=order)
    different = contacts.exclude(name=contact.name, phone=contact.phone, notes=contact.notes)
    changed = bool(different.update(name=contact.name, phone=contact.phone, notes=contact.notes))
    if contact.pin is None:
        return changed
    pins = DeliveryPin.objects.filter(contact=order.pk)
    if not contact.pin:
        removed, _ = pins.delete()
        contacts.update(has_pin=False)
        return changed or bool(removed)
    if pins.filter(digits=contact.pin).exists() or not contacts.update(has_pin=True):
        return changed
    DeliveryPin.objects.update_or_create(contact_id=order.pk, defaults={"digits": contact.pin})
    return True


def check_version(order: Order, version: int | None) -> None:
    """Raises VersionConflict when the asker looked at another version than the locked one."""
    if version is not None and version != order.version:
        raise VersionConflict(version=order.version, status=order.status)


def find_by_key(*, owner: str, key: str, fingerprint: str) -> Order | None:
    """The order that this Idempotency-Key created. Raises IdempotencyMismatch if it came with another request."""
    used = IdempotencyKey.objects.filter(owner=owner, key=key).select_related("order").first()
    if used is None:
        return None
    if used.fingerprint != fingerprint:
        raise IdempotencyMismatch
    return used.order


def remember_key(*, owner: str, key: str, fingerprint: str, order: Order) -> None:
    """Bind the key to the order, in the order's own transaction. IntegrityError if somebody else just used the key."""
    IdempotencyKey.objects.create(owner=owner, key=key, fingerprint=fingerprint, order=order)


KEY_MARK = "bk_"


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def create_api_key(*, name: str, scopes: list[str]) -> tuple[ApiKey, str]:
    """A new key for the integrator of that name, which is created if there is none. The secret is returned once and stored
    only as its digest. Raises Invalid for an unknown scope or an impossible name."""
    if not 1 <= len(name) <= 100:
        raise Invalid(name="Must have from 1 to 100 characters.")
    if unknown := sorted(set(scopes) - set(Scope.values)) or (not scopes and ["(none)"]):
        raise Invalid(scopes=f"Unknown scope {', '.join(unknown)}; choose from {', '.join(Scope.values)}.")
    with transaction.atomic():
        integrator, _ = Integrator.objects.get_or_create(name=name)
        secret = KEY_MARK + secrets.token_urlsafe(32)
        key = ApiKey.objects.create(
            integrator=integrator, prefix=secret[:11], digest=digest_of(secret), scopes=sorted(set(scopes))
        )
    return key, secret


def revoke_api_key(*, key_id: int) -> ApiKey:
    """From now on nobody is let in by this key; revoking again changes nothing. Raises NotFound."""
    with transaction.atomic():
        ApiKey.objects.filter(pk=key_id, revoked_at=None).update(revoked_at=database_now())
        key = ApiKey.objects.filter(pk=key_id).first()
    if key is None:
        raise NotFound
    return key
