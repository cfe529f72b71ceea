"""Orders that nobody accepted in time are assigned by the system, all that are due together."""

import itertools
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from dispatch.locks import loads_of, lock_available_drivers, lock_available_orders
from dispatch.matching import match_orders
from dispatch.models import REFUSED, Offer
from dispatch.nearest import Candidate, FreeDrivers, nearest_drivers
from dispatch.selectors import live_presences
from dispatch.selectors_considered import Considered, considered_for
from dispatch.services.accept import Handover, hand_over_all
from dispatch.services.batches import together
from dispatch.services.offers import orders_on_offer
from drivers.clock import ClockTimestamp, database_now
from drivers.models import Driver
from orders.actors import SYSTEM
from orders.models import Order

#: Due orders that are matched together in one transaction: bounds how long their rows are locked.
ASSIGN_BATCH = 100
#: Due orders looked at in one run, and for about how long: the rest is for the next tick.
ASSIGN_AT_MOST = 2000
ASSIGN_SECONDS = 1.0
#: Of so many it is decided whose turn it is.
ASSIGN_RANKED = 20_000
#: Candidates per order that are weighed against each other and, for the history, told of.
CANDIDATES_WEIGHED = 32
CANDIDATES_RECORDED = 10
#: Drivers nearest to the pickup that are asked why they are no candidates, and how many of them are told of.
NEAREST_JUDGED = 8
RULED_OUT_RECORDED = 5


#: An order's id and the version that was seen.
Due = tuple[UUID, int]


class Round:
    """Whose turn it was already, from one run to the next: the most urgent orders are looked at in each, and the others in
    turns, so that those whom nobody can take do not keep the ones behind them waiting."""

    def __init__(self) -> None:
        #: Looked at in vain since all the others last had their turn.
        self.in_vain: set[UUID] = set()

    def whose_turn(self, ranked: Sequence[Due]) -> list[Due]:
        """Those to be looked at now, of all that are due, most urgent first."""
        urgent, others = ranked[:ASSIGN_BATCH], ranked[ASSIGN_BATCH:]
        waiting = [due for due in others if due[0] not in self.in_vain]
        if not waiting:
            self.in_vain.clear()
            waiting = list(others)
        again = [due for due in others if due[0] in self.in_vain]
        return [*urgent, *waiting, *again][:ASSIGN_AT_MOST]


def auto_assign(round_: Round | None = None) -> int:
    """Assign the pending orders whose `auto_assign_at` has come; how many were.

    A hundred due orders and all their candidates are matched together, at the least total distance (dispatch/matching.py),
    first within the smallest radius, then what is left within the wider ones. Orders and drivers that somebody else is busy
    with are skipped, not waited for: a next tick, or that somebody, deals with them. `round_` is what one run tells the
    next; a hundred that fail do not keep the others from their turn.
    """
    began = time.monotonic()
    round_ = round_ or Round()
    waiting = round_.whose_turn(_due())
    assigned = 0
    failure: Exception | None = None
    free = FreeDrivers()
    for start in range(0, len(waiting), ASSIGN_BATCH):
        batch = dict(waiting[start : start + ASSIGN_BATCH])
        try:
            # Again as long as it helps: many orders from one place compete for the same nearest candidates.
            while batch and (done := _assign_batch(batch, free)):
                assigned += len(done)
                free = FreeDrivers()
                batch = {pk: version for pk, version in batch.items() if pk not in done}
                if time.monotonic() - began > ASSIGN_SECONDS:
                    break
            else:
                round_.in_vain.update(batch)
        except Exception as error:
            failure = error
            round_.in_vain.update(batch)
        # Some of the others have their turn however long the most urgent take.
        if start and time.monotonic() - began > ASSIGN_SECONDS:
            break
    if failure is not None:
        raise failure
    return assigned


def _due() -> list[Due]:
    """All that are due, most urgent first."""
    due = _orders_left_to_us().filter(auto_assign_at__lte=ClockTimestamp())
    ranked = due.order_by("-priority", "auto_assign_at", "pk").values_list("pk", "version")
    return list(ranked[:ASSIGN_RANKED])


def _orders_left_to_us() -> QuerySet[Order]:
    """Those on offer that no dispatcher holds out of auto-assignment."""
    return orders_on_offer().filter(pinned=False)


def _assign_batch(versions: Mapping[UUID, int], free: FreeDrivers) -> set[UUID]:
    """Those of the orders that were assigned; candidates are looked up before anything is locked."""
    nearest = nearest_drivers(
        dict.fromkeys(versions, CANDIDATES_WEIGHED),
        radius_km=max(settings.ASSIGN_RADII_KM),
        without=REFUSED,
        free=free,
    )
    found = {pk: candidates for pk, candidates in nearest.items() if candidates}
    # For the history: who was nearer, and could not have it.
    near = considered_for(found, radius_km=max(settings.ASSIGN_RADII_KM), limit=NEAREST_JUDGED)
    done: set[UUID] = set()

    def assign(order_ids: Sequence[UUID]) -> None:
        done.update(_assign_together({pk: versions[pk] for pk in order_ids}, found, near))

    together(assign, sorted(found))
    return done


@dataclass(frozen=True, slots=True)
class Match:
    driver_id: int
    radius_km: int
    #: The candidates within that radius.
    considered: Sequence[Candidate]


