"""The ASGI door: HTTP through the gate into Django, sockets to their consumers."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter, URLRouter
from servestatic import ServeStaticASGI

from config import static
from config.gate import Gate

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


protocols: dict[str, Any] = {"http": ServeStaticASGI(gate, **static.options()), "lifespan": lifespan}
if find_spec("dispatch.consumers.routing") is not None:
    protocols["websocket"] = URLRouter(import_module("dispatch.consumers.routing").websocket_urlpatterns)

application = ProtocolTypeRouter(protocols)
