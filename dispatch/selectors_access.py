"""Reads that say who may have a socket, at its handshake and again while it is open."""

from collections.abc import Collection
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user

from dispatch.errors import NotSignedIn
from drivers.authentication import driver_of_token
from drivers.clock import ClockTimestamp
from drivers.errors import DriverSuspended
from drivers.models import DeviceToken
from drivers.second_factor import Standing, standing
from drivers.tickets import redeem_ticket

#: Who may watch the board: staff with both, because it shows orders and, with where they are, drivers.
BOARD_PERMISSIONS = ("orders.view_order", "drivers.view_driver")


def driver_by_token(*, token: str) -> tuple[int, str]:
    """(driver id, digest of the device token). Raises NotSignedIn, DriverSuspended."""
    found = driver_of_token(token)
    if found is None:
        raise NotSignedIn
    driver, device_token = found
    return driver.pk, device_token.digest


def driver_by_ticket(*, ticket: str) -> tuple[int, str]:
    """(driver id, digest of the device token); the ticket is used up. Raises NotSignedIn, DriverSuspended, Unavailable."""
    found = redeem_ticket(ticket)
    if found is None:
        raise NotSignedIn
    driver_id, digest = found
    match standing_of_devices([digest]).get(digest):
        case None:
            raise NotSignedIn
        case True:
            raise DriverSuspended
        case False:
            return driver_id, digest


def standing_of_devices(digests: Collection[str]) -> dict[str, bool]:
    """Digest → whether the driver is suspended, of those device tokens that are still good."""
    good = DeviceToken.objects.filter(
        digest__in=digests, expiry__gt=ClockTimestamp(), user__is_active=True, user__driver__isnull=False
    )
    return dict(good.order_by().values_list("digest", "user__driver__suspended"))


def dispatcher_by_session(*, session_key: str) -> int:
    """The user id of a signed-in dispatcher. Raises NotSignedIn, also for people without the permissions."""
    return watcher_by_session(session_key=session_key)[0]


def watcher_by_session(*, session_key: str) -> tuple[int, str]:
    """The user id of a signed-in dispatcher, and what others know them by. Raises as `dispatcher_by_session`."""
    sessions: Any = import_module(settings.SESSION_ENGINE)
    # All that get_user looks at is the session: the same checks as for a page of the admin.
    session = sessions.SessionStore(session_key)
    user: Any = get_user(SimpleNamespace(session=session))  # type: ignore[arg-type]
    if not (user.is_active and user.is_staff and user.has_perms(BOARD_PERMISSIONS)):
        raise NotSignedIn
    if standing(user_id=user.pk, session=session) is not Standing.GOOD:
        raise NotSignedIn
    return int(user.pk), user.get_full_name() or user.get_username()
