"""The last verdict, kept: so that a broken promise is an alarm within hours and not a surprise after a question."""

from datetime import timedelta
from typing import Final

from dispatch.audit.report import Report
from dispatch.audit.run import audit
from dispatch.models import AuditVerdict
from drivers.clock import ClockTimestamp, database_now

#: A large history takes minutes to replay: it is not replayed again before this many times as long has passed, so that
#: audits never take more than half a percent of a core.
REST: Final = 200


def keep(report: Report) -> None:
    """Write the verdict down in place of the one before."""
    found = {"seconds": report.seconds, "broken": report.broken, "verdict": report.verdict}
    AuditVerdict.objects.update_or_create(id=1, defaults={"looked_at": ClockTimestamp(), **found})


def audit_now_and_then() -> str:
    """Audit and keep the verdict, unless the last one is too young for what it cost; what it says, in a line."""
    last = AuditVerdict.objects.first()
    if last is not None and database_now() - last.looked_at < timedelta(seconds=REST * last.seconds):
        return f"not yet again: the last one took {last.seconds:.1f} s"
    report = audit(rows_per_check=1)
    keep(report)
    return report.verdict
