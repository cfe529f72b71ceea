"""Which driver gets which order: minimum total cost over all orders and drivers of the moment. Plain numbers, no Django.

Solved as a rectangular linear sum assignment (scipy: the modified Jonker-Volgenant algorithm of D. F. Crouse, "On
implementing 2D rectangular assignment algorithms", IEEE TAES 52(4), 2016).
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

#: A pair that must not be matched.
FORBIDDEN = 1e13
#: Leaving an order of priority 0 without a driver costs more than any sum of distances (half the earth's girth is 2e7 m),
#: so as many as possible are matched.
UNMATCHED = 1e9
#: Each step of priority makes leaving the order unmatched dearer than any detour: contested drivers go to it first.
UNMATCHED_PER_PRIORITY = 1e8


def solver() -> tuple[Any, Any]:
    """numpy and scipy's solver. Loading them takes a second and 40 MB, which only the process that sweeps shall pay."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    return np, linear_sum_assignment


def match_orders(
    costs: Mapping[UUID, Mapping[int, float]], rooms: Mapping[int, int], priorities: Mapping[UUID, int] | None = None
) -> dict[UUID, int]:
    """Order id → driver id, for as many orders as possible, at the least total cost.

    `costs` has, per order, the drivers who may take it and what that costs (metres to the pickup); `rooms` how many
    orders each driver may still take (a driver who is not in it takes none). Equal costs are decided by the order of the
    ids, so the same input always gives the same answer. An order that cannot be matched is absent from the result.
    """
    np, linear_sum_assignment = solver()
    orders: Sequence[UUID] = sorted(order for order, drivers in costs.items() if drivers)
    if not orders:
        return {}
    # A driver with room for three is three columns, but never more columns than there are orders.
    seats = [
        driver
        for driver in sorted({driver for order in orders for driver in costs[order]})
        for _ in range(min(rooms.get(driver, 0), len(orders)))
    ]
    columns: dict[int, list[int]] = {}
    for column, driver in enumerate(seats):
        columns.setdefault(driver, []).append(column)
    # Every order also has a column of its own that stands for "nobody".
    matrix = np.full((len(orders), len(seats) + len(orders)), FORBIDDEN)
    for row, order in enumerate(orders):
        priority = (priorities or {}).get(order, 0)
        matrix[row, len(seats) + row] = UNMATCHED + priority * UNMATCHED_PER_PRIORITY
        for driver, cost in costs[order].items():
            matrix[row, columns.get(driver, [])] = cost
    rows, chosen = linear_sum_assignment(matrix)
    return {orders[row]: seats[column] for row, column in zip(rows, chosen, strict=True) if column < len(seats)}
