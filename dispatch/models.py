"""The meeting of drivers and orders: offers, the receipts of drivers' acts, and the sweeps' sign of life."""

from uuid import uuid4

import pgtrigger
from django.contrib.gis.db import models
from django.contrib.postgres.fields import ArrayField
from django.db.models import Q
from django.db.models.functions import Now

from drivers.models import Driver
from orders.actors import ActorType
from orders.models import Order


class OfferStatus(models.TextChoices):
    #: In the driver's feed, to be accepted or declined. Entered by `offer_orders`; left by every other state.
    OPEN = "open"
    #: This driver took the order by accepting. At most one per order; left when the order is given back.
    ACCEPTED = "accepted"
    #: The driver said no, or gave the order back after accepting it: never offered it again.
    DECLINED = "declined"
    #: It went away by itself: `closed_reason` says why. May be opened again while the order is pending.
    LAPSED = "lapsed"
    #: A dispatcher took the order from this driver: never offered or auto-assigned to them again. Left only when a
    #: dispatcher gives it to them by hand all the same.
    BARRED = "barred"


#: This driver and this order do not go together: no sweep brings them together again.
REFUSED = (OfferStatus.DECLINED, OfferStatus.BARRED)


class Offer(models.Model):
    """One order in one driver's feed. There is at most one row per order and driver, re-opened when offered again."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="offers", db_index=False)
    driver = models.ForeignKey(Driver, on_delete=models.PROTECT, related_name="offers", db_index=False)
    status = models.CharField(max_length=8, choices=OfferStatus, default=OfferStatus.OPEN)
    #: From the driver to the pickup when offered, metres on the WGS 84 spheroid.
    distance_m = models.FloatField()
    offered_at = models.DateTimeField()
    #: When a socket of the driver took it, and when the app said that it was on screen.
    delivered_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    #: When the driver accepted or declined.
    answered_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    #: Why it is no longer open, in the words of the receipt codes (`order_taken`, `order_expired`, `driver_offline` …).
    closed_reason = models.CharField(max_length=24, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "driver"], name="one_offer_per_order_and_driver"),
            models.UniqueConstraint(
                fields=["order"], condition=Q(status="accepted"), name="one_accepted_offer_per_order"
            ),
            models.CheckConstraint(condition=Q(status__in=OfferStatus.values), name="offer_status_known"),
            models.CheckConstraint(
                condition=Q(status="open", closed_at__isnull=True) | (~Q(status="open") & Q(closed_at__isnull=False)),
                name="offer_closed_has_its_time",
            ),
        ]
        indexes = [
            models.Index(fields=["driver"], condition=Q(status="open"), name="offer_open_by_driver"),
            models.Index(fields=["order"], condition=Q(status="open"), name="offer_open_by_order"),
            models.Index(fields=["driver", "-offered_at"], name="offer_by_driver"),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="offer_refusal_holds",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                condition=pgtrigger.Q(old__status__in=["declined", "barred"])
                & pgtrigger.Q(new__status__in=["open", "accepted"]),
                func="RAISE EXCEPTION 'an offer that was refused is not made again' USING ERRCODE = 'check_violation',"
                " CONSTRAINT = 'offer_refusal_holds', TABLE = 'dispatch_offer'; RETURN NULL;",
            ),
        ]

    def __str__(self) -> str:
        return f"offer {self.pk} ({self.status})"


class Undo(models.Model):
    """The way back from an act by hand: what was so before. Written with the act, good for UNDO_SECONDS, for whoever did it,
    while the order has not moved on (dispatch/services/undo.py)."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="+", db_index=False)
    #: The order's version that the act led to.
    version = models.PositiveIntegerField()
    verb = models.CharField(max_length=16)
    actor_type = models.CharField(max_length=12)
    actor_id = models.CharField(max_length=40)
    #: Who held it; none: nobody.
    holder = models.ForeignKey(Driver, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    pinned = models.BooleanField()
    expired = models.BooleanField()
    auto_assign_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    #: What the offer of the driver who got it was, if they had refused it (declined, barred); else empty.
    refusal = models.CharField(max_length=8, blank=True)
    done_at = models.DateTimeField()
    #: By the database's clock.
    until = models.DateTimeField()
    undone_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["order", "version"], name="one_undo_per_order_version")]

    def __str__(self) -> str:
        return f"undo of {self.verb}"


class Message(models.Model):
    """What a dispatcher wrote to a driver. The driver sees their own (row level security); erased after
    MESSAGE_RETENTION_DAYS."""

    driver = models.ForeignKey(Driver, on_delete=models.PROTECT, related_name="messages", db_index=False)
    text = models.CharField(max_length=500)
    actor_type = models.CharField(max_length=12, choices=[(t.value, t.value) for t in ActorType])
    actor_id = models.CharField(max_length=40)
    actor_name = models.CharField(max_length=100)
    at = models.DateTimeField(db_default=Now())
    #: When the driver said that they have read it.
    read_at = models.DateTimeField(null=True)
    #: The sender's own name for it: sent again with the same one, it is the same message.
    key = models.CharField(max_length=64, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["driver", "actor_id", "actor_type", "key"],
                condition=Q(key__isnull=False),
                name="one_message_per_key",
            )
        ]
        indexes = [
            models.Index(fields=["driver", "-id"], name="message_by_driver"),
            models.Index(fields=["driver"], condition=Q(read_at__isnull=True), name="message_unread_by_driver"),
            models.Index(fields=["at"], name="message_by_age"),
        ]

    def __str__(self) -> str:
        # Never the text: this ends up in logs and admin history.
        return f"message {self.pk} to driver {self.driver_id}"


