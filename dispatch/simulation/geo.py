"""Places and straight lines on a small part of the earth."""

import math
import random
from dataclasses import dataclass

METRES_PER_DEGREE = 111_320.0


@dataclass(frozen=True, slots=True)
class Place:
    """Degrees, WGS 84."""

    lat: float
    lng: float


def metres(a: Place, b: Place) -> float:
    """As the crow flies, on a plane that is true at `a`: off by under 0.5 % within a city."""
    x = (b.lng - a.lng) * math.cos(math.radians(a.lat))
    return math.hypot(b.lat - a.lat, x) * METRES_PER_DEGREE


def between(a: Place, b: Place, share: float) -> Place:
    """The place that far along the way from `a` (0) to `b` (1)."""
    share = min(max(share, 0.0), 1.0)
    return Place(a.lat + (b.lat - a.lat) * share, a.lng + (b.lng - a.lng) * share)


def heading(a: Place, b: Place) -> float:
    """Degrees clockwise from north, from `a` to `b`."""
    x = (b.lng - a.lng) * math.cos(math.radians(a.lat))
    return math.degrees(math.atan2(x, b.lat - a.lat)) % 360


@dataclass(frozen=True, slots=True)
class Circle:
    middle: Place
    radius_km: float

    def somewhere(self, chance: random.Random) -> Place:
        """Every square metre is as likely as any other."""
        reach = self.radius_km * 1000 * math.sqrt(chance.random())
        bearing = chance.uniform(0, 2 * math.pi)
        return Place(
            self.middle.lat + reach * math.cos(bearing) / METRES_PER_DEGREE,
            self.middle.lng + reach * math.sin(bearing) / (METRES_PER_DEGREE * math.cos(math.radians(self.middle.lat))),
        )
