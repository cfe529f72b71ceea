"""The life of an order, in one place. Plain Python: the database trigger (orders/triggers.py) is generated from MOVES,
and tests/orders/test_lifecycle.py fails when the two part ways.

              ┌────────── released, unassigned ──────────┐
              ▼                                          │
    ○ ──▶ pending ──── accepted, assigned ────▶ assigned ──┴─▶ picked_up ──▶ delivered
              │                                   │              │   └─────▶ failed
              └───────────────▶ cancelled ◀───────┴──────────────┘

Beside its state an order is *pinned* or not: a person has decided over it, and no act of the system overrides that.

- Pinned and pending: a dispatcher holds it out of auto-assignment (`order.pinned`). It is offered, and drivers may accept
  it. Left by `order.unpinned`, or when somebody comes to hold it.
- Pinned and held: a dispatcher chose the holder by hand. Left when the holder gives it back, or a dispatcher takes it.
- Only a dispatcher pins; only a person (the driver who accepts or gives back included) ends it. A crash changes nothing.

Trigger `order_pin_holds` (orders/triggers.py) refuses the rest, whatever the code path.
"""

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    #: Nobody holds it. Entered on creation and when the holder or a dispatcher gives it back; left when a driver accepts,
    #: the system or a dispatcher assigns, or somebody cancels. While pending it may be flagged `expired`: then no driver
    #: may take it until a dispatcher re-offers it. A crash leaves it pending; the next sweep goes on with it.
    PENDING = "pending"
    #: Exactly one driver holds it and is on the way to the pickup. Entered by accept or assign, left by pick-up, release
    #: or cancel. Nothing times out here: a crash changes nothing and the dispatcher sees a silent holder.
    ASSIGNED = "assigned"
    #: The holder has the goods. Entered by pick-up; left by deliver, fail or cancel. Survives any crash as it is.
    PICKED_UP = "picked_up"
    #: Final: handed over. `driver` stays, as history.
    DELIVERED = "delivered"
    #: Final: somebody withdrew the order. `driver` is whoever held it then, if anybody.
    CANCELLED = "cancelled"
    #: Final: picked up but could not be handed over, with a reason in the history.
    FAILED = "failed"


STATUS_CHOICES: Final = [(status.value, status.value.replace("_", " ")) for status in Status]

#: Every legal change of status; everything else is refused by the database.
MOVES: Final[frozenset[tuple[Status, Status]]] = frozenset(
    {
        (Status.PENDING, Status.ASSIGNED),
        (Status.ASSIGNED, Status.PENDING),
        (Status.ASSIGNED, Status.PICKED_UP),
        (Status.PICKED_UP, Status.DELIVERED),
        (Status.PICKED_UP, Status.FAILED),
        (Status.PENDING, Status.CANCELLED),
        (Status.ASSIGNED, Status.CANCELLED),
        (Status.PICKED_UP, Status.CANCELLED),
    }
)

#: A driver has it in hand, so it counts against the driver's capacity.
HELD: Final = frozenset({Status.ASSIGNED, Status.PICKED_UP})
FINAL: Final = frozenset({Status.DELIVERED, Status.CANCELLED, Status.FAILED})


class Kind(StrEnum):
    """What happened to an order: the `kind` of its events, past tense, as integrators receive them."""

    CREATED = "order.created"
    OFFERED = "order.offered"
    ASSIGNED = "order.assigned"
    RELEASED = "order.released"
    PICKED_UP = "order.picked_up"
    DELIVERED = "order.delivered"
    FAILED = "order.failed"
    CANCELLED = "order.cancelled"
    EXPIRED = "order.expired"
    REOFFERED = "order.reoffered"
    #: Details of a pending order were corrected (address, deadline, payout …).
    CORRECTED = "order.corrected"
    #: A dispatcher keeps a pending order out of auto-assignment, and lets it go on again.
    PINNED = "order.pinned"
    UNPINNED = "order.unpinned"


#: The status that an event leaves behind; None where it does not change the status. The audit replays this.
STATUS_AFTER: Final[dict[Kind, Status | None]] = {
    Kind.CREATED: Status.PENDING,
    Kind.OFFERED: None,
    Kind.ASSIGNED: Status.ASSIGNED,
    Kind.RELEASED: Status.PENDING,
    Kind.PICKED_UP: Status.PICKED_UP,
    Kind.DELIVERED: Status.DELIVERED,
    Kind.FAILED: Status.FAILED,
    Kind.CANCELLED: Status.CANCELLED,
    Kind.EXPIRED: None,
    Kind.REOFFERED: None,
    Kind.CORRECTED: None,
    Kind.PINNED: None,
    Kind.UNPINNED: None,
}


def can_move(before: Status | str, after: Status | str) -> bool:
    return (Status(before), Status(after)) in MOVES
