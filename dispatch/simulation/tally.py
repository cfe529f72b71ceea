"""What is counted while a simulation runs."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

#: Samples kept of each duration; beyond, a fair choice of so many (reservoir sampling), so that nothing grows for ever.
RESERVOIR = 200_000


def percentile(samples: Sequence[float], share: float) -> float | None:
    """The smallest sample that at least this share of them does not exceed (nearest rank); None if there are none."""
    if not samples:
        return None
    ordered = sorted(samples)
    rank = max(1, -(-len(ordered) * round(share * 1000) // 1000))
    return ordered[rank - 1]


class Samples:
    """Durations in seconds."""

    def __init__(self) -> None:
        self.kept: list[float] = []
        self.count = 0
        self._chance = random.Random(1)

    def add(self, seconds: float) -> None:
        self.count += 1
        if len(self.kept) < RESERVOIR:
            self.kept.append(seconds)
        elif (place := self._chance.randrange(self.count)) < RESERVOIR:
            self.kept[place] = seconds

    def percentiles(self) -> tuple[float | None, float | None, float | None]:
        """p50, p95, p99."""
        return percentile(self.kept, 0.5), percentile(self.kept, 0.95), percentile(self.kept, 0.99)


class Tally:
    def __init__(self) -> None:
        #: Answers of HTTP by status class: `2xx` …
        self.answers: Counter[str] = Counter()
        #: The 5xx among them by what was asked and what was said.
        self.server_errors: Counter[str] = Counter()
        #: Of accepting, by code; `accepted` if it worked.
        self.receipts: Counter[str] = Counter()
        self.pushes = Samples()
        self.answered = Samples()
        self.push_kinds: Counter[str] = Counter()
        self.sockets_open = 0
        self.sockets_opened = 0
        #: Sockets that ended without being asked to, or did not answer two heartbeats; by why.
        self.lost_sockets: Counter[str] = Counter()
        #: Whatever else should not have happened, by what it was.
        self.errors: Counter[str] = Counter()
        self.heartbeats = 0
        self.acknowledged = 0
        self.caught_up = 0

    def error(self, what: str) -> None:
        self.errors[what[:200]] += 1

    @property
    def faults(self) -> int:
        return sum(self.errors.values()) + sum(self.lost_sockets.values()) + sum(self.server_errors.values())


def parse_time(text: str) -> datetime:
    """RFC 3339."""
    return datetime.fromisoformat(text)
