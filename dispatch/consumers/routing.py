"""The sockets by their address. config/asgi.py mounts `websocket_application`."""

from typing import Any
from urllib.parse import parse_qs

from dispatch.consumers import frames
from dispatch.consumers.base import Socket, refuse
from dispatch.consumers.dispatcher import DispatcherSocket
from dispatch.consumers.driver import DriverSocket
from drivers.errors import NotFound

SOCKETS: dict[str, type[Socket]] = {"/ws/driver/": DriverSocket, "/ws/dispatch/": DispatcherSocket}


async def websocket_application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """ASGI, for scopes of type `websocket`. Any other address is refused as HTTP 404."""
    # Servers log the query of a handshake: the ticket must be gone from it before they do.
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    scope["ticket"] = query.get("ticket", [""])[0]
    scope["chunked"] = query.get("chunked", [""])[0] == "1"
    scope["query_string"] = b""
    if (socket := SOCKETS.get(scope["path"])) is not None:
        await socket()(scope, receive, send)
        return
    await receive()
    await refuse(frames.problem_of(NotFound()), 404, receive, send)
