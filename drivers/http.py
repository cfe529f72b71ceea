"""What every JSON door shares: a parser and serializers that refuse what does not belong, and pages by cursor."""

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import IO, Any, ClassVar, Protocol, TypeVar

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import Model, Q, QuerySet
from django.utils.dateparse import parse_datetime
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from drivers.errors import Invalid

#: Deeper than any document of ours, far from Python's own limit.
MAX_DEPTH = 16
PAGE_SIZE = 50
MAX_PAGE_SIZE = 100


class StrictJSONParser(BaseParser):
    """JSON as RFC 8259 has it, and an object at the top. Refused, as `invalid`: NaN and Infinity in any spelling, the
    NUL character and lone surrogates (PostgreSQL stores neither), a name given twice, nesting past MAX_DEPTH.

    How long a body may be is config/asgi.py's and DATA_UPLOAD_MAX_MEMORY_SIZE's business.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return parse_object(_whole(stream))


def _whole(stream: Any) -> bytes:
    # A Django request's `body` enforces the limit; its `read` does not.
    content: bytes = stream.body if hasattr(stream, "body") else stream.read()
    return content


def parse_object(content: bytes | str) -> dict[str, Any]:
    """The JSON object in `content`. Raises Invalid, naming what is wrong with it."""
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else content
        document = json.loads(
            text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_object_without_duplicates
        )
    except RecursionError:
        raise Invalid(body="Nested too deeply.") from None
    except UnicodeDecodeError:
        raise Invalid(body="Not valid UTF-8.") from None
    except json.JSONDecodeError as error:
        raise Invalid(body=f"Not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except ValueError as error:
        # From the hooks below, or a number with thousands of digits.
        raise Invalid(body=str(error) if isinstance(error, _Refused) else "A number is too long.") from None
    if not isinstance(document, dict):
        raise Invalid(body="Must be a JSON object.")
    _check_text(document)
    return document


class _Refused(ValueError):
    """A refusal of ours, as opposed to one of Python's."""


def _no_constant(name: str) -> float:
    raise _Refused(f"{name} is not valid JSON.")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _Refused("A number is too large.")
    return number


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _Refused("A name is given twice in one object.")
    return document


def _check_text(document: dict[str, Any]) -> None:
    """Raises Invalid for text that cannot be stored, and for nesting that later steps might not survive."""
    pending: list[tuple[Any, int]] = [(document, 1)]
    while pending:
        value, depth = pending.pop()
        if depth > MAX_DEPTH and isinstance(value, dict | list):
            raise Invalid(body="Nested too deeply.")
        if isinstance(value, dict):
            pending.extend((name, depth) for name in value)
            pending.extend((inner, depth + 1) for inner in value.values())
        elif isinstance(value, list):
            pending.extend((inner, depth + 1) for inner in value)
        elif isinstance(value, str) and not storable(value):
            raise Invalid(body="Text must not contain the NUL character or half of a surrogate pair.")


def storable(text: str) -> bool:
    """Whether PostgreSQL can store it."""
    if "\x00" in text:
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know, each by its name, together with whatever else is wrong."""

    def to_internal_value(self, data: Any) -> Any:
        unknown: dict[str, list[str]] = {}
        if isinstance(data, Mapping):
            known = {field.field_name for field in self._writable_fields}
            unknown = {str(name): ["There is no such field."] for name in data if name not in known}
        try:
            value = super().to_internal_value(data)
        except ValidationError as error:
            if unknown and isinstance(error.detail, dict):
                raise ValidationError({**error.detail, **unknown}) from None
            raise
        if unknown:
            raise ValidationError(unknown)
        return value


Checked = TypeVar("Checked", bound=StrictSerializer)


def checked(serializer: type[StrictSerializer], data: Any) -> dict[str, Any]:
    """The validated content of a request. Raises rest_framework's ValidationError, which becomes `invalid`."""
    filled = serializer(data=data)
    filled.is_valid(raise_exception=True)
    validated: dict[str, Any] = filled.validated_data
    return validated


class Text(serializers.CharField):
    """Text and nothing else: a number is not silently turned into one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)

    def run_validation(self, data: Any = serializers.empty) -> str | None:
        if isinstance(data, str) and not storable(data):
            self.fail("invalid")
        validated: str | None = super().run_validation(data)
        return validated


class Pin(serializers.RegexField):
    """4 to 8 digits, as text, so that zeros in front count."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid": "Must be 4 to 8 digits."}

    def __init__(self, **options: Any) -> None:
        super().__init__(r"^[0-9]{4,8}\Z", trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Number(serializers.FloatField):
    """A finite JSON number: no text, no true or false."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    """A whole JSON number. Give `min_value` and `max_value`, the column's bounds at least."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return data


class YesNo(serializers.BooleanField):
    """true or false, in no other spelling."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Time(serializers.DateTimeField):
    """A time with a zone (RFC 3339), as UTC. Years that can only be a mistake are refused."""

    default_error_messages: ClassVar[dict[str, Any]] = {
        "invalid": "Must be a time like 2026-01-31T12:00:00Z.",
        "no_zone": "The time needs a zone: Z or an offset like +02:00.",
        "absurd": "The year must be between 2000 and 2100.",
    }
    earliest = datetime(2000, 1, 1, tzinfo=UTC)
    latest = datetime(2100, 1, 1, tzinfo=UTC)

    def to_internal_value(self, value: Any) -> datetime:
        try:
            parsed = parse_datetime(value) if isinstance(value, str) else None
        except ValueError:
            parsed = None
        if parsed is None:
            self.fail("invalid")
        if parsed.tzinfo is None:
            self.fail("no_zone")
        return self.bounded(parsed)

    def bounded(self, time: datetime) -> datetime:
        if not self.earliest <= time < self.latest:
            self.fail("absurd")
        return time.astimezone(UTC)

    def to_representation(self, value: Any) -> str:
        return rfc3339(value) or ""


class DeviceTime(Time):
    """A time by a device's clock, which may be anything: it decides nothing, so an absurd one is taken as the nearest
    sensible one instead of refused."""

    earliest = datetime(1970, 1, 1, tzinfo=UTC)

    def bounded(self, time: datetime) -> datetime:
        return min(max(time, self.earliest), self.latest).astimezone(UTC)


class PlaceSerializer(StrictSerializer):
    """Degrees, WGS 84."""

    lat = Number(min_value=-90, max_value=90)
    lng = Number(min_value=-180, max_value=180)
    address = Text(max_length=300, allow_blank=True, default="")


def rfc3339(time: datetime | None) -> str | None:
    """`2026-01-31T12:00:00.123456Z`; None stays None."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z") if time is not None else None


class HasCreatedAt(Protocol):
    pk: Any
    created_at: datetime


Row = TypeVar("Row", bound=Model)


def page_of(rows: QuerySet[Row], request: Request, represent: Callable[[Row], dict[str, Any]]) -> dict[str, Any]:
    """One page of `rows`, newest first by (created_at, id): `{results, next, previous}` with whole addresses or null.

    `?limit=` (at most MAX_PAGE_SIZE) and `?cursor=` come from the request. A page stays where it is while rows are
    added, because a cursor is the last row's own key, not a count. Raises Invalid naming `cursor` or `limit`.
    """
    limit = whole_param(request, "limit", PAGE_SIZE, minimum=1, maximum=MAX_PAGE_SIZE)
    backwards, position = _read_cursor(rows, request.query_params.get("cursor", ""))
    if position is not None:
        rows = rows.filter(_beyond(position, backwards))
    order = ("created_at", "pk") if backwards else ("-created_at", "-pk")
    found = list(rows.order_by(*order)[: limit + 1])
    more, found = len(found) > limit, found[:limit]
    if backwards:
        found.reverse()
    has_next = more or (backwards and position is not None)
    has_previous = (more and backwards) or (not backwards and position is not None)
    return {
        "results": [represent(row) for row in found],
        "next": _address(request, found[-1], "next") if found and (has_next if not backwards else True) else None,
        "previous": _address(request, found[0], "previous") if found and has_previous else None,
    }


def whole_param(request: Request, name: str, default: int, *, minimum: int, maximum: int) -> int:
    """A whole number from the query. Raises Invalid naming it."""
    text = request.query_params.get(name)
    if text is None:
        return default
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if not minimum <= number <= maximum:
        raise Invalid(**{name: f"Must be a whole number from {minimum} to {maximum}."})
    return number


def _beyond(position: tuple[datetime, Any], backwards: bool) -> Q:
    at, pk = position
    if backwards:
        return Q(created_at__gte=at) & (Q(created_at__gt=at) | Q(pk__gt=pk))
    return Q(created_at__lte=at) & (Q(created_at__lt=at) | Q(pk__lt=pk))


def _address(request: Request, row: Any, direction: str) -> str:
    key = json.dumps([direction, row.created_at.astimezone(UTC).isoformat(), str(row.pk)], separators=(",", ":"))
    cursor = base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")
    query = request.query_params.copy()
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def _read_cursor(rows: QuerySet[Any], cursor: str) -> tuple[bool, tuple[datetime, Any] | None]:
    if not cursor:
        return False, None
    try:
        key = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        direction, at_text, pk_text = json.loads(key)
        at = datetime.fromisoformat(at_text)
        pk = rows.model._meta.pk.to_python(pk_text)
        if direction not in {"next", "previous"} or at.tzinfo is None or pk is None:
            raise ValueError
        return direction == "previous", (at.astimezone(UTC), pk)
    except (ValueError, TypeError, RecursionError, OverflowError, binascii.Error, DjangoValidationError):
        raise Invalid(cursor="This is no cursor of ours; start again without one.") from None
