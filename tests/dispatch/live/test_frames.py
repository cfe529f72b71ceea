"""What clients may send, and what becomes of everything else."""

import json
import random
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from dispatch import live
from dispatch.consumers.driver import DriverSocket
from drivers.models import Driver, Presence
from orders.services import Place
from tests import cast
from tests.dispatch.live.rig import Client, Server, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

Connect = Callable[..., Client]

PLACE = {"lat": 37.7, "lng": -122.4}
BAD_FRAMES: list[tuple[Any, str]] = [
    ({}, "type"),
    ({"type": "accept", "order": "x"}, "type"),
    ({"type": ["heartbeat"]}, "type"),
    ({"type": "heartbeat", "lat": 37.7}, "lng"),
    ({"type": "heartbeat", "lng": 37.7}, "lat"),
    ({"type": "heartbeat", **PLACE, "lat": 90.5}, "lat"),
    ({"type": "heartbeat", **PLACE, "lng": -180.5}, "lng"),
    ({"type": "heartbeat", **PLACE, "lat": "37.7"}, "lat"),
    ({"type": "heartbeat", **PLACE, "lat": True}, "lat"),
    ({"type": "heartbeat", **PLACE, "lat": [37.7]}, "lat"),
    ({"type": "heartbeat", **PLACE, "heading": 361}, "heading"),
    ({"type": "heartbeat", **PLACE, "speed_mps": -1}, "speed_mps"),
    ({"type": "heartbeat", **PLACE, "accuracy_m": -1}, "accuracy_m"),
    ({"type": "heartbeat", **PLACE, "recorded_at": "2026-01-31T12:00:00"}, "recorded_at"),
    ({"type": "heartbeat", **PLACE, "recorded_at": 5}, "recorded_at"),
    ({"type": "heartbeat", **PLACE, "altitude": 5}, "altitude"),
    ({"type": "heartbeat", **PLACE, "id": "x" * 65}, "id"),
    ({"type": "heartbeat", **PLACE, "id": {"a": 1}}, "id"),
    ({"type": "seen"}, "order"),
    ({"type": "seen", "order": "no uuid"}, "order"),
    ({"type": "seen", "order": None}, "order"),
    ({"type": "sync", "since": 5}, "since"),
    ([], "body"),
    ("heartbeat", "body"),
    (None, "body"),
]
BAD_TEXTS = [
    '{"type":"heartbeat","lat":NaN,"lng":0}',
    '{"type":"heartbeat","lat":1e999,"lng":0}',
    '{"type":"heartbeat","lat":Infinity,"lng":0}',
    '{"type":"heartbeat"',
    "",
    "\x00",
    '{"type":"sync"} {"type":"sync"}',
    "[" * 16000,
    '{"a":' * 3000,
    '{"type":' + "[" * 10000,
    '{"type":"seen","order":"\\ud800"}',
    "💥" * 1000,
]


@pytest.mark.parametrize(("frame", "field"), BAD_FRAMES, ids=lambda value: str(value)[:50])
def test_a_bad_frame_is_answered_with_a_problem_that_names_the_field(frame: Any, field: str) -> None:
    """The decoder alone: what it raises is what the socket answers with."""
    from dispatch.consumers import frames
    from drivers.errors import Invalid

    with pytest.raises(Invalid) as refusal:
        frames.driver_frame(json.dumps(frame))

    assert list(refusal.value.data["errors"]) == [field]


def test_bad_frames_change_nothing_and_the_socket_stays_open(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)
    before = Presence.objects.values().get(pk=alice.pk)

    for frame, field in BAD_FRAMES:
        at_alice.connection.send(json.dumps(frame))
        error = at_alice.get("error")
        assert (error["problem"]["status"], error["problem"]["code"]) == (400, "invalid")
        assert list(error["problem"]["errors"]) == [field]
    for text in BAD_TEXTS:
        at_alice.connection.send(text)
        assert at_alice.get("error")["problem"]["code"] == "invalid"
    at_alice.connection.send(b'{"type":"sync"}')
    assert at_alice.get("error")["problem"]["code"] == "invalid"

    assert Presence.objects.values().get(pk=alice.pk) == before
    assert at_alice.is_served()


def test_a_frame_of_a_megabyte_closes_the_socket(connect_driver: Connect, alice: Driver, bob: Driver) -> None:
    at_alice, at_bob = connect_driver(alice), connect_driver(bob)

    # It is refused on its first kilobytes, so the rest may meet a connection that is closed already.
    with pytest.raises(ConnectionClosed) as closed:
        at_alice.connection.send("x" * 1_000_000)
        while True:
            at_alice.connection.recv(timeout=10)

    assert closed.value.rcvd is None or closed.value.rcvd.code == 1009
    assert at_bob.is_served()


