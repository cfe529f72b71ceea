"""Forgetting what nobody can use any more. Orders, their history, offers and receipts stay: they are the record."""

from datetime import timedelta

from django.contrib.sessions.models import Session
from django_q.models import Task

from drivers.clock import ClockTimestamp
from drivers.models import DeviceToken

#: How long a background task that failed can be looked at.
FAILURES_KEPT = timedelta(days=30)


def clean_up() -> dict[str, int]:
    """Delete sessions and device tokens that have run out and old records of background tasks; how many of each."""
    gone = {
        "sessions": Session.objects.filter(expire_date__lt=ClockTimestamp()),
        "device tokens": DeviceToken.objects.filter(expiry__lt=ClockTimestamp()),
        "task records": Task.objects.filter(stopped__lt=ClockTimestamp() - FAILURES_KEPT),
    }
    return {name: rows.delete()[0] for name, rows in gone.items()}
