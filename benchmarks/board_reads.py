"""What the console costs the server, in a database that benchmarks/fill.py has filled: what needs attention, following the
holders, and the snapshot with all its drivers.

    DATABASE_URL=… python benchmarks/board_reads.py
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from dispatch.attention import attention
from dispatch.consumers import frames
from dispatch.consumers.dispatcher import _driver_chunks
from dispatch.selectors_board import board, board_drivers, board_stats
from dispatch.services import follow_holders
from drivers.clock import ClockTimestamp
from drivers.models import Presence

RUNS = 7


def timed(name: str, act: Callable[[], Any], size: Callable[[Any], str] = lambda _: "") -> None:
    spent = []
    for _ in range(RUNS):
        began = time.perf_counter()
        found = act()
        spent.append((time.perf_counter() - began) * 1000)
    print(f"{name}: median {median(spent):.1f} ms, worst {max(spent):.1f} ms  {size(found)}", flush=True)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    Presence.objects.filter(driver__suspended=False).update(is_online=True, last_seen=ClockTimestamp())
    timed("attention", attention, lambda found: f"{len(found.rows)} rows, {len(found.offers)} waiting orders")
    timed("follow_holders", follow_holders, lambda count: f"{count} rows written")
    timed("stats", board_stats)
    needed = attention()
    timed(
        "snapshot without drivers",
        lambda: frames.board_snapshot(board(with_drivers=False), needed, {}, chunked=True),
        lambda text: f"{len(text) / 1e6:.2f} MB",
    )
    timed(
        "drivers in chunks", _driver_chunks, lambda texts: f"{len(texts)} frames, {sum(map(len, texts)) / 1e6:.2f} MB"
    )
    timed(
        "snapshot whole",
        lambda: frames.board_snapshot(board(), needed, {}),
        lambda text: f"{len(text) / 1e6:.2f} MB",
    )
    moved = [
        {name: row[name] for name in ("id", "is_online", "lat", "lng", "heading", "accuracy_m", "last_seen")}
        for row in board_drivers()[:2500]
    ]
    timed("frame of 2,500 moved drivers", lambda: frames.drivers(moved), lambda text: f"{len(text) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
