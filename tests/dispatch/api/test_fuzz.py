"""Every call with whatever schemathesis makes of its description, valid and not: never a fault, nothing undescribed."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, settings
from schemathesis.checks import content_type_conformance, not_a_server_error
from schemathesis.specs.openapi.checks import (
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from config.api_docs import openapi_document
from config.wsgi import application
from drivers.models import Driver
from tests import cast
from tests.dispatch.api import callers

pytestmark = pytest.mark.django_db

api = schemathesis.openapi.from_dict(openapi_document())
api.app = application
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(autouse=True)
def one_connection() -> Iterator[None]:
    """As Django's own test client does: a request may not close the connection that holds the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def tokens(alice: Driver) -> dict[str, str]:
    """Path prefixes do not tell who calls what; the description does."""
    return {
        "driverToken": callers.phone(alice).headers["Authorization"],
        "apiKey": callers.shop("Fuzz", "orders:read", "orders:write", "dispatch").headers["Authorization"],
    }


@api.parametrize()
@settings(max_examples=10, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_no_input_is_a_fault(case: schemathesis.Case[Any], tokens: dict[str, str]) -> None:
    who = [name for one in case.operation.definition.raw.get("security", []) for name in one if name in tokens]
    if "order_id" in case.path_parameters:
        case.path_parameters["order_id"] = str(cast.order().pk)
    headers = {"Authorization": tokens[who[-1]]} if who else {}

    case.call_and_validate(headers=headers, checks=CHECKS)
