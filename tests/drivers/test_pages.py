"""The driver app's shell, service worker and manifest, with hashed files as they are served and without."""

import json
import re
from typing import Any

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.test import Client

from drivers import pages

PLAIN = "django.contrib.staticfiles.storage.StaticFilesStorage"


@pytest.fixture(params=["hashed", "plain"])
def files(request: pytest.FixtureRequest, settings: Any) -> str:
    """How static files are named."""
    if request.param == "plain":
        settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": PLAIN}}
    else:
        settings.STATIC_ROOT = str(request.getfixturevalue("collected_files"))
        # A storage made before knows the other place.
        settings.STORAGES = {**settings.STORAGES}
    pages._looked_up.cache_clear()
    return str(request.param)


def policy_of(headers: Any) -> dict[str, str]:
    parts = (part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";") if part.strip())
    return dict(parts)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("path", ["/driver/", "/driver/orders/17", "/driver/a/b/c.html"])
def test_every_address_of_the_app_is_answered_with_the_shell(path: str) -> None:
    answer = Client().get(path)

    assert answer.status_code == 200
    page = answer.content.decode()
    build = pages.current_build()
    assert f'<meta name="baton-build" content="{build.hash}">' in page
    assert f'<script type="module" src="{staticfiles_storage.url("driver/main.js")}"></script>' in page
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("path", ["/driver/", "/sw.js", "/driver/manifest.webmanifest"])
def test_nothing_inline_and_nothing_from_elsewhere(path: str) -> None:
    answer = Client().get(path)

    policy = policy_of(answer.headers)
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["worker-src"] == policy["manifest-src"] == "'self'"
    assert policy["img-src"] == "'self' blob: data:"
    assert policy["form-action"] == policy["base-uri"] == policy["frame-ancestors"] == policy["object-src"] == "'none'"
    assert "geolocation=(self), camera=(self)" in answer.headers["Permissions-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    page = answer.content.decode()
    assert re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|https?://", page) is None


def test_the_worker_keeps_every_file_of_the_app(files: str) -> None:
    answer = Client().get("/sw.js")

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Service-Worker-Allowed"] == "/driver/"
    assert answer.headers["Cache-Control"] == "no-cache"
    build = pages.current_build()
    script = answer.content.decode()
    assert f'"{build.hash}"' in script
    (listed,) = re.findall(r'JSON\.parse\("(.*?)"\)', script)
    kept = json.loads(listed.encode().decode("unicode_escape"))
    assert kept[:2] == ["/driver/", "/driver/manifest.webmanifest"]
    names = {f"driver/{path.relative_to(pages.FILES)}" for path in pages.FILES.rglob("*") if path.is_file()}
    assert set(kept[2:]) == {staticfiles_storage.url(name) for name in [*names, *pages.LIBRARIES]}
    assert all(bool(re.search(r"\.[0-9a-f]{12}\.", url)) is (files == "hashed") for url in kept[2:])


@pytest.mark.usefixtures("files")
def test_another_page_is_another_build(monkeypatch: pytest.MonkeyPatch) -> None:
    before = pages._look().hash
    assert pages._look().hash == before

    monkeypatch.setattr(pages, "LIBRARIES", ())

    assert pages._look().hash != before


@pytest.mark.usefixtures("files")
def test_the_manifest_installs_the_app_and_nothing_else() -> None:
    answer = Client().get("/driver/manifest.webmanifest")

    assert answer.headers["Content-Type"] == "application/manifest+json"
    manifest = answer.json()
    assert manifest["start_url"] == manifest["scope"] == manifest["id"] == "/driver/"
    assert manifest["display"] == "standalone"
    icons = {url for name, url in pages.current_build().files.items() if name.startswith("driver/icons/")}
    assert {icon["src"] for icon in manifest["icons"]} == icons


def test_an_icon_says_its_size() -> None:
    assert pages._size_of("driver/icons/icon-192.png") == "192x192"
    assert pages._size_of("driver/icons/maskable.svg") == "any"


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("path", ["/driver/", "/sw.js", "/driver/manifest.webmanifest"])
def test_the_app_is_only_read(path: str) -> None:
    assert Client().post(path).status_code == 405


def test_the_address_without_its_slash_leads_there() -> None:
    answer = Client().get("/driver")

    assert (answer.status_code, answer.headers["Location"]) == (301, "/driver/")
