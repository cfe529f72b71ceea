"""Where this server may be sent by a device's word: to push services, never into its own network."""

import asyncio
import socket
from typing import Any

import pytest

from drivers import push, webpush
from drivers.errors import Invalid


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://fcm.googleapis.com/fcm/send/abc:def",
        "https://fcm.googleapis.com:443/wp/abc",
        "https://updates.push.services.mozilla.com/wpush/v2/gAAAA",
        "https://web.push.apple.com/QGx",
        "https://wns2-by3p.notify.windows.com/w/?token=BQYAAA%3d",
    ],
)
def test_push_services_that_are_known_may_be_named(endpoint: str) -> None:
    assert push.check_endpoint(endpoint).scheme == "https"


ELSEWHERE = [
    "",
    "nonsense",
    "http://fcm.googleapis.com/x",
    "ftp://fcm.googleapis.com/x",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "//fcm.googleapis.com/x",
    "https://",
    "https://fcm.googleapis.com:8443/x",
    "https://fcm.googleapis.com:99999/x",
    "https://user@fcm.googleapis.com/x",
    "https://user:secret@fcm.googleapis.com/x",
    "https://fcm.googleapis.com@127.0.0.1/x",
    "https://fcm.googleapis.com.evil.example/x",
    "https://evil.example/fcm.googleapis.com",
    "https://notify.windows.com.evil.example/x",
    "https://evilnotify.windows.com/x",
    "https://push.apple.com.:443/x",
    "https://localhost/x",
    "https://127.0.0.1/x",
    "https://127.1/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0177.0.0.1/x",
    "https://10.0.0.5/x",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://[fe80::1%25eth0]/x",
    "https://redis/x",
    "https://metadata.google.internal/x",
    "https://fcm.googleapis.com/a b",
    "https://fcm.googleapis.com/\r\nHost: evil",
    "https://fcm.googleapis.com/ü",
    "https://ｆcm.googleapis.com/x",
    "https://fcm.googleapis.com/" + "x" * 1000,
]


@pytest.mark.parametrize("endpoint", ELSEWHERE)
def test_nothing_else_may_be_named(endpoint: str) -> None:
    with pytest.raises(Invalid) as refusal:
        push.check_endpoint(endpoint)

    assert list(refusal.value.data["errors"]) == ["endpoint"]


def test_even_where_any_push_service_will_do_no_address_in_digits_is_named(settings: Any) -> None:
    settings.PUSH_HOSTS = ["*"]

    assert push.check_endpoint("https://push.example.org/x")
    for endpoint in ELSEWHERE:
        if "evil" in endpoint or "internal" in endpoint:
            # Names like any other: where they lead is looked at when something is sent.
            continue
        with pytest.raises(Invalid):
            push.check_endpoint(endpoint)


PRIVATE = [
    "127.0.0.1",
    "0.0.0.0",  # noqa: S104 (not to be listened on)
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "2001:db8::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_no_way_of_writing_a_private_address_is_public(address: str) -> None:
    assert not webpush.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "142.250.1.95", "2a00:1450:4001:80b::200a", "2607:f8b0::1"])
def test_addresses_on_the_open_internet_are(address: str) -> None:
    assert webpush.is_public(address)


@pytest.mark.parametrize("inside", [["127.0.0.1"], ["::1"], ["10.0.0.1", "169.254.169.254"]])
def test_a_name_that_leads_inside_is_not_followed(
    settings: Any, monkeypatch: pytest.MonkeyPatch, inside: list[str]
) -> None:
    settings.PUSH_PRIVATE_KEY, _ = push.create_keys()
    settings.PUSH_CONTACT = "mailto:ops@example.com"
    settings.PUSH_HOSTS = ["*"]
    connected: list[Any] = []

    async def looked_up(self: Any, host: str, port: int, **_: Any) -> list[Any]:
        kinds = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in inside]
        return [(kind, socket.SOCK_STREAM, 6, "", (at, port)) for kind, at in zip(kinds, inside, strict=True)]

    async def connect(*where: Any, **_: Any) -> None:
        connected.append(where)

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", looked_up)
    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "sock_connect", connect, raising=False)
    _, public = push.create_keys()

    outcome = webpush.send_all(
        [webpush.Push(1, "https://rebound.example.org/x", public, "A" * 22, payload={}, ttl=1, topic="t")]
    )

    assert outcome == {1: webpush.Outcome.FAILED}
    assert connected == []


def test_only_the_public_ones_of_a_names_addresses_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolved() -> list[str]:
        async def looked_up(host: str, port: int, **_: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (at, port)) for at in ("127.0.0.1", "8.8.8.8")]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", looked_up)
        return [found["host"] for found in await webpush.PublicOnly().resolve("push.example.org", 443)]

    loop = asyncio.SelectorEventLoop()
    try:
        assert loop.run_until_complete(resolved()) == ["8.8.8.8"]
    finally:
        loop.close()


def test_a_new_pair_of_keys_fits_together() -> None:
    private, public = push.create_keys()

    assert len(private) == 43
    assert len(push.from_base64url(public)) == 65
    assert push._public_key_of(private) == public
    assert push.create_keys() != (private, public)


@pytest.mark.parametrize("key", ["", "x", "A" * 87, "*" * 87, "ü"])
def test_a_key_that_is_no_point_is_refused(key: str) -> None:
    with pytest.raises(Invalid) as refusal:
        push.check_keys(key, "A" * 22)

    assert list(refusal.value.data["errors"]) == ["keys.p256dh"]


@pytest.mark.parametrize("secret", ["", "A" * 21, "A" * 23, "*" * 22, "ü" * 22])
def test_a_secret_has_sixteen_bytes(secret: str) -> None:
    with pytest.raises(Invalid) as refusal:
        push.check_keys(push.create_keys()[1], secret)

    assert list(refusal.value.data["errors"]) == ["keys.auth"]
