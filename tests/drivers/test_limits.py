"""Limits against the real Redis: exact numbers, many at once, and Redis going away."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest
from django.conf import settings

from drivers import limits, redisdb
from drivers.limits import Limit, Memory, Shared, network_of
from tests.dispatch.live.rig import Redis, free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def keys() -> list[str]:
    return cast("list[str]", redisdb.client().keys(f"{settings.REDIS_PREFIX}:{limits.SPACE}:*"))


@pytest.fixture
def own_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """A Redis that can be stopped, and books of which nobody else knows."""
    server = Redis("redis", tmp_path)
    server.start()
    monkeypatch.setattr(settings, "REDIS_URL", f"redis://127.0.0.1:{server.port}/0")
    monkeypatch.setattr(limits, "shared", Shared())
    redisdb.impatient_client.cache_clear()
    yield server
    redisdb.impatient_client().close()
    redisdb.impatient_client.cache_clear()
    server.stop(signal.SIGKILL)


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(settings, "REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setattr(limits, "shared", Shared())
    redisdb.impatient_client.cache_clear()
    yield
    redisdb.impatient_client.cache_clear()


# --- In Redis --------------------------------------------------------------------------------------------------------


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    limit = Limit("test", per_second=0.001, burst=3)

    assert [limit.spend("alice") for _ in range(3)] == [0, 0, 0]
    assert 999 < limit.spend("alice") <= 1000
    assert 999 < limit.wait("alice") <= 1000


def test_a_refused_request_is_not_counted_and_the_next_is_let_through_after_the_wait() -> None:
    limit = Limit("test", per_second=20, burst=1)
    assert limit.spend("alice") == 0

    refused_at = time.monotonic()
    waits = [limit.spend("alice") for _ in range(5)]
    assert all(0 < wait <= 0.05 for wait in waits) or time.monotonic() - refused_at > 0.04
    wait_until(lambda: limit.spend("alice") == 0, within=1)


def test_what_is_given_back_can_be_spent_again_and_no_more_than_that() -> None:
    limit = Limit("test", per_second=0.001, burst=2)
    for _ in range(2):
        limit.spend("alice")

    limit.give_back("alice")
    assert [limit.spend("alice") > 0 for _ in range(2)] == [False, True]
    for _ in range(9):
        limit.give_back("alice")
    assert keys() == []
    assert [limit.spend("alice") > 0 for _ in range(3)] == [False, False, True]


def test_askers_and_limits_do_not_share() -> None:
    one, other = (Limit(name, per_second=0.001, burst=1) for name in ("one", "other"))

    assert (one.spend("alice"), one.spend("bob"), other.spend("alice"), one.wait("carol")) == (0, 0, 0, 0)
    assert one.wait("alice") > 0


def test_what_was_spent_is_kept_under_the_installations_prefix_until_it_is_paid_for() -> None:
    limit = Limit("test", per_second=0.1, burst=5)
    for _ in range(3):
        limit.spend(7)

    assert keys() == [f"{settings.REDIS_PREFIX}:{limits.SPACE}:test:7"]
    assert 29_000 < redisdb.client().pttl(keys()[0]) <= 30_000


def test_what_is_paid_for_goes_by_itself() -> None:
    Limit("test", per_second=20, burst=5).spend("alice")

    wait_until(lambda: keys() == [], within=2)


def test_a_debt_from_a_clock_that_went_back_is_forgotten() -> None:
    limit = Limit("test", per_second=1, burst=3)
    future = int((time.time() + 86_400) * 1_000_000)
    redisdb.client().set(redisdb.key(limits.SPACE, "test", "alice"), future)

    assert 0.9 < limit.spend("alice") <= 1


def test_fifty_at_the_same_moment_get_the_burst_and_no_more() -> None:
    limit = Limit("test", per_second=0.001, burst=10)
    start = threading.Barrier(50)

    def spend(_: int) -> bool:
        start.wait(10)
        return limit.spend("alice") == 0

    with ThreadPoolExecutor(50) as threads:
        assert sum(threads.map(spend, range(50))) == 10


CHILD = """
import sys, django
django.setup()
from concurrent.futures import ThreadPoolExecutor
from drivers import limits
limits.SPACE = sys.argv[1]
limit = limits.Limit("test", per_second=0.001, burst=40)
limit.wait("alice")
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(25) as threads:
    print(sum(wait == 0 for wait in threads.map(lambda _: limit.spend("alice"), range(100))))
