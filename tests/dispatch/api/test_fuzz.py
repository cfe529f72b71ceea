"""Every call, by everybody, with whatever schemathesis makes of its description, valid and not: never a fault, nothing
undescribed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection, transaction
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import content_type_conformance, not_a_server_error
from schemathesis.specs.openapi.checks import (
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from config.api_docs import openapi_document
from config.wsgi import application
from dispatch import services
from drivers.models import Driver
from tests import cast, staff
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
def one_connection(db: None) -> Iterator[None]:
    """As Django's own test client does: a request may not close the connection that holds the test's transaction. Nor does
    PostgreSQL while the next input is being thought of."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


ROLES = ("nobody", "driver", "shop", "script", "dispatcher", "supervisor")
#: What has to happen to an order first, so that an act on it can be carried out at all.
BEFORE: dict[str, tuple[Callable[..., object], ...]] = {
    "release": (services.accept_order,),
    "pick-up": (services.accept_order,),
    "unassign": (services.accept_order,),
    "deliver": (services.accept_order, services.pick_up_order),
    "fail": (services.accept_order, services.pick_up_order),
    "proofs": (services.accept_order, services.pick_up_order),
}


@pytest.fixture
def asks(role: str, alice: Driver) -> dict[str, Any]:
    """What a request of this role carries."""
    Driver.objects.update(capacity=20)
    match role:
        case "nobody":
            return {}
        case "driver":
            return {"headers": callers.phone(alice).headers}
        case "shop":
            return {"headers": callers.shop("Fuzz").headers}
        case "script":
            return {"headers": callers.script().headers}
        case _:
            session = staff.signed_in(staff.member("fuzz", role)).cookies["sessionid"].value
            token = "c" * 32
            return {"headers": {"X-CSRFToken": token}, "cookies": {"sessionid": session, "csrftoken": token}}


@pytest.fixture
def tokens(alice: Driver) -> dict[str, str]:
    """Path prefixes do not tell who calls what; the description does."""
    return {
        "driverToken": callers.phone(alice).headers["Authorization"],
        "apiKey": callers.shop("Fuzz", "orders:read", "orders:write", "dispatch").headers["Authorization"],
    }


def check(case: schemathesis.Case[Any], asks: dict[str, Any], driver: Driver) -> None:
    """One request, of which nothing is left afterwards."""
    # No `atomic` block: within one no service could open its own.
    before = transaction.savepoint()
    try:
        if "order_id" in case.path_parameters:
            order = cast.order()
            for act in BEFORE.get(case.path.rstrip("/").rsplit("/", 1)[-1], ()):
                act(order_id=order.pk, driver_id=driver.pk)
            case.path_parameters["order_id"] = str(order.pk)
        case.call_and_validate(checks=CHECKS, **asks)
    finally:
        transaction.savepoint_rollback(before)


@api.parametrize()
@settings(max_examples=10, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_no_input_is_a_fault(case: schemathesis.Case[Any], tokens: dict[str, str], alice: Driver) -> None:
    """By somebody who may, all of the description's own examples among them."""
    who = [name for one in case.operation.definition.raw.get("security", []) for name in one if name in tokens]
    check(case, {"headers": {"Authorization": tokens[who[-1]]} if who else {}}, alice)


@pytest.mark.parametrize("role", ROLES)
@api.parametrize()
@settings(
    max_examples=3,
    phases=[Phase.generate],
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_no_input_is_a_fault_whoever_asks(case: schemathesis.Case[Any], asks: dict[str, Any], alice: Driver) -> None:
    check(case, asks, alice)
