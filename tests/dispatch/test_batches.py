"""Batches that are worked off side by side (dispatch/services/batches.py)."""

import threading
from collections.abc import Sequence
from itertools import chain

import pytest
from django.db import OperationalError

from dispatch.services.batches import side_by_side
from dispatch.sweeps import Sweeper
from drivers.models import Driver
from orders.models import Order, OrderEvent
from tests import cast
from tests.waiting import wait_until

PATIENCE = 10


class Met:
    """Two threads that begin their first batch together."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(2, timeout=PATIENCE)
        self.done: dict[str, list[Sequence[int]]] = {}

    def meet(self, batch: Sequence[int]) -> str:
        """Who works on it: `here` or `beside`."""
        who = "here" if threading.current_thread() is threading.main_thread() else "beside"
        first = who not in self.done
        self.done.setdefault(who, []).append(batch)
        if first:
            self.barrier.wait()
        return who


def is_alone() -> bool:
    return not any(thread.name == "side-by-side" for thread in threading.enumerate())


def nothing() -> None:
    pass


def test_one_batch_is_done_here() -> None:
    threads: list[threading.Thread] = []

    side_by_side(lambda _: threads.append(threading.current_thread()), [1, 2], size=2, after_each=nothing)

    assert threads == [threading.main_thread()]


def test_each_batch_is_done_once_by_two_threads() -> None:
    met = Met()
    breaths: list[int] = []

    side_by_side(met.meet, list(range(11)), size=2, after_each=lambda: breaths.append(1))

    assert sorted(met.done) == ["beside", "here"]
    assert sorted(map(list, chain(*met.done.values()))) == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10]]
    assert len(breaths) == len(met.done["here"])


def test_what_fails_beside_is_logged_and_this_thread_goes_on_alone(caplog: pytest.LogCaptureFixture) -> None:
    met = Met()

    def act(batch: Sequence[int]) -> None:
        if met.meet(batch) == "beside":
            raise OperationalError("too many clients")
        wait_until(is_alone, seconds=PATIENCE, what="the helper's end")

    side_by_side(act, list(range(10)), size=1, after_each=nothing)

    assert {who: len(batches) for who, batches in met.done.items()} == {"here": 9, "beside": 1}
    assert [record.getMessage() for record in caplog.records] == ["What was to be done beside is left to the next time"]


def test_when_this_thread_has_to_stop_the_other_ends_with_its_batch() -> None:
    met, stopped = Met(), threading.Event()

    def act(batch: Sequence[int]) -> None:
        if met.meet(batch) == "beside":
            assert stopped.wait(PATIENCE)

    def stop() -> None:
        # Whoever raises here has taken the rest away before the other goes on.
        threading.Timer(0.2, stopped.set).start()
        raise LookupError

    with pytest.raises(LookupError):
        side_by_side(act, list(range(10)), size=1, after_each=stop)

    assert {who: len(batches) for who, batches in met.done.items()} == {"here": 1, "beside": 1}
    assert is_alone()


@pytest.mark.django_db(transaction=True)
def test_a_pile_of_overdue_orders_expires_in_one_tick_each_of_them_once(
    alice: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatch.sweeps.EXPIRE_BATCH", 2)
    overdue = [cast.order() for _ in range(9)]
    for order in overdue:
        cast.let_time_pass(order, seconds=125)
    fresh = cast.order()

    Sweeper(beat=nothing).tick()

    assert set(Order.objects.filter(expired=True)) == set(overdue)
    told = OrderEvent.objects.filter(kind="order.expired").values_list("order_id", flat=True)
    assert sorted(told) == sorted(order.pk for order in overdue)
    assert cast.offers(fresh) == {"alice": "open"}
    assert [cast.offers(order)["alice"] for order in overdue] == ["lapsed"] * 9
