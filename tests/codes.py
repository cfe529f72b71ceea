"""What an authenticator app does: reads the key off the page and shows codes."""

import base64
import re
import time
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests import cast, staff

PAGE = "/admin/second-factor/"
SIGN_IN = "/admin/login/"


def shown(user: User, *, steps: int = 0) -> str:
    """What the user's app shows now, or so many half minutes from now."""
    return code_of(TOTPDevice.objects.get(user=user).bin_key, steps=steps)


def code_of(key: bytes, *, steps: int = 0) -> str:
    return f"{totp(key, t0=-30 * steps):06d}"


def key_on(page: Any) -> bytes:
    """The key that the page shows for typing in."""
    found = re.search(r'id="secret">([A-Z2-7 ]+)<', page.content.decode())
    assert found is not None, page.content
    return base64.b32decode(found[1].replace(" ", ""))


def set_up(client: Client) -> list[str]:
    """Through the page, as a person would; the backup codes."""
    key = key_on(client.get(PAGE))
    answer = client.post(PAGE, {"act": "enrol", "code": code_of(key)})
    assert answer.status_code == 200, answer.content
    return re.findall(r"<li><code>([a-z0-9-]+)</code>", answer.content.decode())


def sign_in(client: Client, user: User, code: str = "", **more: Any) -> Any:
    form = {"username": user.username, "password": cast.PASSWORD, "code": code, "next": "/admin/"}
    return client.post(SIGN_IN, {**form, **more})


def much_later(user: User) -> None:
    """The codes of before, and the waits after wrong ones, are of the past."""
    steps = int(time.time()) // 30
    TOTPDevice.objects.filter(user=user).update(last_t=steps - 10, throttling_failure_timestamp=None)


def enrolled(user: User) -> list[str]:
    """With a second factor, whose codes so far are used; the backup codes."""
    backup = set_up(staff.signed_in(user))
    much_later(user)
    return backup
