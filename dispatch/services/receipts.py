"""An act carried out once, however often the app sends it: receipts by `action_id`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from dispatch.models import ActionReceipt
from drivers.errors import DomainError
from drivers.rows import prepared
from orders.changes import constraint_name
from orders.errors import IdempotencyMismatch
from orders.models import Order

#: By hand, as every tap runs it.
WRITE_RECEIPT = """
INSERT INTO dispatch_actionreceipt (driver_id, action_id, verb, order_id, version, tapped_at, created_at)
VALUES (%s, %s, %s, %s, %s, %s, now())
"""


@dataclass(frozen=True, slots=True)
class Tap:
    """What the app says of a driver's tap. Both are optional; `tapped_at` is by the device's clock and decides nothing."""

    action_id: str = ""
    tapped_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """An act that is done: now, or earlier under the same `action_id` (or the same outcome by other means)."""

    order_id: UUID
    version: int
    replayed: bool = False


NO_TAP = Tap()


def act_once(
    *, driver_id: int, order_id: UUID, verb: str, tap: Tap, act: Callable[[], Order], is_new: bool = False
) -> Done:
    """Open the transaction, carry out `act` unless this `action_id` was carried out before, and write the receipt with it.
    `is_new`: there was no such receipt a moment ago, so that it need not be looked for again; one that has come since is
    found when ours is written.

    A refused act (any DomainError from `act`) leaves nothing behind. Raises IdempotencyMismatch when the id was used for
    another order or verb.
    """
    try:
        with transaction.atomic(durable=True):
            if not is_new and (done := _find(driver_id, order_id, verb, tap)):
                return done
            order = act()
            if tap.action_id:
                _write(driver_id, order_id, verb, tap, order.version)
            return Done(order_id=order_id, version=order.version)
    except DomainError:
        # The same tap, sent twice at once, was carried out while we waited for the order, and what it did is why we may not.
        if done := _find(driver_id, order_id, verb, tap):
            return done
        raise
    except IntegrityError as error:
        # The same tap arrived twice at once and the other one has just committed; ours was rolled back whole.
        if constraint_name(error) != "one_receipt_per_action":
            raise
        if (done := _find(driver_id, order_id, verb, tap)) is None:
            raise
        return done


def _write(driver_id: int, order_id: UUID, verb: str, tap: Tap, version: int) -> None:
    with prepared() as cursor:
        cursor.execute(WRITE_RECEIPT, [driver_id, tap.action_id, verb, order_id, version, tap.tapped_at])


def _find(driver_id: int, order_id: UUID, verb: str, tap: Tap) -> Done | None:
    if not tap.action_id:
        return None
    receipt = ActionReceipt.objects.filter(driver_id=driver_id, action_id=tap.action_id).first()
    if receipt is None:
        return None
    if (receipt.order_id, receipt.verb) != (order_id, verb):
        raise IdempotencyMismatch
    return Done(order_id=order_id, version=receipt.version, replayed=True)
