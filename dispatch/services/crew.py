"""Who the drivers are: taking them on, correcting their details, and their signed-in devices."""

from collections.abc import Collection
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, transaction

from dispatch import live
from dispatch.locks import load_of, lock_driver
from dispatch.services.closing import close_offers_of_driver
from drivers import services as drivers
from drivers.clock import database_now
from drivers.errors import Invalid, NotFound
from drivers.models import DeviceToken, Driver, Vehicle
from orders.changes import constraint_name

#: What of a user decides whether they may sign in.
SIGN_IN_FIELDS = {"password", "is_active", "is_staff", "is_superuser"}


def register_driver(
    *, username: str, password: str, name: str, phone: str = "", vehicle: Vehicle = Vehicle.CAR, capacity: int = 1
) -> Driver:
    """A new driver and the user they sign in as, off duty. Raises Invalid: a user name that is taken, a weak password."""
    _check_password(password, User(username=username))
    try:
        with transaction.atomic(durable=True):
            driver = drivers.create_driver(
                username=username, password=password, name=name, phone=phone, vehicle=vehicle, capacity=capacity
            )
            live.driver_changed(driver.pk)
    except IntegrityError as error:
        if constraint_name(error) != "auth_user_username_key":
            raise
        raise Invalid(username="Somebody else signs in by that name.") from error
    return driver


def correct_driver(
    *,
    driver_id: int,
    name: str | None = None,
    phone: str | None = None,
    vehicle: Vehicle | None = None,
    capacity: int | None = None,
) -> Driver:
    """Change a driver's details; None leaves one as it is. What they hold or were offered stays theirs.

    Raises NotFound, Invalid: a capacity below the orders they hold now.
    """
    given = {"name": name, "phone": phone, "vehicle": vehicle, "capacity": capacity}
    with transaction.atomic(durable=True):
        driver = lock_driver(driver_id)
        changed = {field: value for field, value in given.items() if value not in (None, getattr(driver, field))}
        if not changed:
            return driver
        for field, value in changed.items():
            setattr(driver, field, value)
        try:
            with transaction.atomic():
                driver.save(update_fields=sorted(changed))
        except DatabaseError as error:
            # The trigger decides; the count is only for the sentence.
            if constraint_name(error) != "driver_capacity_covers_load":
                raise
            held = load_of(driver_id)
            raise Invalid(capacity=f"They hold {held} orders now; unassign some first, or choose {held}.") from error
        live.driver_changed(driver_id)
    return driver


def set_driver_password(*, driver_id: int, password: str) -> int:
    """A new password; whoever knew the old one is signed out, and the driver is off duty. How many devices were.

    Raises NotFound, Invalid.
    """
    with transaction.atomic(durable=True):
        user = User.objects.select_for_update(no_key=True, of=("self",)).filter(driver=driver_id).first()
        if user is None:
            raise NotFound
        _check_password(password, user)
        devices: int = DeviceToken.objects.filter(user=user).count()
        user.set_password(password)
        # account_saved signs them out.
        user.save(update_fields=["password"])
        return devices


def account_saved(instance: User, *, created: bool, raw: bool, update_fields: Collection[str] | None, **_: Any) -> None:
    """Hears of every user that is saved, by whatever door: this back office, Django's own pages, `manage.py
    changepassword`. With a new password, with none, or switched off, nobody stays signed in on the old terms.

    A password that is merely hashed anew at a sign-in is not a new one. The user's row is locked before the driver's.
    """
    if created or raw or (update_fields is not None and not SIGN_IN_FIELDS & set(update_fields)):
        return
    with transaction.atomic():
        # Django sets `_password` with a new password, and clears it after the save.
        is_new = getattr(instance, "_password", None) is not None
        has_new_password = is_new or not instance.has_usable_password()
        if has_new_password or not instance.is_active:
            driver = Driver.objects.filter(user=instance.pk).only("pk").first()
            if driver is not None:
                _sign_out_everywhere(lock_driver(driver.pk))
        live.staff_changed(instance.pk)


def sign_out_driver(*, driver_id: int) -> int:
    """As `sign_out`, of all the driver's devices at once. How many there were. Raises NotFound."""
    with transaction.atomic(durable=True):
        return _sign_out_everywhere(lock_driver(driver_id))


def _sign_out_everywhere(driver: Driver) -> int:
    devices: int = DeviceToken.objects.filter(user=driver.user_id).delete()[0]
    drivers.set_duty(driver=driver, is_online=False)
    close_offers_of_driver(driver.pk, "driver_offline", now=database_now())
    live.driver_changed(driver.pk)
    live.driver_signed_out(driver.pk)
    return devices


def _check_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(password=" ".join(error.messages)) from error
