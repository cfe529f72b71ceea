import ast
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from django_q.models import Schedule

from dispatch import seats, sweeps
from dispatch.models import SweepHeartbeat
from dispatch.schedules import PLANNED, rewrite_schedules
from dispatch.seats import Seat
from dispatch.services.duty import SILENT_BATCH
from dispatch.sweeps import Outcome, Sweeper
from drivers.models import Driver, Presence
from orders.models import Order
from tests import cast
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


class Runs:
    """Runs of the sweeps, each in a thread, that is with connections, of its own. They end with the test, as by SIGTERM."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pool = ThreadPoolExecutor(4)
        self._started: list[sweeps.Run] = []
        started = self._started

        class Run(sweeps.Run):
            def __init__(self, at_least: float, at_most: float) -> None:
                super().__init__(at_least, at_most)
                started.append(self)

        monkeypatch.setattr("dispatch.sweeps.Run", Run)

    def start(self, *, at_least: float = 60, at_most: float = 60) -> "Future[Outcome]":
        def run() -> Outcome:
            try:
                return sweeps.run_sweeps(at_least=at_least, at_most=at_most)
            finally:
                connections.close_all()

        return self._pool.submit(run)

    def end(self) -> None:
        for run in self._started:
            run.stopped = True
        self._pool.shutdown()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    made = Runs(monkeypatch)
    yield made
    made.end()


def beats() -> SweepHeartbeat:
    return SweepHeartbeat.objects.filter(pk=1).first() or SweepHeartbeat()


def sweeping_since(moment: datetime) -> bool:
    at = beats().active_at
    return at is not None and at > moment


def sessions() -> list[int]:
    """The database sessions that hold or want a seat, in this test's database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'baton-sweep-seat' AND datname = current_database()"
        )
        return [pid for (pid,) in cursor.fetchall()]


def holder_of(seat: Seat) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(seats.HOLDERS, [seats.NAMESPACE, seat])
        row = cursor.fetchone()
    return row[0] if row else None


def both_seats_taken() -> bool:
    """By two: whoever has just become active holds both for a moment."""
    return holder_of(Seat.ACTIVE) not in {None, holder_of(Seat.STANDBY)} and holder_of(Seat.STANDBY) is not None


def cut(session: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [session])


# --- One tick --------------------------------------------------------------------------------------------------------


def test_one_tick_does_everything_that_is_due(alice: Driver, bob: Driver) -> None:
    expired, assigned, waiting = cast.order(), cast.order(), cast.order()
    cast.let_time_pass(expired, seconds=125)
    cast.let_time_pass(assigned, seconds=20)
    late = cast.driver("late", at=cast.FERRY_BUILDING)
    silent = cast.driver("silent", at=cast.OCEAN_BEACH)
    Presence.objects.filter(pk=silent.pk).update(last_seen=cast.now() - cast.MINUTE)

    Sweeper(beat=lambda: None).tick()

    assert Order.objects.get(pk=expired.pk).expired is True
    assert Order.objects.get(pk=assigned.pk).status == "assigned"
    assert cast.offers(waiting)["late"] == "open"
    assert Presence.objects.get(pk=silent.pk).is_online is False
    assert Presence.objects.get(pk=late.pk).is_online is True


