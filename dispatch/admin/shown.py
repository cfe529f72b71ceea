"""How the back office writes things: times, distances, states. Nothing here decides anything."""

from datetime import datetime
from typing import Any

from django.db.models import Model
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from orders.models import Order


def span(seconds: float) -> str:
    """A length of time in the largest units that matter: `45 s`, `3 min`, `2 h 5 min`, `4 d`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if minutes < 5 and rest else f"{minutes} min"
    if whole < 48 * 3600:
        hours, rest = divmod(whole, 3600)
        return f"{hours} h {rest // 60} min" if rest >= 60 else f"{hours} h"
    return f"{whole // 86400} d"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def metres(distance: float) -> str:
    return f"{distance:.0f} m" if distance < 1000 else f"{distance / 1000:.1f} km"


def since(then: datetime | None, *, suffix: str = "") -> SafeString | str:
    """How long ago, kept up to date by dispatch/clock.js."""
    if then is None:
        return "–"
    text = span((timezone.now() - then).total_seconds())
    return _time(then, "since", f"{text}{suffix}", suffix=suffix)


def until(then: datetime) -> SafeString:
    """How long still, counted down to nothing by dispatch/clock.js."""
    return _time(then, "until", span((then - timezone.now()).total_seconds()))


def _time(then: datetime, direction: str, text: str, *, suffix: str = "") -> SafeString:
    return format_html(
        '<time datetime="{}" data-{}="{}" data-suffix="{}" title="{}">{}</time>',
        then.isoformat(),
        direction,
        int(then.timestamp() * 1000),
        suffix,
        timezone.localtime(then).strftime("%Y-%m-%d %H:%M:%S %Z"),
        text,
    )


def badge(style: str, text: str) -> SafeString:
    return format_html('<span class="badge {}">{}</span>', style, text)


def status_badges(order: Order) -> SafeString:
    """The state, and what a dispatcher should notice about it."""
    status = badge(f"status-{order.status}", order.get_status_display())
    expired = badge("attention", "expired") if order.expired else ""
    pinned = badge("pinned", "chosen by hand" if order.driver_id else "pinned") if order.pinned else ""
    urgent = badge("priority", f"priority {order.priority}") if order.priority and not order.is_final else ""
    vehicle = badge("vehicle", order.vehicle) if order.vehicle else ""
    return format_html("{} {} {} {} {}", status, expired, pinned, urgent, vehicle)


def label_of(order_id: object, reference: str) -> str:
    """What people call an order: its reference, else the start of its id, which the search understands."""
    return reference or str(order_id)[:18]


def change_url(of: Model) -> str:
    return reverse(f"admin:{of._meta.app_label}_{of._meta.model_name}_change", args=[of.pk])


def link(of: Model, text: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', change_url(of), text)


def deadlines(order: Order) -> list[tuple[str, Any]]:
    """What happens to an order by itself, and when: (what, countdown)."""
    if order.status != "pending" or order.expired:
        return []
    now = timezone.now()
    if order.release_at > now:
        return [("offered in", until(order.release_at))]
    if order.expires_at <= now:
        # The sweep flags it within a second or two.
        return [("time ran out", since(order.expires_at, suffix=" ago"))]
    assigned = [("assigns in", until(order.auto_assign_at))] if order.auto_assign_at > now else []
    return [*assigned, ("expires in", until(order.expires_at))]
