"""The page of the dispatcher's console: a shell and its settings. Everything that is shown there comes over the socket and
the API, which ask for the permissions again; what a button needs is said here only so that it need not be shown."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from csp.decorators import csp_update
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.csrf import ensure_csrf_cookie

from dispatch.selectors_access import BOARD_PERMISSIONS

#: What a button on the console takes, by the name that the page's scripts know it by.
ABILITIES: Final = {
    "assign": "orders.dispatch_order",
    "cancel": "orders.dispatch_order",
    "offer": "orders.dispatch_order",
    "duty": "drivers.duty_driver",
    "message": "dispatch.add_message",
    "place": "orders.add_order",
    "contacts": "orders.view_ordercontact",
}
#: What the lists need, fetched side by side at once instead of one import after the other down a chain of eight. The map and
#: the form for a new order are in folders of their own and come after the lists.
MODULES: Final = sorted(
    f"dispatch/board/{path.name}"
    for path in (Path(__file__).parent.parent / "static" / "dispatch" / "board").glob("*.js")
)
#: Of the map's library, fetched when the lists are on screen.
WORKER: Final = "node_modules/maplibre-gl/dist/maplibre-gl-worker.mjs"
STYLES: Final = "node_modules/maplibre-gl/dist/maplibre-gl.css"


@ensure_csrf_cookie
def page(request: HttpRequest) -> HttpResponseBase:
    """The console, for staff who may see orders and drivers. The content security policy lets the map fetch from its own
    address and, if one is configured, from the tiles'."""
    if not request.user.has_perms(BOARD_PERMISSIONS):
        raise PermissionDenied
    return csp_update(_map_sources())(_render)(request)


def _render(request: HttpRequest) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": "Console",
        # The page has the whole width to itself.
        "is_nav_sidebar_enabled": False,
        "board_settings": board_settings(request),
        "board_modules": MODULES,
    }
    return TemplateResponse(request, "admin/board.html", context)


def board_settings(request: HttpRequest) -> dict[str, Any]:
    """What the page's scripts start with."""
    user = request.user
    return {
        "user": {"id": user.pk, "name": user.get_username()},
        "can": {ability: user.has_perm(permission) for ability, permission in ABILITIES.items()},
        "urls": {
            "api": "/api/v1/",
            "socket": "/ws/dispatch/",
            "order": reverse("admin:orders_order_change", args=["ID"]),
        },
        "live_seconds": settings.LIVE_SECONDS,
        "radius_km": settings.OFFER_RADIUS_KM,
        "map": {
            "style": settings.MAP_STYLE or None,
            "tiles": settings.MAP_TILES or None,
            "attribution": settings.MAP_ATTRIBUTION,
            "worker": static(WORKER),
            "styles": static(STYLES),
        },
        "center": list(reversed(settings.MAP_CENTER)) if settings.MAP_CENTER else None,
    }


def _map_sources() -> dict[str, list[str]]:
    """The origins that the map fetches from: the configured ones, `{s}` in a host standing for any."""
    origins = []
    for address in (settings.MAP_STYLE, settings.MAP_TILES, *settings.MAP_ORIGINS):
        parts = urlsplit(address)
        if parts.scheme in {"http", "https"} and parts.netloc:
            origin = f"{parts.scheme}://{parts.netloc.replace('{s}', '*')}"
            origins += [origin] if origin not in origins else []
    return {
        "connect-src": ["'self'", *origins],
        "img-src": ["data:", "blob:", *origins],
        "worker-src": ["'self'"],
    }
