"""What runs by itself: schedules, tasks, the queue and the sweeps. Look, do not touch: one malformed schedule stops all
of them, and they are written anew from code at every start."""

from importlib import import_module
from typing import Any

from django.contrib import admin
from django.template.defaultfilters import truncatechars
from django.utils.safestring import SafeString
from django_q.models import Failure, OrmQ, Schedule, Success

from dispatch.admin.shown import since
from dispatch.models import AuditVerdict, SweepHeartbeat
from drivers.backoffice import ReadOnlyAdmin

# Its own pages come first, to be replaced here.
import_module("django_q.admin")
for model in (Schedule, Success, Failure, OrmQ):
    admin.site.unregister(model)


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin[Any]):
    list_display = ["name", "func", "schedule_type", "minutes", "cluster", "next_run"]
    search_fields = ["name", "func"]
    fields = ["name", "func", "schedule_type", "minutes", "cron", "repeats", "cluster", "next_run", "task"]


class TaskAdmin(ReadOnlyAdmin[Any]):
    """Arguments and results are pickles: shown as text, never edited."""

    list_display = ["name", "func", "cluster", "started", "stopped", "short_result"]
    search_fields = ["name", "func"]
    fields = ["id", "name", "func", "group", "cluster", "started", "stopped", "attempt_count", "whole_result"]
    readonly_fields = ["whole_result"]

    @admin.display(description="result")
    def short_result(self, task: Any) -> str:
        return truncatechars(str(task.result), 100)

    @admin.display(description="result")
    def whole_result(self, task: Any) -> str:
        return str(task.result)


admin.site.register(Success, TaskAdmin)
admin.site.register(Failure, TaskAdmin)


@admin.register(OrmQ)
class QueueAdmin(ReadOnlyAdmin[Any]):
    """Tasks that wait. The payload is not opened here: its signature may be another installation's."""

    list_display = ["id", "key", "lock"]
    fields = ["key", "lock"]


@admin.register(SweepHeartbeat)
class SweepHeartbeatAdmin(ReadOnlyAdmin[SweepHeartbeat]):
    list_display = ["name", "ticked", "active_pid", "stood_by", "standby_pid", "tick_seconds"]
    fields = ["active_at", "active_pid", "standby_at", "standby_pid", "tick_seconds"]

    @admin.display(description="sweeps")
    def name(self, heartbeat: SweepHeartbeat) -> str:
        return "offer, auto-assign, expire, silent drivers"

    @admin.display(description="last tick")
    def ticked(self, heartbeat: SweepHeartbeat) -> SafeString | str:
        return since(heartbeat.active_at, suffix=" ago")

    @admin.display(description="standing by")
    def stood_by(self, heartbeat: SweepHeartbeat) -> SafeString | str:
        return since(heartbeat.standby_at, suffix=" ago")


@admin.register(AuditVerdict)
class AuditVerdictAdmin(ReadOnlyAdmin[AuditVerdict]):
    """The rows that break a promise are shown by `manage.py audit`, which reads them anew."""

    list_display = ["verdict", "looked", "seconds"]
    fields = ["verdict", "broken", "looked_at", "seconds"]

    @admin.display(description="last audit")
    def looked(self, verdict: AuditVerdict) -> SafeString | str:
        return since(verdict.looked_at, suffix=" ago")
