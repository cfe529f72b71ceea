"""Tells the screens, after commit. Only `dispatch.services` call this, inside their transaction; nobody else publishes.

Pushes are hints, the database is the truth: whatever is lost here is found again by the next heartbeat or sync.
"""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from drivers.services import Recorded
from orders.models import Order, OrderEvent


def order_changed(order: Order, event: OrderEvent) -> None:
    """To dispatchers: `order`. To the holder, if there is one: `order`, with the contact."""


def order_removed(order: Order, driver_id: int, reason: str) -> None:
    """To a driver who held it: `order_removed` with the reason (`released`, `unassigned`, `order_cancelled` …)."""


def offers_made(order: Order, distances: Mapping[int, float]) -> None:
    """To each driver id: `offer`, with that driver's own distance in metres. One publish, whatever their number."""


def offers_closed(order_id: UUID, version: int, driver_ids: Sequence[int], reason: str) -> None:
    """To each driver id: `offer_closed`. One publish."""


def driver_changed(driver_id: int) -> None:
    """To dispatchers: `driver` with the driver's duty, position and load as they are after the commit."""


def drivers_moved(moved: Iterable[Recorded]) -> None:
    """To dispatchers: `driver` for many drivers at once, one publish. May be called outside a transaction."""


def driver_signed_out(driver_id: int, token_digest: str | None = None) -> None:
    """Close the driver's sockets (only those of one device, if given): the token is no longer good."""
