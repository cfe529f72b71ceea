"""The gate between the server and Django, tried from outside on a real server."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path

from config.gate import Gate
from dispatch.locks import lock_order
from drivers.models import Driver
from orders.models import Order
from tests import cast
from tests.config.rig import Answer, Served, ask, served
from tests.dispatch.live.rig import PATIENCE, token_of, wait_until

pytestmark = [pytest.mark.django_db(transaction=True)]

LIMIT = 65536


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("gate")
    static = folder / "static"
    static.mkdir()
    (static / "app.0123456789ab.js").write_text("export {}")
    (static / "logo.svg").write_text("<svg/>")
    with served(folder, BATON_STATIC_ROOT=str(static)) as running:
        yield running


@pytest.fixture(scope="module")
def narrow(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One request at a time, and two may wait."""
    folder = tmp_path_factory.mktemp("narrow")
    with served(
        folder, BATON_MAX_REQUESTS_AT_ONCE="1", BATON_MAX_REQUESTS_WAITING="2", BATON_LOCK_TIMEOUT_MS="20000"
    ) as running:
        yield running


def sign_in(server: Served, body: bytes, **options: Any) -> Answer:
    return ask(server, "/api/v1/auth/login/", method="POST", body=body, **options)


# --- Bodies ----------------------------------------------------------------------------------------------------------


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_read(server: Served) -> None:
    answer = sign_in(server, b"x" * (LIMIT + 1))

    assert answer.problem(413, "too_large")["detail"] == "The request's body may have at most 65536 bytes."
    sign_in(server, b" " * LIMIT).problem(400, "invalid")


def test_a_body_that_does_not_say_how_long_it_is_is_refused_once_it_is_too_large(server: Served) -> None:
    sign_in(server, b"x" * (4 * LIMIT), chunked=True).problem(413, "too_large")


def test_a_body_in_chunks_is_read_like_any_other(server: Served) -> None:
    answer = sign_in(server, b'{"username": "nobody", "password": "wrong"}', chunked=True)

    answer.problem(401, "sign_in_refused")


def test_the_back_office_may_upload_more(server: Served) -> None:
    boundary = "b0undary"
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="f"; filename="f.csv"\r\n\r\n'.encode()
    whole = part + b"x" * 1_000_000 + f"\r\n--{boundary}--\r\n".encode()
    form = f"multipart/form-data; boundary={boundary}"

    fits = ask(server, "/admin/login/", method="POST", body=whole, Content_Type=form)
    too_much = ask(server, "/admin/login/", method="POST", body=b"x" * (10 * 1024 * 1024 + 1), Content_Type=form)

    # Read whole, and then refused for want of a CSRF token.
    assert fits.status == 403
    assert fits.headers["content-type"].startswith("text/html")
    too_much.problem(413, "too_large")


def test_a_body_that_never_ends_harms_nobody(narrow: Served) -> None:
    head = b"POST /api/v1/auth/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", narrow.port), timeout=PATIENCE) as slow:
        slow.sendall(head)

        # There is one thread, and it is free.
        assert ask(narrow, "/api/v1/nothing/").status == 404
    assert ask(narrow, "/api/v1/nothing/").status == 404