def _assign_together(
    versions: Mapping[UUID, int],
    found: Mapping[UUID, Sequence[Candidate]],
    near: Mapping[UUID, Sequence[Considered]],
) -> set[UUID]:
    """Assign those of the orders that are still as they were seen (`versions`), to candidates who still have room."""
    with transaction.atomic(durable=True):
        still_due = _orders_left_to_us().filter(pk__in=versions).order_by("pk")
        orders = {order.pk: order for order in lock_available_orders(still_due) if order.version == versions[order.pk]}
        refused = set(Offer.objects.filter(order__in=orders, status__in=REFUSED).values_list("order_id", "driver_id"))
        candidates = {pk: [c for c in found[pk] if (pk, c.driver_id) not in refused] for pk in orders}
        rooms = _Rooms(itertools.chain.from_iterable(candidates.values()))
        matches = _match(orders, candidates, rooms)
        now = database_now()
        handovers = [
            Handover(orders[pk], rooms.drivers[match.driver_id], _explain(match, rooms, matches, near.get(pk, ()), now))
            for pk, match in sorted(matches.items())
            if orders[pk].expires_at > now and _fits(orders[pk], rooms.drivers[match.driver_id])
        ]
        hand_over_all(handovers, actor=SYSTEM, now=now)
    return {handover.order.pk for handover in handovers}


class _Rooms:
    """How many more orders each candidate can take: a first look for all of them, exact for those who are locked. Only
    drivers who are about to get an order are locked."""

    def __init__(self, seen: Iterable[Candidate]) -> None:
        self.left = {candidate.driver_id: candidate.room for candidate in seen}
        self.drivers: dict[int, Driver] = {}
        #: Somebody else was at work on them.
        self.busy: set[int] = set()

    def lock(self, driver_ids: Collection[int]) -> bool:
        """Lock those that are not yet; True if all have as much room as they seemed to have."""
        new = set(driver_ids) - self.drivers.keys()
        locked = lock_available_drivers(new)
        on_duty = set(live_presences().filter(pk__in=locked).values_list("pk", flat=True))
        loads = loads_of(locked)
        exact = dict.fromkeys(new, 0) | {pk: locked[pk].capacity - loads[pk] for pk in on_duty}
        as_it_seemed = all(self.left[pk] == left for pk, left in exact.items())
        self.drivers |= locked
        self.busy |= new - locked.keys()
        self.left |= exact
        return as_it_seemed


def _match(
    orders: Mapping[UUID, Order], candidates: Mapping[UUID, Sequence[Candidate]], rooms: _Rooms
) -> dict[UUID, Match]:
    """Radius by radius; each round again as long as a chosen driver turns out to have less room than was seen."""
    matches: dict[UUID, Match] = {}
    for radius_km in sorted(settings.ASSIGN_RADII_KM):
        near = {
            pk: [c for c in found if c.distance_m <= radius_km * 1000]
            for pk, found in candidates.items()
            if pk not in matches
        }
        costs = {pk: {c.driver_id: c.distance_m for c in found} for pk, found in near.items() if found}
        priorities = {pk: orders[pk].priority for pk in costs}
        while True:
            matched = match_orders(costs, rooms.left, priorities)
            if rooms.lock(matched.values()):
                break
        for pk, driver_id in matched.items():
            rooms.left[driver_id] -= 1
            matches[pk] = Match(driver_id=driver_id, radius_km=radius_km, considered=near[pk])
    return matches


def _fits(order: Order, driver: Driver) -> bool:
    """The vehicle may have changed since the candidates were read."""
    return not order.vehicle or order.vehicle == driver.vehicle


def _explain(
    match: Match, rooms: _Rooms, matches: Mapping[UUID, Match], near: Sequence[Considered], now: datetime
) -> dict[str, Any]:
    """For the history: who was considered, how far and how fresh their position was, and why they were passed over; and
    of those who were nearer than the chosen one (`near`), what had ruled them out from the start."""
    taken = {other.driver_id for other in matches.values()}

    def why_not(candidate: Candidate) -> str:
        if candidate.driver_id in rooms.busy:
            return "busy"
        if rooms.left[candidate.driver_id] < 1:
            return "other_order" if candidate.driver_id in taken else "no_room"
        return "farther"

    told = [
        candidate
        for rank, candidate in enumerate(match.considered)
        if rank < CANDIDATES_RECORDED or candidate.driver_id == match.driver_id
    ]
    chosen = next(c for c in told if c.driver_id == match.driver_id)
    nearer = [one for one in near if one.verdict and one.distance_m < chosen.distance_m]
    weighed = [
        {
            "driver": candidate.driver_id,
            "distance_m": round(candidate.distance_m),
            "position_age_s": _age(candidate, now),
            "load": candidate.load,
            "capacity": candidate.capacity,
            **({} if candidate is chosen else {"passed_over": why_not(candidate)}),
        }
        for candidate in told
    ]
    ruled_out = [{**one.told(), "passed_over": str(one.verdict)} for one in nearer[:RULED_OUT_RECORDED]]
    return {
        "how": "auto",
        "distance_m": round(chosen.distance_m),
        "radius_km": match.radius_km,
        "considered": len(match.considered),
        "matched_together": len(matches),
        "candidates": weighed + ruled_out,
    }


def _age(candidate: Candidate, now: datetime) -> int | None:
    return round((now - candidate.located_at).total_seconds()) if candidate.located_at else None
