"""What django-q2 starts by the clock. The code is the truth: the rows are rewritten from it whenever a worker starts.

One malformed row stops every schedule of its cluster (django-q2 reads all of them in one transaction), so rows that are
not from here are removed and rows that were changed are put right.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django_q.models import Schedule

#: Key of the advisory lock that keeps two starting workers from both adding what is missing.
REWRITING = 0x4241544F53434845


@dataclass(frozen=True, slots=True)
class Planned:
    name: str
    func: str
    minutes: int
    #: The django-q2 cluster that runs it; every cluster looks after its own schedules only.
    cluster: str
    #: It may take so many times JOB_SECONDS; at 4 the queue would hand it out a second time (settings.Q_CLUSTER).
    patience: int = 1


PLANNED = (
    # Each run lasts a minute and more (dispatch/sweeps.py); one that finds both seats taken ends at once.
    Planned(name="sweeps", func="dispatch.tasks.run_sweeps", minutes=1, cluster="sweeps"),
    Planned(name="erase contacts", func="dispatch.tasks.erase_contacts", minutes=60, cluster="jobs"),
    Planned(name="settle quarters", func="dispatch.tasks.settle_quarters", minutes=15, cluster="jobs"),
    Planned(name="audit", func="dispatch.tasks.audit_history", minutes=5, cluster="jobs", patience=3),
    # Once a day would do: what found the tables in use is done with the next run.
    Planned(name="turn months", func="dispatch.tasks.turn_months", minutes=6 * 60, cluster="jobs", patience=3),
    Planned(name="clean up", func="dispatch.tasks.clean_up", minutes=24 * 60, cluster="jobs"),
)


def rewrite_schedules() -> None:
    """Make django-q2's schedules say exactly what PLANNED says. When one is due next is kept if that makes sense."""
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [REWRITING])
        kept = [_rewrite(planned).pk for planned in PLANNED]
        Schedule.objects.exclude(pk__in=kept).delete()


def _rewrite(planned: Planned) -> Schedule:
    now = timezone.now()
    row = Schedule.objects.filter(name=planned.name).order_by("pk").first() or Schedule(name=planned.name)
    if row.next_run is None or row.next_run > now + timedelta(minutes=planned.minutes) or row.pk is None:
        row.next_run = now
    row.func = planned.func
    row.schedule_type = Schedule.MINUTES
    row.minutes = planned.minutes
    row.cluster = planned.cluster
    row.repeats = -1
    more = {"q_options": {"timeout": planned.patience * settings.JOB_SECONDS}}
    row.kwargs = repr(more) if planned.patience > 1 else None
    row.args = row.hook = row.cron = row.intended_date_kwarg = None
    row.save()
    return row
