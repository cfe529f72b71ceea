"""Who is let in, and until when."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import transaction
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from dispatch import live, services
from dispatch.consumers.frames import Close
from dispatch.consumers.standing import Standing
from drivers import tickets
from drivers.models import DeviceToken, Driver
from tests import cast
from tests.dispatch.live.rig import Client, Server, open_board, open_driver, token_of

pytestmark = pytest.mark.django_db(transaction=True)

Connect = Callable[..., Client]


def refusal(open_it: Callable[[], Client]) -> Response:
    """The HTTP answer to a handshake that must not succeed."""
    with pytest.raises(InvalidStatus) as refused:
        open_it()
    return refused.value.response


def code_of(response: Response) -> tuple[int, str]:
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.status_code, json.loads(response.body or b"")["code"]


@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer wrong", "Bearer ", "Basic YTpi", "Bearer " + "ab" * 2000, "Bearer \xff\xfe", "Token"],
)
def test_without_a_good_token_nobody_is_let_in(server: Server, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization is not None else {}
    answer = refusal(lambda: Client(server.url("/ws/driver/"), additional_headers=headers))

    assert code_of(answer) == (403, "not_authenticated")


def test_a_token_in_the_address_is_not_looked_at(server: Server, alice: Driver) -> None:
    token = token_of(alice)

    answer = refusal(lambda: Client(server.url(f"/ws/driver/?token={token}&access_token={token}")))

    assert code_of(answer) == (403, "not_authenticated")


def test_an_expired_token_is_refused(server: Server, alice: Driver) -> None:
    token = token_of(alice)
    DeviceToken.objects.update(expiry=cast.now() - timedelta(seconds=1))

    assert code_of(refusal(lambda: open_driver(server, alice, token=token))) == (403, "not_authenticated")


def test_a_suspended_driver_is_refused(server: Server, alice: Driver) -> None:
    services.suspend_driver(driver_id=alice.pk)

    assert code_of(refusal(lambda: open_driver(server, alice))) == (403, "driver_suspended")


def test_a_dispatcher_cannot_use_the_drivers_door_nor_a_driver_the_dispatchers(
    server: Server, alice: Driver, dora: User
) -> None:
    headers = {"Authorization": f"Bearer {token_of(alice)}"}

    answer = refusal(lambda: Client(server.url("/ws/dispatch/"), additional_headers=headers))

    assert code_of(answer) == (403, "not_authenticated")
    assert code_of(refusal(lambda: open_board(server, alice.user))) == (403, "not_authenticated")


def test_staff_need_the_permissions_to_see_orders_and_drivers(server: Server, clients: list[Client]) -> None:
    clerk = User.objects.create_user("clerk", password=cast.PASSWORD, is_staff=True)
    assert code_of(refusal(lambda: open_board(server, clerk))) == (403, "not_authenticated")

    clerk.user_permissions.add(Permission.objects.get(codename="view_order"))
    assert code_of(refusal(lambda: open_board(server, User.objects.get(pk=clerk.pk)))) == (403, "not_authenticated")
    clerk.user_permissions.add(Permission.objects.get(codename="view_driver"))

    client = open_board(server, User.objects.get(pk=clerk.pk))
    clients.append(client)
    assert client.frame()["type"] == "snapshot"


def test_a_ticket_lets_in_once(server: Server, clients: list[Client], alice: Driver) -> None:
    token_of(alice)
    ticket = tickets.issue_ticket(alice.pk, DeviceToken.objects.get().digest)
    url = server.url(f"/ws/driver/?ticket={ticket}")

    clients.append(Client(url))

    assert clients[0].frame()["type"] == "snapshot"
    assert code_of(refusal(lambda: Client(url))) == (403, "not_authenticated")
    assert ticket not in server.output()


def test_a_ticket_of_a_device_that_signed_out_is_refused(server: Server, alice: Driver) -> None:
    token_of(alice)
    ticket = tickets.issue_ticket(alice.pk, DeviceToken.objects.get().digest)
    services.sign_out(driver_id=alice.pk, token_digest=DeviceToken.objects.get().digest)

    answer = refusal(lambda: Client(server.url(f"/ws/driver/?ticket={ticket}")))

    assert code_of(answer) == (403, "not_authenticated")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "file://", "http://["]
)
def test_a_page_of_another_site_is_refused(server: Server, alice: Driver, dora: User, origin: str) -> None:
    assert code_of(refusal(lambda: open_driver(server, alice, origin=origin))) == (403, "permission_denied")
    assert code_of(refusal(lambda: open_board(server, dora, origin=origin))) == (403, "permission_denied")


def test_a_page_of_our_own_is_let_in(connect_driver: Connect, server: Server, alice: Driver) -> None:
    assert connect_driver(alice, origin=f"http://localhost:{server.port}").is_served()


def test_the_subprotocol_is_echoed(connect_driver: Connect, alice: Driver) -> None:
    client = connect_driver(alice, subprotocols=["baton.v2", "baton.v1"])

    assert client.connection.subprotocol == "baton.v1"


def test_a_client_that_speaks_something_else_is_refused(server: Server, alice: Driver) -> None:
    answer = refusal(lambda: open_driver(server, alice, subprotocols=["baton.v2"]))

    assert code_of(answer) == (403, "invalid")


@pytest.mark.parametrize("path", ["/ws/", "/ws/driver", "/ws/driver/1/", "/", "/api/v1/driver/"])
def test_other_addresses_are_not_found(server: Server, path: str) -> None:
    assert code_of(refusal(lambda: Client(server.url(path)))) == (404, "not_found")


def test_signing_out_closes_the_devices_sockets_and_no_others(connect_driver: Connect, alice: Driver) -> None:
    phone, tablet = token_of(alice), token_of(alice)
    on_phone, also_on_phone = connect_driver(alice, token=phone), connect_driver(alice, token=phone)
    on_tablet = connect_driver(alice, token=tablet)
    digest = DeviceToken.objects.get(token_key=phone[: len(DeviceToken.objects.all()[0].token_key)]).digest

    services.sign_out(driver_id=alice.pk, token_digest=digest)

    assert on_phone.close_code(within=2) == 4001
    assert also_on_phone.close_code(within=2) == 4001
    assert on_tablet.is_served()


def test_suspending_closes_all_sockets_with_its_own_code(connect_driver: Connect, alice: Driver, bob: Driver) -> None:
    at_alice, at_bob = connect_driver(alice), connect_driver(bob)

    services.suspend_driver(driver_id=alice.pk)

    assert at_alice.close_code(within=2) == 4003
    assert at_bob.is_served()


def test_a_sign_out_that_is_rolled_back_closes_nothing(connect_driver: Connect, alice: Driver) -> None:
    at_alice = connect_driver(alice)

    with pytest.raises(RuntimeError, match="no"), transaction.atomic():
        live.driver_signed_out(alice.pk)
        raise RuntimeError("no")

    assert at_alice.is_served()


def test_a_socket_whose_token_vanished_unheard_is_found(server: Server, alice: Driver, dora: User) -> None:
    """The check that runs every two minutes, run now and here: it needs no push."""

    class Held:
        def __init__(self, digest: str = "", session_key: str = "") -> None:
            self.digest, self.session_key, self.closed = digest, session_key, list[Close]()

        def shut(self, code: Close) -> None:
            self.closed.append(code)

    bad = cast.driver("bad")
    for driver in (alice, bad):
        token_of(driver)
    digests = dict(DeviceToken.objects.values_list("user__username", "digest"))
    Driver.objects.filter(pk=bad.pk).update(suspended=True)
    good, suspended, gone, stranger = Held(digests["alice"]), Held(digests["bad"]), Held("0" * 128), Held("", "none")

    asyncio.run(Standing({1: [good, gone], 2: [suspended]}, [stranger]).check())

    assert [held.closed for held in (good, suspended, gone, stranger)] == [
        [],
        [Close.SUSPENDED],
        [Close.SIGNED_OUT],
        [Close.SIGNED_OUT],
    ]
