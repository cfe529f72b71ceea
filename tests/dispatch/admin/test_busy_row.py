"""A row that somebody else holds is refused after a bounded wait, and the other rows are done nevertheless."""

import psycopg
import pytest
from django.db import connection
from django.test import Client

from orders.models import Order
from tests import cast, staff


@pytest.mark.django_db(transaction=True)
def test_a_row_that_is_busy_says_so_and_holds_nobody_else_up() -> None:
    client: Client = staff.signed_in(staff.member("dora", "dispatcher"))
    busy, free = cast.order(reference="A-1"), cast.order(reference="A-2")
    login = connection.settings_dict
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    try:
        with psycopg.connect(
            host=login["HOST"],
            port=login["PORT"],
            user=login["USER"],
            password=login["PASSWORD"],
            dbname=login["NAME"],
        ) as other:
            other.execute("SELECT FROM orders_order WHERE id = %s FOR NO KEY UPDATE", [busy.pk])
            posted = {"action": "reoffer", "index": 0, "_selected_action": [busy.pk, free.pk]}
            response = client.post("/admin/orders/order/", posted, follow=True)
    finally:
        connection.close()

    assert staff.lines(response)[:2] == [
        "Re-offer: 1 done, 1 not done.",
        "A-1: not done: somebody else is working on this right now. Try again in a moment",
    ]
    versions = Order.objects.order_by("reference").values_list("reference", "version")
    assert list(versions) == [("A-1", 1), ("A-2", 2)]
