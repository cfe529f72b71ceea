"""What needs attention is found through the indexes of the open orders, however many finished ones there are."""

from typing import Any

import pytest
from django.db import connection

from dispatch import services
from dispatch.attention import EXPIRED_SQL, HELD_SQL, WAITING_SQL, attention
from dispatch.services.follow import FOLLOW_SQL, FORGET_SQL
from drivers.models import Driver
from tests import cast
from tests.conftest import connected_as_owner

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]

OLD = 100_000
POUR = f"""
INSERT INTO orders_order (id, reference, pickup, pickup_address, dropoff, dropoff_address, vehicle, priority, payout,
    currency, metadata, status, expired, driver_id, version, created_at, release_at, auto_assign_at, expires_at,
    assigned_at, picked_up_at, delivered_at)
SELECT gen_random_uuid(), '', 'SRID=4326;POINT(-122.4 37.7)', 'A', 'SRID=4326;POINT(-122.4 37.7)', 'B', '', 0, 5, 'USD',
       '{{}}', 'delivered', false, (SELECT min(id) FROM drivers_driver), 5, made, made, made, made + interval '2 minutes',
       made, made, made
FROM (SELECT now() - n * interval '7 seconds' AS made FROM generate_series(1, {OLD}) n) old
"""


@pytest.fixture
def long_history(alice: Driver, bob: Driver) -> None:
    """Two open orders at the end of a long history."""
    held = cast.order()
    services.accept_order(order_id=held.pk, driver_id=alice.pk)
    cast.order()
    connection.close()
    with connected_as_owner(), connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 60000")
        cursor.execute("ALTER TABLE orders_order DISABLE TRIGGER USER")
        cursor.execute(POUR)
        cursor.execute("ALTER TABLE orders_order ENABLE TRIGGER USER")
        cursor.execute("ANALYZE orders_order")


def nodes(sql: str) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", {"limit": 2000, "live": 60, "still": 100, "nearer": 25})
        left, found = [cursor.fetchone()[0][0]["Plan"]], []
    while left:
        node = left.pop()
        found.append(node)
        left += node.get("Plans", [])
    return found


def test_no_look_reads_the_finished_orders(long_history: None) -> None:
    for sql in (EXPIRED_SQL, WAITING_SQL, HELD_SQL, FOLLOW_SQL, FORGET_SQL):
        of_orders = [node for node in nodes(sql) if node.get("Relation Name") == "orders_order"]

        assert of_orders, sql
        assert {node["Node Type"] for node in of_orders} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}, sql
    assert attention().rows == ()
