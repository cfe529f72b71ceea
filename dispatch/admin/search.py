"""Finding among millions: every way of asking has an index, and no way of asking reads the whole table."""

import re
from typing import TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from drivers.models import Driver
from orders.models import Order

_M = TypeVar("_M", bound=Model)

HELP = "The start of a reference or of an order's id, or a part of a driver's name."
#: The start of an id is understood from so many hex digits on: fewer would only be a time of day.
ID_START = re.compile(r"[0-9a-f]{8,32}")
DRIVERS_MATCHED = 50
ORDERS_MATCHED = 200
NARROW = 1000


def drivers_named(term: str) -> list[int]:
    return list(
        Driver.objects.filter(name__icontains=term)
        .order_by("name", "id")
        .values_list("pk", flat=True)[:DRIVERS_MATCHED]
    )


def orders_called(term: str) -> Q:
    """Orders by the start of their reference (`order_by_reference_start`) or of their id (the primary key)."""
    asked = Q(reference__istartswith=term)
    digits = term.lower().replace("-", "")
    if ID_START.fullmatch(digits):
        asked |= Q(pk__range=(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))))
    return asked


def find_orders(orders: QuerySet[Order], term: str) -> QuerySet[Order]:
    """Those of `orders` that the term names, by themselves or by their driver."""
    asked = orders_called(term)
    if drivers := drivers_named(term):
        asked |= Q(driver__in=drivers)
    return narrow(orders, asked)


def find_by_order(rows: QuerySet[_M], term: str, *, by_driver: bool = False) -> QuerySet[_M]:
    """Those of `rows` (of a table that points at orders) whose order, or driver, the term names."""
    orders = list(Order.objects.filter(orders_called(term)).order_by().values_list("pk", flat=True)[:ORDERS_MATCHED])
    asked = Q(order__in=orders)
    if by_driver:
        asked |= Q(driver__in=drivers_named(term))
    return narrow(rows, asked)


def narrow(rows: QuerySet[_M], asked: Q) -> QuerySet[_M]:
    """`rows.filter(asked)`, but a list's ORDER BY … LIMIT cannot lure the planner into walking the whole table by date
    for a handful of matches: few matches are found first, by their own index; many are near the top anyway."""
    few = list(rows.order_by().filter(asked).values_list("pk", flat=True)[: NARROW + 1])
    return rows.filter(pk__in=few) if len(few) <= NARROW else rows.filter(asked)
