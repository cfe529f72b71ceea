"""Who comes first when there are not threads enough."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import pytest

from config.lanes import COMES_AGAIN, PATIENCE, Gone, Lane, Rank, Refused, rank_of
from tests.dispatch.live.rig import PATIENCE as WITHIN

ORDER = "/api/v1/orders/0199a0a0-0000-7000-8000-000000000000/"


@pytest.mark.parametrize(
    ("method", "path", "rank"),
    [
        ("POST", "/api/v1/driver/heartbeat/", Rank.ACT),
        ("GET", "/api/v1/driver/sync/", Rank.ACT),
        ("POST", f"{ORDER}accept/", Rank.ACT),
        ("POST", f"{ORDER}deliver/", Rank.ACT),
        ("POST", f"{ORDER}cancel/", Rank.ACT),
        ("POST", f"{ORDER}assign/", Rank.ACT),
        ("PATCH", "/api/v1/driver/", Rank.ACT),
        ("POST", "/api/v1/board/acts/", Rank.ACT),
        ("POST", "/api/v1/orders/", Rank.REQUEST),
        ("GET", ORDER, Rank.REQUEST),
        ("GET", "/api/v1/driver/", Rank.REQUEST),
        ("GET", "/driver/", Rank.REQUEST),
        ("POST", "/admin/orders/order/add/", Rank.REQUEST),
        ("GET", "/api/v1/orders/", Rank.LISTING),
        ("GET", "/api/v1/driver/orders/", Rank.LISTING),
        ("GET", "/api/v1/events/", Rank.LISTING),
        ("GET", f"{ORDER}events/", Rank.LISTING),
        ("GET", "/admin/report/", Rank.LISTING),
        ("HEAD", "/admin/orders/order/", Rank.LISTING),
        ("GET", "/api/schema/", Rank.LISTING),
    ],
)
def test_acts_come_before_requests_before_listings(method: str, path: str, rank: Rank) -> None:
    assert rank_of(method, path) is rank


def test_nobody_waits_longer_than_the_app_does() -> None:
    # dispatch: a lock may take four seconds more; the app gives an act fifteen.
    assert max(PATIENCE.values()) + 4 < 15
    assert PATIENCE[Rank.LISTING] < PATIENCE[Rank.REQUEST] < PATIENCE[Rank.ACT]


class Queue:
    """A lane whose threads are held until the end, or until `after`; who was served, in order, and what others were told."""

    def __init__(self, **options: Any) -> None:
        self.threads = options.get("threads", 1)
        self.lane = Lane("test", **{"threads": 1, "waiting": 10, **options})
        self.served: list[str] = []
        self.told: dict[str, str | None] = {}
        self.released: dict[str, threading.Event] = {}
        self.begun: SimpleQueue[str] = SimpleQueue()
        self.tasks: list[asyncio.Task[None]] = []
        self.gone: dict[str, asyncio.Future[None]] = {}

    async def ask(self, name: str, rank: Rank) -> None:
        self.gone[name] = asyncio.get_running_loop().create_future()
        self.released[name] = threading.Event()
        self.tasks.append(asyncio.create_task(self._one(name, rank)))
        # Until it has got in, or stands in the queue.
        await asyncio.sleep(0)

    async def _one(self, name: str, rank: Rank) -> None:
        loop = asyncio.get_running_loop()
        try:
            self.lane.check_room(rank)
            await self.lane.turn(rank, self.gone[name])
            work = self.lane.submit(rank, loop, self._work, name)
            await asyncio.wrap_future(work, loop=loop)
        except Refused as refusal:
            self.told[name] = refusal.response["Retry-After"]
        except Gone:
            self.told[name] = None

    def _work(self, name: str) -> None:
        self.begun.put(name)
        assert self.released[name].wait(WITHIN)
        self.served.append(name)

    async def fill(self) -> None:
        """Acts in all threads: running 0, running 1 and so on."""
        for number in range(self.threads):
            await self.ask(f"running {number}", Rank.ACT)
            await self.next()

    async def next(self) -> str:
        """Who got a thread, one after the other."""
        return await asyncio.to_thread(self.begun.get, timeout=WITHIN)

    async def after(self, name: str) -> str:
        """Who gets its thread once this one is served."""
        self.released[name].set()
        return await self.next()

    async def end(self) -> None:
        for each in self.released.values():
            each.set()
        await asyncio.gather(*self.tasks)
        self.lane.close()


def running(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """In a thread of its own: browser tests leave a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, scene()).result(2 * WITHIN)


def test_whoever_waits_is_served_by_rank_and_then_by_turn() -> None:
    async def scene() -> None:
        queue = Queue()
        await queue.ask("running", Rank.LISTING)
        for name, rank in (
            ("list 1", Rank.LISTING),
            ("order 1", Rank.REQUEST),
            ("accept 1", Rank.ACT),
            ("list 2", Rank.LISTING),
            ("accept 2", Rank.ACT),
        ):
            await queue.ask(name, rank)
        await queue.end()
        assert queue.served == ["running", "accept 1", "accept 2", "order 1", "list 1", "list 2"]
        assert queue.told == {}

    running(scene)


