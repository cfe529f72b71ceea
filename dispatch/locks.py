"""Every row lock that Baton takes, and the order in which they are taken.

1. An act on one order locks the **order row** first and, if it makes somebody hold it, the **driver row** second. Never
   the other way round.
2. What is locked is what becomes scarcer: the order, the driver's capacity. What becomes freer is not locked.
3. Code that locks several orders or drivers (the sweeps) uses SKIP LOCKED and never waits, so it cannot be part of a
   deadlock. The same holds for offers of *other* orders or *other* drivers than those whose rows are locked
   (dispatch/services/closing.py).
4. `no_key=True`: nobody changes a primary key, so inserting a row that points here does not wait.
5. A user's row (signing in, a new password) is locked before the driver's.
6. Waiting is bounded by `lock_timeout` (settings.LOCK_TIMEOUT_MS) and ends as the error `busy`.

The database's own trigger `order_within_capacity` locks order before driver too.
"""

from collections.abc import Collection
from uuid import UUID

from django.db.models import Count, QuerySet

from dispatch.errors import DriverAtCapacity
from drivers.errors import NotFound
from drivers.models import Driver
from drivers.rows import Rows, prepared
from orders.lifecycle import HELD
from orders.models import Order

ORDERS, DRIVERS = Rows(Order), Rows(Driver)
LOCK_ORDER = f"SELECT {ORDERS.columns} FROM orders_order AS row WHERE row.id = %s FOR NO KEY UPDATE"
LOCK_DRIVER = f"SELECT {DRIVERS.columns} FROM drivers_driver AS row WHERE row.id = %s FOR NO KEY UPDATE"
COUNT_LOAD = "SELECT count(*) FROM orders_order WHERE driver_id = %s AND status IN ('assigned', 'picked_up')"


def lock_order(order_id: UUID) -> Order:
    """The order, locked until the transaction ends. NotFound if there is none."""
    order = ORDERS.one(LOCK_ORDER, [order_id])
    if order is None:
        raise NotFound
    return order


def lock_driver(driver_id: int) -> Driver:
    """The driver, locked until the transaction ends; call after `lock_order`. NotFound if there is none."""
    driver = DRIVERS.one(LOCK_DRIVER, [driver_id])
    if driver is None:
        raise NotFound
    return driver


def lock_available_orders(orders: QuerySet[Order], limit: int | None = None) -> list[Order]:
    """Those of `orders` that nobody else has locked right now, in the order of the query."""
    rows = orders.select_for_update(no_key=True, of=("self",), skip_locked=True)
    return ORDERS.all(rows[:limit] if limit is not None else rows)


def lock_available_drivers(driver_ids: Collection[int]) -> dict[int, Driver]:
    """Those of the drivers that nobody else has locked right now."""
    rows = Driver.objects.select_for_update(no_key=True, of=("self",), skip_locked=True)
    return {driver.pk: driver for driver in rows.filter(pk__in=driver_ids).order_by("pk")}


def load_of(driver_id: int) -> int:
    """How many orders the driver holds. Exact while the driver row is locked."""
    with prepared() as cursor:
        cursor.execute(COUNT_LOAD, [driver_id])
        return int(cursor.fetchone()[0])


def loads_of(driver_ids: Collection[int]) -> dict[int, int]:
    """How many orders each of the drivers holds."""
    held = Order.objects.filter(driver_id__in=driver_ids, status__in=sorted(HELD)).order_by()
    counted = dict(held.values_list("driver_id").annotate(n=Count("*")).values_list("driver_id", "n"))
    return {driver_id: counted.get(driver_id, 0) for driver_id in driver_ids}


def check_capacity(driver: Driver) -> None:
    """Raises DriverAtCapacity unless the locked driver has room for one more."""
    if load_of(driver.pk) >= driver.capacity:
        raise DriverAtCapacity
