"""What the watchdog reads from and writes to the database: signs of life, and django-q2's queues."""

import math
import time
from dataclasses import dataclass

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django_q.models import OrmQ
from django_q.tasks import async_task

#: More tasks waiting than this: asking for another would change nothing.
ENOUGH_WAITING = 2
#: An empty queue is given something to do so often.
SIGN_OF_LIFE_SECONDS = 15.0

AGES = """
SELECT extract(epoch FROM clock_timestamp() - active_at)::float8,
       extract(epoch FROM clock_timestamp() - standby_at)::float8
FROM dispatch_sweepheartbeat WHERE id = 1
"""


@dataclass(frozen=True, slots=True)
class Ages:
    """Seconds since the sweeps' last signs of life, by the database's clock; infinite if there never was one."""

    active: float = math.inf
    standby: float = math.inf


def read_ages() -> Ages:
    with connection.cursor() as cursor:
        cursor.execute(AGES)
        row = cursor.fetchone()
    return Ages(*(math.inf if age is None else age for age in row)) if row else Ages()


_migrated = False


def what_is_missing() -> str | None:
    """What a worker must wait for: migrations that are not applied. None: nothing. Raises django.db.Error without a
    database."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if plan:
            return f"{len(plan)} migrations to be applied (manage.py migrate)"
        _migrated = True
    return None


def empty(cluster: str) -> None:
    """Remove what is queued for a cluster and what was handed to workers that are no more."""
    OrmQ.objects.filter(key=cluster).delete()


def ask_for_run(*, count: int) -> None:
    """Queue runs of the sweeps, unless enough are waiting to be taken."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_q_ormq WHERE key = 'sweeps' AND lock <= clock_timestamp()")
        (waiting,) = cursor.fetchone()
    for _ in range(min(count, ENOUGH_WAITING - waiting)):
        async_task("dispatch.tasks.run_sweeps", cluster="sweeps")


class Progress:
    """Whether anything leaves a cluster's queue. Every task does, done or failed, unless the cluster is wedged."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._newest = 0
        self._left = 0
        self._since = time.monotonic()

    def stuck_for(self) -> float:
        """Seconds for which none of the tasks that were in the queue has left it. An empty queue proves nothing, so it
        is given something to do."""
        now = time.monotonic()
        rows = OrmQ.objects.filter(key=self._cluster)
        left = rows.filter(pk__lte=self._newest).count()
        if left == 0 or left < self._left:
            # All of those, or at least one, is done: look at what is there now.
            newest = rows.order_by("-pk").values_list("pk", flat=True).first()
            if newest is None:
                if now - self._since >= SIGN_OF_LIFE_SECONDS:
                    async_task("dispatch.tasks.sign_of_life", cluster=self._cluster)
                return 0.0
            self._newest, self._left, self._since = newest, rows.filter(pk__lte=newest).count(), now
        return now - self._since