def test_a_flood_of_taps_leaves_new_orders_one_thread_in_six_and_no_more() -> None:
    async def scene() -> None:
        queue = Queue(threads=12, waiting=40)
        await queue.fill()
        await queue.ask("list", Rank.LISTING)
        for number in range(4):
            await queue.ask(f"order {number}", Rank.REQUEST)
        for number in range(10):
            await queue.ask(f"tap {number}", Rank.ACT)
        for ended, follows in (
            ("running 0", "order 0"),
            ("running 1", "order 1"),
            ("running 2", "tap 0"),
            ("running 3", "tap 1"),
            ("order 1", "order 2"),
            ("running 4", "tap 2"),
            ("tap 1", "tap 3"),
            ("order 2", "order 3"),
            ("order 0", "tap 4"),
        ):
            assert await queue.after(ended) == follows
        await queue.end()
        assert queue.told == {}

    running(scene)


@pytest.mark.parametrize(("threads", "for_requests"), [(1, 0), (2, 1), (6, 1), (11, 1), (24, 4)])
def test_a_lane_with_any_thread_to_spare_keeps_some_for_new_orders(threads: int, for_requests: int) -> None:
    async def scene() -> None:
        queue = Queue(threads=threads, waiting=2 * threads)
        await queue.fill()
        for number in range(threads):
            await queue.ask(f"tap {number}", Rank.ACT)
            await queue.ask(f"order {number}", Rank.REQUEST)
        begun = [await queue.after(f"running {number}") for number in range(threads)]
        assert begun[:for_requests] == [f"order {number}" for number in range(for_requests)]
        assert begun[for_requests:] == [f"tap {number}" for number in range(threads - for_requests)]
        await queue.end()

    running(scene)


def test_a_full_queue_sends_the_youngest_of_the_last_rank_away_for_an_act_and_refuses_what_is_no_better() -> None:
    async def scene() -> None:
        queue = Queue(waiting=2)
        await queue.ask("running", Rank.ACT)
        await queue.ask("list 1", Rank.LISTING)
        await queue.ask("list 2", Rank.LISTING)
        await queue.ask("list 3", Rank.LISTING)  # no better than those who wait
        await queue.ask("accept", Rank.ACT)  # instead of list 2
        await queue.ask("order", Rank.REQUEST)  # instead of list 1
        await queue.ask("order 2", Rank.REQUEST)
        await queue.end()
        assert queue.served == ["running", "accept", "order"]
        lists, orders = str(COMES_AGAIN[Rank.LISTING]), str(COMES_AGAIN[Rank.REQUEST])
        assert queue.told == {"list 3": lists, "list 2": lists, "list 1": lists, "order 2": orders}

    running(scene)


def test_whoever_waited_as_long_as_its_client_would_is_answered_and_never_begun() -> None:
    async def scene() -> None:
        queue = Queue(patience={Rank.ACT: 60.0, Rank.REQUEST: 60.0, Rank.LISTING: 0.05})
        await queue.ask("running", Rank.ACT)
        await queue.ask("list", Rank.LISTING)
        await queue.ask("accept", Rank.ACT)
        await queue.tasks[1]
        assert queue.told == {"list": str(COMES_AGAIN[Rank.LISTING])}
        await queue.end()
        assert queue.served == ["running", "accept"]

    running(scene)


def test_whoever_hangs_up_leaves_its_place_to_the_next() -> None:
    async def scene() -> None:
        queue = Queue(waiting=1)
        await queue.ask("running", Rank.ACT)
        await queue.ask("hangs up", Rank.ACT)
        queue.gone["hangs up"].set_result(None)
        await queue.tasks[1]
        await queue.ask("next", Rank.ACT)
        await queue.end()
        assert queue.served == ["running", "next"]
        assert queue.told == {"hangs up": None}

    running(scene)


def test_lists_never_hold_more_than_half_of_the_threads() -> None:
    async def scene() -> None:
        queue = Queue(threads=4, waiting=3)
        for number in range(6):
            await queue.ask(f"list {number}", Rank.LISTING)
        # Two of them run, three wait, one was refused; two threads are free.
        assert queue.told == {"list 5": str(COMES_AGAIN[Rank.LISTING])}
        await queue.ask("accept", Rank.ACT)
        await queue.ask("order", Rank.REQUEST)
        assert sorted([await queue.next() for _ in range(4)]) == ["accept", "list 0", "list 1", "order"]
        await queue.end()
        assert sorted(queue.served) == ["accept", "list 0", "list 1", "list 2", "list 3", "list 4", "order"]

    running(scene)


def test_a_thread_that_was_given_to_a_request_that_was_cancelled_is_given_on() -> None:
    async def scene() -> None:
        queue = Queue()
        await queue.ask("running", Rank.ACT)
        await queue.ask("cancelled", Rank.ACT)
        await queue.ask("next", Rank.ACT)
        queue.tasks[1].cancel()
        await asyncio.gather(queue.tasks[1], return_exceptions=True)
        queue.tasks.pop(1)
        await queue.end()
        assert queue.served == ["running", "next"]

    running(scene)


def test_bodies_on_their_way_take_room_where_they_are_heavy_and_nowhere_else() -> None:
    async def scene() -> None:
        light, heavy = Queue(waiting=1), Queue(waiting=1, heavy=True)
        for queue in (light, heavy):
            # One thread and one place to wait: two bodies.
            with queue.lane.arrival(), queue.lane.arrival():
                await queue.ask("third", Rank.ACT)
            await queue.end()
        assert (light.served, light.told) == (["third"], {})
        assert (heavy.served, heavy.told) == ([], {"third": str(COMES_AGAIN[Rank.ACT])})

    running(scene)
