"""Who is calling, for drivers: knox device tokens, in one query."""

from typing import Any

from django.contrib.auth.models import User
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from drivers.errors import DriverSuspended
from drivers.models import DeviceToken, Driver
from drivers.rows import prepared

#: API keys of integrators start like this (orders.services.KEY_MARK); everything else is taken for a driver's token.
OTHER_MARK = "bk_"


#: By hand, because it runs at every request: the ORM takes four times as long to build it as PostgreSQL to answer it.
DRIVER_SQL = """
SELECT token.digest, token.user_id, token.expiry, token.device,
       account.username, account.is_active,
       driver.id, driver.user_id, driver.name, driver.phone, driver.vehicle, driver.capacity, driver.suspended
FROM drivers_devicetoken token
JOIN auth_user account ON account.id = token.user_id
JOIN drivers_driver driver ON driver.user_id = token.user_id
WHERE token.digest = %s AND token.expiry > clock_timestamp() AND account.is_active
"""


def driver_of_token(token: str) -> tuple[Driver, DeviceToken] | None:
    """Whose token it is, in one query; None if it is unknown, expired or its user was deactivated.

    Looked up by its SHA-512 digest, so how long that takes says nothing about any token. Raises DriverSuspended.
    """
    if not token.isascii() or not token.isalnum():
        return None
    with prepared() as cursor:
        cursor.execute(DRIVER_SQL, [hash_token(token)])
        row = cursor.fetchone()
    if row is None:
        return None
    device_token = DeviceToken.from_db("default", ["digest", "user_id", "expiry", "device"], row[:4])
    user = User.from_db("default", ["id", "username", "is_active"], [row[1], *row[4:6]])
    driver = Driver.from_db("default", ["id", "user_id", "name", "phone", "vehicle", "capacity", "suspended"], row[6:])
    if driver.suspended:
        raise DriverSuspended
    device_token.user = driver.user = user
    user.driver = driver
    return driver, device_token


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
