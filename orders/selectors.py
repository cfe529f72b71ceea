"""Reads: orders as their owners see them, their history, and the feed of everything that happened. Nothing here writes
or locks."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Case, Q, QuerySet, When

from drivers.errors import Invalid, NotFound
from orders.models import Order, OrderEvent, SavedPlace

#: Events that one read of the feed looks at for an integrator's own: bounds how long a reader with few orders among
#: very many waits. The answer's `next` moves on all the same.
FEED_WINDOW = 100_000


#: Of a window of events those of an integrator's orders. Joined to the window itself: looked up again by their ids they
#: would be searched for in every month.
OWN_SQL = """
SELECT event.* FROM ({}) event JOIN orders_order o ON o.id = event.order_id
WHERE o.integrator_id = %s ORDER BY event.txid, event.id LIMIT %s
"""


def orders_visible_to(integrator_id: int | None) -> QuerySet[Order]:
    """An integrator's own orders, with their contacts; None: everybody's, without: whoever looks at a customer of others
    goes through `orders.contacts.look_at_contact`."""
    if integrator_id is None:
        return Order.objects.all()
    return Order.objects.filter(integrator_id=integrator_id).select_related("contact")


def find_order(*, order_id: UUID, integrator_id: int | None = None) -> Order:
    """One order. Raises NotFound, also when it is another integrator's."""
    order = orders_visible_to(integrator_id).filter(pk=order_id).first()
    if order is None:
        raise NotFound
    return order


def events_of(*, order_id: UUID, integrator_id: int | None = None) -> QuerySet[OrderEvent]:
    """What happened to one order. Raises NotFound, also when it is another integrator's."""
    orders = Order.objects.all() if integrator_id is None else Order.objects.filter(integrator_id=integrator_id)
    if not orders.filter(pk=order_id).exists():
        raise NotFound
    return OrderEvent.objects.filter(order_id=order_id)


@dataclass(frozen=True, slots=True, order=True)
class FeedPosition:
    """A place in the feed: everything up to it, ordered by writing transaction and then by id, has been read."""

    txid: int
    event_id: int


FEED_START = FeedPosition(0, 0)


@dataclass(frozen=True, slots=True)
class FeedPage:
    events: list[OrderEvent]
    #: Where to read on, now or later; never behind the position that was asked for.
    next: FeedPosition


#: Which months are settled is asked only here: they may settle before the events are read, and whoever is behind them has
#: not read their last ones.
FEED_SQL = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, baton_settled_txid(), baton_settled_before()"


def read_feed(*, after: FeedPosition = FEED_START, limit: int, integrator_id: int | None = None) -> FeedPage:
    """The next events of all orders, or of one integrator's; at most `limit`, none twice and none ever left out.

    Ids are given out before their transactions commit, so a reader who goes by ids alone walks past an event that
    commits late. Here only events of transactions below the horizon are shown: those older than every transaction that
    still runs, none of which can add anything any more. Raises Invalid for a position that the feed has not reached,
    as after a restore of an older backup.
    """
    with connection.cursor() as cursor:
        cursor.execute(FEED_SQL)
        horizon, settled, settled_before = cursor.fetchone()
    end = FeedPosition(horizon, 0)
    if after > end:
        raise Invalid(after="This cursor is ahead of the feed. Start again without it.")
    # Read after the horizon was: whatever is below it is finished and visible to this later statement.
    unread = (
        OrderEvent.objects.filter(txid__gte=after.txid, txid__lt=horizon)
        .filter(Q(txid__gt=after.txid) | Q(pk__gt=after.event_id))
        .order_by("txid", "pk")
    )
    if after.txid >= settled:
        # Nothing is written any more of orders that were settled by then.
        unread = unread.filter(order_id__gte=settled_before)
    if integrator_id is None:
        events = list(unread[:limit])
    else:
        window, values = unread[:FEED_WINDOW].query.sql_with_params()
        events = list(OrderEvent.objects.raw(OWN_SQL.format(window), [*values, integrator_id, limit]))
        if len(events) < limit:
            beyond = unread.values_list("txid", "pk")[FEED_WINDOW - 1 : FEED_WINDOW].first()
            end = FeedPosition(*beyond) if beyond is not None else end
    if len(events) == limit:
        end = FeedPosition(events[-1].txid, events[-1].pk)
    return FeedPage(events=events, next=end)


CHANGED_SQL = """
SELECT order_id, max(version) FROM orders_orderevent
WHERE txid >= %s AND txid < %s AND order_id >= baton_settled_before() GROUP BY order_id
"""


def changed_orders(*, since: int | None) -> tuple[dict[UUID, int], int]:
    """Orders that transactions from `since` on have changed, with their versions, and where to go on next time. None of them
    is ever left out (as in `read_feed`); without `since` nothing but where to begin."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        (horizon,) = cursor.fetchone()
        if since is None:
            return {}, horizon
        cursor.execute(CHANGED_SQL, [since, horizon])
        return dict(cursor.fetchall()), horizon


def orders_with_latest_event(order_ids: Collection[UUID]) -> list[tuple[Order, OrderEvent]]:
    """Orders as they are, each with the event that made it so."""
    orders = Order.objects.in_bulk(order_ids)
    events = OrderEvent.objects.filter(order_id__in=orders).order_by("order_id", "-version").distinct("order_id")
    return [(orders[event.order_id], event) for event in events]


#: Saved places that one look shows.
PLACES_SHOWN = 20


def places_like(part: str) -> list[SavedPlace]:
    """Saved places with that part in their name or address, those whose name begins with it first; at most PLACES_SHOWN.
    People keep a few hundred of them, so each is looked at."""
    found = SavedPlace.objects.all()
    if part:
        found = found.filter(Q(name__icontains=part) | Q(address__icontains=part))
    begins = Case(When(name__istartswith=part, then=0), default=1)
    return list(found.order_by(begins, "name")[:PLACES_SHOWN])
