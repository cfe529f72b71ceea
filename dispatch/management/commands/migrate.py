"""Django's own `migrate`, so that it may run beside a running Baton.

A change of a table needs a lock that nobody shares, and while it waits for that lock everybody else waits behind it. So it
waits for at most LOCK_SECONDS, gives way, and tries again. Migrations with `atomic = False` (indexes built CONCURRENTLY)
wait for old transactions without being in anybody's way: those have all the time they need.
"""

import time
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from psycopg.errors import LockNotAvailable

LOCK_SECONDS: float = 2
#: With pauses that grow to ten seconds: a minute and a half in all.
ATTEMPTS = 12
LONGEST_PAUSE = 10


class Command(migrate.Command):
    help = (
        f"{migrate.Command.help} Waits at most {LOCK_SECONDS} s for each lock, gives way to whoever works, tries again."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.alias = options["database"]
        for attempt in range(1, ATTEMPTS + 1):
            try:
                super().handle(*args, **options)
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
                if attempt == ATTEMPTS:
                    raise CommandError(
                        f"Somebody has held what this migration needs for {ATTEMPTS} tries; what came before it is applied. "
                        "Look for long transactions (docs/operations.md) and run this again."
                    ) from error
                pause = min(attempt, LONGEST_PAUSE)
                self.stderr.write(
                    f" gave way to somebody who works there; again in {pause} s ({attempt} of {ATTEMPTS})"
                )
                time.sleep(pause)
            else:
                self._set(lock_timeout=None, statement_timeout=None)
                break

    def migration_progress_callback(self, action: str, migration: Any = None, fake: bool = False) -> None:
        if action in {"apply_start", "unapply_start"}:
            # A statement may take its time here, unlike in a request.
            self._set(lock_timeout=int(LOCK_SECONDS * 1000) if migration.atomic else 0, statement_timeout=0)
        super().migration_progress_callback(action, migration, fake)

    def _set(self, **milliseconds: int | None) -> None:
        """None: what the connection began with."""
        with connections[self.alias].cursor() as cursor:
            for name, value in milliseconds.items():
                cursor.execute(f"RESET {name}" if value is None else f"SET {name} = {value}")
