"""The console in Chromium, on the application as it is served: real sockets, real pushes, the content security policy on."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from tests.dispatch.live.rig import ROOT, Server
from tests.proxy import Proxy

#: Redis has one name space for all its subscribers, whatever the database number.
PREFIX = f"board{os.getpid()}"


class Console(Server):
    """With the static files as they are now."""

    static = ""

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "BATON_STATIC_ROOT": self.static}


@pytest.fixture(scope="session")
def running_console(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    console = Console(tmp_path_factory.mktemp("console"), prefix=PREFIX)
    console.static = str(tmp_path_factory.mktemp("static"))
    collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
    subprocess.run(collect, cwd=ROOT, env={**os.environ, "BATON_STATIC_ROOT": console.static}, check=True)
    console.start()
    yield console
    console.stop()


@pytest.fixture
def console(running_console: Console, transactional_db: None, settings: Any) -> Console:
    """The application, served; what the test commits is what it sees."""
    layers = deepcopy(settings.CHANNEL_LAYERS)
    layers["default"]["CONFIG"]["prefix"] = PREFIX
    settings.CHANNEL_LAYERS = layers
    settings.REDIS_PREFIX = PREFIX
    return running_console


@pytest.fixture
def network(console: Console) -> Iterator[Proxy]:
    """Between the browser and the server, to be cut."""
    with Proxy(console.port) as proxy:
        yield proxy


Open = Callable[..., Page]


@pytest.fixture
def open_board(chromium: Browser, console: Console, complaints: list[str]) -> Iterator[Open]:
    """`open_board(user)`: a window of their own on the console, live. Options are those of the browser's context."""
    contexts = []

    def opened(user: User, *, port: int | None = None, live: bool = True, **options: Any) -> Page:
        signed_in = Client()
        signed_in.force_login(user)
        address = f"http://127.0.0.1:{port or console.port}"
        context = chromium.new_context(**{"base_url": address, "viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        context.set_default_timeout(20_000)
        context.add_cookies([{"name": "sessionid", "value": signed_in.cookies["sessionid"].value, "url": address}])
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/admin/board/")
        if live:
            expect(page.locator(".live")).to_have_attribute("data-state", "live")
        return page

    yield opened
    for context in contexts:
        context.close()
