"""Setting up, renewing and removing a second factor. What a session is good for may change with it, so the user's open
boards are looked at again (`live.staff_changed`)."""

import secrets

from django.contrib.auth.models import User
from django.db import transaction
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from dispatch import live
from drivers.errors import Invalid, NotFound
from drivers.second_factor import app_of, check_code, digest_of

BACKUP_CODES = 10
#: 50 random bits each. No letter or digit that is easily taken for another.
CODE_LENGTH, ALPHABET = 10, "abcdefghjkmnpqrstuvwxyz23456789"


def enrol_second_factor(*, user_id: int, key: str, code: str) -> tuple[TOTPDevice, list[str]]:
    """Believe the app that holds this key (hexadecimal), as it shows the right code: from now on the user signs in with it.

    Returns the app and new backup codes, which are shown this once. Raises Invalid, NotFound.
    """
    with transaction.atomic(durable=True):
        _lock(user_id)
        if app_of(user_id) is not None:
            raise Invalid(code="There is a second factor already; remove it first.")
        app = TOTPDevice.objects.create(user_id=user_id, key=key, name="app", confirmed=True)
        if not app.verify_token("".join(code.split())):
            raise Invalid(code="That is not what the app should show now. Is the phone's clock right?")
        codes = _new_codes(user_id)
        live.staff_changed(user_id)
    return app, codes


def renew_backup_codes(*, user_id: int, code: str) -> list[str]:
    """Ten new ones instead of whatever is left of the old. Raises Invalid, Throttled."""
    check_code(user_id=user_id, code=code)
    with transaction.atomic(durable=True):
        _lock(user_id)
        return _new_codes(user_id)


def backup_codes_left(*, user_id: int) -> int:
    left: int = StaticToken.objects.filter(device__user=user_id).count()
    return left


def give_up_second_factor(*, user_id: int, code: str) -> None:
    """By its owner, who still has it. Raises Invalid, Throttled."""
    check_code(user_id=user_id, code=code)
    remove_second_factor(user_id=user_id)


def remove_second_factor(*, user_id: int) -> bool:
    """The app and the backup codes are no longer good: the phone is lost. True if there was one. Raises NotFound."""
    with transaction.atomic(durable=True):
        _lock(user_id)
        StaticDevice.objects.filter(user=user_id).delete()
        removed, _ = TOTPDevice.objects.filter(user=user_id).delete()
        live.staff_changed(user_id)
    return bool(removed)


def unlock_second_factor(*, user_id: int) -> None:
    """Look at the next code at once, however many were wrong. Raises NotFound."""
    with transaction.atomic(durable=True):
        _lock(user_id)
        for model in (TOTPDevice, StaticDevice):
            model.objects.filter(user=user_id).update(throttling_failure_count=0, throttling_failure_timestamp=None)


def _lock(user_id: int) -> None:
    if not User.objects.select_for_update(no_key=True, of=("self",)).filter(pk=user_id).values_list("pk"):
        raise NotFound


def _new_codes(user_id: int) -> list[str]:
    device, _ = StaticDevice.objects.get_or_create(user_id=user_id, defaults={"name": "backup codes"})
    device.token_set.all().delete()
    codes = ["".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH)) for _ in range(BACKUP_CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=digest_of(code)) for code in codes)
    half = CODE_LENGTH // 2
    return [f"{code[:half]}-{code[half:]}" for code in codes]
