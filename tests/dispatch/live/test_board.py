"""What a dispatcher's socket says, when."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser

from dispatch import consumers, selectors_board, services
from dispatch.attention import Attention, attention
from dispatch.consumers.board import Board
from drivers.models import Driver
from tests import cast
from tests.dispatch.live.rig import Client, Server, open_board

pytestmark = pytest.mark.django_db(transaction=True)

Connect = Callable[..., Client]


def drivers_in(frame: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {row["id"]: row for row in frame["drivers"]}


def next_about(client: Client, driver: Driver, **members: Any) -> dict[str, Any]:
    """The next that is said of a driver with these members."""
    while True:
        row = drivers_in(client.get("driver")).get(driver.pk, {})
        if members.items() <= row.items():
            return row


def test_the_board_starts_with_orders_drivers_and_counts(
    server: Server, clients: list[Client], alice: Driver, bob: Driver, dora: User
) -> None:
    held = cast.order()
    services.accept_order(order_id=held.pk, driver_id=alice.pk)
    done = cast.order()
    services.cancel_order(order_id=done.pk, actor=cast.DISPATCHER)
    waiting = cast.order()
    cast.driver("off", is_online=False)

    client = open_board(server, dora)
    clients.append(client)
    snapshot = client.frame()

    assert set(snapshot) == {"type", "at", "server_time", "orders", "drivers", "stats", "attention", "viewers"}
    shown = {order["id"]: (order["status"], order["driver"], order["version"]) for order in snapshot["orders"]}
    assert shown == {
        str(held.pk): ("assigned", alice.pk, 3),
        str(waiting.pk): ("pending", None, 2),
        str(done.pk): ("cancelled", None, 3),
    }
    assert "Carol" not in str(snapshot)
    drivers = drivers_in(snapshot)
    assert {pk: (row["name"], row["load"], row["is_online"]) for pk, row in drivers.items()} == {
        alice.pk: ("Alice", 1, True),
        bob.pk: ("Bob", 0, True),
    }
    assert (drivers[alice.pk]["lat"], drivers[alice.pk]["lng"]) == cast.FERRY_BUILDING
    assert snapshot["stats"] == {
        "pending": 1,
        "needs_attention": 0,
        "assigned": 1,
        "picked_up": 0,
        "drivers_carrying": 1,
        "drivers_on_duty": 2,
        "drivers_live": 2,
        "broken_promises": 0,
    }


def test_every_change_of_an_order_arrives_without_the_contact(
    connect_board: Connect, alice: Driver, dora: User
) -> None:
    board = connect_board(dora)

    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=alice.pk)

    frames = [board.get("order") for _ in range(3)]
    assert [(frame["version"], frame["kind"]) for frame in frames] == [
        (1, "order.created"),
        (2, "order.offered"),
        (3, "order.assigned"),
    ]
    assert [frame["order"]["driver"] for frame in frames] == [None, None, alice.pk]
    assert {frame["order"]["id"] for frame in frames} == {str(order.pk)}
    assert "Carol" not in str(frames)


def test_duty_and_load_of_a_driver_arrive_as_they_are_after_the_change(
    connect_board: Connect, alice: Driver, dora: User
) -> None:
    board = connect_board(dora)
    order = cast.order()

    services.accept_order(order_id=order.pk, driver_id=alice.pk)
    assert next_about(board, alice, load=1)["is_online"] is True

    services.go_offline(driver_id=alice.pk)
    assert next_about(board, alice, is_online=False)["load"] == 1


def test_positions_of_many_drivers_come_in_one_frame(
    connect_board: Connect, connect_driver: Connect, alice: Driver, bob: Driver, dora: User
) -> None:
    board, at_alice, at_bob = connect_board(dora), connect_driver(alice), connect_driver(bob)

    for client in (at_alice, at_bob):
        client.send(type="heartbeat", lat=37.7, lng=-122.5, heading=12)

    moved = drivers_in(board.get("driver"))
    if len(moved) == 1:
        # The two heartbeats fell on both sides of a half second.
        moved |= drivers_in(board.get("driver"))
    assert {pk: (row["lat"], row["lng"], row["heading"]) for pk, row in moved.items()} == {
        alice.pk: (37.7, -122.5, 12),
        bob.pk: (37.7, -122.5, 12),
    }


def test_the_counts_come_by_themselves(connect_board: Connect, alice: Driver, dora: User) -> None:
    board = connect_board(dora)
    cast.order()

    assert board.get("stats", stats={**_NO_ORDERS, "pending": 1, "drivers_on_duty": 1, "drivers_live": 1})


_NO_ORDERS = dict.fromkeys(
    [
        "pending",
        "needs_attention",
        "assigned",
        "picked_up",
        "drivers_carrying",
        "drivers_on_duty",
        "drivers_live",
        "broken_promises",
    ],
    0,
)


def test_a_board_may_ask_for_everything_again_and_for_nothing_else(connect_board: Connect, dora: User) -> None:
    board = connect_board(dora)
    order = cast.order()

    board.send(type="heartbeat", lat=1, lng=1)
    assert board.get("error")["problem"]["code"] == "invalid"
    board.send(type="sync")

    assert [shown["id"] for shown in board.get("snapshot")["orders"]] == [str(order.pk)]


def test_a_session_that_ended_opens_nothing(server: Server, dora: User) -> None:
    browser = Browser()
    browser.force_login(dora)
    cookie = browser.cookies["sessionid"].value
    browser.logout()

    with pytest.raises(Exception, match="403"):
        Client(server.url("/ws/dispatch/"), additional_headers={"Cookie": f"sessionid={cookie}"})


def test_dispatchers_who_come_at_once_share_one_look_at_what_needs_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def look() -> Attention:
        looks.append(attention())
        return looks[-1]

    monkeypatch.setattr(consumers.board, "attention", look)

    async def come(screens: Board, people: int) -> list[Attention]:
        return await asyncio.gather(*(screens.attention() for _ in range(people)))

    async def scene() -> None:
        screens = Board([])
        hangs_up = asyncio.create_task(screens.attention())
        await asyncio.sleep(0)
        hangs_up.cancel()
        seen = await come(screens, 5)
        assert len(looks) == 1
        assert seen == [looks[0]] * 5
        assert await come(screens, 2) == [looks[0]] * 2
        screens.forget()
        assert await come(screens, 2) == [looks[1]] * 2

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, scene()).result(30)


def test_the_board_is_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors_board, "OPEN_SHOWN", 2)
    monkeypatch.setattr(selectors_board, "FINAL_SHOWN", 1)
    orders = [cast.order() for _ in range(5)]
    for order in orders[:2]:
        services.cancel_order(order_id=order.pk, actor=cast.DISPATCHER)

    shown = selectors_board.board_orders()

    assert [order.pk for order in shown] == [orders[4].pk, orders[3].pk, orders[1].pk]
