"""Pictures through the gate of a real server: large bodies at this address only, and never in the way of the rest."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from dispatch import services
from drivers.models import Driver
from orders.models import DeliveryProof, Order
from tests import cast, pictures
from tests.config.rig import Answer, Served, ask, served
from tests.dispatch.live.rig import token_of, wait_until

pytestmark = [pytest.mark.django_db(transaction=True)]

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("proofs")
    with served(folder, BATON_MEDIA_ROOT=str(folder / "media"), BATON_MAX_PROOFS_WAITING="6") as running:
        yield running


def in_hand(driver: Driver) -> Order:
    order = cast.order()
    services.accept_order(order_id=order.pk, driver_id=driver.pk)
    services.pick_up_order(order_id=order.pk, driver_id=driver.pk)
    return order


def sent(
    server: Served, order: object, content: bytes, token: str = "", name: str = "p1", chunked: bool = False
) -> Answer:
    path = f"/api/v1/orders/{getattr(order, 'pk', order)}/proofs/?kind=photo&action_id={name}"
    return ask(server, path, method="POST", body=content, token=token, Content_Type="image/jpeg", chunked=chunked)


def heavy() -> bytes:
    """A picture that takes a while to read and is as large as may be."""
    whole = pictures.jpeg(4900, 4900)
    return whole + b"\0" * (5 * MEGABYTE - len(whole))


def test_a_picture_of_five_megabytes_is_taken_and_not_a_byte_more(
    server: Served, alice: Driver, tmp_path_factory: pytest.TempPathFactory
) -> None:
    order, token, content = in_hand(alice), token_of(alice), heavy()

    sent(server, order, content + b"\0", token).problem(413, "too_large")
    assert not DeliveryProof.objects.exists()
    answer = sent(server, order, content, token, chunked=True)

    assert (answer.status, answer.document["width"]) == (201, 2000)
    kept = Path(server.own["BATON_MEDIA_ROOT"]) / DeliveryProof.objects.get().file
    assert pictures.read(kept.read_bytes()).size == (2000, 2000)


def test_who_does_not_say_who_they_are_may_not_send_much(server: Served) -> None:
    sent(server, uuid4(), b"x" * 65537).problem(413, "too_large")
    sent(server, uuid4(), b"x" * 65536).problem(401, "not_authenticated")


@pytest.mark.parametrize("path", ["accept/", "proof/", "proofs", "proofs/x/"])
def test_other_addresses_take_no_more_than_before(server: Served, alice: Driver, path: str) -> None:
    address = f"/api/v1/orders/{uuid4()}/{path}"

    ask(server, address, method="POST", body=b"x" * 65537, token=token_of(alice)).problem(413, "too_large")


def test_twenty_pictures_at_once_do_not_keep_anybody_from_accepting(server: Served, alice: Driver, bob: Driver) -> None:
    order, token, content = in_hand(alice), token_of(alice), heavy()
    offered, bobs = cast.order(), token_of(bob)
    answers: list[Answer] = []

    with ThreadPoolExecutor(20) as crowd:
        uploads = [crowd.submit(sent, server, order, content, token, f"p{number}") for number in range(20)]
        wait_until(lambda: any(upload.done() for upload in uploads))
        started = time.monotonic()
        accepted = ask(server, f"/api/v1/orders/{offered.pk}/accept/", method="POST", body={}, token=bobs)
        took = time.monotonic() - started
        answers = [upload.result() for upload in uploads]

    assert accepted.status == 200
    assert took < 2
    # Two at work and six in line or on their way; the others are asked to come back.
    counts = Counter(answer.status for answer in answers)
    assert counts.keys() <= {201, 400, 503}
    assert counts[201] >= 2
    for answer in answers:
        if answer.status == 503:
            assert answer.headers["retry-after"] == "1"
            answer.problem(503, "busy")


def test_a_picture_that_is_on_its_way_counts(server: Served, alice: Driver) -> None:
    """Bodies that dawdle take their room on disk, so there are only so many of them."""
    import socket

    path = f"/api/v1/orders/{uuid4()}/proofs/?kind=photo&action_id=a"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\nContent-Length: 1000\r\n\r\n"
    dawdlers = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(8)]
    try:
        for dawdler in dawdlers:
            dawdler.sendall(head.encode() + b"x")

        wait_until(lambda: sent(server, uuid4(), b"x", token_of(alice)).status == 503)
        assert ask(server, "/healthz").status == 200
    finally:
        for dawdler in dawdlers:
            dawdler.close()
    wait_until(lambda: sent(server, uuid4(), b"x", token_of(alice)).status == 404)
