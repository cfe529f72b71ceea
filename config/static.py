"""Static files, served before Django is even asked; what `collectstatic` gathered, read once at start."""

from pathlib import Path
from typing import Any

from django.conf import settings


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
