"""The ASGI door: HTTP through the gate into Django, sockets to their consumers."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter
from servestatic import ServeStaticASGI

# Loaded here, or else the first request would wait for it.
import config.urls  # noqa: F401
from config import static
from config.gate import Gate
from dispatch.consumers.routing import websocket_application

gate = Gate()


async def lifespan(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """The server starts and stops; requests in hand are finished before `shutdown` arrives."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            gate.close()
            await send({"type": "lifespan.shutdown.complete"})
            return


application = ProtocolTypeRouter(
    {"http": ServeStaticASGI(gate, **static.options()), "websocket": websocket_application, "lifespan": lifespan}
)
