"""uvicorn, with one more way to end: `python -m config.serve` takes what `python -m uvicorn` takes.

SIGTERM ends it within seconds: requests in hand are finished, sockets are closed. SIGUSR1 is for when another process has
already taken over the same listening socket (bin/children.py): nothing new is accepted from that moment, connections end
with the answer to their next request, sockets are told to reconnect one after the other and not all at once, and when all
that is done the process ends as by SIGTERM.
"""

import asyncio
import importlib
import os
import signal
import socket
import sys
from pathlib import Path
from types import ModuleType

from uvicorn import Server

from drivers import garbage

#: So long an idle connection may still bring a request, which is served. Longer than our proxy keeps it (deploy/nginx.conf).
CONNECTIONS_SECONDS = 3.0


class GracefulServer(Server):
    """Says goodbye before it goes."""

    leaving: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._begin_to_leave)
        await super().startup(sockets=sockets)
        garbage.settle()
        if self.started and (ready := os.environ.get("BATON_READY_FILE")):
            Path(ready).touch()

    def _begin_to_leave(self) -> None:
        if self.started and self.leaving is None:
            self.leaving = asyncio.get_running_loop().create_task(self._leave())

    async def _leave(self) -> None:
        for server in self.servers:
            server.close()
        # In every answer from the next tick on.
        self.config.encoded_headers.append((b"connection", b"close"))
        await asyncio.sleep(max(CONNECTIONS_SECONDS, self._part_with_sockets()))
        self.should_exit = True

    @staticmethod
    def _part_with_sockets() -> float:
        """Seconds until the last socket has been told."""
        if "dispatch.consumers.hub" not in sys.modules:
            return 0.0
        hub = importlib.import_module("dispatch.consumers.hub").hub()
        seconds: float = hub.part()
        return seconds


def main() -> None:
    # `uvicorn.main` itself is a function of that name.
    command_line: ModuleType = importlib.import_module("uvicorn.main")
    command_line.Server = GracefulServer  # type: ignore[attr-defined]
    command_line.main()


if __name__ == "__main__":
    main()