class Progress(models.Model):
    """How the holder of an order comes along on the way to where they are expected: one row per held order, written every
    few seconds by the sweep `follow_holders` and gone when nobody holds the order any more."""

    order = models.OneToOneField(Order, on_delete=models.CASCADE, primary_key=True, related_name="+")
    driver = models.ForeignKey(Driver, on_delete=models.CASCADE, related_name="+", db_index=False)
    #: The state that the order is in, and so where they are going: assigned, to the pickup; picked_up, to the dropoff.
    status = models.CharField(max_length=12)
    #: When this leg of the way began, and how far it is from its start, metres.
    began_at = models.DateTimeField()
    start_m = models.FloatField(null=True)
    #: Where they have been, within STILL_METRES, since `spot_at`.
    spot = models.PointField(geography=True, srid=4326, null=True, spatial_index=False)
    spot_at = models.DateTimeField(null=True)
    #: The nearest that they came on this leg, metres, and when.
    nearest_m = models.FloatField(null=True)
    nearest_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "progress"

    def __str__(self) -> str:
        return f"progress of order {self.order_id}"


class ActionReceipt(models.Model):
    """A driver's act that was carried out, under the `action_id` that the app gave it. The same id again changes nothing
    and gets the same answer. A refused act leaves no receipt: it changed nothing, so a replay is judged afresh."""

    driver = models.ForeignKey(Driver, on_delete=models.CASCADE, related_name="+", db_index=False)
    action_id = models.CharField(max_length=64)
    verb = models.CharField(max_length=16)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="+", db_index=False)
    #: The order's version that the act led to.
    version = models.PositiveIntegerField()
    #: When the driver tapped, by the device's clock; for explanation only, it decides nothing.
    tapped_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["driver", "action_id"], name="one_receipt_per_action")]

    def __str__(self) -> str:
        return f"{self.verb} {self.action_id}"


class SweepHeartbeat(models.Model):
    """The sweeps' sign of life, one row: who sweeps, since when, and whether somebody stands by. Read by the watchdog in
    `manage.py worker`, by /readyz and by nobody's locks."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    active_at = models.DateTimeField(null=True)
    active_pid = models.IntegerField(null=True)
    standby_at = models.DateTimeField(null=True)
    standby_pid = models.IntegerField(null=True)
    #: How long the last tick took, seconds.
    tick_seconds = models.FloatField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_sweep_heartbeat")]

    def __str__(self) -> str:
        return "sweep heartbeat"


class AuditVerdict(models.Model):
    """What the last kept audit found, one row. Written by `dispatch.audit.keep`, read by /metrics and the front page."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    looked_at = models.DateTimeField()
    #: How long it took.
    seconds = models.FloatField()
    #: The names of the checks that found something; empty: clean.
    broken = ArrayField(models.TextField(), default=list)
    #: In a sentence, with what was looked at.
    verdict = models.TextField()

    class Meta:
        verbose_name = "audit"
        verbose_name_plural = "audit"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_audit_verdict")]

    def __str__(self) -> str:
        return f"audit of {self.looked_at:%Y-%m-%d %H:%M}"


class ForgottenMonth(models.Model):
    """A month of orders whose history and offers are no longer kept (BATON_HISTORY_MONTHS). Written by `baton_forget_month`
    in the transaction that drops them (migration 0014); the orders themselves stay."""

    #: Orders with smaller ids have no history and no offers any more.
    before = models.UUIDField(primary_key=True)
    #: The same in time: that of orders made before this moment is gone.
    made_before = models.DateTimeField()
    events = models.BigIntegerField()
    offers = models.BigIntegerField()
    forgotten_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"history of orders before {self.made_before:%Y-%m-%d}"


class ReportQuarter(models.Model):
    """A quarter of an hour that is settled: all orders released in it are final, and final orders never change again, so
    the shift report reads this row instead of them. Written by `services.settle_quarters` alone."""

    #: Its first moment. Quarters, because no time zone's day or hour begins within one.
    starts_at = models.DateTimeField(primary_key=True)
    #: Orders that were released in it, and how they ended.
    orders = models.PositiveIntegerField()
    delivered = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    cancelled = models.PositiveIntegerField()
    #: Those whose time ran out at least once.
    ran_out = models.PositiveIntegerField()
    #: Drivers who were offered one of them, who saw it, took it, and said no or gave it back.
    offers = models.PositiveIntegerField()
    offers_seen = models.PositiveIntegerField()
    offers_accepted = models.PositiveIntegerField()
    offers_declined = models.PositiveIntegerField()
    #: Whole seconds from release to the (last) assignment and to the delivery, one per order: for exact percentiles.
    to_assign = ArrayField(models.PositiveIntegerField())
    to_deliver = ArrayField(models.PositiveIntegerField())
    settled_at = models.DateTimeField()

    class Meta:
        verbose_name = "shift report"
        verbose_name_plural = "shift report"

    def __str__(self) -> str:
        return f"quarter of an hour from {self.starts_at:%Y-%m-%d %H:%M}"
