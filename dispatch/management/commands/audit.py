"""Re-check every invariant over the whole history; exit 1 and the rows if one is broken."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from dispatch.audit import audit, keep


class Command(BaseCommand):
    help = (
        "Re-check every promise of Baton over the whole history, in one read-only snapshot of the running database. Exits "
        "with 1 and shows the rows if one is broken."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rows", type=int, default=20, metavar="N", help="rows shown per check (default 20)")
        parser.add_argument(
            "--keep",
            action="store_true",
            help="keep the verdict for /metrics and the front page, as the worker's audit does; the only thing written",
        )

    def handle(self, **options: Any) -> None:
        report = audit(rows_per_check=max(1, options["rows"]))
        if options["keep"]:
            keep(report)
        for outcome in report.outcomes:
            if not outcome.broken:
                self.stdout.write(f"ok      {outcome.check.sentence}")
                continue
            self.stdout.write(self.style.ERROR(f"BROKEN  {outcome.check.sentence}"))
            for row in outcome.rows:
                self.stdout.write(f"          {row}")
            if (more := outcome.broken - len(outcome.rows)) > 0:
                self.stdout.write(f"          … and {more} more")
        verdict = f"Audit {report.verdict}"
        self.stdout.write(self.style.SUCCESS(verdict) if report.clean else self.style.ERROR(verdict))
        if not report.clean:
            sys.exit(1)
