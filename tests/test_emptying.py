"""The emptying of all tables after a test, beside a request that still runs."""

import threading

import pytest
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connection, connections, transaction

from orders.models import Order, OrderEvent
from tests import cast
from tests.waiting import wait_until


@pytest.mark.django_db(transaction=True)
def test_a_request_that_still_runs_does_not_keep_the_tables_from_being_emptied() -> None:
    cast.order()
    emptied = threading.Event()

    def empty() -> None:
        try:
            # As TransactionTestCase does it.
            call_command("flush", verbosity=0, interactive=False, reset_sequences=False, inhibit_post_migrate=True)
            emptied.set()
        finally:
            connections.close_all()

    emptying = threading.Thread(target=empty, daemon=True)
    with transaction.atomic():
        first, second = locked_in_this_order(Order, OrderEvent)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {second} LIMIT 1")
            emptying.start()
            wait_until(lambda: someone_waits_for(second), seconds=10, what="the emptying waits for the request")
            cursor.execute(
                f"SELECT 1 FROM {first} LIMIT 1"
            )  # Deadlock: the emptying holds the first and wants the second.
    assert emptied.wait(20)
    assert not Order.objects.exists()


def locked_in_this_order(*models: type[Order] | type[OrderEvent]) -> list[str]:
    """The models' tables as TRUNCATE meets them."""
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    statement = connection.ops.sql_flush(no_style(), names)[0]
    return sorted((model._meta.db_table for model in models), key=lambda table: statement.index(f'"{table}"'))


def someone_waits_for(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = %s::regclass", [table])
        return cursor.fetchone() is not None
