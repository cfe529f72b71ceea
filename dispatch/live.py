"""Tells the screens, after commit. Only `dispatch.services` call this, inside their transaction; nobody else publishes.

Pushes are hints, the database is the truth: whatever is lost here is found again by the next heartbeat or sync. A push
that cannot be published never fails the act that it tells of.

Every process that holds sockets listens to a few groups of the channel layer (dispatch/shards.py) and finds the addressees
among its own sockets (dispatch/consumers/hub.py), so one change costs one publish for dispatchers and at most one for the
drivers of each Redis, whatever their number. What goes over Redis is the finished text; each message also carries who
published it and that publisher's running number, so that a listener notices when one is missing.
"""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
import redis
from channels.layers import get_channel_layer
from channels_redis.utils import decode_hosts
from django.conf import settings
from django.db import transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

from dispatch import representations, shards
from dispatch.models import Message
from dispatch.shards import DISPATCHERS
from drivers.http import rfc3339
from drivers.models import Driver
from drivers.rows import Rows
from drivers.services import Recorded
from orders.lifecycle import HELD
from orders.models import Order, OrderContact, OrderEvent

log = logging.getLogger(__name__)

CONTACTS = Rows(OrderContact)
CONTACT_OF = f"SELECT {CONTACTS.columns} FROM orders_ordercontact AS row WHERE row.order_id = %s"

#: How long a request may wait for one Redis, seconds, and for how long nobody tries again after it did not answer.
ANSWER_SECONDS = 0.4
SILENCE_SECONDS = 1.0


def order_changed(order: Order, event: OrderEvent, *, contact: OrderContact | None = None) -> None:
    """To dispatchers: `order`. To the holder, if there is one: `order`, with the contact while they hold it; who tells of
    many orders brings it along, otherwise it is read."""
    _say(DISPATCHERS, text=order_frame(order, event), order=str(order.pk), version=order.version)
    if order.driver_id is not None:
        held = order.status in HELD
        contact = (contact or CONTACTS.one(CONTACT_OF, [order.pk])) if held else None
        shown = representations.order_for_driver(order, contact)
        _tell([order.driver_id], text=_order_frame(order, event, shown))


def order_frame(order: Order, event: OrderEvent) -> str:
    """`order`, as dispatchers see it, after this event."""
    return _order_frame(order, event, representations.order_for_staff(order))


def _order_frame(order: Order, event: OrderEvent, shown: dict[str, Any]) -> str:
    head = {"type": "order", "at": rfc3339(event.at), "version": order.version, "kind": str(event.kind)}
    return encode({**head, "order": shown})


def order_removed(order: Order, driver_id: int, reason: str) -> None:
    """To a driver who held it: `order_removed` with the reason (`released`, `unassigned`, `order_cancelled` …)."""
    gone = {"type": "order_removed", "at": now(), "version": order.version, "order": str(order.pk), "reason": reason}
    _tell([driver_id], text=encode(gone))


def offers_made(order: Order, distances: Mapping[int, float]) -> None:
    """To each driver id: `offer`, with that driver's own distance in metres. One publish for each Redis."""
    card = representations.offer_for_driver(order, 0.0)
    # Everything but the distance is the same for all: it comes last, so that it can be put in without encoding again.
    del card["distance_m"]
    text = encode({"type": "offer", "at": now(), "version": order.version, "offer": card})
    _tell(
        list(distances),
        each=[round(metres) for metres in distances.values()],
        text=text[:-2] + ',"distance_m":',
        tail="}}",
        offer=str(order.pk),
    )


def offers_closed(order_id: UUID, version: int, driver_ids: Sequence[int], reason: str) -> None:
    """To each driver id: `offer_closed`. One publish for each Redis."""
    if driver_ids:
        gone = {"type": "offer_closed", "at": now(), "version": version, "order": str(order_id), "reason": reason}
        _tell(driver_ids, text=encode(gone))


def message_sent(message: Message) -> None:
    """To the driver it is for: `message`."""
    text = encode({"type": "message", "at": now(), "message": representations.message(message)})
    _tell([message.driver_id], text=text)


def driver_changed(driver_id: int) -> None:
    """To dispatchers: `driver` with the driver's duty, position and load as they are after the commit.

    Only the id is published. Each process that serves dispatchers reads the drivers who changed, many at once.
    """
    drivers_changed([driver_id])


def drivers_changed(driver_ids: Sequence[int]) -> None:
    """`driver_changed` for many at once, one publish. May be called outside a transaction."""
    if driver_ids:
        _say(DISPATCHERS, changed=list(driver_ids))


def drivers_moved(moved: Sequence[Recorded]) -> None:
    """To dispatchers: `driver` for many drivers at once, one publish. May be called outside a transaction."""
    # A batch was heard of at the same time.
    seen = {at: rfc3339(at) for at in {row.last_seen for row in moved}}
    rows = [
        {
            "id": row.driver_id,
            "is_online": row.is_online,
            # A tenth of a metre is more than any of them knows.
            "lat": row.lat if row.lat is None else round(row.lat, 6),
            "lng": row.lng if row.lng is None else round(row.lng, 6),
            "heading": row.heading,
            "accuracy_m": row.accuracy_m,
            "last_seen": seen[row.last_seen],
        }
        for row in moved
    ]
    if rows:
        _say(DISPATCHERS, moved=rows)


