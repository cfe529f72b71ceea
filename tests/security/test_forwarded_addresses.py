"""Whose address counts behind a proxy: as bin/supervise.py starts the web server, with BATON_TRUSTED_PROXIES and without."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from axes.models import AccessAttempt
from websockets.exceptions import InvalidStatus

from dispatch.consumers import doorstep
from drivers import redisdb
from drivers.models import Driver
from tests.config.rig import Served, ask
from tests.dispatch.live.rig import ROOT, Client

pytestmark = pytest.mark.django_db(transaction=True)

SENT = "1.2.3.4, 203.0.113.7"


def serving() -> Any:
    """bin/serving.py, which bin/supervise.py asks for its commands."""
    spec = importlib.util.spec_from_file_location("serving", ROOT / "bin/serving.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Supervised(Served):
    """The supervisor's own command, with this Python instead of the checkout's."""

    def __init__(self, folder: Path, trusted: str) -> None:
        super().__init__(folder)
        self.prefix, self.trusted = f"forwarded-{uuid4().hex}", trusted

    def command(self) -> list[str]:
        return list(serving().uvicorn_command(sys.executable, self.port, self.trusted))


@pytest.fixture(params=["127.0.0.1", "10.9.8.7, 127.0.0.0/8", "10.9.8.7", ""])
def behind(request: pytest.FixtureRequest, tmp_path: Path, settings: Any) -> Iterator[tuple[Supervised, str]]:
    """A server, and the address that it believes a request to come from."""
    server = Supervised(tmp_path, request.param)
    settings.REDIS_PREFIX = server.prefix
    server.start()
    # The nearest address that no trusted proxy has; what somebody wrote before it is anybody's guess.
    yield server, "203.0.113.7" if "127.0.0" in request.param else "127.0.0.1"
    server.stop()


def test_the_address_that_counts_is_the_one_that_a_trusted_proxy_saw(
    behind: tuple[Supervised, str], alice: Driver
) -> None:
    server, believed = behind
    wrong = {"username": "alice", "password": "wrong"}

    assert ask(server, "/api/v1/auth/login/", method="POST", body=wrong, X_Forwarded_For=SENT).status == 401
    assert AccessAttempt.objects.get().ip_address == believed
    assert spent_by("refused-sign-ins") == {believed}

    with pytest.raises(InvalidStatus):
        Client(server.url("/ws/driver/"), additional_headers={"X-Forwarded-For": SENT})
    assert spent_by(doorstep.REFUSED_HANDSHAKES.name) == {believed}


def spent_by(limit: str) -> set[str]:
    return {key.rsplit(":", 1)[1] for key in redisdb.client().scan_iter(redisdb.key("limit", limit, "*"))}
