"""Who is calling, for drivers: knox device tokens, in one query."""

import hmac
from typing import Any

from django.contrib.auth.models import User
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from knox.settings import CONSTANTS
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from drivers.clock import ClockTimestamp
from drivers.errors import DriverSuspended
from drivers.models import DeviceToken, Driver

#: API keys of integrators start like this (orders.services.KEY_MARK); everything else is taken for a driver's token.
OTHER_MARK = "bk_"


def driver_of_token(token: str) -> tuple[Driver, DeviceToken] | None:
    """Whose token it is, in one query; None if it is unknown, expired or its user was deactivated.

    Raises DriverSuspended.
    """
    if not token.isascii() or not token.isalnum():
        return None
    digest = hash_token(token)
    found = (
        DeviceToken.objects.filter(
            token_key=token[: CONSTANTS.TOKEN_KEY_LENGTH],
            expiry__gt=ClockTimestamp(),
            user__is_active=True,
            user__driver__isnull=False,
        )
        .select_related("user__driver")
        .order_by()
    )
    for device_token in found:
        if hmac.compare_digest(digest, device_token.digest):
            driver: Driver = device_token.user.driver
            if driver.suspended:
                raise DriverSuspended
            return driver, device_token
    return None


class DriverAuthentication(TokenAuthentication):  # type: ignore[misc]  # knox has no types
    """`Authorization: Bearer <device token>`. `request.user` is the driver's user, `request.auth` the DeviceToken.

    knox's own class loads and cleans up all of the user's tokens at every request; expired ones go at sign-in here.
    """

    def authenticate(self, request: Request) -> tuple[User, DeviceToken] | None:
        if bearer_token(request).startswith(OTHER_MARK):
            return None
        found: tuple[User, DeviceToken] | None = super().authenticate(request)
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[User, DeviceToken]:
        found = driver_of_token(token.decode("latin-1"))
        if found is None:
            raise AuthenticationFailed("The token is unknown, expired or revoked.")
        driver, device_token = found
        return driver.user, device_token


def bearer_token(request: Request) -> str:
    """What follows `Bearer ` in the Authorization header, '' if there is none."""
    scheme, _, token = str(request.META.get("HTTP_AUTHORIZATION", "")).partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class IsDriver(BasePermission):
    """Lets a signed-in driver through and nobody else."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, DeviceToken)


def driver_of(request: Any) -> Driver:
    """The driver behind a request that IsDriver let through. No query: authentication brought them along."""
    driver: Driver = request.user.driver
    return driver
