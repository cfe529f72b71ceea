import os
import sys
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dispatch import lifeline, matching
from dispatch.supervisor import Supervisor


class Command(BaseCommand):
    help = (
        "Runs Baton's background work in the foreground: the sweeps (offer, auto-assign, expire) and the jobs, as two "
        "django-q2 clusters that are watched and restarted. Waits for the database. SIGTERM or Ctrl-C ends it and "
        "everything it started."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--only", choices=["sweeps", "jobs"], help="run one of the clusters, unwatched")
        parser.add_argument("--child-of", type=int, metavar="PID", help="end when this process, the parent, ends")

    def handle(self, *args: Any, only: str | None, child_of: int | None, **options: Any) -> None:
        if only is None:
            Supervisor().run()
            return
        if os.environ.get("Q_CLUSTER_NAME") != only:
            # django-q2 read it when it was imported.
            raise CommandError(f"Set Q_CLUSTER_NAME={only} in the environment.")
        if child_of is not None:
            lifeline.die_with(child_of)
            if only == "sweeps":
                # The slowest import; its workers are forks and have it then.
                matching.solver()
            if not wait_to_begin():
                return
        call_command("qcluster")


def wait_to_begin() -> bool:
    """Until the parent (dispatch/cluster.py) says so by a line of input; False if it ended instead."""
    if ready_file := os.environ.pop("BATON_READY_FILE", ""):
        Path(ready_file).touch()
    is_told = bool(sys.stdin.buffer.readline())
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    return is_told
