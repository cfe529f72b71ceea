import pytest

from drivers.models import Driver
from tests.dispatch.api import callers


@pytest.fixture
def shop() -> callers.Caller:
    """An integrator that may read and write its orders."""
    return callers.shop()


@pytest.fixture
def other_shop() -> callers.Caller:
    return callers.shop("Other shop")


@pytest.fixture
def script() -> callers.Caller:
    """An API key with the console's verbs."""
    return callers.script()


@pytest.fixture
def app(alice: Driver) -> callers.Caller:
    """Alice's phone, signed in."""
    return callers.phone(alice)
