"""What a dispatcher's screen is told although no push told of it."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import User
from django.db import connections

from dispatch import consumers, services
from dispatch.attention import Attention
from dispatch.consumers.board import Board
from dispatch.consumers.missed import Missed
from drivers.models import Driver, Presence
from orders.models import Order
from tests import cast
from tests.dispatch.live.rig import Client, unheard

pytestmark = pytest.mark.django_db(transaction=True)

Connect = Callable[..., Client]


def play(scene: Coroutine[Any, Any, None]) -> None:
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, scene).result(30)


async def done(act: Callable[[], Any]) -> Any:
    def with_its_own_connection() -> Any:
        try:
            return act()
        finally:
            connections.close_all()

    return await asyncio.to_thread(with_its_own_connection)


class Screens:
    """What `Missed` told."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.drivers: list[int] = []
        self.missed = Missed(lambda text: self.frames.append(msgspec.json.decode(text)), self.drivers.extend)

    async def look_until_told(self, frames: int) -> None:
        """Two looks, or more: whoever still writes somewhere in PostgreSQL holds them back."""
        async with asyncio.timeout(20):
            while len(self.frames) < frames:
                await self.missed.look()
                await asyncio.sleep(0.02)

    def told(self) -> list[tuple[str, int, str]]:
        return [(frame["order"]["id"], frame["version"], frame["kind"]) for frame in self.frames]


def test_a_change_whose_process_died_before_its_push_is_on_the_board_all_the_same(
    connect_board: Connect, alice: Driver, dora: User, settings: Any
) -> None:
    board = connect_board(dora)
    order = cast.order()
    for _ in range(2):
        board.get("order")

    with unheard(settings):
        services.accept_order(order_id=order.pk, driver_id=alice.pk)

    frame = board.get("order", within=20)
    assert (frame["version"], frame["kind"], frame["order"]["status"]) == (3, "order.assigned", "assigned")
    assert "Carol" not in str(frame)


def test_what_was_heard_is_not_told_again_and_what_was_not_is_told_once(alice: Driver) -> None:
    screens = Screens()
    orders: list[Order] = []

    async def scene() -> None:
        await screens.missed.look()
        orders.extend([await done(cast.order), await done(cast.order)])
        heard, lost = orders
        await screens.missed.look()
        assert screens.told() == [], "it may be on its way"
        screens.missed.heard(str(heard.pk), 2)
        await screens.look_until_told(1)
        assert screens.told() == [(str(lost.pk), 2, "order.offered")]
        await screens.missed.look()
        assert len(screens.told()) == 1
        await done(lambda: services.accept_order(order_id=heard.pk, driver_id=alice.pk))
        await screens.look_until_told(2)

    play(scene())

    assert screens.told()[1:] == [(str(orders[0].pk), 3, "order.assigned")]
    assert screens.drivers == [alice.pk]


def test_what_happened_before_anybody_watched_is_not_told(alice: Driver) -> None:
    screens = Screens()

    async def scene() -> None:
        await screens.missed.look()
        screens.missed.forget()
        await done(cast.order)
        for _ in range(3):
            await screens.missed.look()

    play(scene())

    assert screens.told() == []


def test_whoever_comes_back_from_silence_is_shown_with_their_name(
    connect_board: Connect, alice: Driver, dora: User
) -> None:
    Presence.objects.filter(pk=alice.pk).update(last_seen=cast.now() - cast.MINUTE)
    services.mark_silent_drivers_offline()
    board = connect_board(dora)

    services.record_heartbeats(positions=[services.Position(alice.pk, *cast.FERRY_BUILDING)])

    while True:
        rows = {row["id"]: row for row in board.get("driver")["drivers"]}
        if "name" in rows.get(alice.pk, {}):
            break
    assert (rows[alice.pk]["name"], rows[alice.pk]["is_online"]) == ("Alice", True)


def test_a_board_that_forgot_its_screens_tells_the_next_ones_where_somebody_stands() -> None:
    told: list[str] = []

    class Screen:
        def push(self, text: str) -> None: ...

        def push_drivers(self, text: str) -> None:
            told.append(text)

    row = {"id": 7, "is_online": True, "lat": 1.0, "lng": 2.0, "heading": None, "accuracy_m": 5.0, "last_seen": None}

    async def scene() -> None:
        board = Board([Screen()])
        for _ in range(2):
            board.moved([row])
            await board._tell_drivers()
        assert len(told) == 1, "where they were"
        board.forget()
        board.moved([row])
        await board._tell_drivers()

    play(scene())

    assert len(told) == 2


def test_what_somebody_who_came_saw_is_news_for_those_who_were_there(monkeypatch: pytest.MonkeyPatch) -> None:
    order = cast.order()
    looks = [
        Attention(at=cast.now(), rows=(), offers={order.pk: {"open": n, "declined": 0, "made": n}}) for n in (1, 2)
    ]
    monkeypatch.setattr(consumers.board, "attention", lambda: looks[0] if len(looks) == 1 else looks.pop(0))
    told: list[dict[str, Any]] = []

    class Screen:
        def push(self, text: str) -> None:
            told.append(msgspec.json.decode(text))

        def push_drivers(self, text: str) -> None: ...

    async def scene() -> None:
        board = Board([Screen()])
        await board.attention()
        # Too long ago for whoever comes next.
        board._attention_at -= 60
        await board.attention()
        await board._tell_attention()

    play(scene())

    assert [frame["offers"] for frame in told if frame["type"] == "offers"] == [
        {str(order.pk): {"open": 2, "declined": 0, "made": 2}}
    ]
