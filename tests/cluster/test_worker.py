"""Sweeps under a real django-q2: on the second, and back within ten whatever is killed."""

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django_q.models import OrmQ, Schedule
from django_q.tasks import async_task

from drivers.clock import database_now
from orders.models import Order
from tests import cast
from tests.cluster import rig
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.cluster]

#: The promise: whatever is killed, sweeps run again within so many seconds.
BACK_WITHIN = 10.0
START_WITHIN = 90


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[rig.Worker]:
    """Sweeping, with somebody standing by."""
    with rig.worker(tmp_path / "worker.log") as started:
        both_seats_taken()
        yield started


def both_seats_taken() -> tuple[int, int]:
    """Who sweeps and who stands by."""
    seats = wait_until(rig.seats, seconds=START_WITHIN, what="one sweeps and one stands by")
    assert seats
    return seats


def sweeping_again_within(seconds: float) -> None:
    """Measured by what counts: an order that is due now is dealt with."""
    due = database_now()
    order = cast.order(expires_at=due + timedelta(seconds=0.5), auto_assign_at=due + timedelta(seconds=0.5))
    wait_until(lambda: Order.objects.get(pk=order.pk).expired, seconds=seconds + 0.5, what="sweeping again")


def late(order: Order, kind: str, due: str) -> float:
    fresh = Order.objects.get(pk=order.pk)
    return float((fresh.events.get(kind=kind).at - getattr(fresh, due)).total_seconds())


# A worker takes many seconds to start, so several blows fall on the same one; each begins with both seats taken.


def test_on_the_second_and_whoever_is_lost_is_replaced_without_a_restart(worker: rig.Worker) -> None:
    on_the_second()
    the_active_one_is_killed()
    the_active_one_freezes()
    all_but_the_sweepers_are_killed(worker)

    family = worker.family()
    assert len(family) > 8
    assert worker.stop() == 0
    assert worker.left_over() == set()


def test_back_after_losing_both_sweepers_or_what_started_them(worker: rig.Worker) -> None:
    for pid in both_seats_taken():
        os.kill(pid, signal.SIGKILL)
    sweeping_again_within(BACK_WITHIN)
    both_seats_taken()

    os.kill(worker.sentinel("sweeps"), signal.SIGKILL)
    sweeping_again_within(BACK_WITHIN)
    both_seats_taken()

    worker.kill()
    wait_until(lambda: not worker.left_over(), seconds=5, what="all its processes are gone")


def test_back_after_the_whole_cluster_is_killed_or_freezes(worker: rig.Worker) -> None:
    for blow in (signal.SIGKILL, signal.SIGSTOP):
        spare = wait_until(lambda: worker.waiting_spare("sweeps"), seconds=START_WITHIN, what="a spare waits")
        for pid in worker.cluster("sweeps") | {spare}:
            # A spare that is frozen as well is woken; killed, it could not be.
            if blow == signal.SIGSTOP or pid != spare:
                os.kill(pid, blow)
        sweeping_again_within(BACK_WITHIN)
        both_seats_taken()
        assert spare in worker.cluster("sweeps")


def test_a_successor_takes_over_when_it_is_ready(worker: rig.Worker, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    with rig.worker(tmp_path / "successor.log", BATON_READY_FILE=str(ready)) as successor:
        wait_until(ready.exists, seconds=START_WITHIN, what="the successor is ready")
        assert set(both_seats_taken()) <= worker.family(), "until it is told to, it does nothing"

        # What bin/children.py does.
        os.kill(worker.pid, signal.SIGUSR1)
        ready.unlink()

        sweeping_again_within(BACK_WITHIN)
        # The predecessor sweeps until its turn is over, so both seats change hands one after the other.
        wait_until(
            lambda: set(both_seats_taken()) <= successor.cluster("sweeps"),
            seconds=BACK_WITHIN,
            what="both seats are the successor's",
        )
        assert worker.wait() == 0
        assert worker.left_over() == set()


def on_the_second() -> None:
    alice = cast.driver("alice", at=cast.FERRY_BUILDING)
    soon = database_now() + timedelta(seconds=1.3)
    expiring = cast.order(expires_at=soon, auto_assign_at=soon)
    assigned = cast.order(auto_assign_at=soon)

    wait_until(lambda: Order.objects.get(pk=expiring.pk).expired, seconds=5, what="expired")
    wait_until(lambda: Order.objects.get(pk=assigned.pk).driver_id == alice.pk, seconds=5, what="assigned")

    assert 0 <= late(expiring, "order.expired", "expires_at") < 1.5
    assert 0 <= late(assigned, "order.assigned", "auto_assign_at") < 1.5


def the_active_one_is_killed() -> None:
    killed, _ = both_seats_taken()

    os.kill(killed, signal.SIGKILL)

    sweeping_again_within(3)
    assert killed not in both_seats_taken()


def the_active_one_freezes() -> None:
    frozen, standing_by = both_seats_taken()

    os.kill(frozen, signal.SIGSTOP)

    sweeping_again_within(BACK_WITHIN)
    # The one who stood by took over; the watchdog did not end both for it.
    assert rig.active() == standing_by
    os.kill(frozen, signal.SIGKILL)
    both_seats_taken()


def all_but_the_sweepers_are_killed(worker: rig.Worker) -> None:
    """The pusher and the monitor among them; the sentinel starts new ones, and nobody notices."""
    sentinel = worker.sentinel("sweeps")
    sweepers = set(both_seats_taken())
    for pid in rig.children(sentinel) - sweepers:
        os.kill(pid, signal.SIGKILL)

    sweeping_again_within(2)
    assert set(both_seats_taken()) == sweepers


def test_killing_idle_workers_does_not_wedge_the_jobs_for_good(tmp_path: Path) -> None:
    """An idle worker waits with the lock of the queue in its hand; the lock dies with it and nothing is taken any more."""
    with rig.worker(tmp_path / "worker.log", BATON_JOB_SECONDS="1") as worker:
        wait_until(lambda: job_done(), seconds=START_WITHIN, what="the first job is done")
        sentinel = worker.sentinel("jobs")
        workers = sorted(rig.children(sentinel))[:2]
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        async_task("dispatch.tasks.sign_of_life")

        wait_until(lambda: worker.sentinel("jobs") != sentinel, seconds=60, what="the cluster was started anew")
        wait_until(lambda: job_done(), seconds=START_WITHIN, what="jobs are done again")


def job_done() -> bool:
    if OrmQ.objects.filter(key="jobs").exists():
        return False
    async_task("dispatch.tasks.sign_of_life")
    wait_until(lambda: not OrmQ.objects.filter(key="jobs").exists(), seconds=60, what="the queue is empty")
    return True


def test_a_malformed_schedule_is_healed_at_start(tmp_path: Path) -> None:
    Schedule.objects.create(name="sweeps", func="dispatch.tasks.run_sweeps", args="(((", cluster="sweeps")

    with rig.worker(tmp_path / "worker.log"):
        both_seats_taken()

    row = Schedule.objects.get(name="sweeps")
    assert (row.args, row.minutes, row.schedule_type) == (None, 1, Schedule.MINUTES)
