"""Every driver accepts the same order at the same moment, over HTTP: one 200, an honest receipt for everybody else.

    BATON_OFFER_FANOUT=1000 python benchmarks/accept_storm.py --drivers 1000 --url http://127.0.0.1:8000

Fills the database it is pointed at with drivers of its own and runs against the server at --url, on this machine only.
Prints codes and latencies, as the clients see them, and ends with 1 unless exactly one driver was told that it is theirs.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

import aiohttp
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from knox.models import get_digest_token
from knox.settings import CONSTANTS

from dispatch import services
from dispatch.models import Offer
from drivers.models import DeviceToken, Driver, Presence
from drivers.services import Position, record_positions
from orders import actors
from orders.models import Order
from orders.services import Contact, NewOrder, Place

PICKUP = Place(37.7955, -122.3937, "Ferry Building")
DROPOFF = Place(37.7880, -122.4075, "Union Square")


def make_drivers(count: int) -> list[str]:
    """Live drivers around the pickup; their tokens."""
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--drivers", type=int, default=1000)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    options = parser.parse_args()
    if urlsplit(options.url).hostname not in {"127.0.0.1", "localhost", "::1"}:
        parser.error("--url must be on this machine")
    if options.drivers > settings.OFFER_FANOUT:
        parser.error(f"BATON_OFFER_FANOUT={settings.OFFER_FANOUT} is less than --drivers")
    tokens = make_drivers(options.drivers)
    new = NewOrder(pickup=PICKUP, dropoff=DROPOFF, contact=Contact(name="Storm", phone="0"))
    order, _ = services.place_order(new=new, actor=actors.SYSTEM)
    offered = Offer.objects.filter(order=order).count()

    began = time.perf_counter()
    answers = asyncio.run(storm(options.url, [str(order.pk)] * len(tokens), tokens))
    took = time.perf_counter() - began

    seconds = sorted(answer[2] for answer in answers)
    print(f"offered to {offered} drivers; {len(answers)} answers in {took:.2f} s")
    for (status, code), count in sorted(Counter(answer[:2] for answer in answers).items()):
        print(f"  {status} {code or 'the order'}: {count}")
    print(
        f"  p50 {seconds[len(seconds) // 2]:.2f} s, p95 {seconds[int(len(seconds) * 0.95)]:.2f} s,"
        f" slowest {seconds[-1]:.2f} s"
    )
    final = Order.objects.get(pk=order.pk)
    print(f"  the order is {final.status}, held by driver {final.driver_id}")
    return 0 if sum(status == 200 for status, _, _ in answers) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
