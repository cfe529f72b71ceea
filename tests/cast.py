"""The people and places of the tests. Everything is made through the services, as in life."""

from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.db import transaction

from dispatch import services
from dispatch.models import Offer
from drivers import services as driver_services
from drivers.clock import database_now
from drivers.models import Driver, Vehicle
from orders import actors
from orders.models import Order, OrderEvent
from orders.services import Contact, NewOrder, Place

# Latitude, longitude.
FERRY_BUILDING = (37.7955, -122.3937)
EMBARCADERO = (37.7929, -122.3971)
UNION_SQUARE = (37.7880, -122.4075)
OCEAN_BEACH = (37.7594, -122.5107)
MINUTE = timedelta(seconds=61)
PASSWORD = "correct horse battery"

DISPATCHER = actors.dispatcher(1, "dora")


def driver(
    name: str,
    *,
    at: tuple[float, float] | None = None,
    capacity: int = 1,
    vehicle: Vehicle = Vehicle.CAR,
    is_online: bool = True,
) -> Driver:
    """A driver; with a place, one who has just sent a heartbeat from there."""
    with transaction.atomic():
        made = driver_services.create_driver(
            username=name, password=None, name=name.title(), vehicle=vehicle, capacity=capacity
        )
        User.objects.filter(pk=made.user_id).update(password=hashed_password())
        driver_services.set_duty(driver=made, is_online=is_online)
    if at is not None:
        move(made, at)
    return made


@cache
def hashed_password() -> str:
    """PASSWORD as the database keeps it. Hashing is slow on purpose, so everybody shares one."""
    # By the real hasher itself: a test may have put a quicker one into the settings.
    return PBKDF2PasswordHasher().encode(PASSWORD, "tests")


def move(who: Driver, to: tuple[float, float]) -> None:
    driver_services.record_positions(positions=[driver_services.Position(driver_id=who.pk, lat=to[0], lng=to[1])])


def dispatcher(name: str) -> User:
    user = User.objects.create_superuser(name, password=None)
    User.objects.filter(pk=user.pk).update(password=hashed_password())
    user.refresh_from_db()
    return user


def new_order(**changes: Any) -> NewOrder:
    given: dict[str, Any] = {
        "pickup": Place(*FERRY_BUILDING, "Ferry Building"),
        "dropoff": Place(*UNION_SQUARE, "Union Square"),
        "contact": Contact(name="Carol Customer", phone="+1 415 555 0100", notes="Ring twice"),
    }
    return NewOrder(**{**given, **changes})


def order(**changes: Any) -> Order:
    """A pending order, offered to whoever is live nearby."""
    placed, _ = services.place_order(new=new_order(**changes), actor=DISPATCHER)
    return placed


def let_time_pass(of: Order, **by: float) -> None:
    """Move every deadline of an order into the past, as waiting would: `let_time_pass(order, seconds=20)`."""
    shift = timedelta(**by)
    fresh = Order.objects.get(pk=of.pk)
    with transaction.atomic():
        Order.objects.filter(pk=of.pk).update(
            version=fresh.version + 1,
            **{
                name: getattr(fresh, name) - shift
                for name in ("created_at", "release_at", "auto_assign_at", "expires_at")
            },
        )
        OrderEvent.objects.create(
            order=of, version=fresh.version + 1, kind="order.corrected", actor_type="system", data={"test": True}
        )


def history(of: Order | UUID) -> list[str]:
    """The kinds of an order's events in order, without the `order.` in front."""
    pk = of.pk if isinstance(of, Order) else of
    kinds = OrderEvent.objects.filter(order_id=pk).order_by("version").values_list("kind", flat=True)
    return [kind.removeprefix("order.") for kind in kinds]


def offers(of: Order) -> dict[str, str]:
    """Who was offered an order: user name → status."""
    rows = Offer.objects.filter(order=of).order_by("driver__user__username")
    return dict(rows.values_list("driver__user__username", "status"))


def now() -> Any:
    return database_now()
