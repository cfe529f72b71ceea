"""Acts on many orders in one transaction, without one bad order spoiling it for the others; and on more than that."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from django.db import DataError, IntegrityError, InternalError, connections

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


def side_by_side(
    act: Callable[[Sequence[Item]], object], items: Sequence[Item], *, size: int, after_each: Callable[[], None]
) -> None:
    """`act` on batches of so many items, two at a time if there is more than one, so that PostgreSQL works on one while
    Python works on the other. `after_each` is called here, after each batch of this thread; what this thread raises ends
    both. A helper that fails, perhaps because it gets no connection, is logged, and this thread goes on alone."""
    # Both take from it; each batch is taken by one of them.
    batches = iter([items[start : start + size] for start in range(0, len(items), size)])

    def help_along() -> None:
        try:
            for batch in batches:
                act(batch)
        except Exception:
            logger.exception("What was to be done beside is left to the next time")
        finally:
            connections.close_all()

    helper = threading.Thread(target=help_along, name="side-by-side")
    if len(items) > size:
        helper.start()
    try:
        for batch in batches:
            act(batch)
            after_each()
    finally:
        list(batches)
        if helper.ident is not None:
            helper.join()
