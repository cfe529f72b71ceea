"""The meeting of drivers and orders: offers, the receipts of drivers' acts, and the sweeps' sign of life."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from drivers.models import Driver
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

    def __str__(self) -> str:
        return f"offer {self.pk} ({self.status})"


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
