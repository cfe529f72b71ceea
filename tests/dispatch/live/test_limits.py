"""What sockets may cost: how many a driver has, in all processes together, and how often an address knocks in vain."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from dispatch import services
from dispatch.consumers import doorstep
from dispatch.consumers.doorstep import admitted
from dispatch.consumers.places import SOCKETS_PER_DRIVER, Places
from dispatch.errors import NotSignedIn
from drivers import redisdb
from drivers.errors import Throttled
from drivers.limits import Limit
from drivers.models import Driver
from tests.dispatch.live.conftest import PREFIX
from tests.dispatch.live.rig import Client, Server, open_driver, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

Connect = Callable[..., Client]


@pytest.fixture
def other_server(server: Server, tmp_path: Path) -> Iterator[Server]:
    """A second process of the same installation."""
    other = Server(tmp_path, prefix=PREFIX)
    other.start()
    yield other
    other.stop()


def places_of(driver: Driver) -> int:
    return int(redisdb.client().zcard(redisdb.key("sockets", str(driver.pk))))


def has_places(driver: Driver, wanted: int) -> bool:
    return places_of(driver) == wanted


def test_a_driver_has_so_many_sockets_in_all_processes_together_and_the_oldest_makes_room(
    connect_driver: Connect, other_server: Server, clients: list[Client], alice: Driver, bob: Driver
) -> None:
    at_bob = connect_driver(bob)
    here = [connect_driver(alice) for _ in range(3)]
    wait_until(lambda: places_of(alice) == 3)
    there = []
    for number in range(3):
        there.append(open_driver(other_server, alice))
        clients.append(there[-1])
        assert there[-1].frame()["type"] == "snapshot"
        wanted = min(4 + number, SOCKETS_PER_DRIVER)
        wait_until(partial(has_places, alice, wanted))

    assert here[0].close_code(within=5) == 4010
    for client in (*here[1:], *there, at_bob):
        assert client.is_served()

    here[1].close()
    wait_until(lambda: places_of(alice) == SOCKETS_PER_DRIVER - 1)
    again = connect_driver(alice)
    wait_until(lambda: places_of(alice) == SOCKETS_PER_DRIVER)
    for client in (here[2], *there, again):
        assert client.is_served()


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


def test_the_places_of_a_process_that_died_are_free(own_prefix: None, alice: Driver) -> None:
    async def story() -> list[str]:
        replaced: list[str] = []
        dead = Places("dead", lambda _, places: replaced.extend(places))
        living = Places("living", lambda _, places: replaced.extend(places))
        for _ in range(SOCKETS_PER_DRIVER):
            dead.take(alice.pk)
        await settled(lambda: places_of(alice) == SOCKETS_PER_DRIVER)
        # What its sign of life does by itself after FREE_SECONDS.
        redisdb.client().delete(redisdb.key("process", "dead"))
        for _ in range(SOCKETS_PER_DRIVER):
            living.take(alice.pk)
        await settled(lambda: not living._waiting and places_of(alice) == SOCKETS_PER_DRIVER)
        taken_by_the_dead = list(replaced)
        living.take(alice.pk)
        await settled(lambda: len(replaced) > len(taken_by_the_dead))
        for task in (*dead._tasks, *living._tasks):
            task.cancel()
        return replaced

    redisdb.client().delete(redisdb.key("sockets", str(alice.pk)))
    assert asyncio.run(story()) == ["living:1"]


def test_without_redis_a_process_counts_its_own(
    own_prefix: None, alice: Driver, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        places = Places("alone", lambda *_: pytest.fail("nobody was replaced"))
        for _ in range(SOCKETS_PER_DRIVER + 3):
            places.take(alice.pk)
        await settled(lambda: "sockets are counted per process" in caplog.text)
        assert not any(task.done() for task in places._tasks)
        for task in places._tasks:
            task.cancel()

    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    redisdb.client.cache_clear()
    try:
        asyncio.run(story())
    finally:
        redisdb.client.cache_clear()


# --- Knocking in vain ---


def stranger() -> None:
    raise NotSignedIn


def test_an_address_that_is_refused_too_often_waits_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorstep, "REFUSED_HANDSHAKES", Limit("test", per_second=0.1, burst=2))
    for _ in range(5):
        assert admitted("198.51.100.7", lambda: "alice") == "alice"
    for _ in range(2):
        with pytest.raises(NotSignedIn):
            admitted("198.51.100.7", stranger)

    with pytest.raises(Throttled) as refusal:
        admitted("198.51.100.7", lambda: "alice")

    assert refusal.value.data == {"retry_after": 10}
    assert admitted("198.51.100.8", lambda: "bob") == "bob"


def test_handshakes_at_the_same_moment_all_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorstep, "REFUSED_HANDSHAKES", Limit("test", per_second=0.001, burst=5))

    def knock(_: int) -> type[Exception]:
        try:
            admitted("198.51.100.7", stranger)
        except (NotSignedIn, Throttled) as refusal:
            return type(refusal)
        raise AssertionError("let in")

    with ThreadPoolExecutor(16) as crowd:
        answers = list(crowd.map(knock, range(64)))

    assert (answers.count(NotSignedIn), answers.count(Throttled)) == (5, 59)


def test_a_database_that_is_away_costs_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorstep, "REFUSED_HANDSHAKES", Limit("test", per_second=0.001, burst=1))

    def away() -> None:
        raise OSError("no database")

    for _ in range(3):
        with pytest.raises(OSError, match="no database"):
            admitted("198.51.100.7", away)


def test_a_server_says_how_long_to_wait_and_a_suspended_drivers_app_is_counted(
    server: Server, connect_driver: Connect, alice: Driver, bob: Driver
) -> None:
    services.suspend_driver(driver_id=alice.pk)
    limit, address = doorstep.REFUSED_HANDSHAKES, "127.0.0.1"
    key = redisdb.key("limit", limit.name, address)
    redisdb.client().delete(key)

    assert refused(server, alice) == (403, None)
    assert redisdb.client().exists(key) == 1
    burst = limit.tolerance // limit.interval + 1
    seconds, microseconds = redisdb.client().time()
    redisdb.client().set(key, str(seconds * 1_000_000 + microseconds + burst * limit.interval), px=60_000)
    status, retry_after = refused(server, bob)

    assert (status, retry_after) == (429, "1")
    redisdb.client().delete(key)
    assert connect_driver(bob).is_served()


def refused(server: Server, driver: Driver) -> tuple[int, str | None]:
    with pytest.raises(InvalidStatus) as refusal:
        open_driver(server, driver)
    return refusal.value.response.status_code, refusal.value.response.headers.get("Retry-After")
