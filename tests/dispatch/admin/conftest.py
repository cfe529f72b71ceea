from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests import staff


@pytest.fixture(autouse=True)
def quick_pages(settings: Any, tmp_path: Path) -> None:
    """Pages render without `collectstatic`."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.STATIC_ROOT = str(tmp_path)
    # Strong passwords take their time, which is not what is tested here.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def dispatcher(db: None) -> Client:
    """Dora, a dispatcher, at her desk."""
    return staff.signed_in(staff.member("dora", "dispatcher"))


@pytest.fixture
def supervisor(db: None) -> Client:
    """Sam, a supervisor."""
    return staff.signed_in(staff.member("sam", "supervisor"))
