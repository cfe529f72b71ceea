"""What the process insists on before it serves, and what every answer carries."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests import cast, staff
from tests.dispatch.api import callers

ROOT = Path(__file__).resolve().parents[2]


def manage(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env={**os.environ, "BATON_DEBUG": "0", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_behind_tls_the_deployment_check_finds_nothing() -> None:
    checked = manage("check", "--deploy", "--fail-level", "WARNING", BATON_HTTPS="1")

    assert (checked.returncode, checked.stderr) == (0, "")
    # One is silenced, about GDAL; it has nothing to do with TLS.
    assert checked.stdout.strip() == "System check identified no issues (1 silenced)."


@pytest.mark.parametrize("secret", ["", "secret", "x" * 49, "ab" * 30, "django-insecure-" + "a" * 30])
def test_nothing_starts_with_a_secret_that_can_be_guessed(secret: str) -> None:
    refused = manage("check", BATON_SECRET_KEY=secret)

    assert refused.returncode != 0
    assert "BATON_SECRET_KEY" in refused.stderr.strip().splitlines()[-1]
    assert not secret or secret not in refused.stderr


def test_nothing_starts_without_a_secret() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "BATON_SECRET_KEY"}
    refused = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**environment, "BATON_DEBUG": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert refused.returncode != 0
    assert "BATON_SECRET_KEY is not set" in refused.stderr


PAGES = [
    "/admin/login/",
    "/admin/",
    "/admin/board/",
    "/admin/orders/order/",
    "/admin/orders/order/add/",
    "/admin/drivers/driver/",
    "/admin/auth/user/",
    "/admin/password_change/",
    "/admin/nothing/",
    "/api/docs/",
    "/api/schema/",
    "/api/v1/orders/",
    "/api/v1/nothing/",
    "/healthz",
    "/nothing",
]


@pytest.mark.django_db
@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("who", ["nobody", "root"])
def test_every_page_comes_with_its_protections(settings: Any, path: str, who: str) -> None:
    plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": plain}}
    client = staff.signed_in(cast.dispatcher("root")) if who == "root" else Client()

    headers = client.get(path).headers

    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";") if part.strip())
    assert policy["default-src"] == "'self'"
    assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


#: Run as a process of its own, because these settings are read once.
OVER_TLS = """
import django; django.setup()
from django.conf import settings
from django.test import Client
client = Client(headers={"Host": "localhost"})
away = client.get("/api/schema/")
page = client.get("/api/schema/", secure=True)
print(away.status_code, away.headers["Location"])
print(page.status_code, page.headers["Strict-Transport-Security"])
print(settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY,
      settings.SESSION_COOKIE_SAMESITE)
"""


def test_behind_tls_everything_insists_on_it() -> None:
    asked = subprocess.run(
        [sys.executable, "-c", OVER_TLS],
        cwd=ROOT,
        env={**os.environ, "BATON_HTTPS": "1", "DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert asked.stdout.splitlines() == [
        "301 https://localhost/api/schema/",
        "200 max-age=31536000; includeSubDomains; preload",
        "True True True Lax",
    ], asked.stderr


@pytest.mark.django_db
def test_a_refusal_carries_them_too() -> None:
    refused = callers.bearer("nonsense").get("driver/sync/")

    assert refused.status_code == 401
    assert "unsafe" not in refused.headers["Content-Security-Policy"]
    assert refused.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "given",
    [
        {"BATON_PUSH_PRIVATE_KEY": "too short", "BATON_PUSH_CONTACT": "mailto:ops@example.com"},
        {"BATON_PUSH_PRIVATE_KEY": "x" * 43},
        {"BATON_PUSH_PRIVATE_KEY": "x" * 43, "BATON_PUSH_CONTACT": "ops@example.com"},
    ],
)
def test_nothing_starts_with_half_of_web_push(given: dict[str, str]) -> None:
    refused = manage("check", **given)

    assert refused.returncode != 0
    assert "create_push_keys" in refused.stderr.strip().splitlines()[-1]
