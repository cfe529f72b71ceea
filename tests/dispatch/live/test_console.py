"""What the console's socket has besides orders and drivers: attention, who looks at what, its pulse, and chunks."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from dispatch import services
from drivers.models import Driver
from tests import cast
from tests.dispatch.live.conftest import PREFIX
from tests.dispatch.live.rig import Client, Server, open_board

pytestmark = pytest.mark.django_db(transaction=True)

Connect = Callable[..., Client]


@pytest.fixture
def eric() -> User:
    return cast.dispatcher("eric")


@pytest.fixture
def second_server(server: Server, tmp_path: Path) -> Iterator[Server]:
    """Another process of the same installation."""
    other = Server(tmp_path, prefix=PREFIX)
    other.start()
    yield other
    other.stop()


def at_chunked_board(server: Server, user: User) -> Client:
    from django.test import Client as Browser

    browser = Browser()
    browser.force_login(user)
    headers = {"Cookie": f"sessionid={browser.cookies['sessionid'].value}"}
    return Client(server.url("/ws/dispatch/?chunked=1"), additional_headers=headers)


# --- Attention -------------------------------------------------------------------------------------------------------


def test_what_needs_attention_is_in_the_snapshot_and_then_told_when_it_changes(
    server: Server, clients: list[Client], dora: User
) -> None:
    order = cast.order()
    board = open_board(server, dora)
    clients.append(board)

    snapshot = board.frame()
    # A look is shared by all who watch: the one before may still be good when the board opens, and the next follows it.
    (row,) = snapshot["attention"] or board.get("attention")["rows"]
    assert (row["order"], row["reason"], row["detail"]) == (str(order.pk), "no_candidate", {})
    assert 1.9 < row["minutes"] <= 2.0
    assert snapshot["orders"][0]["offers"] == {"open": 0, "declined": 0, "made": 0}

    cast.driver("alice", at=cast.FERRY_BUILDING)
    assert board.get("attention", rows=[])
    services.offer_orders()
    assert board.get("offers")["offers"] == {str(order.pk): {"open": 1, "declined": 0, "made": 1}}


# --- Who looks at what -----------------------------------------------------------------------------------------------


def test_dispatchers_see_who_has_an_order_open_across_processes_and_until_they_leave(
    server: Server, second_server: Server, clients: list[Client], dora: User, eric: User
) -> None:
    order = str(cast.order().pk)
    at_dora, at_eric = open_board(server, dora), open_board(second_server, eric)
    clients += [at_dora, at_eric]
    both = [{"id": dora.pk, "name": "dora"}, {"id": eric.pk, "name": "eric"}]
    at_dora.get("snapshot")
    at_eric.get("snapshot")

    at_dora.send(type="viewing", order=order)
    assert at_eric.get("viewers", order=order)["people"] == both[:1]
    at_eric.send(type="viewing", order=order)
    assert at_dora.get("viewers", order=order, people=both)

    latecomer = open_board(server, eric)
    clients.append(latecomer)
    assert latecomer.get("snapshot")["viewers"] == {order: both}

    at_dora.send(type="viewing", order=None)
    assert at_eric.get("viewers", order=order, people=both[1:])
    at_eric.close()
    assert at_dora.get("viewers", order=order, people=[])


def test_nobody_lingers_when_a_process_dies(
    server: Server, second_server: Server, clients: list[Client], dora: User, eric: User
) -> None:
    order = str(cast.order().pk)
    at_dora, at_eric = open_board(server, dora), open_board(second_server, eric)
    clients.append(at_dora)
    at_eric.get("snapshot")
    at_eric.send(type="viewing", order=order)
    assert at_dora.get("viewers", order=order, people=[{"id": eric.pk, "name": "eric"}])

    assert second_server.child is not None
    second_server.child.kill()
    began = time.monotonic()

    assert at_dora.get("viewers", order=order, people=[])
    assert time.monotonic() - began < 9


def test_a_frame_that_names_no_order_is_refused_and_shown_to_nobody(connect_board: Connect, dora: User) -> None:
    board = connect_board(dora)

    for frame in ({"type": "viewing"}, {"type": "viewing", "order": "x"}, {"type": "ping", "id": []}):
        board.send(**frame)
        assert board.get("error")["problem"]["code"] == "invalid"
    assert [frame for frame in board.others if frame["type"] == "viewers"] == []


# --- Pulse -----------------------------------------------------------------------------------------------------------


def test_a_ping_is_answered_at_once_with_the_time(connect_board: Connect, dora: User) -> None:
    board = connect_board(dora)

    board.send(type="ping", id=7)

    pong = board.get("pong", id=7)
    assert abs((cast.now() - _time(pong["server_time"])).total_seconds()) < 5


def _time(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text)


# --- Chunks ----------------------------------------------------------------------------------------------------------


def test_a_chunked_snapshot_has_the_orders_first_and_then_every_driver(
    server: Server, clients: list[Client], alice: Driver, bob: Driver, dora: User
) -> None:
    order = cast.order()
    board = at_chunked_board(server, dora)
    clients.append(board)

    snapshot = board.frame()
    assert (snapshot["type"], snapshot["drivers"], snapshot["driver_chunks"]) == ("snapshot", [], True)
    assert [shown["id"] for shown in snapshot["orders"]] == [str(order.pk)]
    chunk = board.get("driver", chunk=1, of=1)
    assert {row["id"]: row["name"] for row in chunk["drivers"]} == {alice.pk: "Alice", bob.pk: "Bob"}

    board.send(type="sync")
    assert board.get("snapshot")["driver_chunks"] is True
    assert len(board.get("driver", chunk=1, of=1)["drivers"]) == 2


def test_many_drivers_come_in_several_chunks_and_what_moves_meanwhile_after_them(
    server: Server, clients: list[Client], dora: User
) -> None:
    from drivers.fleet import Area, create_drivers
    from drivers.models import Presence

    create_drivers(prefix="c", count=2300, password=cast.PASSWORD, area=Area(lat=37.79, lng=-122.39, radius_km=5))
    Presence.objects.update(is_online=True, last_seen=cast.now())
    board = at_chunked_board(server, dora)
    clients.append(board)

    assert board.frame()["type"] == "snapshot"
    chunks = [board.get("driver") for _ in range(3)]

    assert [(frame["chunk"], frame["of"], len(frame["drivers"])) for frame in chunks] == [
        (1, 3, 1000),
        (2, 3, 1000),
        (3, 3, 300),
    ]
    assert len({row["id"] for frame in chunks for row in frame["drivers"]}) == 2300


# --- Drivers who stay where they are ---------------------------------------------------------------------------------


def test_a_driver_who_did_not_move_is_only_said_to_have_been_seen(
    connect_board: Connect, connect_driver: Connect, alice: Driver, dora: User
) -> None:
    board, phone = connect_board(dora), connect_driver(alice)
    phone.send(type="heartbeat", lat=37.7, lng=-122.5)
    assert board.get("driver")["drivers"][0]["lat"] == 37.7

    phone.send(type="heartbeat", lat=37.700001, lng=-122.5)

    seen = board.get("driver", drivers=[])
    assert seen["seen"] == [alice.pk]
    phone.send(type="heartbeat", lat=37.71, lng=-122.5)
    assert board.get("driver")["drivers"][0]["lat"] == 37.71


# --- Messages --------------------------------------------------------------------------------------------------------


def test_a_message_reaches_the_driver_it_is_for_and_is_in_the_snapshot_until_it_is_read(
    server: Server, connect_driver: Connect, alice: Driver, bob: Driver
) -> None:
    at_alice, at_bob = connect_driver(alice), connect_driver(bob)

    message = services.send_message(driver_id=alice.pk, text="Side door", actor=cast.DISPATCHER)

    told = at_alice.get("message")["message"]
    assert (told["id"], told["text"], told["from"], told["read_at"]) == (message.pk, "Side door", "dora", None)
    at_alice.send(type="sync")
    assert at_alice.get("snapshot")["messages"] == [told]
    services.mark_message_read(message_id=message.pk, driver_id=alice.pk)
    at_alice.send(type="sync")
    assert at_alice.get("snapshot")["messages"] == []
    assert at_bob.is_served()
    assert "Side door" not in json.dumps(at_bob.others)
