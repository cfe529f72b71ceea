"""No process outlives the one that started it: Linux's parent death signal, so that even SIGKILL leaves no orphan."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _prctl(option: int, value: int) -> None:
    if _libc is not None and _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def die_with(parent_pid: int) -> None:
    """End this process at once when its parent ends, and its own later forks (SIGTERM) when theirs does.

    Fork for fork, so the whole tree under a django-q2 cluster follows: main process, sentinel, workers.
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        # It died before we asked to be told.
        sys.exit(1)
    forked_by = os.getpid()

    def remember() -> None:
        nonlocal forked_by
        forked_by = os.getpid()

    def follow() -> None:
        _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != forked_by:
            os._exit(1)

    os.register_at_fork(before=remember, after_in_child=follow)


def adopt_orphans() -> None:
    """Make this process the parent of grandchildren whose own parent died, so that it can wait for their end."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
