"""Is everything as it should be? One line each; exit 1 if something is wrong."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from dispatch.doctor import examine


class Command(BaseCommand):
    help = (
        "Look at everything that Baton needs (environment, database, role, migrations, guards, Redis, sweeps, clocks, "
        "limits, static files), one line each, and say what to do about what is wrong. Exits with 1 if anything is."
    )
    requires_system_checks: list[str] = []

    def handle(self, **options: Any) -> None:
        findings = []
        for finding in examine():
            findings.append(finding)
            line = f"{finding.state:<7}{finding.name:<14}{finding.text}"
            if finding.advice and finding.state != "ok":
                line += f" → {finding.advice}"
            if finding.state == "wrong":
                line = self.style.ERROR(line)
            elif finding.state == "note":
                line = self.style.WARNING(line)
            self.stdout.write(line)
        wrong = [finding.name for finding in findings if finding.state == "wrong"]
        if wrong:
            self.stdout.write(self.style.ERROR(f"Wrong: {', '.join(dict.fromkeys(wrong))}."))
            sys.exit(1)
        self.stdout.write(self.style.SUCCESS("All is well."))
