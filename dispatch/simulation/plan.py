"""What is going to happen: who drives when and where, and what is ordered when."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dispatch.simulation.geo import Circle, Place, metres
from dispatch.simulation.replay import BadData, Ping, RecordedTrip
from dispatch.simulation.tracks import Pings, Roaming, Track

#: Simulated seconds between the beginning and the first order, so that everybody is on duty by then.
LEAD = 30.0
#: A cab whose last ping is as near the end of the recording as this is on duty to the end.
STAYS = 180.0
#: Straight-line metres per second of a driver with an order: 29 km/h.
DRIVING = 8.0
#: Seconds that picking up and handing over take.
AT_THE_DOOR = 20.0

#: The server's own defaults, and how little time a server needs all the same (real seconds).
AUTO_ASSIGN_AFTER, LEAST_AUTO_ASSIGN = 15.0, 2.0
EXPIRE_AFTER, LEAST_EXPIRY = 120.0, 6.0

NAMES = ("Ada", "Ben", "Chidi", "Dilek", "Emil", "Fatima", "Goro", "Hana", "Ivo", "Jamila", "Kofi", "Lena", "Mateo")


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Real seconds from the request, as the server's clock knows no other."""

    auto_assign: float
    expiry: float


def deadlines(speed: float) -> Deadlines:
    """The defaults of 15 s and 120 s, sped up like everything else, but never under 2 s and 6 s."""
    return Deadlines(
        auto_assign=max(AUTO_ASSIGN_AFTER / speed, LEAST_AUTO_ASSIGN), expiry=max(EXPIRE_AFTER / speed, LEAST_EXPIRY)
    )


@dataclass(frozen=True, slots=True)
class Shift:
    """One driver on duty, in simulated seconds."""

    track: Track
    begins: float = 0.0
    ends: float = math.inf
    #: Moments at which the position is to be told, besides the heartbeats.
    moments: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Trip:
    """Something that will be ordered, at this simulated second."""

    moment: float
    reference: str
    start: Place
    goal: Place
    #: How long the way from start to goal takes, simulated seconds.
    seconds: float
    start_address: str = ""
    goal_address: str = ""
    vehicle: str = ""

    def document(self, chance: random.Random) -> dict[str, Any]:
        """The body of `POST orders/`, without deadlines."""
        fare = 3.5 + metres(self.start, self.goal) * 0.0016
        return {
            "pickup": _place(self.start, self.start_address or f"Pickup {self.reference}"),
            "dropoff": _place(self.goal, self.goal_address or f"Drop-off {self.reference}"),
            "contact": {
                "name": f"{chance.choice(NAMES)} {chr(chance.randint(65, 90))}.",
                "phone": f"+1 415 555 {chance.randint(100, 199):04d}",
                "notes": chance.choice(("", "", "Ring twice", "Second floor", "Meet at the corner")),
            },
            "reference": self.reference,
            "vehicle": self.vehicle,
            "payout": f"{fare:.2f}",
            "currency": "USD",
        }


def _place(place: Place, address: str) -> dict[str, Any]:
    return {"lat": round(place.lat, 6), "lng": round(place.lng, 6), "address": address}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How drivers answer offers. Probabilities; simulated seconds."""

    accepts: float = 0.15
    declines: float = 0.05
    #: Of those who accept: gives the order back before picking it up.
    releases: float = 0.01
    #: Thinking takes this, a second more per 300 m, and up to `hesitates` more.
    thinks: float = 2.0
    hesitates: float = 6.0

    def thinking(self, distance_m: float, chance: random.Random) -> float:
        return self.thinks + distance_m / 300.0 + chance.uniform(0, self.hesitates)


@dataclass(slots=True)
class Plan:
    shifts: list[Shift]
    trips: Iterator[Trip]
    #: How many trips there are; None: nobody knows.
    trip_count: int | None
    #: Simulated seconds until no more are ordered.
    lasts: float
    speed: float
    behaviour: Behaviour
    deadlines: Deadlines | None
    #: Real seconds between two heartbeats.
    heartbeat_s: float = 20.0
    #: Real seconds after the last order in which everything may come to its end.
    settles_s: float = 90.0


def invented(
    *, circle: Circle, drivers: int, orders_per_minute: float, seconds: float, speed: float, seed: int
) -> Plan:
    """A made-up city: drivers roam, orders come from anywhere to anywhere, at random moments (a Poisson process, given its
    number of orders)."""
    chance = random.Random(f"{seed} trips")
    count = round(orders_per_minute * seconds / 60)
    moments = sorted(LEAD + chance.uniform(0, seconds) * speed for _ in range(count))
    trips = [
        invented_trip(moment=moment, reference=f"{number}", circle=circle, chance=chance)
        for number, moment in enumerate(moments, start=1)
    ]
    return Plan(
        shifts=[Shift(Roaming(circle, random.Random(f"{seed} driver {number}"))) for number in range(drivers)],
        trips=iter(trips),
        trip_count=len(trips),
        lasts=LEAD + seconds * speed,
        speed=speed,
        behaviour=Behaviour(),
        deadlines=deadlines(speed),
    )


def invented_trip(*, moment: float, reference: str, circle: Circle, chance: random.Random) -> Trip:
    start, goal = circle.somewhere(chance), circle.somewhere(chance)
    return Trip(moment, reference, start, goal, max(metres(start, goal) / DRIVING, 30.0))


def recorded(
    *, pings: Mapping[str, Sequence[Ping]], trips: Sequence[RecordedTrip], speed: float, limit: int | None = None
) -> Plan:
    """A recorded day: every cab a driver, every trip an order with its row number as `reference`.

    A cab is on duty from its first ping without a passenger to its last; passengers whom it takes up later are the trips,
    so they are not counted twice. The way of a trip takes as long as it took. Raises BadData when nobody is on duty.
    """
    trips = trips[:limit]
    began = trips[0].request - LEAD
    recording_ends = max(track[-1].second for track in pings.values())
    shifts = []
    for cab in sorted(pings, key=lambda cab: (len(cab), cab)):
        track = pings[cab]
        free = next((ping.second for ping in track if not ping.occupied and track[-1].second >= began), None)
        if free is None:
            continue
        moments = [ping.second - began for ping in track]
        ends = math.inf if track[-1].second >= recording_ends - STAYS else moments[-1]
        shifts.append(
            Shift(
                track=Pings(moments, [ping.place for ping in track]),
                begins=max(free - began, 0.0),
                ends=ends,
                moments=[moment for moment in moments if moment > 0],
            )
        )
    if not shifts:
        raise BadData("no cab has a ping without a passenger while trips are requested")
    return Plan(
        shifts=shifts,
        trips=iter(
            [
                Trip(trip.request - began, str(trip.row), trip.start, trip.goal, trip.dropoff - trip.request)
                for trip in trips
            ]
        ),
        trip_count=len(trips),
        lasts=trips[-1].request - began,
        speed=speed,
        # Nobody gives an order back, so that trips end in the three ways that count.
        behaviour=Behaviour(releases=0.0),
        deadlines=deadlines(speed),
    )
