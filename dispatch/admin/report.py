"""One act on many rows: each in its own transaction, each with its own line in the report."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.contrib import messages
from django.db import DatabaseError, InterfaceError
from django.forms import Form
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from dispatch.admin.shown import label_of, span
from drivers.errors import DomainError
from drivers.faults import as_domain_error
from orders.errors import VersionConflict
from orders.lifecycle import Status
from orders.models import Order, OrderEvent

#: Rows that one bulk action takes: bounds how long a dispatcher waits for the report.
BULK_LIMIT = 200
#: Up to so many rows are shown at once; of more, those that went well are folded away.
SHOWN_UNFOLDED = 12

_K = TypeVar("_K")


@dataclass(frozen=True, slots=True)
class Row(Generic[_K]):
    """What an act is tried on: `label` and `url` are how people know it."""

    key: _K
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Line:
    """What came of one row."""

    label: str
    url: str
    text: str
    done: bool


def attempt(row: Row[_K], act: Callable[[_K], str]) -> Line:
    """Try an act on one row and tell what came of it; only a fault of ours is raised."""
    try:
        text = act(row.key)
    except (DomainError, DatabaseError, InterfaceError) as error:
        refusal = as_domain_error(error)
        if refusal is None:
            raise
        return Line(row.label, row.url, f"not done: {why(refusal, row.key)}", done=False)
    return Line(row.label, row.url, text, done=True)


def why(refusal: DomainError, key: Any = None) -> str:
    """A refusal as the end of a sentence, with what the answer holds to explain it."""
    data = refusal.data
    if isinstance(refusal, VersionConflict):
        return _what_happened_meanwhile(key)
    if "within_km" in data:
        return f"no free driver within {data['within_km']} km"
    if "errors" in data:
        return " ".join(text for texts in data["errors"].values() for text in texts)
    if data.get("expired") and data.get("status") == Status.PENDING:
        return "its time has run out; re-offer it instead"
    if "status" in data:
        return f"it is {str(data['status']).replace('_', ' ')}"
    sentence = str(refusal)
    return sentence[0].lower() + sentence[1:].rstrip(".")


def _what_happened_meanwhile(order_id: Any) -> str:
    event = OrderEvent.objects.filter(order_id=order_id).order_by("-version").first()
    if event is None:
        return VersionConflict.sentence()
    what = event.kind.removeprefix("order.").replace("_", " ")
    ago = span((timezone.now() - event.at).total_seconds())
    to = f" to {event.data['driver_name']}" if "driver_name" in event.data else ""
    return f"it has changed since you looked at it: {what}{to} by {event.actor_name or event.actor_type} {ago} ago"


def order_rows(ids: Sequence[Any]) -> list[Row[Any]]:
    """The rows of a bulk act on orders: the most urgent first, then those that have waited longest. An unknown id keeps
    its row, so that the report accounts for every one that was chosen."""
    known = Order.objects.filter(pk__in=ids).order_by("-priority", "created_at", "pk").only("pk", "reference")
    found = {order.pk: order.reference for order in known}
    keys = [*found, *(key for key in ids if key not in found)]
    return [
        Row(key, label_of(key, found.get(key, "")), reverse("admin:orders_order_change", args=[key])) for key in keys
    ]


def tell(request: HttpRequest, title: str, lines: Sequence[Line]) -> None:
    """Put the report of a bulk act into one message: counts, then what was refused, then what was done."""
    done = [line for line in lines if line.done]
    refused = [line for line in lines if not line.done]
    counts = f"{len(done)} done" + (f", {len(refused)} not done" if refused else "")
    long = len(lines) > SHOWN_UNFOLDED
    message = format_html(
        '<strong class="report-title">{}: {}.</strong>{}{}',
        title,
        counts,
        _list(refused),
        format_html("<details><summary>{} done</summary>{}</details>", len(done), _list(done))
        if long and done
        else _list(done),
    )
    level = messages.SUCCESS if not refused else messages.WARNING if done else messages.ERROR
    messages.add_message(request, level, message)


def tell_one(request: HttpRequest, line: Line) -> None:
    level = messages.SUCCESS if line.done else messages.ERROR
    messages.add_message(request, level, f"{line.label}: {line.text}")


def _list(lines: Iterable[Line]) -> SafeString | str:
    items = format_html_join(
        "",
        '<li class="{}"><a href="{}">{}</a>: {}</li>',
        (("done" if line.done else "refused", line.url, line.label, line.text) for line in lines),
    )
    return format_html('<ul class="report">{}</ul>', items) if items else ""


def explain(form: Form, error: DomainError, *, key: Any = None) -> None:
    """Put a service's refusal where it belongs in the form: at the fields that it names, else on top."""
    named = error.data.get("errors", {})
    for field, texts in named.items():
        form.add_error(field if field in form.fields else None, texts)
    if not named:
        text = why(error, key)
        form.add_error(None, f"Not done: {text}.")
