"""What the query of an address may say: every parameter checked and named when it is wrong."""

import base64
import binascii
import re
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.request import Request

from drivers.errors import Invalid
from drivers.http import MAX_PAGE_SIZE, PAGE_SIZE, storable, whole_param

#: PostgreSQL's bigint.
BIGGEST = 2**63 - 1
CURSOR = re.compile(r"-?\d{1,19}(,-?\d{1,19})*", re.ASCII)
COORDINATE = re.compile(r"-?\d{1,3}(\.\d{1,20})?", re.ASCII)
DECIMAL = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)

Row = TypeVar("Row", bound=Model)


def check_names(request: Request, *allowed: str) -> None:
    """Raises Invalid for parameters that this call does not have, each by its name: a misspelt filter filters nothing."""
    if unknown := sorted(set(request.query_params) - set(allowed)):
        raise Invalid(**{_printable(name): "There is no such parameter." for name in unknown})


def text_param(request: Request, name: str, *, max_length: int) -> str:
    """A text, '' if it is not given. Raises Invalid naming it."""
    text = request.query_params.get(name, "")
    if not storable(text) or len(text) > max_length:
        raise Invalid(**{name: f"Must be a text of at most {max_length} characters."})
    return text


def choice_param(request: Request, name: str, choices: Collection[str]) -> str:
    """One of the choices, '' if it is not given. Raises Invalid naming it."""
    text = request.query_params.get(name, "")
    if text and text not in choices:
        raise Invalid(**{name: f"Must be one of {', '.join(choices)}."})
    return text


def decimal_param(request: Request, name: str, default: float, *, above: float, maximum: float) -> float:
    """A decimal number. Raises Invalid naming it."""
    text = request.query_params.get(name, "")
    if not text:
        return default
    number = float(text) if DECIMAL.fullmatch(text) else above
    if not above < number <= maximum:
        raise Invalid(**{name: f"Must be a number above {above:g} and at most {maximum:g}."})
    return number


def coordinate_param(request: Request, name: str, limit: int) -> float:
    """Degrees from -limit to limit; must be given. Raises Invalid naming it."""
    text = request.query_params.get(name, "")
    number = float(text) if COORDINATE.fullmatch(text) else limit + 1.0
    if not -limit <= number <= limit:
        raise Invalid(**{name: f"Must be a number of degrees from -{limit} to {limit}."})
    return number


def cursor_param(request: Request, name: str, length: int) -> tuple[int, ...] | None:
    """The numbers that `cursor_of` made a cursor of, None if it is not given. Raises Invalid naming it."""
    cursor = request.query_params.get(name, "")
    if not cursor:
        return None
    try:
        text = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", validate=True).decode(
            "ascii"
        )
        numbers = tuple(int(digits) for digits in text.split(",")) if CURSOR.fullmatch(text) else ()
    except (ValueError, binascii.Error):
        numbers = ()
    if len(numbers) != length or not all(abs(number) <= BIGGEST for number in numbers):
        raise Invalid(**{name: "This is no cursor of ours; start again without one."})
    return numbers


def cursor_of(*numbers: int) -> str:
    return base64.urlsafe_b64encode(",".join(map(str, numbers)).encode()).decode().rstrip("=")


def page_by_number(
    rows: QuerySet[Row], field: str, request: Request, represent: Callable[[Row], dict[str, Any]]
) -> dict[str, Any]:
    """`drivers.http.page_of` for rows with a number that is unique among them and does not change: lowest first."""
    limit = whole_param(request, "limit", PAGE_SIZE, minimum=1, maximum=MAX_PAGE_SIZE)
    backwards, edge = cursor_param(request, "cursor", 2) or (0, None)
    if edge is not None:
        rows = rows.filter(**{f"{field}__lt" if backwards else f"{field}__gt": edge})
    found = list(rows.order_by(f"-{field}" if backwards else field)[: limit + 1])
    more, found = len(found) > limit, found[:limit]
    if backwards:
        found.reverse()

    def address(row: Row, back: int) -> str:
        query = request.query_params.copy()
        query["cursor"] = cursor_of(back, getattr(row, field))
        return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")

    return {
        "results": [represent(row) for row in found],
        "next": address(found[-1], 0) if found and (more or backwards) else None,
        "previous": address(found[0], 1) if found and (more if backwards else edge is not None) else None,
    }


def _printable(name: str) -> str:
    return name.encode("ascii", "backslashreplace").decode().replace("\x00", "\\x00")[:100]