def test_a_sweep_that_fails_is_logged_and_the_others_still_run(
    alice: Driver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    order = cast.order()
    cast.let_time_pass(order, seconds=20)

    def broken() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")
        return 0

    monkeypatch.setattr("dispatch.sweeps.overdue_orders", lambda limit: broken())

    Sweeper(beat=lambda: None).tick()

    assert Order.objects.get(pk=order.pk).driver_id == alice.pk
    assert [record.getMessage() for record in caplog.records] == ["Sweep expire failed; the next tick tries again."]


def test_a_sweep_that_lost_its_connection_gets_a_new_one(alice: Driver, caplog: pytest.LogCaptureFixture) -> None:
    order = cast.order()
    cast.let_time_pass(order, seconds=20)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (mine,) = cursor.fetchone()
    with psycopg.connect(**params(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [mine])

    Sweeper(beat=lambda: None).tick()

    assert Order.objects.get(pk=order.pk).driver_id == alice.pk
    assert len(caplog.records) == 1


def test_a_whole_fleet_that_fell_silent_is_dealt_with_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    silent, beaten = [SILENT_BATCH, SILENT_BATCH, 3], []
    monkeypatch.setattr("dispatch.sweeps.mark_silent_drivers_offline", lambda: silent.pop(0))
    sweeper = Sweeper(beat=lambda: beaten.append(len(silent)))

    sweeper.tick()
    sweeper.tick()

    # A sign of life after each of the two full batches, besides those after each sweep; the second tick is too soon.
    assert (silent, beaten.count(2), beaten.count(1)) == ([], 1, 1)


def test_a_tick_ends_at_once_when_the_seat_is_gone(alice: Driver) -> None:
    order = cast.order()
    cast.let_time_pass(order, seconds=20)

    def beat() -> None:
        raise psycopg.OperationalError("gone")

    with pytest.raises(psycopg.OperationalError):
        Sweeper(beat=beat).tick()

    assert Order.objects.get(pk=order.pk).status == "pending", "expiring comes first, assigning was not reached"


def params() -> dict[str, Any]:
    given = connection.settings_dict
    return {
        "host": given["HOST"],
        "port": given["PORT"],
        "user": given["USER"],
        "password": given["PASSWORD"],
        "dbname": given["NAME"],
    }


# --- Seats -----------------------------------------------------------------------------------------------------------


def test_a_seat_is_one_process_s_until_it_gives_it_back_or_dies() -> None:
    with seats.connect() as first, seats.connect() as second:
        assert first.take(Seat.ACTIVE) is True
        assert second.take(Seat.ACTIVE) is False
        assert second.take(Seat.STANDBY) is True
        first.give_back(Seat.ACTIVE)
        assert second.take(Seat.ACTIVE) is True
    with seats.connect() as third:
        assert not third.is_taken(Seat.ACTIVE)
        assert not third.is_taken(Seat.STANDBY)


def test_whoever_is_evicted_can_give_no_sign_of_life_any_more() -> None:
    with seats.connect() as frozen, seats.connect() as standby:
        frozen.take(Seat.ACTIVE)
        frozen.beat_active()
        before = beats().active_at

        assert standby.evict(Seat.ACTIVE) is True

        with pytest.raises(seats.LOST):
            frozen.beat_active()
        assert beats().active_at == before
        wait_until(lambda: standby.take(Seat.ACTIVE), seconds=2, what="the seat is free")
        assert standby.evict(Seat.STANDBY) is False


def test_signs_of_life_say_who_and_when() -> None:
    with seats.connect() as claim:
        claim.beat_active(0.25)
        claim.beat_active()
        assert claim.beat_standby() == beats().active_at

    row = beats()
    assert (row.active_pid, row.standby_pid, row.tick_seconds) == (os.getpid(), os.getpid(), 0.25)
    assert row.active_at is not None
    assert row.standby_at is not None
    assert row.active_at < row.standby_at <= cast.now()


def test_a_pooler_that_changes_the_session_is_noticed() -> None:
    with seats.connect() as claim:
        claim._backend += 1

        with pytest.raises(psycopg.InterfaceError, match="DATABASE_DIRECT_URL"):
            claim.beat_active()


# --- Runs ------------------------------------------------------------------------------------------------------------


def test_a_third_run_is_not_needed(runs: Runs) -> None:
    runs.start()
    runs.start()
    wait_until(both_seats_taken, seconds=5, what="both seats are taken")

    assert runs.start().result(timeout=5) == Outcome.NOT_NEEDED


def test_an_order_expires_and_another_is_assigned_on_the_second(runs: Runs, alice: Driver) -> None:
    runs.start()
    wait_until(lambda: sweeping_since(cast.now() - cast.MINUTE), seconds=3, what="sweeping")
    soon = cast.now() + timedelta(seconds=1)
    assigned, expired = cast.order(auto_assign_at=soon), cast.order(auto_assign_at=soon, expires_at=soon)

    wait_until(lambda: Order.objects.get(pk=expired.pk).expired, seconds=4, what="expired")
    wait_until(lambda: Order.objects.get(pk=assigned.pk).driver_id == alice.pk, seconds=4, what="assigned")

    for order, kind, due in [(expired, "order.expired", "expires_at"), (assigned, "order.assigned", "auto_assign_at")]:
        fresh = Order.objects.get(pk=order.pk)
        late = (fresh.events.get(kind=kind).at - getattr(fresh, due)).total_seconds()
        assert 0 <= late < 1.5


def test_the_standby_relieves_the_active_one(runs: Runs) -> None:
    first = runs.start(at_least=1)
    wait_until(lambda: holder_of(Seat.ACTIVE), seconds=3, what="sweeping")
    sweeper = holder_of(Seat.ACTIVE)
    runs.start()

    assert first.result(timeout=8) == Outcome.RELIEVED

    wait_until(lambda: holder_of(Seat.ACTIVE) not in {None, sweeper}, seconds=3, what="the standby has the seat")
    wait_until(lambda: holder_of(Seat.STANDBY) is None, seconds=3, what="nobody stands by")


def test_the_active_one_goes_on_as_long_as_nobody_stands_by(runs: Runs) -> None:
    assert runs.start(at_least=0, at_most=2).result(timeout=8) == Outcome.TIME_IS_UP


def test_when_the_active_one_dies_the_standby_takes_over(runs: Runs) -> None:
    runs.start()
    runs.start()
    wait_until(both_seats_taken, seconds=5, what="both seats are taken")
    dead, standby = holder_of(Seat.ACTIVE), holder_of(Seat.STANDBY)
    assert dead is not None

    cut(dead)

    wait_until(lambda: holder_of(Seat.ACTIVE) == standby, seconds=2, what="the standby has the seat")


def test_a_frozen_active_one_loses_its_seat(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatch.sweeps.FROZEN_AFTER_BEATS", 2)
    with seats.connect() as frozen:
        frozen.take(Seat.ACTIVE)
        frozen.beat_active()
        since = cast.now()
        runs.start()

        wait_until(lambda: sweeping_since(since), seconds=4, what="somebody else sweeps")

        with pytest.raises(seats.LOST):
            frozen.beat_active()


def test_a_run_that_lost_the_database_comes_back_by_itself(runs: Runs) -> None:
    runs.start()
    wait_until(lambda: holder_of(Seat.ACTIVE), seconds=3, what="sweeping")
    dead = holder_of(Seat.ACTIVE)
    assert dead is not None
    since = cast.now()

    for session in sessions():
        cut(session)

    wait_until(lambda: holder_of(Seat.ACTIVE) not in {None, dead}, seconds=4, what="back in the seat")
    wait_until(lambda: sweeping_since(since), seconds=4, what="sweeping again")


# --- Schedules -------------------------------------------------------------------------------------------------------


def test_schedules_are_what_the_code_says(settings: Any) -> None:
    rewrite_schedules()
    rewrite_schedules()

    rows = Schedule.objects.order_by("name").values_list("name", "func", "minutes", "cluster", "schedule_type")
    assert list(rows) == sorted((p.name, p.func, p.minutes, p.cluster, Schedule.MINUTES) for p in PLANNED)
    assert all(p.patience * settings.JOB_SECONDS < settings.Q_CLUSTER["retry"] for p in PLANNED)
    audit = Schedule.objects.get(name="audit")
    assert ast.literal_eval(audit.kwargs) == {"q_options": {"timeout": 3 * settings.JOB_SECONDS}}
    assert {p.cluster for p in PLANNED} <= {settings.Q_CLUSTER["name"], *settings.Q_CLUSTER["ALT_CLUSTERS"]}


def test_a_malformed_row_is_healed_and_a_foreign_one_removed() -> None:
    rewrite_schedules()
    Schedule.objects.filter(name="sweeps").update(args="(((", kwargs="x", next_run=None, minutes=77, cluster=None)
    Schedule.objects.create(name="poison", func="os.abort", args="not python", schedule_type=Schedule.ONCE)

    rewrite_schedules()

    assert sorted(Schedule.objects.values_list("name", flat=True)) == sorted(p.name for p in PLANNED)
    row = Schedule.objects.get(name="sweeps")
    assert (row.args, row.kwargs, row.minutes, row.cluster) == (None, None, 1, "sweeps")
    assert row.next_run is not None


def test_when_something_is_due_next_survives_a_restart() -> None:
    rewrite_schedules()
    Schedule.objects.filter(name="clean up").update(next_run=cast.now() + cast.MINUTE)
    before = Schedule.objects.get(name="clean up").next_run

    rewrite_schedules()

    assert Schedule.objects.get(name="clean up").next_run == before
