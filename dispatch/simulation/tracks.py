"""Where a driver is at any moment: on rounds of their own, or on the way with an order."""

import random
from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

from dispatch.simulation.geo import Circle, Place, between, heading, metres

#: Longer without a ping, and nobody knows where a cab was: it stays at the last one.
LONGEST_GAP = 300.0
#: Recordings have jumps; no device says that it moved faster, metres per second.
FASTEST = 60.0
#: Metres per second back to where one would have been without the order.
CATCH_UP = 15.0


class Track(Protocol):
    """A driver's own rounds, in simulated seconds."""

    def at(self, moment: float) -> Place: ...


class Pings:
    """Known places at known moments, straight lines in between."""

    def __init__(self, moments: Sequence[float], places: Sequence[Place]) -> None:
        self.moments, self.places = moments, places

    def at(self, moment: float) -> Place:
        after = bisect_right(self.moments, moment)
        if after == 0:
            return self.places[0]
        if after == len(self.moments):
            return self.places[-1]
        before = after - 1
        gap = self.moments[after] - self.moments[before]
        if gap > LONGEST_GAP:
            return self.places[before]
        return between(self.places[before], self.places[after], (moment - self.moments[before]) / gap)


class Roaming:
    """From one random place of a circle to the next, with a rest at each."""

    SPEED = 6.0
    REST = (30.0, 240.0)
    REMEMBERED = 64

    def __init__(self, circle: Circle, chance: random.Random) -> None:
        self.circle, self.chance = circle, chance
        self.moments: list[float] = [0.0]
        self.places: list[Place] = [circle.somewhere(chance)]

    def at(self, moment: float) -> Place:
        while self.moments[-1] <= moment:
            here, there = self.places[-1], self.circle.somewhere(self.chance)
            leaves = self.moments[-1] + self.chance.uniform(*self.REST)
            self.moments += [leaves, leaves + metres(here, there) / self.SPEED + 1]
            self.places += [here, there]
        del self.moments[: -self.REMEMBERED], self.places[: -self.REMEMBERED]
        after = max(bisect_right(self.moments, moment), 1)
        gap = self.moments[after] - self.moments[after - 1]
        return between(self.places[after - 1], self.places[after], (moment - self.moments[after - 1]) / gap)


class Whereabouts:
    """A driver's rounds, interrupted by orders: each leg is a straight line at an even speed."""

    def __init__(self, track: Track) -> None:
        self.track = track
        #: (from when, from where, until when, where to) of the leg that interrupts the rounds.
        self._leg: tuple[float, Place, float, Place] | None = None
        self._waits_there = False

    def at(self, moment: float) -> Place:
        if self._leg is None:
            return self.track.at(moment)
        began, start, ends, goal = self._leg
        if moment < ends:
            return between(start, goal, (moment - began) / (ends - began))
        if self._waits_there:
            return goal
        self._leg = None
        return self.track.at(moment)

    def motion(self, moment: float) -> tuple[float | None, float]:
        """(degrees from north, metres per second) just now; no heading while standing."""
        here, soon = self.at(moment), self.at(moment + 1)
        moved = metres(here, soon)
        return (heading(here, soon), min(moved, FASTEST)) if moved > 0.5 else (None, 0.0)

    def drive_to(self, goal: Place, *, now: float, speed: float, seconds: float | None = None) -> float:
        """Leave for `goal`, taking `seconds`, or as long as it takes at `speed`; when that will be."""
        here = self.at(now)
        ends = now + max(seconds if seconds is not None else metres(here, goal) / speed, 1.0)
        self._leg, self._waits_there = (now, here, ends, goal), True
        return ends

    def rejoin(self, *, now: float) -> None:
        """Back to the rounds, meeting them where they will be by then."""
        here, takes = self.at(now), 1.0
        for _ in range(4):
            takes = max(metres(here, self.track.at(now + takes)) / CATCH_UP, 1.0)
        self._leg, self._waits_there = (now, here, now + takes, self.track.at(now + takes)), False