"""


def test_two_processes_get_the_burst_together_and_no_more() -> None:
    space = limits.SPACE
    # As this process has it, whatever the environment says: parallel test processes have prefixes of their own.
    command = [sys.executable, "-c", CHILD, space]
    children = [
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment()
        )
        for _ in range(2)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        got = [int(child.communicate(timeout=20)[0]) for child in children]
    finally:
        for child in children:
            child.kill()
            child.communicate()

    assert sum(got) == 40
    assert Limit("test", per_second=0.001, burst=40).spend("alice") > 0


def _environment() -> dict[str, str]:
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "BATON_REDIS_PREFIX": settings.REDIS_PREFIX}


# --- Without Redis ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_redis")
def test_without_redis_a_limit_holds_per_process() -> None:
    limit = Limit("test", per_second=0.01, burst=10)

    assert [limit.spend("alice") > 0 for _ in range(11)] == [False] * 10 + [True]


@pytest.mark.usefixtures("no_redis")
def test_without_redis_a_limit_that_fails_closed_lets_a_tenth_through() -> None:
    limit = Limit("test", per_second=0.01, burst=20, fail_closed=True)

    assert [limit.spend("alice") > 0 for _ in range(3)] == [False, False, True]
    assert 990 < limit.wait("alice") <= 1000


def test_redis_may_come_and_go(own_redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    limit = Limit("test", per_second=0.001, burst=2)
    assert [limit.spend("alice") > 0 for _ in range(3)] == [False, False, True]

    own_redis.stop(signal.SIGKILL)
    assert [limit.spend("alice") > 0 for _ in range(3)] == [False, False, True]
    own_redis.start()
    # It has forgotten everything, as a Redis that is started anew does.
    wait_until(lambda: limit.spend("alice") == 0)

    said = [record.getMessage().partition(":")[0] for record in caplog.records if record.name == "drivers.limits"]
    assert said == ["Redis is away, limits are per process", "Redis is back"]


def test_a_frozen_redis_costs_one_request_a_second_a_tenth_of_a_second(own_redis: Redis) -> None:
    limit = Limit("test", per_second=1000, burst=100_000)
    limit.spend("alice")
    assert own_redis.child is not None
    own_redis.child.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    limit.spend("alice")
    first = time.monotonic() - began

    began = time.monotonic()
    for _ in range(1000):
        limit.spend("alice")
    rest = time.monotonic() - began

    assert 0.1 <= first < 0.4
    assert rest < 0.9


# --- In memory -------------------------------------------------------------------------------------------------------


def test_in_memory_a_burst_is_let_through_and_then_the_rate() -> None:
    clock = Clock()
    memory = Memory(per_second=2, burst=3, clock=clock)

    assert [memory.charge("alice", 1) for _ in range(4)] == [0, 0, 0, 0.5]
    clock.now += 0.5
    assert [memory.charge("alice", 1) for _ in range(2)] == [0, 0.5]
    memory.charge("alice", -1)
    assert [memory.charge("alice", 1) for _ in range(2)] == [0, 0.5]
    clock.now += 60
    assert [memory.charge("alice", 1) for _ in range(4)] == [0, 0, 0, 0.5]


def test_in_memory_the_longest_unheard_of_is_forgotten() -> None:
    memory = Memory(per_second=1, burst=1, clock=Clock())
    for number in range(limits.MAX_REMEMBERED + 1):
        memory.charge(str(number), 1)

    assert (memory.charge("0", 0), memory.charge("1", 0)) == (0, 1)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("", ""),
        ("a socket", "a socket"),
    ],
)
def test_whom_an_address_stands_for(address: str, network: str) -> None:
    assert network_of(address) == network
