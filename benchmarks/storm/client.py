"""One process of clients: `python -m benchmarks.storm.client SETTINGS.json`. Ends the storm when told `quiet` on its
standard input, lets its drivers look once more at `look`, and writes everything into its book."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from benchmarks.storm.door import Door
from benchmarks.storm.people import Dispatcher, Driver, Shop, Town
from benchmarks.storm.record import Book


async def storm(settings: dict[str, Any]) -> None:
    town, book = Town(), Book(Path(settings["book"]))
    base, seed = settings["base"], settings["seed"]
    # A connection each, kept and lost as a phone's is.
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=20)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:

        def door(who: str, token: str) -> Door:
            return Door(f"{base}/api/v1", token, who, book, session)

        drivers = [
            Driver(door(who["name"], who["token"]), who["pk"], town, f"{seed} {who['name']}", f"{base}/ws/driver/")
            for who in settings["drivers"]
        ]
        name = settings["name"]
        shop = Shop(door(f"shop-{name}", settings["shop_key"]), town, f"{seed} shop {name}", settings["orders_per_s"])
        office = Dispatcher(
            door(f"office-{name}", settings["office_key"]), town, f"{seed} office {name}", settings["all_drivers"]
        )
        lines = [asyncio.create_task(driver.keep_line()) for driver in drivers]
        work = [
            asyncio.create_task(work) for work in (*(driver.work() for driver in drivers), shop.work(), office.work())
        ]
        report = asyncio.create_task(_report(book))
        await _told("quiet")
        town.going_on = False
        # Whoever fails here has found a fault of the storm itself: it must be seen.
        await asyncio.gather(*work)
        print("quiet", flush=True)
        await _told("look")
        await asyncio.gather(*(driver.last_look() for driver in drivers))
        for task in (report, *lines):
            task.cancel()
        await asyncio.gather(report, *lines, return_exceptions=True)
    book.close()
    print("done", flush=True)


async def _told(word: str) -> None:
    said = await asyncio.to_thread(sys.stdin.readline)
    if said.strip() != word:
        raise SystemExit(f"expected {word}, was told {said!r}")


async def _report(book: Book) -> None:
    while True:
        await asyncio.sleep(1)
        print(f"asked {book.asked}", flush=True)


if __name__ == "__main__":
    asyncio.run(storm(msgspec.json.decode(Path(sys.argv[1]).read_bytes())))
