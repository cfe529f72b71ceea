"""What somebody wants carried: Order, its contact, its append-only history, and the integrators who post orders."""

from typing import ClassVar

import uuid_utils.compat
from django.contrib.gis.db import models
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, OpClass
from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now, Upper
from django.utils.translation import gettext_lazy as _

from drivers.models import Driver, Vehicle
from orders import triggers
from orders.actors import ActorType
from orders.lifecycle import FINAL, HELD, STATUS_CHOICES, Kind, Status


class Scope(models.TextChoices):
    """What an API key may do. `dispatch` is the console's verbs for scripts; it sees every integrator's orders."""

    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    DISPATCH = "dispatch"


class Integrator(models.Model):
    """A shop or another system that posts orders. It sees its own orders and nobody else's."""

    name = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """A secret of an integrator. Shown once, stored as SHA-256: it is 256 random bits, so no salt or slow hash is needed."""

    integrator = models.ForeignKey(Integrator, on_delete=models.PROTECT, related_name="api_keys")
    prefix = models.CharField(max_length=12, unique=True, help_text="The readable start of the key.")
    digest = models.CharField(max_length=64)
    scopes = ArrayField(models.CharField(max_length=20, choices=Scope))
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.integrator})"


class Order(models.Model):
    """One thing to carry. `orders.lifecycle` says what its states mean; `orders.changes` is the only writer."""

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    integrator = models.ForeignKey(Integrator, on_delete=models.PROTECT, null=True, blank=True, related_name="orders")
    reference = models.CharField(max_length=100, blank=True, help_text=_("The sender's own number for it."))

    # WGS 84 (SRID 4326), longitude and latitude.
    pickup = models.PointField(geography=True, srid=4326, spatial_index=False)
    pickup_address = models.CharField(max_length=300, blank=True)
    dropoff = models.PointField(geography=True, srid=4326, spatial_index=False)
    dropoff_address = models.CharField(max_length=300, blank=True)

    vehicle = models.CharField(max_length=16, choices=Vehicle, blank=True, help_text=_("Empty: any vehicle will do."))
    priority = models.SmallIntegerField(default=0, help_text=_("0 to 9; the higher is matched first."))
    payout = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    currency = models.CharField(max_length=3)
    metadata = models.JSONField(default=dict, blank=True)

    status = models.CharField(max_length=12, choices=STATUS_CHOICES, default=Status.PENDING)
    #: Pending, but its time has run out: no driver may take it until a dispatcher re-offers it.
    expired = models.BooleanField(default=False)
    driver = models.ForeignKey(Driver, on_delete=models.PROTECT, null=True, blank=True, related_name="orders")
    #: A person decided over it: while pending it is not auto-assigned, while held the holder was chosen by hand.
    pinned = models.BooleanField(default=False, db_default=False)
    #: Counts the changes; every change has exactly one OrderEvent with the same number.
    version = models.PositiveIntegerField(default=1)

    created_at = models.DateTimeField()
    release_at = models.DateTimeField(help_text=_("Offered from then on."))
    auto_assign_at = models.DateTimeField(help_text=_("Assigned by the system from then on."))
    expires_at = models.DateTimeField(help_text=_("Nobody may take it any more from then on."))
    #: When the present round was first offered to somebody; empty again after a release or a re-offer.
    offered_at = models.DateTimeField(null=True)
    assigned_at = models.DateTimeField(null=True)
    picked_up_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=sorted(Status)), name="order_status_known"),
            models.CheckConstraint(
                condition=Q(status=Status.PENDING, driver__isnull=True)
                | Q(status__in=sorted({*HELD, Status.DELIVERED, Status.FAILED}), driver__isnull=False)
                | Q(status=Status.CANCELLED),
                name="order_has_driver_when_held",
            ),
            models.CheckConstraint(
                condition=Q(expired=False) | Q(status=Status.PENDING), name="order_expired_only_pending"
            ),
            models.CheckConstraint(
                condition=(Q(status=Status.PENDING, assigned_at__isnull=True) | ~Q(status=Status.PENDING))
                & (~Q(status__in=sorted(HELD)) | Q(assigned_at__isnull=False))
                & (~Q(status=Status.PICKED_UP) | Q(picked_up_at__isnull=False)),
                name="order_state_has_its_time",
            ),
            models.CheckConstraint(
                condition=(Q(delivered_at__isnull=False) | ~Q(status=Status.DELIVERED))
                & (Q(delivered_at__isnull=True) | Q(status=Status.DELIVERED))
                & (Q(cancelled_at__isnull=False) | ~Q(status=Status.CANCELLED))
                & (Q(cancelled_at__isnull=True) | Q(status=Status.CANCELLED))
                & (Q(failed_at__isnull=False) | ~Q(status=Status.FAILED))
                & (Q(failed_at__isnull=True) | Q(status=Status.FAILED)),
                name="order_final_has_its_time",
            ),
            models.CheckConstraint(
                condition=Q(release_at__lte=models.F("auto_assign_at")) & Q(release_at__lt=models.F("expires_at")),
                name="order_deadlines_in_order",
            ),
            models.CheckConstraint(condition=Q(payout__gte=0), name="order_payout_not_negative"),
            models.CheckConstraint(condition=Q(priority__gte=0, priority__lte=9), name="order_priority_0_to_9"),
            models.CheckConstraint(
                condition=Q(vehicle="") | Q(vehicle__in=Vehicle.values), name="order_vehicle_known_or_any"
            ),
        ]
        indexes = [
            # The sweeps: what is due now.
            models.Index(
                fields=["auto_assign_at"], condition=Q(status="pending", expired=False), name="order_due_auto_assign"
            ),
            models.Index(fields=["expires_at"], condition=Q(status="pending", expired=False), name="order_due_expiry"),
            models.Index(fields=["release_at"], condition=Q(status="pending", expired=False), name="order_on_offer"),
            # A driver's load, and the answer to every heartbeat.
            models.Index(fields=["driver"], condition=Q(status__in=sorted(HELD)), name="order_held_by"),
            # Lists, newest first: a driver's history, an integrator's orders, the console by status.
            models.Index(fields=["driver", "-created_at", "-id"], name="order_by_driver"),
            models.Index(fields=["integrator", "-created_at", "-id"], name="order_by_integrator"),
            models.Index(fields=["status", "-created_at", "-id"], name="order_by_status"),
            models.Index(fields=["-created_at", "-id"], name="order_newest_first"),
            # The shift report: what was released in a range of time, for a few pages of index and next to nothing per write.
            # multi: a handful of orders for next week does not widen the range of the pages they are on.
            BrinIndex(
                OpClass("release_at", name="timestamptz_minmax_multi_ops"),
                name="order_by_release",
                pages_per_range=16,
                autosummarize=True,
            ),
            models.Index(fields=["reference"], name="order_by_reference"),
            # The back office's search, as it is typed: any case, any collation, from the start.
            models.Index(OpClass(Upper("reference"), name="text_pattern_ops"), name="order_by_reference_start"),
        ]
        triggers = triggers.ORDER_TRIGGERS
        permissions = [("dispatch_order", "Can offer, assign, release, extend and cancel orders")]

    def __str__(self) -> str:
        return self.reference or str(self.id)

    @property
    def is_held(self) -> bool:
        return self.status in HELD

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


