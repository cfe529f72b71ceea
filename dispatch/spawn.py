"""How the process of a cluster is started.

Needs nothing of Django: `manage.py worker` lets the first one import the application while it does so itself, as nobody
sweeps until both have.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: A statement of a sweep that takes longer fails, and the next sweep has its turn. It must end before the one who stands by
#: takes the process for frozen (sweeps.FROZEN_AFTER_BEATS): or else both would begin the same statement for ever, in turn.
SWEEP_STATEMENT_MS = 3000

_early: subprocess.Popen[bytes] | None = None


def spawn(name: str, **more: str) -> subprocess.Popen[bytes]:
    """`manage.py worker --only NAME`, which imports everything and waits for its first line of input to begin."""
    command = [sys.executable, "-m", "django", "worker", "--only", name, "--child-of", str(os.getpid())]
    return subprocess.Popen(  # noqa: S603 - our own command line
        command, cwd=ROOT, env=environment(name) | more, stdin=subprocess.PIPE, start_new_session=True
    )


def environment(name: str) -> dict[str, str]:
    """Of a cluster's process."""
    found = os.environ | {
        "Q_CLUSTER_NAME": name,
        # It forks, and forks must not share a pool's connections.
        "BATON_DATABASE_CONNECTIONS": "persistent",
        "BATON_PROCESS_NAME": f"baton-{name}",
        "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "config.settings"),
    }
    if name == "sweeps":
        given = found.get("BATON_STATEMENT_TIMEOUT_MS", "")
        found["BATON_STATEMENT_TIMEOUT_MS"] = str(
            min(int(given), SWEEP_STATEMENT_MS) if given.isdecimal() else SWEEP_STATEMENT_MS
        )
    return found


def spawn_early() -> None:
    """The sweeps' process, before anything of Django is imported here. (A successor does it in its own time.)"""
    global _early
    if "BATON_READY_FILE" not in os.environ:
        _early = spawn("sweeps")


def take_early() -> subprocess.Popen[bytes] | None:
    global _early
    process, _early = _early, None
    return process
