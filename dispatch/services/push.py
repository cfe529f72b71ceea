"""Waking closed apps: a driver who was offered an order that no socket of theirs has taken is told by Web Push.

A push is a hint, as all of live push is. It carries nothing about anybody: that there is an order, its id, and until when;
the app asks for the rest itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from dispatch.jobs import queue_later
from dispatch.models import Offer
from dispatch.selectors import open_offers
from drivers import push
from drivers.clock import ClockTimestamp, database_now
from drivers.http import rfc3339
from drivers.limits import Limit
from drivers.models import PushSubscription

#: An open app has taken its offer long before: a socket marks it within half a second (dispatch/consumers/heartbeats.py).
GRACE_SECONDS: Final = 2.0
#: A phone that lies in a busy street is not a rattle.
PUSHES_PER_DRIVER: Final = Limit("push", per_second=0.1, burst=4)
TITLE: Final = "A new order near you"


def push_later(told: Mapping[UUID, Mapping[int, float]]) -> None:
    """Queue the job for these new offers (order id → driver ids), in the transaction that makes them. Costs one look, and
    nothing at all while push is off."""
    if not told or not push.is_configured():
        return
    drivers = {driver_id for offered in told.values() for driver_id in offered}
    reachable = set(PushSubscription.objects.filter(driver_id__in=drivers).values_list("driver_id", flat=True))
    orders = [str(order_id) for order_id, offered in told.items() if reachable & offered.keys()]
    if orders:
        queue_later("dispatch.tasks.push_offers", orders, seconds=GRACE_SECONDS)


def push_offers(*, order_ids: Sequence[UUID]) -> dict[str, int]:
    """Tell those who have an open offer of these orders that no socket took. One push for each device: of the nearest order.

    Subscriptions whose push service does not know them any more are forgotten. Running it again pushes again: `Topic`
    and the app's own tag make one notification of it. Returns how many were sent, gone, failed.
    """
    # Loaded by the jobs that send, not by everybody who makes offers.
    from drivers import webpush

    waiting = (
        open_offers()
        .filter(order__in=order_ids, delivered_at=None, driver__presence__is_online=True)
        .select_related("order")
        .order_by("-distance_m", "-id")
    )
    # The nearest comes last, and stays.
    nearest = {offer.driver_id: offer for offer in waiting}
    good = PushSubscription.objects.filter(
        driver__in=nearest,
        driver__suspended=False,
        driver__user__is_active=True,
        token__expiry__gt=ClockTimestamp(),
    )
    devices = list(good.order_by("pk"))
    quiet = {driver_id for driver_id in {d.driver_id for d in devices} if PUSHES_PER_DRIVER.spend(driver_id)}
    now = database_now()
    outcomes = webpush.send_all(
        webpush.Push(
            id=device.pk,
            endpoint=device.endpoint,
            p256dh=device.p256dh,
            auth=device.auth,
            payload=payload(nearest[device.driver_id]),
            ttl=max(0, int((nearest[device.driver_id].order.expires_at - now).total_seconds())),
            topic=nearest[device.driver_id].order_id.hex,
        )
        for device in devices
        if device.driver_id not in quiet
    )
    gone = [pk for pk, outcome in outcomes.items() if outcome is webpush.Outcome.GONE]
    PushSubscription.objects.filter(pk__in=gone).delete()
    counted = list(outcomes.values())
    return {outcome.name.lower(): counted.count(outcome) for outcome in webpush.Outcome}


def payload(offer: Offer) -> dict[str, Any]:
    return {
        "type": "offer",
        "title": TITLE,
        "order": str(offer.order_id),
        "expires_at": rfc3339(offer.order.expires_at),
    }
