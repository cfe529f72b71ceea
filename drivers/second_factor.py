"""The staff's second factor: an app that shows a new code every half minute (TOTP), and backup codes for when it is lost.

A session says by which device it was opened. Every door that believes a session asks `standing`: the admin, REST and the
board's socket.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum, auto
from math import ceil
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.crypto import salted_hmac
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from drivers.clock import database_now
from drivers.errors import Invalid, Throttled

#: BATON_SECOND_FACTOR: nobody is asked; whoever has set one up is asked; nobody on the staff gets in without one.
OFF, OPTIONAL, REQUIRED = RULES = ("off", "optional", "required")
#: After each wrong code the next try waits twice as long: 1 s, 2 s … up to 2 ** (this - 1) s, eight minutes and a half.
#: Without an end somebody who knows the password could shut the owner out for years.
COUNTED_FAILURES = 10
DIGITS = 6


class Standing(Enum):
    """What a session of a member of staff is good for."""

    GOOD = auto()
    #: They have a second factor, and this session has not shown it.
    CODE_MISSING = auto()
    #: They have none, and need one.
    NOT_ENROLLED = auto()


def is_offered() -> bool:
    return bool(settings.SECOND_FACTOR != OFF)


def app_of(user_id: int) -> TOTPDevice | None:
    """The app that the user has set up, if they have: one at most."""
    return TOTPDevice.objects.filter(user=user_id, confirmed=True).order_by("pk").first()


def is_asked(user_id: int) -> bool:
    """Whether this user signs in with a code."""
    return is_offered() and app_of(user_id) is not None


def standing(*, user_id: int, session: Mapping[str, Any]) -> Standing:
    """Of a session that is this user's. One query; none while nobody is asked."""
    if not is_offered():
        return Standing.GOOD
    app = app_of(user_id)
    if app is None:
        return Standing.NOT_ENROLLED if settings.SECOND_FACTOR == REQUIRED else Standing.GOOD
    return Standing.GOOD if session.get(DEVICE_ID_SESSION_KEY) == app.persistent_id else Standing.CODE_MISSING


def check_code(*, user_id: int, code: str) -> TOTPDevice:
    """The user's app, if `code` is what it shows now or one of the backup codes; either is good once.

    Attempts at the same moment take turns, and each wrong one makes the next wait longer. Raises Invalid, Throttled.
    """
    typed = normalized(code)
    with transaction.atomic():
        app = _locked(TOTPDevice, user_id)
        is_app_code = len(typed) == DIGITS and typed.isascii() and typed.isdecimal()
        device = app if is_app_code else _locked(StaticDevice, user_id)
        wait = _wait(device)
        right = not wait and device is not None and device.verify_token(typed if is_app_code else digest_of(typed))
        if device is not None and device.throttling_failure_count > COUNTED_FAILURES:
            device.throttling_failure_count = COUNTED_FAILURES
            device.save(update_fields=["throttling_failure_count"])
    # Outside, so that a wrong one stays counted.
    if wait:
        raise Throttled(retry_after=wait)
    if not right or app is None:
        raise Invalid(code="That code is wrong, or was used before.")
    return app


def normalized(code: str) -> str:
    """As people type it: with spaces, dashes, capitals."""
    return "".join(code.split()).replace("-", "").lower()


def digest_of(backup_code: str) -> str:
    """What is stored of a backup code: 80 bits of a keyed digest, so the table alone signs nobody in."""
    return salted_hmac("baton.backup-code", backup_code, algorithm="sha256").hexdigest()[:16]


def _locked(model: Any, user_id: int) -> Any:
    devices = model.objects.select_for_update(no_key=True, of=("self",)).filter(user=user_id, confirmed=True)
    return devices.order_by("pk").first()


def _wait(device: Any) -> int:
    """Seconds until the device looks at a code again."""
    allowed, why = device.verify_is_allowed() if device is not None else (True, None)
    until: datetime | None = (why or {}).get("locked_until")
    if allowed or until is None:
        return 0
    return max(1, ceil((until - database_now()).total_seconds()))
