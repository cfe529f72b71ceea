"""A thousand drivers accept the same order at the same moment, over HTTP: one 200, an honest receipt for everybody else.

    bin/bench stampede [--drivers 1000] [--rounds 3] [--web 2]

As many uvicorns as `--web` says, as they are served; the drivers are in a process of their own and spread over them.
Who is sent away (503 with Retry-After) comes again when told, as the driver's app does; seconds count from the first tap.
Beside it as many requests that ask for nothing (`/healthz`), at the same moment, of the same servers: what the crowd alone
costs.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from datetime import timedelta
from itertools import count, cycle, islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import NamedTuple

import aiohttp
from django.conf import settings
from django.utils import timezone

from benchmarks import scratch, servers
from benchmarks.report import Report, arguments
from dispatch import services
from dispatch.models import Offer
from drivers.services import Position, record_positions
from orders import actors
from orders.models import Order
from orders.services import Contact, NewOrder, Place

PICKUP = Place(37.7955, -122.3937, "Ferry Building")
DROPOFF = Place(37.7880, -122.4075, "Union Square")
#: Whoever was sent away for so long takes that for the answer.
GIVES_UP_SECONDS = 40.0


def make_drivers(count: int) -> list[str]:
    """Live drivers around the pickup; their tokens."""
    from django.contrib.auth.models import User
    from knox.models import get_digest_token
    from knox.settings import CONSTANTS

    from drivers.models import DeviceToken, Driver, Presence

    # Those of an earlier run would take the offers.
    Presence.objects.filter(driver__user__username__startswith="storm").update(is_online=False)
    mark = f"storm{int(time.time())}"
    users = User.objects.bulk_create([User(username=f"{mark}-{n}") for n in range(count)])
    drivers = Driver.objects.bulk_create([Driver(user=user, name=user.username) for user in users])
    Presence.objects.filter(driver__in=drivers).update(is_online=True)
    record_positions(
        positions=[
            Position(driver_id=driver.pk, lat=PICKUP.lat + 0.00001 * n, lng=PICKUP.lng)
            for n, driver in enumerate(drivers)
        ]
    )
    tokens = [get_digest_token() for _ in users]
    expiry = timezone.now() + timedelta(hours=1)
    DeviceToken.objects.bulk_create(
        [
            DeviceToken(digest=digest, token_key=token[: CONSTANTS.TOKEN_KEY_LENGTH], user=user, expiry=expiry)
            for user, (digest, token) in zip(users, tokens, strict=True)
        ]
    )
    return [token for _, token in tokens]


class Answer(NamedTuple):
    """What a driver was told in the end."""

    status: int
    code: str
    seconds: float
    #: How often they were asked to come again before.
    sent_away: int


async def storm(urls: list[str], order_ids: list[str], tokens: list[str]) -> list[Answer]:
    """Every token accepts the order beside it, all at once."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def warm(url: str) -> None:
            async with session.get(f"{url}/healthz") as response:
                await response.read()

        async def accept(url: str, order_id: str, token: str) -> Answer:
            began = time.perf_counter()
            for sent_away in count():
                async with session.post(
                    f"{url}/api/v1/orders/{order_id}/accept/", json={}, headers={"Authorization": f"Bearer {token}"}
                ) as response:
                    code = json.loads(await response.read()).get("code", "")
                    if response.status != 503 or time.perf_counter() - began > GIVES_UP_SECONDS:
                        return Answer(response.status, code, time.perf_counter() - began, sent_away)
                await asyncio.sleep(int(response.headers["Retry-After"]))
            raise AssertionError

        await asyncio.gather(*(warm(url) for url in urls for _ in range(10)))
        return await asyncio.gather(*map(accept, cycle(urls), order_ids, tokens))


async def bare(urls: list[str], number: int) -> list[float]:
    """So many at once that want nothing; seconds of each."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:

        async def ask(url: str) -> float:
            began = time.perf_counter()
            async with session.get(f"{url}/healthz") as response:
                await response.read()
            return time.perf_counter() - began

        return await asyncio.gather(*(ask(url) for url in islice(cycle(urls), number)))


def crowd(pipe: Connection, urls: list[str], tokens: list[str]) -> None:
    """The drivers' process: an order id comes in, what everybody was told goes out. None ends it."""
    while (order_id := pipe.recv()) is not None:
        pipe.send((asyncio.run(bare(urls, len(tokens))), asyncio.run(storm(urls, [order_id] * len(tokens), tokens))))


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--drivers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--web", type=int, default=2, help="processes for HTTP")
    given = parser.parse_args()
    report = Report("stampede")
    slowest, winners = 0.0, []
    with scratch.scratch_database("stampede"):
        settings.OFFER_FANOUT = given.drivers
        processes = [servers.Server(BATON_OFFER_FANOUT=str(given.drivers)) for _ in range(given.web)]
        try:
            tokens = make_drivers(given.drivers)
            here, there = get_context("spawn").Pipe()
            child = get_context("spawn").Process(
                target=crowd,
                args=(there, [f"http://127.0.0.1:{server.port}" for server in processes], tokens),
                daemon=True,
            )
            child.start()
            for number in range(1, given.rounds + 1):
                new = NewOrder(pickup=PICKUP, dropoff=DROPOFF, contact=Contact(name="Storm", phone="0"))
                order, _ = services.place_order(new=new, actor=actors.SYSTEM)
                offered = Offer.objects.filter(order=order).count()
                here.send(str(order.pk))
                nothing, answers = here.recv()
                report.times(f"round {number}, asking for nothing", nothing)
                report.times(f"round {number}, accepting", [answer.seconds for answer in answers])
                slowest = max(slowest, *(answer.seconds for answer in answers))
                counted = Counter(f"{answer.status} {answer.code or 'the order'}" for answer in answers)
                report.note(
                    f"round {number}: offered to {offered}; {', '.join(f'{n} x {k}' for k, n in sorted(counted.items()))}; "
                    f"sent away at first: {sum(answer.sent_away > 0 for answer in answers)}"
                )
                winners.append(sum(answer.status == 200 for answer in answers))
                held = Order.objects.get(pk=order.pk)
                assert held.driver_id is not None
                services.pick_up_order(order_id=order.pk, driver_id=held.driver_id)
                services.deliver_order(order_id=order.pk, driver_id=held.driver_id)
            here.send(None)
            child.join(10)
        finally:
            for server in processes:
                server.stop()
    report.bar("rounds with other than one winner", sum(count != 1 for count in winners), at_most=0)
    report.bar("slowest answer, s", slowest, at_most=2)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
