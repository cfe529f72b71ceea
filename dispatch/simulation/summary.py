"""What a simulation says at its end, and whether anything went wrong."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from dispatch.simulation.plan import Plan
from dispatch.simulation.run import Result
from dispatch.simulation.tally import Samples

#: How a trip may have ended; an order that a dispatcher cancelled meanwhile is no longer the simulation's.
ACCOUNTED = {"delivered", "expired", "open"}


@dataclass(frozen=True, slots=True)
class Summary:
    lines: list[str]
    #: What went wrong, one sentence each.
    wrong: list[str]


def summarise(result: Result, plan: Plan) -> Summary:
    tally, ledger = result.tally, result.ledger
    outcomes = ledger.outcomes()
    lines = [
        _line("orders created", len(ledger.placed)),
        _line("       offered", ledger.count("order.offered")),
        _line("       accepted", ledger.count("order.assigned", "accepted")),
        _line("       auto-assigned", ledger.count("order.assigned", "auto")),
        _line("       delivered", outcomes["delivered"]),
        _line("       expired", ledger.count("order.expired")),
        _line("       at the end", _counts(outcomes)),
        _line("receipts", _counts(tally.receipts)),
        _line("time to assignment", _percentiles(ledger.times_to_assignment(), "s")),
        _line("push latency", _percentiles(tally.pushes, "ms") + f" of {tally.pushes.count} pushes"),
        _line("HTTP answers", f"{_classes(tally.answers)}; {_percentiles(tally.answered, 'ms')}"),
        _line("heartbeats", f"{tally.heartbeats} sent, {tally.acknowledged} answered"),
        _line("sockets", f"{tally.sockets_opened} opened, {sum(tally.lost_sockets.values())} lost"),
        _line("ran for", _pace(result, plan)),
        _line("errors", _counts(tally.errors) if tally.errors else "none"),
    ]
    return Summary(lines, _wrong(result, plan, outcomes))


def _wrong(result: Result, plan: Plan, outcomes: Mapping[str, int]) -> list[str]:
    tally, wrong = result.tally, []
    if tally.server_errors:
        wrong.append(f"5xx: {_counts(tally.server_errors)}")
    if tally.lost_sockets:
        wrong.append(f"lost sockets: {_counts(tally.lost_sockets)}")
    if tally.errors:
        wrong.append(f"errors: {_counts(tally.errors)}")
    if not result.was_stopped and plan.trip_count is not None:
        missing = plan.trip_count - sum(outcomes.get(outcome, 0) for outcome in ACCOUNTED)
        if missing:
            others = {outcome: count for outcome, count in outcomes.items() if outcome not in ACCOUNTED}
            others["not placed"] = result.not_placed
            wrong.append(f"{missing} of {plan.trip_count} trips not accounted for ({_counts(others)})")
    if result.disagreements:
        first = "; ".join(result.disagreements[:5])
        wrong.append(f"feed and list disagree on {len(result.disagreements)} orders: {first}")
    return wrong


def _line(name: str, value: object) -> str:
    return f"{name:<22}{value}"


def _counts(counts: Mapping[str, int]) -> str:
    ordered = Counter(dict(counts)).most_common()
    return ", ".join(f"{count} {name}" for name, count in ordered if count) or "none"


def _classes(answers: Mapping[str, int]) -> str:
    return ", ".join(f"{answers.get(name, 0)} {name}" for name in ("2xx", "4xx", "5xx"))


def _percentiles(samples: Samples, unit: str) -> str:
    factor, digits = (1, 1) if unit == "s" else (1000, 0)
    told = (
        f"{name} {value * factor:.{digits}f} {unit}" if value is not None else f"{name} -"
        for name, value in zip(("p50", "p95", "p99"), samples.percentiles(), strict=True)
    )
    return ", ".join(told)


def _pace(result: Result, plan: Plan) -> str:
    text = f"{result.seconds:.0f} s at speed {plan.speed:g}"
    if plan.deadlines is not None:
        text += (
            f"; deadlines: auto-assigned after {plan.deadlines.auto_assign:g} s,"
            f" expired after {plan.deadlines.expiry:g} s (real seconds)"
        )
    return text
