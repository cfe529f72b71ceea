"""Static files: our own and the browser libraries of package.json, gathered by `collectstatic`, read once at start and
served before Django is even asked."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage
from servestatic.storage import CompressedManifestStaticFilesStorage

#: What pages load of node_modules; everything else of the packages stays there.
LIBRARIES = (
    "node_modules/idb/build/index.js",
    "node_modules/maplibre-gl/dist/maplibre-gl.css",
    "node_modules/maplibre-gl/dist/maplibre-gl.mjs",
    "node_modules/maplibre-gl/dist/maplibre-gl-worker.mjs",
    "node_modules/uplot/dist/uPlot.esm.js",
    "node_modules/uplot/dist/uPlot.min.css",
)


class HashedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # servestatic has no types
    """Each file under a name with its content's hash; also what a module imports by a relative path, so that a browser
    keeps every module for ever and never mixes two versions. Modules therefore must not import each other in a circle.
    Compressed here, once, and not for each driver who opens the app on a slow network."""

    #: Imports as biome writes them. Django's own patterns take types in comments for imports, and so find circles that are
    #: none; a type is told from a module by the name after it: `import("./types.js").State`.
    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        (
            "*.js",
            (
                (
                    r"""(?m)(?P<matched>^(?P<verb>import|export)(?P<names>\s[^;'"]*?)\s*from\s*"(?P<url>\.[^"]*)";)""",
                    """%(verb)s%(names)s from "%(url)s";""",
                ),
                (r"""(?m)(?P<matched>^import\s*"(?P<url>\.[^"]*)";)""", """import "%(url)s";"""),
                (r"""(?P<matched>import\("(?P<url>\.[^"]*)"\)(?!\.(?-i:[A-Z])))""", """import("%(url)s")"""),
            ),
        ),
    )
    # One pass for each step that a module is away from the last that it imports, and one to see that nothing changes.
    max_post_process_passes = 20


class BrowserLibraries(BaseFinder):
    """Finds LIBRARIES where npm installed them, under the same paths."""

    def __init__(self) -> None:
        self.storage = FileSystemStorage(location=settings.BASE_DIR)

    def check(self, **kwargs: Any) -> list[Any]:
        return []

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        found = [self.storage.path(path)] if path in LIBRARIES and self.storage.exists(path) else []
        return found if find_all else next(iter(found), [])

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, FileSystemStorage]]:
        return ((path, self.storage) for path in LIBRARIES if self.storage.exists(path))


def options() -> dict[str, Any]:
    """For ServeStatic's ASGI and WSGI wrappers."""
    root = Path(settings.STATIC_ROOT)
    return {
        # Before the first `collectstatic` there is nothing to serve.
        "root": str(root) if root.is_dir() else None,
        "prefix": settings.STATIC_URL,
        "autorefresh": settings.DEBUG,
        "max_age": 0 if settings.DEBUG else 60,
        # ManifestStaticFilesStorage puts a hash into these names: the content never changes.
        "immutable_file_test": r"^.+\.[0-9a-f]{12}\.[^/]+$",
        "allow_all_origins": False,
        "add_headers_function": _add_headers,
    }


def _add_headers(headers: Any, path: str, url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
