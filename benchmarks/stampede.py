"""A thousand drivers accept the same order at the same moment, over HTTP: one 200, an honest receipt for everybody else.

    bin/bench stampede [--drivers 1000] [--rounds 3]

One uvicorn as it is served; the drivers are in a process of their own. Beside it as many requests that ask for nothing
(`/healthz`), at the same moment, of the same server: what the crowd alone costs.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection

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


async def storm(url: str, order_ids: list[str], tokens: list[str]) -> list[tuple[int, str, float]]:
    """Every token accepts the order beside it, all at once; status, code and seconds of each."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def warm() -> None:
            async with session.get(f"{url}/healthz") as response:
                await response.read()

        async def accept(order_id: str, token: str) -> tuple[int, str, float]:
            began = time.perf_counter()
            async with session.post(
                f"{url}/api/v1/orders/{order_id}/accept/", json={}, headers={"Authorization": f"Bearer {token}"}
            ) as response:
                document = json.loads(await response.read())
                return response.status, document.get("code", ""), time.perf_counter() - began

        await asyncio.gather(*(warm() for _ in range(10)))
        return await asyncio.gather(
            *(accept(order_id, token) for order_id, token in zip(order_ids, tokens, strict=True))
        )


async def bare(url: str, count: int) -> list[float]:
    """So many at once that want nothing; seconds of each."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:

        async def ask() -> float:
            began = time.perf_counter()
            async with session.get(f"{url}/healthz") as response:
                await response.read()
            return time.perf_counter() - began

        return await asyncio.gather(*(ask() for _ in range(count)))


def crowd(pipe: Connection, url: str, tokens: list[str]) -> None:
    """The drivers' process: an order id comes in, what everybody was told goes out. None ends it."""
    while (order_id := pipe.recv()) is not None:
        pipe.send((asyncio.run(bare(url, len(tokens))), asyncio.run(storm(url, [order_id] * len(tokens), tokens))))


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--drivers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    report = Report("stampede")
    slowest, winners = 0.0, []
    with scratch.scratch_database("stampede"):
        settings.OFFER_FANOUT = given.drivers
        server = servers.Server(BATON_OFFER_FANOUT=str(given.drivers))
        try:
            tokens = make_drivers(given.drivers)
            here, there = get_context("spawn").Pipe()
            child = get_context("spawn").Process(
                target=crowd, args=(there, f"http://127.0.0.1:{server.port}", tokens), daemon=True
            )
            child.start()
            for number in range(1, given.rounds + 1):
                new = NewOrder(pickup=PICKUP, dropoff=DROPOFF, contact=Contact(name="Storm", phone="0"))
                order, _ = services.place_order(new=new, actor=actors.SYSTEM)
                offered = Offer.objects.filter(order=order).count()
                here.send(str(order.pk))
                nothing, answers = here.recv()
                report.times(f"round {number}, asking for nothing", nothing)
                report.times(f"round {number}, accepting", [seconds for _, _, seconds in answers])
                slowest = max(slowest, *(seconds for _, _, seconds in answers))
                counted = Counter(f"{status} {code or 'the order'}" for status, code, _ in answers)
                report.note(
                    f"round {number}: offered to {offered}; {', '.join(f'{n} x {k}' for k, n in sorted(counted.items()))}"
                )
                winners.append(sum(status == 200 for status, _, _ in answers))
                held = Order.objects.get(pk=order.pk)
                assert held.driver_id is not None
                services.pick_up_order(order_id=order.pk, driver_id=held.driver_id)
                services.deliver_order(order_id=order.pk, driver_id=held.driver_id)
            here.send(None)
            child.join(10)
        finally:
            server.stop()
    report.bar("rounds with other than one winner", sum(count != 1 for count in winners), at_most=0)
    report.bar("slowest answer, s", slowest, at_most=2)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
