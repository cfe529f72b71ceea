"""What an audit says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Check:
    """One promise: its name, and the sentence that must be true."""

    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Breach:
    """One row that breaks a promise. `total` counts all rows that break the same one."""

    check: str
    text: str
    total: int


@dataclass(slots=True)
class Outcome:
    check: Check
    broken: int = 0
    #: The first of the rows that break it, in words.
    rows: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    #: What was looked at: orders, events, offers, receipts, drivers.
    counts: dict[str, int]
    outcomes: list[Outcome]
    seconds: float
    #: The history of orders made before is no longer kept, so of those only the rows were looked at; None: all is kept.
    kept_from: datetime | None = None

    @property
    def clean(self) -> bool:
        return not any(outcome.broken for outcome in self.outcomes)

    @property
    def broken(self) -> list[str]:
        """The names of the promises that do not hold."""
        return [outcome.check.name for outcome in self.outcomes if outcome.broken]

    @property
    def verdict(self) -> str:
        looked_at = ", ".join(f"{count:,} {noun}" for noun, count in self.counts.items())
        if self.kept_from is not None:
            looked_at += f", history of orders since {self.kept_from:%Y-%m-%d}"
        if self.clean:
            return f"clean: {len(self.outcomes)} checks over {looked_at} in {self.seconds:.1f} s"
        return f"BROKEN: {', '.join(self.broken)} (over {looked_at} in {self.seconds:.1f} s)"


def sort_out(checks: Sequence[Check], breaches: Iterable[Breach]) -> list[Outcome]:
    """One outcome per check, in the order of the checks."""
    outcomes = {check.name: Outcome(check) for check in checks}
    for breach in breaches:
        outcome = outcomes[breach.check]
        outcome.broken = breach.total
        outcome.rows.append(breach.text)
    return list(outcomes.values())
