"""The history and the offers of orders are kept by the month in which the order was made (migrations orders 0011, dispatch
0014). An order's id begins with that moment (UUIDv7), so the id says which month it is.

Whoever asks by the order reads its month alone. Whoever asks for what is open by something else says so:
`order_id__gte=SettledBefore()`, or the planner would have to plan for every month there is.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Func, UUIDField


class SettledBefore(Func):
    """A constant of the database that moves on once a month: all orders with smaller ids are final."""

    function = "baton_settled_before"
    arity = 0

    def __init__(self, **extra: Any) -> None:
        super().__init__(output_field=UUIDField(), **extra)


def first_id(moment: datetime) -> UUID:
    """No order made at or after this moment has a smaller id."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
