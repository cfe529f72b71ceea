"""What a dispatcher can do to one order: each calls one service and says in a few words what came of it.

The buttons on an order's page and the actions of the list share these. All raise the service's errors.
"""

from uuid import UUID

from django.utils import timezone

from dispatch import services
from dispatch.admin.shown import count, metres, span
from orders.actors import Actor
from orders.models import Order, OrderEvent


def assign_to_nearest(*, order_id: UUID, actor: Actor, version: int | None = None) -> str:
    return _assigned(services.assign_order_to_nearest(order_id=order_id, actor=actor, version=version))


def assign(*, order_id: UUID, driver: int, actor: Actor, version: int | None = None) -> str:
    return _assigned(services.assign_order(order_id=order_id, driver_id=driver, actor=actor, version=version))


def reassign(*, order_id: UUID, driver: int, actor: Actor, version: int | None = None) -> str:
    order = services.reassign_order(order_id=order_id, driver_id=driver, actor=actor, version=version)
    return _assigned(order).replace("assigned", "moved", 1)


def pin(*, order_id: UUID, actor: Actor, version: int | None = None) -> str:
    services.pin_order(order_id=order_id, actor=actor, version=version)
    return "pinned: it is not auto-assigned"


def unpin(*, order_id: UUID, actor: Actor, version: int | None = None) -> str:
    order = services.unpin_order(order_id=order_id, actor=actor, version=version)
    return f"no longer pinned; {_lasts(order)}"


def release(*, order_id: UUID, actor: Actor, reason: str = "", version: int | None = None) -> str:
    order = services.unassign_order(order_id=order_id, actor=actor, reason=reason, version=version)
    return f"taken back; {_offered(order)}"


def reoffer(*, order_id: UUID, actor: Actor, version: int | None = None) -> str:
    order = services.reoffer_order(order_id=order_id, actor=actor, version=version)
    return f"{_offered(order)}; {_lasts(order)}"


def extend(*, order_id: UUID, minutes: int, actor: Actor, version: int | None = None) -> str:
    order = services.extend_order(order_id=order_id, seconds=60 * minutes, actor=actor, version=version)
    return f"given {minutes} min more; {_lasts(order)}"


def cancel(*, order_id: UUID, actor: Actor, reason: str = "", version: int | None = None) -> str:
    order = services.cancel_order(order_id=order_id, actor=actor, reason=reason, version=version)
    event = OrderEvent.objects.filter(order=order, version=order.version).first()
    if event is not None and (order.version == version or (event.actor_type, event.actor_id) != (actor.type, actor.id)):
        return f"was cancelled already, by {event.actor_name or event.actor_type}"
    return "cancelled"


def _assigned(order: Order) -> str:
    event = OrderEvent.objects.filter(order=order, version=order.version).only("data").first()
    data = event.data if event is not None else {}
    away = f" ({metres(data['distance_m'])})" if "distance_m" in data else ""
    return f"assigned to {data.get('driver_name', 'a driver')}{away}"


def _offered(order: Order) -> str:
    drivers = order.offers.filter(status="open").count()
    return f"offered to {count(drivers, 'driver')}" if drivers else "nobody near to offer it to yet"


def _lasts(order: Order) -> str:
    return f"expires in {span((order.expires_at - timezone.now()).total_seconds())}"
