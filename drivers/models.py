"""Who can carry: the person (Driver), where and whether they are (Presence), and their signed-in devices."""

import pgtrigger
from django.conf import settings
from django.contrib.gis.db import models
from django.contrib.postgres.indexes import GistIndex
from knox.models import AbstractAuthToken, AuthTokenManager


class Vehicle(models.TextChoices):
    BICYCLE = "bicycle"
    MOTORBIKE = "motorbike"
    CAR = "car"
    VAN = "van"


class Driver(models.Model):
    """The person. A cold row on purpose: locking it is how capacity is protected (dispatch/locks.py)."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="driver")
    name = models.CharField(max_length=100)
    phone = models.CharField(max_length=32, blank=True)
    vehicle = models.CharField(max_length=16, choices=Vehicle, default=Vehicle.CAR)
    capacity = models.PositiveSmallIntegerField(default=1, help_text="Orders this driver may hold at once.")
    suspended = models.BooleanField(
        default=False, help_text="A suspended driver is offered nothing and cannot sign in."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(capacity__gte=1, capacity__lte=50), name="driver_capacity_1_to_50"
            ),
            models.CheckConstraint(condition=models.Q(vehicle__in=Vehicle.values), name="driver_vehicle_known"),
        ]
        indexes = [models.Index(fields=["name", "id"], name="driver_by_name")]
        permissions = [("duty_driver", "Can put drivers on and off duty")]
        triggers = [
            # Every driver has exactly one Presence, whoever inserted the driver.
            pgtrigger.Trigger(
                name="driver_has_presence",
                operation=pgtrigger.Insert,
                when=pgtrigger.After,
                func="INSERT INTO drivers_presence (driver_id, is_online) VALUES (NEW.id, false); RETURN NEW;",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Presence(models.Model):
    """Where a driver is and whether they are on duty: the hot row, written every few seconds.

    A driver is *live* when `is_online` and `last_seen` is under LIVE_SECONDS old by the database's clock. Nothing but
    `location` is indexed, and only of those on duty, so that a ping that did not move the driver stays a HOT update
    (fillfactor and autovacuum are set in migration 0002) and nobody who went home is in the way of a search.
    """

    driver = models.OneToOneField(Driver, on_delete=models.CASCADE, primary_key=True)
    #: On duty. Set and cleared by the driver or a dispatcher, and cleared by the sweep when the driver falls silent.
    is_online = models.BooleanField(default=False)
    #: When the sweep took a silent driver off duty; the next heartbeat puts them back and clears this.
    silent_since = models.DateTimeField(null=True)
    #: Server time of the last sign of life, with or without a position.
    last_seen = models.DateTimeField(null=True)
    #: WGS 84 (SRID 4326) longitude, latitude.
    location = models.PointField(geography=True, srid=4326, null=True, spatial_index=False)
    accuracy_m = models.FloatField(null=True)
    #: Degrees clockwise from north, 0 to 360.
    heading = models.FloatField(null=True)
    speed_mps = models.FloatField(null=True)
    #: When the device took the position, never later than the server received it.
    recorded_at = models.DateTimeField(null=True)
    #: Server time at which `location` was stored: bounds how long an odd device clock can hold back newer positions.
    located_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "presence"
        indexes = [
            GistIndex(
                fields=["location"],
                condition=models.Q(is_online=True, location__isnull=False),
                name="presence_on_duty_location",
            ),
            # Whom the history of a choice tells of: they are near, but nobody has heard of them.
            GistIndex(
                fields=["location"],
                condition=models.Q(is_online=False, silent_since__isnull=False, location__isnull=False),
                name="presence_silent_location",
            ),
        ]
        triggers = [
            # Whoever changes duty (the driver, a dispatcher, the sweep, the heartbeat that ends a silence) leaves a record.
            # The condition is all that a ping costs.
            pgtrigger.Trigger(
                name="presence_records_duty",
                operation=pgtrigger.Update,
                when=pgtrigger.After,
                condition=pgtrigger.Q(old__is_online__df=pgtrigger.F("new__is_online")),
                func="INSERT INTO drivers_dutychange (driver_id, at, is_online, silent)"
                " VALUES (NEW.driver_id, clock_timestamp(), NEW.is_online, NEW.silent_since IS NOT NULL); RETURN NULL;",
            ),
        ]

    def __str__(self) -> str:
        return f"presence of driver {self.driver_id}"


class DutyChange(models.Model):
    """A driver went on or off duty. Append-only, written by the trigger on Presence; the shift report counts hours by it."""

    driver = models.ForeignKey(Driver, on_delete=models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField()
    is_online = models.BooleanField()
    #: The sweep took them off duty because they were not heard of.
    silent = models.BooleanField(default=False)

    class Meta:
        indexes = [
            # All that the report reads of it is in the index.
            models.Index(fields=["driver", "-at", "-id"], include=["is_online"], name="duty_change_by_driver"),
        ]
        triggers = [
            pgtrigger.Protect(name="duty_change_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"driver {self.driver_id} {'on' if self.is_online else 'off'} duty"


class DeviceToken(AbstractAuthToken):  # type: ignore[misc]  # knox has no types
    """One signed-in device of a driver. Only the digest is stored; deleting the row signs the device out."""

    device = models.CharField(max_length=100, blank=True)

    objects = AuthTokenManager()

    class Meta:
        indexes = [models.Index(fields=["user", "created"], name="device_token_by_user")]

    def __str__(self) -> str:
        return self.device or f"device {self.token_key[:6]}…"


class PushSubscription(models.Model):
    """Where a device can be woken when its app is closed (Web Push). Ends with the device's token: the database itself sees
    to it (migration 0005), by whatever way the token goes."""

    driver = models.ForeignKey(Driver, on_delete=models.CASCADE, related_name="+")
    token = models.ForeignKey(
        DeviceToken, on_delete=models.DO_NOTHING, db_constraint=False, related_name="push_subscriptions"
    )
    #: The push service's own address for this device; whoever knows it and the keys can reach it.
    endpoint = models.CharField(max_length=1000)
    #: The device's public key and the secret that both sides share, base64url (RFC 8291).
    p256dh = models.CharField(max_length=100)
    auth = models.CharField(max_length=40)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["endpoint"], name="one_subscription_per_endpoint")]

    def __str__(self) -> str:
        # Never the endpoint: this text ends up in logs.
        return f"push subscription {self.pk}"
