"""Queueing work for django-q2 inside the transaction that wants it done: both commit or neither does."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.models import OrmQ
from django_q.tasks import async_task

CLUSTER = "jobs"


class _Later(ORM):  # type: ignore[misc]  # django-q2 has no types
    """django-q2's own broker, with a task that nobody takes before its time. (Its schedules look only every 30 s.)"""

    def __init__(self, seconds: float) -> None:
        super().__init__(list_key=CLUSTER)
        self._seconds = seconds

    def enqueue(self, task: str) -> int:
        due = timezone.now() + timedelta(seconds=self._seconds)
        row: OrmQ = OrmQ.objects.create(key=CLUSTER, payload=task, lock=due)
        return int(row.pk)


def queue_later(func: str, *args: Any, seconds: float) -> None:
    """Call `func`, named by its path, in a worker, at the earliest in so many seconds. Pass ids only: it may run twice."""
    async_task(func, *args, broker=_Later(seconds))
