"""The driver app's page, its service worker and its manifest: one shell for every address below /driver/, the same for
everybody. What a driver sees comes over the public API."""

import json
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from csp.constants import NONE, SELF
from csp.decorators import csp
from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import get_template
from django.views.decorators.http import require_safe

#: Everything below here is the app, and is kept by the service worker.
FILES: Final = Path(__file__).resolve().parent / "static" / "driver"
#: What the app takes from elsewhere (config/static.py, LIBRARIES).
LIBRARIES: Final = ("node_modules/idb/build/index.js",)
#: Words are fetched in the driver's own language; everything else is needed at once.
LATER: Final = "driver/words/"
ICONS: Final = "driver/icons/"
START: Final = "/driver/"

#: Nothing from anywhere else, nothing inline, and no form that could carry a password into an address.
POLICY: Final[dict[str, Any]] = {
    "default-src": [NONE],
    "script-src": [SELF],
    "style-src": [SELF],
    "img-src": [SELF, "blob:", "data:"],
    "media-src": [SELF, "blob:"],
    "font-src": [SELF],
    "connect-src": [SELF],
    "worker-src": [SELF],
    "manifest-src": [SELF],
    "object-src": [NONE],
    "base-uri": [NONE],
    "form-action": [NONE],
    "frame-ancestors": [NONE],
}
#: What a browser may ask the driver for on our behalf.
PERMISSIONS: Final = (
    "geolocation=(self), camera=(self), screen-wake-lock=(self), fullscreen=(self), microphone=(), payment=(), usb=(), "
    "serial=(), display-capture=(), browsing-topics=()"
)


@dataclass(frozen=True, slots=True)
class Build:
    """One state of the app: `hash` names it, and changes with any file, the page included."""

    hash: str
    #: Name, as `{% static %}` takes it, and address.
    files: dict[str, str]

    @property
    def styles(self) -> list[str]:
        return [url for name, url in self.files.items() if name.endswith(".css")]

    @property
    def modules(self) -> list[str]:
        """The scripts that the page needs before it can show anything."""
        return [url for name, url in self.files.items() if name.endswith(".js") and not name.startswith(LATER)]

    @property
    def icons(self) -> list[str]:
        return [url for name, url in self.files.items() if name.startswith(ICONS) and "maskable" not in name]

    @property
    def precache(self) -> list[str]:
        return [START, "/driver/manifest.webmanifest", *self.files.values()]


def current_build() -> Build:
    """The app as it is served now: looked up once per process, at every request under DEBUG."""
    return _look() if settings.DEBUG else _looked_up(settings.STORAGES["staticfiles"]["BACKEND"])


@cache
def _looked_up(storage: str) -> Build:
    """`storage`: tests serve the files without hashed names."""
    return _look()


def _look() -> Build:
    names = [f"driver/{path.relative_to(FILES).as_posix()}" for path in sorted(FILES.rglob("*")) if path.is_file()]
    names += [name for name in LIBRARIES if finders.find(name)]
    files = {name: staticfiles_storage.url(name) for name in names}
    digest = blake2b(digest_size=8)
    for name, url in files.items():
        found = finders.find(name)
        digest.update(url.encode() + b"\0" + (Path(found).read_bytes() if found else b""))
    blank = Build(hash="", files=files)
    digest.update(get_template("driver/app.html").render({"build": blank}).encode())
    return Build(hash=digest.hexdigest(), files=files)


def _protected(response: HttpResponse) -> HttpResponse:
    response.headers["Permissions-Policy"] = PERMISSIONS
    # Asked again each time, so that a new build is found at once; the service worker is what makes it quick.
    response.headers["Cache-Control"] = "no-cache"
    return response


@csp(POLICY)
@require_safe
def app(request: HttpRequest, path: str = "") -> HttpResponse:
    """The shell. `path` is the app's own business."""
    return _protected(render(request, "driver/app.html", {"build": current_build()}))


@csp(POLICY)
@require_safe
def service_worker(request: HttpRequest) -> HttpResponse:
    """At the root, because a worker may not look after pages above it; it looks after /driver/ only."""
    build = current_build()
    context = {"build": build.hash, "precache": json.dumps(build.precache)}
    response = _protected(render(request, "driver/sw.js", context, content_type="text/javascript; charset=utf-8"))
    response.headers["Service-Worker-Allowed"] = START
    return response


@csp(POLICY)
@require_safe
def manifest(request: HttpRequest) -> HttpResponse:
    """What a phone needs to install the app (W3C Web Application Manifest)."""
    files = current_build().files
    icons = [
        {
            "src": url,
            "type": f"image/{'svg+xml' if name.endswith('.svg') else 'png'}",
            "sizes": _size_of(name),
            "purpose": "maskable" if "maskable" in name else "any",
        }
        for name, url in files.items()
        if name.startswith(ICONS) and name.endswith((".png", ".svg"))
    ]
    document = {
        "id": START,
        "name": "Baton Driver",
        "short_name": "Baton",
        "description": "Orders near you: take, carry, deliver.",
        "start_url": START,
        "scope": START,
        "display": "standalone",
        "orientation": "portrait",
        "dir": "auto",
        "background_color": "#10141c",
        "theme_color": "#10141c",
        "categories": ["business", "productivity"],
        "icons": icons,
    }
    return _protected(JsonResponse(document, content_type="application/manifest+json"))


def _size_of(name: str) -> str:
    """`driver/icons/icon-192.png` → `192x192`; an icon without a number fits any size."""
    number = "".join(filter(str.isdigit, Path(name).stem))
    return f"{number}x{number}" if number else "any"