def driver_signed_out(driver_id: int, token_digest: str | None = None) -> None:
    """Close the driver's sockets (only those of one device, if given): the token is no longer good."""
    suspended = Driver.objects.filter(pk=driver_id, suspended=True).exists()
    _say(shards.group_of(driver_id), sign_out=driver_id, digest=token_digest, suspended=suspended)


def sockets_replaced(driver_id: int, places: Sequence[str]) -> None:
    """Close these of the driver's sockets, whichever process has them: newer ones took their places."""
    _publisher().publish([(shards.group_of(driver_id), {"replaced": driver_id, "places": list(places)})])


def staff_changed(user_id: int) -> None:
    """Look again whether this user may watch the board, and close their sockets if not."""
    _say(DISPATCHERS, staff=user_id)


def viewing(process: str, rows: Sequence[tuple[int, str, str]]) -> None:
    """What a process's dispatchers have open, to all processes that serve dispatchers: user id, name, order id. At once."""
    _publisher().publish([(DISPATCHERS, {"viewing": process, "rows": [list(row) for row in rows]})])


def canary(listener: str, group: str, number: int) -> None:
    """A listener's own message to itself and everybody else, at once: while it comes back, so does the rest."""
    _publisher().publish([(group, {"canary": listener, "group": group, "number": number})])


def encode(document: Any) -> str:
    """A frame's text."""
    return msgspec.json.encode(document).decode()


def now() -> str:
    """This process's clock, for `at`: it says when something was said and decides nothing."""
    return rfc3339(datetime.now(UTC)) or ""


class _Outbox:
    """What a transaction has to say, in order; published in one round trip when it commits, forgotten if it does not."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []

    def __call__(self) -> None:
        _publisher().publish(self.messages)


def _tell(driver_ids: Sequence[int], each: Sequence[int] = (), **message: Any) -> None:
    """Say it to these drivers; `each` is what differs, in the same order."""
    for group, places in shards.by_group(driver_ids).items():
        own = {"each": [each[place] for place in places]} if each else {}
        _say(group, to=[driver_ids[place] for place in places], **message, **own)


def _say(group: str, **message: Any) -> None:
    """Publish after commit, at once outside a transaction; a savepoint that is rolled back takes its messages along."""
    connection = transaction.get_connection()
    waiting = connection.run_on_commit
    if waiting and isinstance(waiting[-1][1], _Outbox) and waiting[-1][0] == set(connection.savepoint_ids):
        waiting[-1][1].messages.append((group, message))
    else:
        outbox = _Outbox()
        outbox.messages.append((group, message))
        transaction.on_commit(outbox, robust=True)


class Shard:
    """The process's one synchronous connection to one Redis of the channel layer. When it is away, the others are not."""

    def __init__(self, address: str) -> None:
        self.client = redis.Redis.from_url(
            address,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            # Once more on a connection that died while idle; never after waiting in vain.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
        #: Threads take turns, so that a publisher's numbers arrive in order.
        self.lock = threading.Lock()
        self.silent_until = 0.0
        self.is_away = False

    def send(self, queue: Sequence[tuple[str, bytes]]) -> None:
        """Publish in this order, unless it has not answered a moment ago."""
        if time.monotonic() < self.silent_until:
            return
        try:
            self._send(queue)
        except redis.RedisError as error:
            self.silent_until = time.monotonic() + SILENCE_SECONDS
            if not self.is_away:
                log.warning("Redis is away, live push with it: %s", error)
            self.is_away = True
        else:
            if self.is_away:
                log.warning("Redis is back, live push with it.")
            self.is_away = False

    def _send(self, queue: Sequence[tuple[str, bytes]]) -> None:
        if len(queue) == 1:
            self.client.publish(*queue[0])
            return
        with self.client.pipeline(transaction=False) as pipeline:
            for name, content in queue:
                pipeline.publish(name, content)
            pipeline.execute()


class Publisher:
    """Publishes what the layer itself would have published (`async_to_sync(layer.group_send)` opens an event loop and a
    connection for every call: 1.7 ms against 0.06)."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.pid = os.getpid()
        self.id = uuid4().hex[:12]
        #: Of each group; written under the lock of its shard.
        self.counts: Counter[str] = Counter()
        options = config["default"]["CONFIG"]
        self.prefix = options.get("prefix", "asgi")
        self.shards = [Shard(host["address"]) for host in decode_hosts(options["hosts"])]

    def publish(self, messages: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Publish in this order. While a Redis is away they are dropped, but counted: the listeners notice the gap."""
        layer = get_channel_layer()
        queues: dict[int, list[tuple[str, str, dict[str, Any]]]] = {}
        for group, message in messages:
            name = f"{self.prefix}__group__{group}"
            queues.setdefault(shards.shard_of(name, len(self.shards)), []).append((name, group, message))
        for number, queue in queues.items():
            shard = self.shards[number]
            with shard.lock:
                numbered = []
                for name, group, message in queue:
                    self.counts[group] += 1
                    content = {**message, "by": f"{self.id} {group}", "no": self.counts[group]}
                    numbered.append((name, layer.serialize(content)))
                shard.send(numbered)


_current: Publisher | None = None
_making = threading.Lock()


def _publisher() -> Publisher:
    """This process's publisher: a fork gets its own."""
    global _current
    with _making:
        if _current is None or _current.pid != os.getpid() or _current.config is not settings.CHANNEL_LAYERS:
            _current = Publisher(settings.CHANNEL_LAYERS)
        return _current
