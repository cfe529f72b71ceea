"""Waiting for a condition, never for luck."""

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

#: What a browser may take for anything that a test waits for: far more than it needs, also on a slow machine that does other
#: things. How quick something has to be is said where it is asked for, not here.
BROWSER_MS = 45_000


def wait_until(condition: Callable[[], Seen], *, seconds: float, what: str) -> Seen:
    """What `condition` returns as soon as that is true; fails, saying `what` was waited for, when the time is over."""
    until = time.monotonic() + seconds
    while not (seen := condition()):
        if time.monotonic() > until:
            raise AssertionError(f"Not within {seconds} s: {what}")
        time.sleep(0.02)
    return seen
