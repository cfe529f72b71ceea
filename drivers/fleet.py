"""Many drivers at once: for a depot that moves in, for tests and for simulations."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from drivers.errors import Invalid
from drivers.models import Driver, Presence, Vehicle
from drivers.services import Position, record_positions

#: More at once is a slip of the finger.
LARGEST_FLEET = 200_000
BATCH = 1000
METRES_PER_DEGREE = 111_320.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Area:
    """A circle on the map: degrees (WGS 84) and kilometres."""

    lat: float
    lng: float
    radius_km: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """The drivers `prefix1 … prefixN`, in that order."""

    driver_ids: list[int]
    created: int
    kept: int


def create_drivers(
    *,
    prefix: str,
    count: int,
    password: str,
    vehicle: Vehicle = Vehicle.CAR,
    capacity: int = 1,
    area: Area | None = None,
    seed: int | None = None,
) -> Fleet:
    """Drivers who sign in as `prefix1 … prefixN`; with an `area`, each gets a position somewhere in it.

    Those who exist already are kept as they are, only their password becomes this one. The password is hashed once for
    all of them, which is what makes 20,000 drivers a matter of seconds: fine for tests and demonstrations. They are not
    put on duty. Raises Invalid, naming the field; then nothing was written.
    """
    usernames = _usernames(prefix=prefix, count=count)
    if not password:
        raise Invalid(password="Must not be empty.")  # noqa: S106 (a message, not a password)
    if not 1 <= capacity <= 50:
        raise Invalid(capacity="Must be from 1 to 50.")
    if area is not None:
        check_area(area)
    encoded = make_password(password)
    try:
        with transaction.atomic(durable=True):
            known = _known_drivers(usernames)
            missing = [name for name in usernames if name not in known]
            for names in _batches(list(known)):
                User.objects.filter(username__in=names).update(password=encoded)
            for names in _batches(missing):
                users = User.objects.bulk_create([User(username=name, password=encoded) for name in names])
                made = Driver.objects.bulk_create(
                    [Driver(user=user, name=user.username, vehicle=vehicle, capacity=capacity) for user in users]
                )
                known.update((driver.name, driver.pk) for driver in made)
    except IntegrityError as error:
        raise Invalid(prefix="Somebody else is creating these drivers right now; run this again.") from error
    fleet = Fleet([known[name] for name in usernames], created=len(missing), kept=len(usernames) - len(missing))
    if area is not None:
        _place(fleet.driver_ids, area, random.Random(seed))
    return fleet


def check_area(area: Area) -> None:
    """Raises Invalid unless the circle is on the map and small enough to be drawn with plain trigonometry."""
    if not (-85 <= area.lat <= 85 and -180 <= area.lng <= 180):
        raise Invalid(near="Must be LAT,LNG in degrees: latitude from -85 to 85, longitude from -180 to 180.")
    if not 0 <= area.radius_km <= 500:
        raise Invalid(spread_km="Must be from 0 to 500 kilometres.")


def _usernames(*, prefix: str, count: int) -> list[str]:
    if not 1 <= count <= LARGEST_FLEET:
        raise Invalid(count=f"Must be from 1 to {LARGEST_FLEET}.")
    longest = 100 - len(str(count))  # a driver's name has 100 characters, and starts as the user name
    if not 1 <= len(prefix) <= longest:
        raise Invalid(prefix=f"Must have from 1 to {longest} characters.")
    try:
        UnicodeUsernameValidator()(prefix)
    except ValidationError as error:
        raise Invalid(prefix="May hold letters, digits and @ . + - _ only.") from error
    return [f"{prefix}{number}" for number in range(1, count + 1)]


def _known_drivers(usernames: Sequence[str]) -> dict[str, int]:
    """User name → driver id of those who exist. Raises Invalid when one of them is somebody else, whose password must
    not be touched."""
    known: dict[str, int] = {}
    for names in _batches(usernames):
        rows = User.objects.filter(username__in=names).values_list("username", "driver", "is_staff", "is_superuser")
        for username, driver_id, is_staff, is_superuser in rows:
            if driver_id is None or is_staff or is_superuser:
                raise Invalid(prefix=f"The user {username} exists and is not just a driver; choose another prefix.")
            known[username] = driver_id
    return known


def _place(driver_ids: Sequence[int], area: Area, chance: random.Random) -> None:
    for batch in _batches(driver_ids):
        positions = []
        for driver_id in batch:
            lat, lng = somewhere_in(area, chance)
            positions.append(Position(driver_id=driver_id, lat=lat, lng=lng, accuracy_m=10))
        with transaction.atomic():
            # A position is a sign of life, and whoever was silent would be back on duty with it: they stay silent.
            presences = Presence.objects.filter(pk__in=batch).select_for_update(no_key=True).order_by("pk")
            silent = [presence for presence in presences if presence.silent_since is not None]
            Presence.objects.filter(pk__in=[presence.pk for presence in silent]).update(silent_since=None)
            record_positions(positions=positions)
            Presence.objects.bulk_update(silent, ["silent_since"])


def somewhere_in(area: Area, chance: random.Random) -> tuple[float, float]:
    """A point of the circle, every square metre as likely as any other. Latitude, longitude."""
    reach = area.radius_km * 1000 * math.sqrt(chance.random())
    bearing = chance.uniform(0, 2 * math.pi)
    lat = area.lat + reach * math.cos(bearing) / METRES_PER_DEGREE
    lng = area.lng + reach * math.sin(bearing) / (METRES_PER_DEGREE * math.cos(math.radians(area.lat)))
    return lat, (lng + 180) % 360 - 180


def _batches(items: Sequence[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch
