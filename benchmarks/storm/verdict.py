"""The rules: what clients were told, held against what the database says. A rule that finds something names the rows.

An answer of 2xx is an acknowledgement: it must be in the database. A 4xx is a refusal: it must have left nothing. No answer,
or a 5xx, promises neither: once or not at all.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator

from benchmarks.storm.ledger import Ledger
from benchmarks.storm.record import Asked, Line, Pushed, View

TAPS = {"accept", "decline", "release", "pick-up", "deliver", "fail"}


class Marked:
    """All requests with one mark: the same wish, sent once or more."""

    def __init__(self, asked: list[Asked]) -> None:
        self.first = asked[0]
        self.acknowledged = any(200 <= line.status < 300 for line in asked)
        self.refused = all(400 <= line.status < 500 for line in asked)

    def __str__(self) -> str:
        return f"{self.first.who}: {self.first.verb} {self.first.order} ({self.first.mark})"


def marked(asked: Iterable[Asked], verbs: set[str]) -> Iterator[tuple[str, Marked]]:
    groups: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    for line in asked:
        if line.verb in verbs and line.mark:
            groups[line.who, line.mark].append(line)
    for (_, mark), lines in groups.items():
        yield mark, Marked(lines)


def taps_once_or_not_at_all(asked: list[Asked], ledger: Ledger) -> Iterator[str]:
    """A driver's act answered with 200 has its receipt; one that was refused has none."""
    for mark, wish in marked(asked, TAPS):
        first = wish.first
        receipt = ledger.receipts.get((first.driver, mark))
        if wish.acknowledged and receipt != (first.verb.replace("-", "_"), first.order):
            yield f"{wish} was acknowledged, its receipt is {receipt}"
        elif wish.refused and receipt is not None:
            yield f"{wish} was refused and has a receipt"


def orders_once_or_not_at_all(asked: list[Asked], ledger: Ledger) -> Iterator[str]:
    """An order answered with 201 is there once, however often it was sent; a refused one is not there."""
    for mark, wish in marked(asked, {"place"}):
        count = ledger.references[mark]
        if count > 1 or (wish.acknowledged and count != 1) or (wish.refused and count):
            yield f"{wish} is there {count} times"


def withdrawals_once_or_not_at_all(asked: list[Asked], ledger: Ledger) -> Iterator[str]:
    """Cancelling and taking back, told apart by the reason given."""
    kinds = {"cancel": "order.cancelled", "unassign": "order.released"}
    for mark, wish in marked(asked, set(kinds)):
        order = ledger.orders.get(wish.first.order)
        events = [e for e in order.events.values() if e.data.get("reason") == mark] if order else []
        if len(events) > 1 or (wish.refused and events):
            yield f"{wish} left {len(events)} events"
        if not wish.acknowledged or order is None:
            continue
        if wish.first.verb == "unassign" and len(events) != 1:
            yield f"{wish} was acknowledged and left {len(events)} events"
        if wish.first.verb == "cancel" and order.status != "cancelled":
            yield f"{wish} was acknowledged and the order is {order.status}"


def counts_fit(asked: list[Asked], ledger: Ledger) -> Iterator[str]:
    """Assigning and extending by hand: as many events as acknowledgements, at most one more for each unanswered request."""

    def kept(verb: str, order: str, driver: int) -> int:
        events = ledger.orders[order].events.values()
        if verb == "assign":
            return sum(
                e.kind == "order.assigned" and e.data.get("how") == "by_hand" and e.data.get("driver") == driver
                for e in events
            )
        return sum(e.kind == "order.corrected" and e.actor_name == "Office" for e in events)

    tally: dict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0, 0])
    for line in asked:
        if line.verb in {"assign", "extend"} and line.order in ledger.orders:
            counted = tally[line.verb, line.order, line.driver]
            counted[0] += 200 <= line.status < 300
            counted[1] += line.status == 0 or line.status >= 500
    for (verb, order, driver), (acknowledged, unknown) in tally.items():
        count = kept(verb, order, driver)
        if not acknowledged <= count <= acknowledged + unknown:
            yield f"{verb} {order} {driver or ''}: {acknowledged} acknowledged, {unknown} without answer, {count} happened"


