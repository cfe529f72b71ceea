"""Finds changes of orders that no push told of.

A process that dies between its commit and its push says nothing more, and when the answer to a commit is lost, nobody knows
what there was to say: no running number is missing. Drivers notice by their heartbeats; for dispatchers the process that
holds their sockets compares what it heard with the history.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from uuid import UUID

from dispatch import live
from dispatch.consumers.database import ask
from orders.selectors import changed_orders, orders_with_latest_event

#: So long it is remembered what was heard, seconds: a transaction that still writes holds the look back.
REMEMBERED_SECONDS = 120.0
#: Orders that one look tells of; the others are told of by the next ones.
TOLD_AT_ONCE = 200


class Missed:
    """`show` takes a frame for all screens, `changed` the ids of drivers to be read again."""

    def __init__(self, show: Callable[[str], None], changed: Callable[[Iterable[int]], None]) -> None:
        self._show = show
        self._changed = changed
        #: Order id → latest version that was pushed, and when it was heard; in the order of hearing.
        self._heard: OrderedDict[UUID, tuple[int, float]] = OrderedDict()
        #: Order id → version that is in the history and was not heard yet: it may be on its way.
        self._awaited: dict[UUID, int] = {}
        #: Up to which transaction the history was compared.
        self._since: int | None = None

    def heard(self, order_id: str, version: int) -> None:
        order = UUID(order_id)
        known, _ = self._heard.pop(order, (0, 0.0))
        self._heard[order] = (max(known, version), time.monotonic())

    def forget(self) -> None:
        """Nobody watches any more: whoever comes next reads everything."""
        self._heard.clear()
        self._awaited.clear()
        self._since = None

    async def look(self) -> None:
        """Compare what was written since the last look; tell what was in the history then and has not been heard since."""
        found, since = await ask(changed_orders, since=self._since)
        late = [order for order, version in self._awaited.items() if not self._has_heard(order, version)]
        if late:
            for order, event in await ask(orders_with_latest_event, late[:TOLD_AT_ONCE]):
                self._show(live.order_frame(order, event))
                self._changed({order.driver_id, event.data.get("driver")} - {None})
        self._since = since
        self._awaited = {order: self._awaited[order] for order in late[TOLD_AT_ONCE:]} | {
            order: version for order, version in found.items() if not self._has_heard(order, version)
        }
        self._tidy()

    def _has_heard(self, order: UUID, version: int) -> bool:
        return self._heard.get(order, (0, 0.0))[0] >= version

    def _tidy(self) -> None:
        oldest = time.monotonic() - REMEMBERED_SECONDS
        while self._heard and next(iter(self._heard.values()))[1] < oldest:
            self._heard.popitem(last=False)
