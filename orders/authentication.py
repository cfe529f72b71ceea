"""Who is calling, for integrators (API keys) and dispatchers (the admin's session)."""

import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.db.models import Q
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from drivers.authentication import bearer_token
from drivers.clock import ClockTimestamp
from drivers.second_factor import Standing, standing
from orders.models import ApiKey
from orders.services import KEY_MARK, digest_of

#: As many characters of a key as `ApiKey.prefix` keeps.
PREFIX_LENGTH = 11
#: `last_used_at` is for people; it is not worth a write per request.
LAST_USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """`request.user` of a request that came with an API key."""

    key: ApiKey

    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False

    @property
    def pk(self) -> int:
        return self.key.integrator_id

    def has_scope(self, scope: str) -> bool:
        return scope in self.key.scopes


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer bk_…`. `request.user` is a KeyHolder, `request.auth` the ApiKey with its integrator."""

    def authenticate(self, request: Request) -> tuple[Any, ApiKey] | None:
        secret = bearer_token(request)
        if not secret.startswith(KEY_MARK):
            return None
        key = find_key(secret)
        if key is None:
            raise AuthenticationFailed("The API key is unknown or revoked.")
        return KeyHolder(key), key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def find_key(secret: str) -> ApiKey | None:
    """The key of this secret with its integrator, None if it is unknown or revoked. Notes the use, once a minute."""
    if not secret.isascii() or "\x00" in secret:
        return None
    keys = ApiKey.objects.filter(prefix=secret[:PREFIX_LENGTH], revoked_at=None).select_related("integrator")
    digest = digest_of(secret)
    for key in keys:
        if hmac.compare_digest(digest, key.digest):
            stale = Q(last_used_at=None) | Q(last_used_at__lt=ClockTimestamp() - LAST_USED_EVERY)
            ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=ClockTimestamp())
            return key
    return None


class StaffSessionAuthentication(SessionAuthentication):
    """A dispatcher signed in to the admin, by the session cookie; anything that writes needs the CSRF token."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        if request.META.get("HTTP_AUTHORIZATION"):
            return None
        found = super().authenticate(request)
        if found is None or not found[0].is_staff:
            return None
        if standing(user_id=found[0].pk, session=request._request.session) is not Standing.GOOD:
            raise AuthenticationFailed("Sign in to the back office with your second factor first.")
        return found[0], None
