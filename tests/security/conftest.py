"""Real sockets, as in the tests of live push, and pages that need no collected files."""

from typing import Any

import pytest

from tests.dispatch.live.conftest import clients, connect_board, connect_driver, own_prefix, running_server, server

__all__ = ["clients", "connect_board", "connect_driver", "own_prefix", "running_server", "server"]


@pytest.fixture
def plain_files(settings: Any) -> None:
    plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": plain}}