def acknowledged_versions_exist(asked: list[Asked], ledger: Ledger) -> Iterator[str]:
    """Whatever version an answer showed was committed: it is in the history."""
    for line in asked:
        if line.version and line.order:
            order = ledger.orders.get(line.order)
            if order is None or line.version not in order.events:
                yield f"{line.who}: {line.verb} {line.order} was answered with version {line.version}, which never was"


def answers_are_in_order(asked: list[Asked]) -> Iterator[str]:
    """Every refusal is a problem document, every overload says when to come again, nothing else is a 5xx."""
    for line in asked:
        if line.fault:
            yield f"{line.who}: {line.verb} {line.order}: {line.fault}"


def pushes_tell_the_truth(pushed: list[Pushed], ledger: Ledger) -> Iterator[str]:
    """A push tells of a version that was committed, in its words; a contact only to the holder of that version."""
    for push in pushed:
        order = ledger.orders.get(push.order)
        event = order.events.get(push.version) if order else None
        said = f"{push.who} heard {push.type} of {push.order} version {push.version}"
        if order is None or event is None:
            yield f"{said}, which never was"
        elif push.type == "order" and event.kind != push.kind:
            yield f"{said} as {push.kind}, but it was {event.kind}"
        elif push.type == "offer" and order.status_at(push.version) != "pending":
            yield f"{said}, but it was {order.status_at(push.version)}"
        elif push.has_contact and order.holder_at(push.version) != push.driver:
            yield f"{said} with the customer's contact, held by {order.holder_at(push.version)}"


def views_equal_the_database(views: list[View], ledger: Ledger) -> Iterator[str]:
    """After quiet every app shows what the database holds."""
    for view in views:
        offers, active = sorted(ledger.offered.get(view.driver, [])), sorted(ledger.held.get(view.driver, []))
        if (view.offers, sorted(view.active)) != (offers, active):
            yield f"{view.who} shows {view.offers} and {view.active}, the database has {offers} and {active}"
        if (view.sync_offers, sorted(view.sync_active)) != (offers, active):
            yield f"{view.who} was told {view.sync_offers} and {view.sync_active}, the database has {offers} and {active}"


def judge(lines: list[Line], ledger: Ledger) -> dict[str, list[str]]:
    """Rule → what breaks it; only rules that are broken."""
    asked = [line for line in lines if isinstance(line, Asked)]
    pushed = [line for line in lines if isinstance(line, Pushed)]
    views = [line for line in lines if isinstance(line, View)]
    rules: list[tuple[Callable[..., Iterator[str]], Iterator[str]]] = [
        (taps_once_or_not_at_all, taps_once_or_not_at_all(asked, ledger)),
        (orders_once_or_not_at_all, orders_once_or_not_at_all(asked, ledger)),
        (withdrawals_once_or_not_at_all, withdrawals_once_or_not_at_all(asked, ledger)),
        (counts_fit, counts_fit(asked, ledger)),
        (acknowledged_versions_exist, acknowledged_versions_exist(asked, ledger)),
        (answers_are_in_order, answers_are_in_order(asked)),
        (pushes_tell_the_truth, pushes_tell_the_truth(pushed, ledger)),
        (views_equal_the_database, views_equal_the_database(views, ledger)),
    ]
    broken = {rule.__name__: list(found) for rule, found in rules}
    return {name: found for name, found in broken.items() if found}


def summary(lines: list[Line]) -> dict[str, object]:
    asked = [line for line in lines if isinstance(line, Asked)]
    outcomes = Counter("no answer" if not line.status else str(line.status) for line in asked)
    times = sorted(line.took_s for line in asked if 200 <= line.status < 300)
    return {
        "operations": len(asked),
        "answers": dict(sorted(outcomes.items())),
        "refusals": dict(Counter(line.code for line in asked if line.code).most_common(12)),
        "accepted": sum(line.verb == "accept" and line.status == 200 for line in asked),
        "pushes": sum(isinstance(line, Pushed) for line in lines),
        "p50_s": times[len(times) // 2] if times else 0.0,
        "p99_s": times[len(times) * 99 // 100] if times else 0.0,
    }
