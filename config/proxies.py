"""Who is asking, under WSGI: the address that a trusted proxy passes on, as uvicorn does it by itself under ASGI."""

from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network
from typing import Any

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class ForwardedFor:
    """REMOTE_ADDR becomes the nearest address in X-Forwarded-For that is not itself a trusted proxy, if the request came
    from one. From anybody else the header means nothing. `trusted` are addresses and networks, or `*`."""

    def __init__(self, application: Application, trusted: Iterable[str]) -> None:
        self.application = application
        words = list(trusted)
        self.trusts_all = "*" in words
        self.networks = [ip_network(word, strict=False) for word in words if word != "*"]

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if self.is_trusted(environ.get("REMOTE_ADDR", "")):
            hops = [hop.strip() for hop in environ.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
            outside = [hop for hop in hops if not self.is_trusted(hop)] or hops[:1]
            if outside:
                environ["REMOTE_ADDR"] = outside[0 if self.trusts_all else -1]
        return self.application(environ, start_response)

    def is_trusted(self, address: str) -> bool:
        if self.trusts_all:
            return True
        try:
            host = ip_address(address)
        except ValueError:
            return False
        return any(host in network for network in self.networks)
