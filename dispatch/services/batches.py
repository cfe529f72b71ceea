"""Acts on many orders in one transaction, without one bad order spoiling it for the others."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from django.db import DataError, IntegrityError, InternalError

from drivers.errors import DomainError

logger = logging.getLogger("baton.sweeps")

Item = TypeVar("Item")

#: About what is in the rows, not about the connection: trying with fewer of them makes sense.
REFUSALS = (DomainError, IntegrityError, DataError, InternalError)


def together(act: Callable[[Sequence[Item]], None], items: Sequence[Item]) -> None:
    """`act` on all items at once; if that is refused, on each half, and so on down to the ones that cannot be done, which
    are logged and left."""
    if not items:
        return
    try:
        act(items)
    except REFUSALS:
        if len(items) == 1:
            logger.exception("Cannot be done, left for a dispatcher: %s", items[0])
            return
        half = len(items) // 2
        together(act, items[:half])
        together(act, items[half:])