class OrderContact(models.Model):
    """The customer. A table of its own because only the driver who holds the order may read it (row level security)."""

    order = models.OneToOneField(Order, on_delete=models.PROTECT, primary_key=True, related_name="contact")
    name = models.CharField(max_length=100)
    phone = models.CharField(max_length=32)
    notes = models.CharField(max_length=1000, blank=True)
    #: What the driver wrote when handing over. It may name the receiver, so it is here and not in the history.
    proof_note = models.CharField(max_length=300, blank=True, db_default="", editable=False)
    #: Who took it, as the driver wrote it down.
    recipient = models.CharField(max_length=100, blank=True, db_default="", editable=False)
    #: There is a PIN that whoever receives it must say (DeliveryPin). The driver may know that, not which.
    has_pin = models.BooleanField(db_default=False, default=False, editable=False)

    def __str__(self) -> str:
        # Never the name: this text ends up in logs and admin history.
        return f"contact of order {self.order_id}"


class DeliveryPin(models.Model):
    """What the receiver must say to be handed the order. A table of its own because no driver may read it, not even while
    holding the order. Erased with the contact."""

    contact = models.OneToOneField(OrderContact, on_delete=models.CASCADE, primary_key=True, related_name="pin")
    digits = models.CharField(max_length=8)

    def __str__(self) -> str:
        return f"PIN of order {self.contact_id}"


