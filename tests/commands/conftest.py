from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import connected_as_owner


@pytest.fixture
def owner(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), connected_as_owner():
        yield


@pytest.fixture
def owned(owner: None, db: None) -> None:
    """The test's transaction belongs to the owner of the tables."""
