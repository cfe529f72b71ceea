"""Where sockets ask the database: a few threads of their own, so that no socket waits in one long line with all others.

Channels' own way (`database_sync_to_async`) puts every query of every socket on one thread of the process.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import close_old_connections

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

#: Who is it, and snapshots.
READS = ThreadPoolExecutor(settings.SOCKET_DATABASE_THREADS, thread_name_prefix="socket-reads")
#: Gathered writes (heartbeats) have a thread to themselves: 10,000 drivers who reconnect at once must not make those who
#: are connected look silent.
WRITES = ThreadPoolExecutor(1, thread_name_prefix="socket-writes")


async def ask(function: Callable[Given, Answer], /, *args: Given.args, **kwargs: Given.kwargs) -> Answer:
    """Call a selector or service among the reads."""
    return await _run(READS, partial(function, *args, **kwargs))


async def write(function: Callable[Given, Answer], /, *args: Given.args, **kwargs: Given.kwargs) -> Answer:
    """Call a service on the thread of the gathered writes."""
    return await _run(WRITES, partial(function, *args, **kwargs))


async def _run(threads: ThreadPoolExecutor, call: Callable[[], Answer]) -> Answer:
    return await asyncio.get_running_loop().run_in_executor(threads, _with_connection, call)


def _with_connection(call: Callable[[], Answer]) -> Answer:
    close_old_connections()
    try:
        return call()
    finally:
        # Back to the pool, or closed if it broke.
        close_old_connections()
