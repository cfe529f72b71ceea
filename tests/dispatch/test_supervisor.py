"""How long the watchdog waits before it takes a cluster for dead."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from dispatch.cluster import Cluster
from dispatch.spawn import environment
from dispatch.supervisor import START_SECONDS, SWEEPS_FIRST_SECONDS, WARM_START_SECONDS, Supervisor
from dispatch.sweeps import FROZEN_AFTER_BEATS

#: Makes its file if it has one, and waits for two lines.
PROGRAM = """
import os, sys
if name := os.environ.get("BATON_READY_FILE"):
    open(name, "w").close()
sys.stdin.readline()
sys.stdin.readline()
"""
WAITS = [sys.executable, "-c", PROGRAM]


class Waiting(Cluster):
    """Its processes only wait."""

    def _spawn(self, **more: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(WAITS, stdin=subprocess.PIPE, start_new_session=True, env=os.environ | more)

    def started_ago(self, seconds: float) -> None:
        self._started = time.monotonic() - seconds


@pytest.fixture
def cluster() -> Iterator[Waiting]:
    waiting = Waiting("sweeps", finish_tasks=False, stop_seconds=1.0, keeps_spare=True)
    yield waiting
    waiting.stop()


def had_time(cluster: Waiting, seconds: float) -> bool:
    cluster.started_ago(seconds)
    return Supervisor()._had_time_to_start(cluster)


def test_a_cluster_that_has_everything_to_import_is_given_half_a_minute(cluster: Waiting) -> None:
    cluster.start()

    assert [had_time(cluster, seconds) for seconds in (START_SECONDS - 1, START_SECONDS + 1)] == [False, True]


def test_one_that_was_a_spare_is_given_seconds_and_longer_if_the_one_before_it_failed(cluster: Waiting) -> None:
    cluster.prepare(ready_file="")
    cluster.start()
    warm = (WARM_START_SECONDS - 1, WARM_START_SECONDS + 1)
    assert [had_time(cluster, seconds) for seconds in warm] == [False, True]

    cluster.started_ago(11)
    cluster.keep_spare()
    cluster.kill()
    cluster.start()

    assert [had_time(cluster, 2 * seconds) for seconds in warm] == [False, True]


def test_a_spare_that_has_died_gives_no_quick_start(cluster: Waiting) -> None:
    cluster.prepare(ready_file="")
    assert cluster._spare is not None
    cluster._spare.kill()
    cluster._spare.wait()

    cluster.start()

    assert [had_time(cluster, seconds) for seconds in (START_SECONDS - 1, START_SECONDS + 1)] == [False, True]


def test_a_successor_whose_sign_is_taken_away_the_moment_it_is_there_begins(
    cluster: Waiting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bin/children.py may look, and tell it to begin, between two looks of its own."""
    ready = tmp_path / "ready"
    monkeypatch.setenv("BATON_READY_FILE", str(ready))
    supervisor = Supervisor()
    supervisor.sweeps = cluster
    waiting = threading.Thread(target=supervisor._wait_for_turn, daemon=True)

    waiting.start()
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError):
            ready.unlink()
            break
    waiting.join(5)

    assert not waiting.is_alive()
    assert cluster.has_spare


@pytest.mark.parametrize(("setting", "allowed"), [("", "3000"), ("15000", "3000"), ("900", "900")])
def test_a_statement_of_a_sweep_fails_before_its_process_is_taken_for_frozen(
    setting: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else two runs would begin one that takes too long in turn, for ever, and the sweeps after it never have theirs."""
    monkeypatch.setenv("BATON_STATEMENT_TIMEOUT_MS", setting)

    assert environment("sweeps")["BATON_STATEMENT_TIMEOUT_MS"] == allowed
    assert int(allowed) < FROZEN_AFTER_BEATS * 1000
    assert environment("jobs")["BATON_STATEMENT_TIMEOUT_MS"] == setting


def test_one_that_was_started_a_moment_ago_begins_but_is_given_time(cluster: Waiting) -> None:
    cluster.adopt(cluster._spawn())
    early = cluster._spare
    cluster.start()

    assert early is not None
    assert cluster.pid == early.pid
    assert [had_time(cluster, seconds) for seconds in (START_SECONDS - 1, START_SECONDS + 1)] == [False, True]


def test_the_jobs_wait_for_the_sweeps_to_be_at_work_but_not_for_ever(
    cluster: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = Supervisor()
    jobs = Waiting("jobs", finish_tasks=True, stop_seconds=1.0)
    supervisor.sweeps, supervisor.jobs = cluster, jobs
    monkeypatch.setattr("dispatch.supervisor.queues", Mock())
    cluster.start()

    def jobs_are_started() -> bool:
        supervisor._start()
        is_started = jobs.pid is not None
        jobs.kill()
        return is_started

    assert not jobs_are_started()
    supervisor._sweeping = cluster.pid
    assert jobs_are_started()
    supervisor._sweeping = None
    supervisor._awake_since -= SWEEPS_FIRST_SECONDS + 1
    assert jobs_are_started()