def test_a_frame_above_the_limit_closes_the_socket_even_if_the_server_let_it_through(
    connect_driver: Connect, alice: Driver
) -> None:
    at_alice = connect_driver(alice)

    at_alice.connection.send("x" * 16_384)
    assert at_alice.get("error")["problem"]["code"] == "invalid"

    assert at_alice.is_served()


def test_a_flood_is_told_so_and_closed(connect_driver: Connect, alice: Driver, bob: Driver) -> None:
    at_alice, at_bob = connect_driver(alice), connect_driver(bob)

    for _ in range(300):
        try:
            at_alice.send(type="seen", order="00000000-0000-7000-8000-000000000000")
        except ConnectionClosed:
            break

    assert at_alice.get("error")["problem"]["code"] == "throttled"
    assert at_alice.close_code() == 4009
    assert at_bob.is_served()


def test_noise_leaves_everybody_else_alone(server: Server, connect_driver: Connect, alice: Driver, bob: Driver) -> None:
    at_bob = connect_driver(bob)
    dice = random.Random(7)
    logged = len(server.output())

    for turn in range(30):
        noisy = connect_driver(alice)
        with suppress(ConnectionClosed, OSError):
            for _ in range(40):
                noisy.connection.send(_noise(dice))
            if turn % 3 == 0:
                # Gone without a goodbye.
                noisy.connection.socket.shutdown(socket.SHUT_RDWR)
        noisy.close()
        if turn % 10 == 0:
            assert at_bob.is_served()

    order = cast.order()
    assert at_bob.get("offer")["offer"]["order"] == str(order.pk)
    assert at_bob.is_served()
    said = server.output()[logged:]
    assert "Traceback" not in said
    assert "ERROR" not in said


def _noise(dice: random.Random) -> str | bytes:
    pieces: list[Any] = [None, True, -1, 1e308, "heartbeat", "sync", "seen", "type", "lat", [], {}, "\x00", "é" * 50]
    match dice.randrange(5):
        case 0:
            return dice.randbytes(dice.randrange(2000))
        case 1:
            return "".join(chr(dice.randrange(32, 0xD7FF)) for _ in range(dice.randrange(500)))
        case 2:
            return json.dumps({str(dice.choice(pieces)): dice.choice(pieces) for _ in range(dice.randrange(8))})
        case 3:
            return dice.choice(["[", '{"type":', '{"a":'] * 2) * dice.randrange(1, 3000)
        case _:
            kind = dice.choice(["heartbeat", "seen", "sync"])
            return json.dumps(
                {"type": kind, dice.choice(["lat", "order", "id", "recorded_at"]): dice.choice(pieces), "lng": 5}
            )


@pytest.fixture
def at_deaf(server: Server, connect_driver: Connect, alice: Driver) -> tuple[Client, socket.socket]:
    """A client that reads only when the test does, and its end of the connection, with little room in it."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", server.port))
    return connect_driver(alice, sock=narrow, max_queue=1), narrow


@pytest.fixture
def overflow(server: Server, connect_driver: Connect, alice: Driver, bob: Driver) -> Callable[[], None]:
    """Push to alice until the server gives up on her; bob gets his pushes all the while.

    Fewer at a time than the server keeps for one socket, and the next only when bob has his, which come after them: so it
    gives up because nothing more fits into her connection, and never because the test was quicker than the server."""
    at_bob = connect_driver(bob)
    order = cast.order(pickup=Place(*cast.FERRY_BUILDING, "é" * 300))
    at_bob.get("offer")
    logged = len(server.output())

    def reaches_bob() -> bool:
        # A push may be lost when Redis takes its time; the next one is not.
        live.offers_made(order, {bob.pk: 2.0})
        try:
            return bool(at_bob.get("offer", within=2))
        except AssertionError:
            return False

    def pushed() -> bool:
        for _ in range(DriverSocket.queue_limit // 2):
            live.offers_made(order, {alice.pk: 1.0})
        wait_until(reaches_bob, within=30)
        return "TOO_SLOW" in server.output()[logged:]

    def overflow() -> None:
        wait_until(pushed, within=120)

    return overflow


def test_a_client_that_reads_too_slowly_is_told_to_come_back(
    at_deaf: tuple[Client, socket.socket], overflow: Callable[[], None]
) -> None:
    overflow()

    # Room to read in, so that it is done long before the server loses its patience.
    at_deaf[1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    assert at_deaf[0].close_code() == 4008


def test_a_client_that_never_reads_again_is_cut_off(
    server: Server, at_deaf: tuple[Client, socket.socket], overflow: Callable[[], None]
) -> None:
    logged = len(server.output())
    overflow()

    # The kernel keeps what it already took for a while; the process has let go of the connection.
    wait_until(lambda: "Cutting off DriverSocket" in server.output()[logged:], within=60)
    assert at_deaf