@pytest.mark.parametrize(
    "head",
    [
        b"POST /api/v1/auth/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/v1/auth/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1e9\r\n\r\n",
        b"POST /api/v1/auth/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"GET /%ff%fe%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/v1/driver/ HTTP/1.1\r\nHost: \xff\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_malformed_http_is_a_4xx_or_the_end_of_the_connection(server: Served, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as raw:
        raw.sendall(head)
        raw.shutdown(socket.SHUT_WR)
        said = raw.recv(65536)

    assert said == b"" or said.startswith(b"HTTP/1.1 4"), said
    assert ask(server, "/healthz").status == 200


# --- Addresses -------------------------------------------------------------------------------------------------------


def test_static_files_are_served_and_hashed_ones_for_ever(server: Served) -> None:
    hashed = ask(server, "/static/app.0123456789ab.js")
    plain = ask(server, "/static/logo.svg")

    assert (hashed.status, hashed.content) == (200, b"export {}")
    assert "immutable" in hashed.headers["cache-control"]
    assert hashed.headers["x-content-type-options"] == "nosniff"
    assert plain.headers["cache-control"] == "max-age=60, public"
    assert ask(server, "/static/../config/settings.py").status == 404
    assert ask(server, "/static/nothing.js").status == 404


def test_unknown_addresses_hosts_and_methods_are_problems(server: Served) -> None:
    ask(server, "/api/v1/nothing/").problem(404, "not_found")
    ask(server, "/healthz", Host="evil.example").problem(400, "invalid")
    ask(server, "/healthz", method="DELETE").problem(405, "method_not_allowed")
    assert ask(server, "/healthz", method="HEAD").content == b""


# --- The queue -------------------------------------------------------------------------------------------------------


@contextmanager
def locked(order: Order) -> Iterator[None]:
    """Nobody gets at the order in here."""
    with transaction.atomic():
        lock_order(order.pk)
        yield


def start(server: Served, order: Order, token: str) -> socket.socket:
    """Send a decline and do not wait for its answer."""
    raw = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    raw.sendall(
        f"POST /api/v1/orders/{order.pk}/decline/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
        f"Authorization: Bearer {token}\r\n\r\n".encode()
    )
    return raw


def is_full(server: Served) -> bool:
    """Whether one more request is refused at once; if not, it hangs up again."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.3) as raw:
        raw.sendall(b"GET /api/v1/nothing/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            return raw.recv(12) == b"HTTP/1.1 503"
        except TimeoutError:
            return False


def test_more_than_may_wait_are_sent_away_at_once(narrow: Served, alice: Driver, bob: Driver) -> None:
    order = cast.order()
    tokens = [token_of(driver) for driver in (alice, bob, alice)]
    with ExitStack() as waiting:
        with locked(order):
            requests = [waiting.enter_context(start(narrow, order, token)) for token in tokens]
            wait_until(lambda: is_full(narrow))

            refused = ask(narrow, "/api/v1/driver/", token="x")
            assert refused.problem(503, "busy")["detail"].startswith("Too many requests are waiting")
            assert refused.headers["retry-after"] == "2"
            # Whoever watches over it, and whoever signs in, has a way in of their own.
            assert ask(narrow, "/healthz").status == 200
            sign_in(narrow, b"{}").problem(400, "invalid")
        assert [raw.recv(12) for raw in requests] == [b"HTTP/1.1 200"] * 3
    assert cast.offers(order) == {"alice": "declined", "bob": "declined"}


def test_whoever_hangs_up_while_waiting_is_never_begun(narrow: Served, alice: Driver, bob: Driver) -> None:
    order = cast.order()
    alices, bobs = token_of(alice), token_of(bob)
    with ExitStack() as waiting:
        with locked(order):
            held = waiting.enter_context(start(narrow, order, alices))
            queued = [waiting.enter_context(start(narrow, order, bobs)) for _ in range(2)]
            wait_until(lambda: is_full(narrow))
            for raw in queued:
                raw.close()
            wait_until(lambda: not is_full(narrow))
        assert held.recv(12) == b"HTTP/1.1 200"
    # First come, first served: theirs would have been before this one.
    assert ask(narrow, "/api/v1/nothing/").status == 404
    assert cast.offers(order) == {"alice": "declined", "bob": "open"}


@pytest.mark.race
def test_a_crowd_at_one_order_gets_one_yes_and_honest_receipts(server: Served) -> None:
    crowd = [cast.driver(f"d{number}", at=cast.FERRY_BUILDING) for number in range(40)]
    order = cast.order()
    tokens = [token_of(driver) for driver in crowd]
    ready = threading.Barrier(len(crowd))

    def accept(token: str) -> Answer:
        ready.wait(timeout=PATIENCE)
        return ask(server, f"/api/v1/orders/{order.pk}/accept/", method="POST", body={}, token=token)

    with ThreadPoolExecutor(len(crowd)) as threads:
        answers = list(threads.map(accept, tokens))

    assert Counter((answer.status, answer.document.get("code")) for answer in answers) == {
        (200, None): 1,
        (409, "order_taken"): 39,
    }
    (winner,) = (driver for driver, answer in zip(crowd, answers, strict=True) if answer.status == 200)
    order.refresh_from_db()
    assert (order.status, order.driver_id) == ("assigned", winner.pk)
    assert cast.history(order) == ["created", "offered", "assigned"]


# --- Streams ---------------------------------------------------------------------------------------------------------


def stream(request: HttpRequest) -> StreamingHttpResponse:
    where = threading.current_thread().name
    return StreamingHttpResponse((f"{threading.current_thread().name == where}{n} " for n in range(3)), status=207)


def cookies(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("é")
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


urlpatterns = [path("stream", stream), path("cookies", cookies)]


def through_the_gate(address: str) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def call() -> None:
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(dict(message))

        gate = Gate()
        headers = [(b"host", b"localhost")]
        try:
            await gate(
                {"type": "http", "method": "GET", "path": address, "query_string": b"", "headers": headers},
                receive,
                send,
            )
        finally:
            gate.close()

    with ThreadPoolExecutor(1) as thread:
        # A thread of its own: browser tests leave a loop running in this one.
        thread.submit(asyncio.run, call()).result(PATIENCE)
    return sent


def test_a_long_answer_is_sent_piece_by_piece_from_the_thread_that_makes_it() -> None:
    with override_settings(ROOT_URLCONF=__name__):
        start, *pieces = through_the_gate("/stream")

    assert start["status"] == 207
    assert [piece["body"] for piece in pieces] == [b"True0 ", b"True1 ", b"True2 ", b""]
    assert [piece["more_body"] for piece in pieces] == [True, True, True, False]


def test_every_cookie_is_a_header_of_its_own() -> None:
    with override_settings(ROOT_URLCONF=__name__):
        start, body = through_the_gate("/cookies")

    assert [value for name, value in start["headers"] if name == b"set-cookie"] == [b"a=1; Path=/", b"b=2; Path=/"]
    assert body["body"] == "é".encode()
