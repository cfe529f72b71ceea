"""Rows that are read by hand (drivers/rows.py)."""

from typing import Any

import pytest
from django.contrib.gis.geos import Point
from django.db import DataError, connection, transaction
from django.db.models import Value
from django.test import override_settings

from drivers.rows import Rows, lng_lat, prepared
from orders.models import Order
from tests import cast

pytestmark = pytest.mark.django_db

ORDERS = Rows(Order)


def test_rows_of_a_query_are_what_the_orm_reads() -> None:
    made = [cast.order(), cast.order()]

    read = ORDERS.all(Order.objects.order_by("pk"))

    assert read == made
    for row, same in zip(read, Order.objects.order_by("pk"), strict=True):
        for field in Order._meta.concrete_fields:
            assert getattr(row, field.attname) == getattr(same, field.attname), field.attname
        assert isinstance(row.pickup, Point)
        assert row.pickup.srid == 4326


def test_a_query_that_can_find_nothing_is_not_asked(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert ORDERS.all(Order.objects.filter(pk__in=[])) == []


def test_rows_of_a_query_with_more_in_it_are_refused() -> None:
    cast.order()

    with pytest.raises(TypeError):
        ORDERS.all(Order.objects.annotate(seven=Value(7)))


def hexadecimal(pk: object) -> Order | None:
    return ORDERS.one(f"SELECT {ORDERS.columns} FROM orders_order AS row WHERE row.id = %s", [pk])


def test_coordinates_are_the_same_however_the_point_came() -> None:
    made = cast.order()
    by_orm, of_query, as_text = Order.objects.get(), ORDERS.all(Order.objects.all())[0], hexadecimal(made.pk)

    assert as_text is not None
    assert isinstance(of_query.__dict__["dropoff"], str)
    assert isinstance(as_text.__dict__["dropoff"], str)
    assert isinstance(by_orm.__dict__["dropoff"], Point)
    expected = by_orm.dropoff.coords
    assert [lng_lat(row, "dropoff") for row in (by_orm, of_query, as_text)] == [expected] * 3
    # Once somebody has looked at the point itself, it is read from there.
    assert as_text.dropoff == by_orm.dropoff
    assert lng_lat(as_text, "dropoff") == expected


def holding(text: str) -> Order:
    """An order as it comes from the database with this for its dropoff."""
    order = Order()
    order.__dict__["dropoff"] = text
    return order


@pytest.mark.parametrize(
    "text", ["SRID=4326;POINT (-122.4 37.8)", "0020000001000010E6C05E99999999999A4042E66666666666"]
)
def test_a_point_in_another_form_is_unfolded(text: str) -> None:
    assert lng_lat(holding(text), "dropoff") == (-122.4, 37.8)


def test_what_postgis_writes_is_what_is_expected_of_it() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT ST_SetSRID(ST_MakePoint(-122.4, 37.8), 4326)::geography::text")
        (text,) = cursor.fetchone()

    order = holding(text)
    assert lng_lat(order, "dropoff") == (-122.4, 37.8)
    assert order.__dict__["dropoff"] == text, "it need not be unfolded"


def kept(mark: str) -> int:
    """How many plans of statements with this in them the session keeps."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE position(%s IN statement) > 0", [mark])
        return int(cursor.fetchone()[0])


def ask(mark: str, number: int) -> int:
    with prepared() as cursor:
        cursor.execute(f"SELECT %s::int AS {mark}", [number])
        return int(cursor.fetchone()[0])


def test_a_session_keeps_what_is_asked_in_this_way_and_its_plan() -> None:
    assert [ask("asked_often", n) for n in range(12)] == list(range(12))

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%%asked_often'"
        )
        # PostgreSQL tries five times whether it is worth while to look at the values.
        assert cursor.fetchall() == [(7, 5)]


def test_what_is_asked_otherwise_is_not_kept() -> None:
    ask("asked_in_between", 1)
    for number in range(7):
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s::int AS asked_as_ever", [number])

    assert kept("asked_as_ever") == 0
    assert connection.connection.prepare_threshold is None
    assert len(connection.connection._prepared._counts) == 0, "nor is anything remembered of it"


@override_settings(TRANSACTION_POOLER=True)
def test_behind_a_pooler_in_transaction_mode_nothing_is_kept() -> None:
    assert [ask("asked_behind_a_pooler", n) for n in range(7)] == list(range(7))

    assert kept("asked_behind_a_pooler") == 0


def test_a_refusal_in_between_spoils_no_plan() -> None:
    for number in range(7):
        ask("asked_around_a_refusal", number)
    with pytest.raises(DataError), transaction.atomic(), prepared() as cursor:
        cursor.execute("SELECT 1 / %s::int", [0])

    assert [ask("asked_around_a_refusal", n) for n in range(7)] == [0, 1, 2, 3, 4, 5, 6]
