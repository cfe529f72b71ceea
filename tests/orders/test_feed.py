"""The feed is gap-free: proved with real connections, because it is about transactions that overlap."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, connections, transaction

from dispatch import services
from drivers.errors import Invalid
from orders import changes
from orders.actors import SYSTEM
from orders.lifecycle import Kind
from orders.models import Integrator, Order, OrderEvent
from orders.selectors import FEED_START, FeedPosition, read_feed
from tests import cast
from tests.feed import wait_for_horizon

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def late_writer(order: Order) -> Iterator[threading.Event]:
    """Another connection that has written an event of `order` and commits only when the yielded event is set (and it has
    committed when the block ends)."""
    written, commit = threading.Event(), threading.Event()
    faults: list[BaseException] = []

    def write() -> None:
        try:
            with transaction.atomic():
                changes.change(Order.objects.get(pk=order.pk), Kind.CORRECTED, SYSTEM, data={"fields": []})
                written.set()
                assert commit.wait(10)
        except BaseException as fault:
            faults.append(fault)
            written.set()
        finally:
            connections.close_all()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert written.wait(10)
        yield commit
    finally:
        commit.set()
        thread.join(10)
    assert faults == []


def test_an_event_that_commits_late_is_overtaken_by_ids_but_never_by_the_feed() -> None:
    slow, quick = cast.order(), cast.order()
    wait_for_horizon()
    start = read_feed(limit=100)
    assert [event.kind for event in start.events] == ["order.created", "order.created"]

    with late_writer(slow) as commit:
        services.cancel_order(order_id=quick.pk, actor=cast.DISPATCHER)
        # The race is real: the later id is there to be read, the earlier one is not yet.
        newest = OrderEvent.objects.order_by("-pk").first()
        assert newest is not None
        assert newest.order_id == quick.pk
        # The feed does not show what could still be overtaken.
        during = read_feed(after=start.next, limit=100)
        assert during.events == []
        commit.set()
    wait_for_horizon()

    after = read_feed(after=during.next, limit=100)
    assert [(event.order_id, event.kind) for event in after.events] == [
        (slow.pk, "order.corrected"),
        (quick.pk, "order.cancelled"),
    ]
    assert after.events[0].pk < newest.pk


def test_reading_page_by_page_gives_every_event_once_in_order() -> None:
    made = [cast.order().pk for _ in range(5)]
    wait_for_horizon()

    position, seen = FEED_START, []
    while (page := read_feed(after=position, limit=2)).events:
        seen += [event.order_id for event in page.events]
        position = page.next

    assert seen == made
    assert read_feed(after=page.next, limit=2).events == []


def test_a_cursor_at_the_end_finds_what_comes_next_and_nothing_else() -> None:
    cast.order()
    wait_for_horizon()
    end = read_feed(limit=100).next
    order = cast.order()
    wait_for_horizon()

    assert [event.order_id for event in read_feed(after=end, limit=100).events] == [order.pk]


def test_an_integrator_reads_only_its_own_and_moves_past_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orders.selectors.FEED_WINDOW", 3)
    shop = Integrator.objects.create(name="Shop")
    for _ in range(4):
        cast.order()
    own, _ = services.place_order(new=cast.new_order(), actor=cast.DISPATCHER, integrator_id=shop.pk)
    wait_for_horizon()

    first = read_feed(limit=100, integrator_id=shop.pk)
    second = read_feed(after=first.next, limit=100, integrator_id=shop.pk)

    assert first.events == []
    third_event = OrderEvent.objects.order_by("txid", "pk")[2]
    assert first.next == FeedPosition(third_event.txid, third_event.pk)
    assert [event.order_id for event in second.events] == [own.pk]
    assert read_feed(after=second.next, limit=100, integrator_id=shop.pk).events == []


def test_a_cursor_from_the_future_is_refused_and_not_silently_believed() -> None:
    with pytest.raises(Invalid) as refusal:
        read_feed(after=FeedPosition(2**62, 0), limit=1)

    assert list(refusal.value.data["errors"]) == ["after"]


def test_the_feed_reads_its_index_however_long_the_history_is() -> None:
    cast.order()
    wait_for_horizon()
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT id FROM orders_orderevent WHERE txid >= 5 AND txid < 900000000 AND (txid > 5 OR id > 7)"
            " ORDER BY txid, id LIMIT 100"
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
    assert "order_event_feed" in plan
    # "Sort Key" is also what the months' indexes are merged by.
    assert "Sort  (" not in plan
