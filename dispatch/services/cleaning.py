"""Forgetting what nobody can use any more. Orders and their receipts stay: they are the record. So do history and offers,
for as long as HISTORY_MONTHS says (dispatch/services/months.py)."""

from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.models import Session
from django_q.models import Task

from dispatch.models import Message, Undo
from drivers.clock import ClockTimestamp
from drivers.models import DeviceToken

#: How long a background task that failed can be looked at.
FAILURES_KEPT = timedelta(days=30)
#: What could be undone for ten seconds is of no use to anybody after a day.
UNDOS_KEPT = timedelta(days=1)


def clean_up() -> dict[str, int]:
    """Delete sessions and device tokens that have run out, messages to drivers of long ago and old records of background
    tasks; how many of each."""
    gone = {
        "sessions": Session.objects.filter(expire_date__lt=ClockTimestamp()),
        "device tokens": DeviceToken.objects.filter(expiry__lt=ClockTimestamp()),
        "ways back": Undo.objects.filter(until__lt=ClockTimestamp() - UNDOS_KEPT),
        "messages": Message.objects.filter(at__lt=ClockTimestamp() - timedelta(days=settings.MESSAGE_RETENTION_DAYS)),
        "task records": Task.objects.filter(stopped__lt=ClockTimestamp() - FAILURES_KEPT),
    }
    return {name: rows.delete()[0] for name, rows in gone.items()}
