"""Model rows by SQL of one's own, for what runs at every tap: there the ORM takes several times as long to write a query as
PostgreSQL to answer it. And what the sweeps lock, of which there is much at once. Everything else asks the ORM."""

import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.utils import CursorWrapper
from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


@contextmanager
def prepared() -> Iterator[CursorWrapper]:
    """A cursor whose statements a session of PostgreSQL keeps, read and, where one plan is as good as another, planned once:
    for what runs at every tap, always in the same words. Values travel apart from the statement, so it must say of which
    type they are where nothing else does. Behind a pooler in transaction mode nothing is kept."""
    with connection.cursor() as cursor:
        login: Any = connection.connection
        # Django's own puts the values into the statement's text, of which PostgreSQL could keep nothing …
        cursor.cursor = ServerBindingCursor(login)  # type: ignore[call-arg]  # its stub is empty
        # … so nothing else is to be remembered either: psycopg would count each text as one that may come again.
        login.prepare_threshold = None if settings.TRANSACTION_POOLER else 0
        try:
            yield cursor
        finally:
            login.prepare_threshold = None


class Rows(Generic[Row]):
    """How rows of a model are read: `SELECT {rows.columns} FROM … AS row`, then `rows.of(…)`, or `one` for both."""

    def __init__(self, model: type[Row], *, besides: Collection[str] = ()) -> None:
        fields = [field for field in model._meta.concrete_fields if field.attname not in besides]
        self.model = model
        self.names = tuple(field.attname for field in fields)
        self.columns = ", ".join(f"row.{field.column}" for field in fields)
        # Points need none: the field takes their hexadecimal text, and unfolds it when somebody looks.
        self.converters = [
            (place, field.from_db_value) for place, field in enumerate(fields) if hasattr(field, "from_db_value")
        ]

    def of(self, values: Sequence[Any]) -> Row:
        values = list(values)
        for place, convert in self.converters:
            values[place] = convert(values[place], None, connection)
        return self.model.from_db("default", self.names, values)

    def all(self, query: QuerySet[Row]) -> list[Row]:
        """The rows of a query that the ORM has written, all columns of the model and no others."""
        try:
            sql, parameters = query.query.sql_with_params()
        except EmptyResultSet:
            return []
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            if len(cursor.description) != len(self.names):
                raise TypeError(f"{self.model.__name__}: not the columns of the model, and no others.")
            return [self.of(values) for values in cursor.fetchall()]

    def one(self, sql: str, parameters: Sequence[Any]) -> Row | None:
        """The row of a query that finds one at most."""
        with prepared() as cursor:
            cursor.execute(sql, parameters)
            found = cursor.fetchone()
        return None if found is None else self.of(found)


#: How PostGIS begins a point: least byte first, a point with its SRID, 4326. What follows is x and y.
POINT = "0101000020E6100000"
COORDINATES = struct.Struct("<dd")


def lng_lat(row: Model, field: str) -> tuple[float, float]:
    """A point of a row, which has one: degrees, WGS 84. Read out of the text that PostGIS wrote as long as nobody has
    unfolded it, because GEOS takes 33 µs to do that and to say what is in it, and this half a microsecond."""
    value = row.__dict__.get(field)
    if isinstance(value, str) and value.startswith(POINT):
        lng, lat = COORDINATES.unpack(bytes.fromhex(value[len(POINT) :]))
    else:
        lng, lat = getattr(row, field).coords
    return lng, lat


def array_of(values: Iterable[float | datetime | None]) -> str:
    """PostgreSQL's text of an array of numbers or times; the statement says of which type. For thousands of values, a third
    of what psycopg takes for a list."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"
