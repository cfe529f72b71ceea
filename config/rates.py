"""How often an address may ask without saying who it is."""

from collections.abc import Callable
from math import ceil

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from config.problems import throttled
from drivers import signin
from drivers.limits import Limit

#: Far above a depot that starts its day behind one address; far below what one process can refuse.
REQUESTS_PER_ADDRESS = Limit("address", per_second=50, burst=500)
#: Whoever watches over the server is answered.
UNCOUNTED = {"/healthz", "/readyz", "/metrics"}


class AddressRateMiddleware:
    """Counts, per address, requests without credentials before they are looked at, and those with credentials that turned
    out to be no good (unknown, or a suspended driver's) afterwards. Whoever is signed in is counted by name, not by the
    address they share."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path in UNCOUNTED:
            return self.get_response(request)
        named = _says_who(request)
        if not named and (wait := self._spend(request)):
            return throttled(request, ceil(wait))
        response = self.get_response(request)
        if named and _is_turned_away(response) and (wait := self._spend(request)):
            return throttled(request, ceil(wait))
        return response

    @staticmethod
    def _spend(request: HttpRequest) -> float:
        return REQUESTS_PER_ADDRESS.spend(signin.address_of(request))


def _is_turned_away(response: HttpResponseBase) -> bool:
    """At the door: nobody knows them, or the driver is suspended. No view's own limit has counted that."""
    said = getattr(response, "data", None)
    is_suspended = isinstance(said, dict) and said.get("code") == "driver_suspended"
    return response.status_code == 401 or is_suspended


def _says_who(request: HttpRequest) -> bool:
    """Whether there is a token, which the view will judge, or a session of somebody."""
    if "HTTP_AUTHORIZATION" in request.META:
        return True
    # Asked without a cookie, a session would make every answer vary by cookie.
    return settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated
