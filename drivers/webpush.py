"""Web Push to many devices at once (RFC 8030, 8188, 8291, 8292): encrypted for each, signed with our key, never waiting
long for anybody's push service, and never led anywhere inside our own network."""

import asyncio
import json
import logging
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from django.conf import settings
from py_vapid import Vapid02
from pywebpush import WebPusher

from drivers.errors import Invalid
from drivers.push import check_endpoint

log = logging.getLogger(__name__)

AT_ONCE: Final = 40
#: Seconds, for one try and for everything that one call sends; what has not been sent by then is not.
TRY_SECONDS: Final = 6
ALL_SECONDS: Final = 30
TRIES: Final = 2
#: A push service that asks for a longer break than this is not asked again: the offer would be stale.
LONGEST_BREAK: Final = 3.0
#: A signature is for one push service and one day at most (RFC 8292); ours are for an hour.
SIGNED_SECONDS: Final = 3600
UNICAST: Final = ip_network("2000::/3")


class Outcome(Enum):
    SENT = auto()
    #: The subscription is no more: forget it.
    GONE = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Push:
    """`id` is the caller's own name for it. `topic` (at most 32 letters): a later push takes the place of an earlier one
    that was not fetched yet. After `ttl` seconds it is not worth delivering."""

    id: int
    endpoint: str
    p256dh: str
    auth: str
    payload: Mapping[str, Any]
    ttl: int
    topic: str


def send_all(pushes: Iterable[Push]) -> dict[int, Outcome]:
    """Send them, many at once, each at most TRIES times; what became of each. Takes ALL_SECONDS at most."""
    return asyncio.run(_send_all(list(pushes)))


async def _send_all(pushes: list[Push]) -> dict[int, Outcome]:
    outcomes = {push.id: Outcome.FAILED for push in pushes}
    turns = asyncio.Semaphore(AT_ONCE)
    signer = _Signer()
    connector = aiohttp.TCPConnector(resolver=PublicOnly(), use_dns_cache=False, limit=AT_ONCE)
    timeout = aiohttp.ClientTimeout(total=TRY_SECONDS)

    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def send(push: Push) -> None:
            async with turns:
                outcomes[push.id] = await _send(session, signer, push)

        waiting = [asyncio.create_task(send(push)) for push in pushes]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=ALL_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
    return outcomes


async def _send(session: aiohttp.ClientSession, signer: "_Signer", push: Push) -> Outcome:
    try:
        url = check_endpoint(push.endpoint)
        body, headers = _encrypted(push), signer.headers(f"{url.scheme}://{url.netloc}")
    except (Invalid, ValueError) as error:
        # It was good when it was taken down: a rule of ours has changed since.
        log.info("A push subscription is not used: %s", error)
        return Outcome.FAILED
    headers |= {
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(push.ttl),
        "Urgency": "high",
        "Topic": push.topic,
    }
    for attempt in range(1, TRIES + 1):
        status, pause = await _try(session, push.endpoint, body, headers)
        if status in {404, 410}:
            return Outcome.GONE
        if 200 <= status < 300:
            return Outcome.SENT
        # Too many, or a fault of theirs: once more. Everything else would be refused again.
        if attempt == TRIES or not (status in {0, 429} or status >= 500) or pause > LONGEST_BREAK:
            break
        await asyncio.sleep(pause)
    log.info("A push was not taken by %s: %s", url.hostname, status or "no answer")
    return Outcome.FAILED


async def _try(
    session: aiohttp.ClientSession, endpoint: str, body: bytes, headers: dict[str, str]
) -> tuple[int, float]:
    """The answer's status, 0 without one, and how long to wait before another try, seconds. Its content is not read."""
    try:
        async with session.post(endpoint, data=body, headers=headers, allow_redirects=False) as answer:
            wait = answer.headers.get("Retry-After", "")
            return answer.status, float(wait) if wait.isascii() and wait.isdigit() and len(wait) < 6 else 0.5
    except (aiohttp.ClientError, TimeoutError, OSError):
        return 0, 0.5


def _encrypted(push: Push) -> bytes:
    keys = {"endpoint": push.endpoint, "keys": {"p256dh": push.p256dh, "auth": push.auth}}
    encoded = WebPusher(keys).encode(json.dumps(dict(push.payload), separators=(",", ":")).encode())
    body: bytes = encoded["body"]
    return body


class _Signer:
    """Says who we are, once for each push service (VAPID)."""

    def __init__(self) -> None:
        self._key = Vapid02.from_raw(settings.PUSH_PRIVATE_KEY.encode())
        self._made: dict[str, dict[str, str]] = {}

    def headers(self, origin: str) -> dict[str, str]:
        if origin not in self._made:
            expires = int(time.time()) + SIGNED_SECONDS
            claims = {"aud": origin, "exp": expires, "sub": settings.PUSH_CONTACT}
            self._made[origin] = dict(self._key.sign(claims))
        return {**self._made[origin]}


class PublicOnly(AbstractResolver):
    """Finds only addresses on the open internet. The connection is made to what is found here, so a name that leads
    elsewhere the next time gains nothing."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        public = [entry for entry in found if is_public(str(entry[4][0]))]
        if not public:
            raise OSError(None, f"{host} leads to no public address")
        return [
            ResolveResult(
                hostname=host, host=str(at[0]), port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST
            )
            for kind, _, proto, _, at in public
        ]

    async def close(self) -> None:
        pass


def is_public(address: str) -> bool:
    """Whether it is a single machine's address on the open internet, by no way of writing a private one."""
    parsed: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        # Outside 2000::/3 are loopback, link-local, mapped and translated (64:ff9b::) addresses; within, the tunnels.
        return parsed in UNICAST and parsed.is_global and parsed.sixtofour is None and parsed.teredo is None
    return parsed.is_global and not parsed.is_multicast
