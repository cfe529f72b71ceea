"""Signing in a driver's device."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from axes.helpers import get_cool_off
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.http import HttpRequest

from drivers.clock import ClockTimestamp
from drivers.errors import DriverSuspended, SignInRefused, Throttled
from drivers.limits import Limit, network_of
from drivers.models import DeviceToken, Driver

#: Refused sign-ins from one address, drivers' and staff's, whatever the names: against one common password tried on
#: everybody. A depot behind one address never comes near it. One name from one address is django-axes' business
#: (settings.AXES_FAILURE_LIMIT), in the database: that holds when Redis is away, so here a stricter limit is closed enough.
REFUSALS_PER_ADDRESS = Limit("refused-sign-ins", per_second=0.5, burst=100, fail_closed=True)


@dataclass(frozen=True, slots=True)
class SignedIn:
    driver: Driver
    #: Shown this once; only its digest is stored.
    token: str
    expires_at: datetime


def spend_attempt(request: HttpRequest) -> None:
    """Before the password is looked at, so that attempts at the same moment all count. Raises Throttled."""
    if wait := REFUSALS_PER_ADDRESS.spend(address_of(request)):
        raise Throttled(retry_after=ceil(wait))


def give_attempt_back(request: HttpRequest) -> None:
    """The password was right: only refusals count."""
    REFUSALS_PER_ADDRESS.give_back(address_of(request))


def address_of(request: HttpRequest) -> str:
    """As the server saw it: it believes X-Forwarded-For only of proxies that it was told of (BATON_TRUSTED_PROXIES)."""
    return network_of(request.META.get("REMOTE_ADDR", ""))


def sign_in(*, request: HttpRequest, username: str, password: str, device: str = "") -> SignedIn:
    """Check the password and register the device.

    Takes the request because django-axes counts refusals per user name and address, from the request it is given. Raises
    SignInRefused (the same for a wrong name, a wrong password and a user who is no driver), Throttled, DriverSuspended.
    """
    spend_attempt(request)
    # As Django does when it stores one, so that every way of typing a letter is the same letter.
    username = unicodedata.normalize("NFKC", username)
    try:
        user = authenticate(request=request, username=username, password=password)
        driver = Driver.objects.filter(user=user).first() if user is not None else None
    except Exception:
        # Nobody was refused; the database was away.
        give_attempt_back(request)
        raise
    if user is None or driver is None:
        if getattr(request, "axes_locked_out", False):
            cool_off = get_cool_off(request)
            raise Throttled(retry_after=ceil(cool_off.total_seconds()) if cool_off else None)
        raise SignInRefused
    give_attempt_back(request)
    if driver.suspended:
        raise DriverSuspended
    # Tells django-axes that the count starts again, and notes `last_login`.
    user_logged_in.send(sender=User, request=request, user=user)
    with transaction.atomic(durable=True):
        # Once more under a lock: whoever changes the password or closes the account now also finds this device.
        unchanged = User.objects.filter(pk=user.pk, password=user.password, is_active=True)
        if not unchanged.select_for_update(no_key=True, of=("self",)).values_list("pk"):
            raise SignInRefused
        DeviceToken.objects.filter(user=user, expiry__lte=ClockTimestamp()).delete()
        device_token, token = DeviceToken.objects.create(user=user, device=device)
    return SignedIn(driver=driver, token=token, expires_at=device_token.expiry)
