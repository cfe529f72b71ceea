"""Accounts for those who are not people: a fleet of drivers and a key to place orders with, for simulations."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from drivers.clock import ClockTimestamp, database_now
from drivers.fleet import Area, create_drivers
from orders.models import ApiKey, Scope
from orders.services import create_api_key


@dataclass(frozen=True, slots=True)
class Stage:
    usernames: list[str]
    #: The one password of all of them, new each time.
    password: str
    api_key: str


@contextmanager
def stage(*, prefix: str, count: int, integrator: str, area: Area | None = None) -> Iterator[Stage]:
    """Drivers `prefix1 … prefixN` with a password that nobody else knows, and an API key of today's integrator
    `<integrator> <date>`, which is revoked at the end; so is any that an earlier run left behind.

    An integrator a day keeps the history short that its feed begins with. Raises Invalid.
    """
    password = secrets.token_urlsafe(24)
    create_drivers(prefix=prefix, count=count, password=password, area=area)
    _revoke_keys(integrator)
    name = f"{integrator} {database_now().date().isoformat()}"
    _, secret = create_api_key(name=name, scopes=[Scope.ORDERS_READ, Scope.ORDERS_WRITE])
    try:
        yield Stage([f"{prefix}{number}" for number in range(1, count + 1)], password, secret)
    finally:
        _revoke_keys(integrator)


def _revoke_keys(integrator: str) -> None:
    keys = ApiKey.objects.filter(integrator__name__startswith=f"{integrator} ", revoked_at=None)
    keys.update(revoked_at=ClockTimestamp())