class ProofKind(models.TextChoices):
    PHOTO = "photo"
    SIGNATURE = "signature"


class DeliveryProof(models.Model):
    """A picture that a driver took at the door. The row is written after its file (orders/proofs.py); both are erased with
    the contact. No driver may read it."""

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="proofs")
    driver = models.ForeignKey(Driver, on_delete=models.PROTECT, related_name="+", db_index=False)
    #: The app's own name for it: the same one again keeps nothing more.
    action_id = models.CharField(max_length=64)
    kind = models.CharField(max_length=9, choices=ProofKind)
    #: Below MEDIA_ROOT; says nothing about the order.
    file = models.CharField(max_length=80, unique=True)
    media_type = models.CharField(max_length=20)
    #: Of the picture as it is kept, pixels.
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    #: By the device's clock; for explanation only.
    taken_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["driver", "action_id"], name="one_proof_per_action"),
            models.CheckConstraint(condition=Q(kind__in=ProofKind.values), name="proof_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of order {self.order_id}"


class ContactAccess(models.Model):
    """Somebody on the staff looked at a contact or a picture. Append-only, and kept when those are erased."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="+")
    actor_type = models.CharField(max_length=12, choices=[(t.value, t.value) for t in ActorType])
    actor_id = models.CharField(max_length=40)
    actor_name = models.CharField(max_length=100)
    #: Through which door: `admin` or `api`; `proof`: a picture, in the admin.
    via = models.CharField(max_length=12)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "contact accesses"
        triggers = triggers.ACCESS_TRIGGERS

    def __str__(self) -> str:
        return f"{self.actor_name} at {self.at}"


class OrderEvent(models.Model):
    """Append-only history, written with the change it tells of. `(order, version)` is unique, so every change has exactly
    one event and two writers can never both win."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="events", db_index=False)
    version = models.PositiveIntegerField()
    kind = models.CharField(max_length=20, choices=[(kind.value, kind.value) for kind in Kind])
    at = models.DateTimeField(db_default=Now())
    actor_type = models.CharField(max_length=12, choices=[(t.value, t.value) for t in ActorType])
    actor_id = models.CharField(max_length=40, blank=True)
    actor_name = models.CharField(max_length=100, blank=True)
    data = models.JSONField(default=dict, blank=True)
    #: The writing transaction (xid8): `GET events/` stops short of transactions that are still running, so that an event
    #: that commits late is never overtaken and lost to a reader who polls.
    txid = models.BigIntegerField(db_default=RawSQL("(pg_current_xact_id()::text::bigint)", ()), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["order", "version"], name="one_event_per_order_version")]
        indexes = [models.Index(fields=["txid", "id"], name="order_event_feed")]
        triggers = triggers.EVENT_TRIGGERS

    def __str__(self) -> str:
        return f"{self.kind} v{self.version}"


class SavedPlace(models.Model):
    """A place that dispatchers know by name: a shop, a depot. Chosen in the form for a new order."""

    name = models.CharField(max_length=100, unique=True)
    #: WGS 84 (SRID 4326), longitude and latitude.
    point = models.PointField(geography=True, srid=4326, spatial_index=False)
    address = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class IdempotencyKey(models.Model):
    """An `Idempotency-Key` that created an order: the same key again answers with that order, written with it."""

    #: Who used it: `integrator:3` or `user:7`.
    owner = models.CharField(max_length=60)
    key = models.CharField(max_length=200)
    #: SHA-256 of the request, so that the key cannot be reused for something else.
    fingerprint = models.CharField(max_length=64)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="one_order_per_idempotency_key")]

    def __str__(self) -> str:
        return f"{self.owner} {self.key}"
