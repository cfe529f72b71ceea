"""Who calls in these tests, and how: real keys, tokens and sessions through Django's own stack."""

from typing import Any
from uuid import UUID

from django.contrib.auth.models import Permission, User
from django.test import Client
from knox.models import get_token_model

from drivers.models import Driver
from orders.models import Integrator, Order, OrderContact, OrderEvent
from orders.services import create_api_key
from tests import cast
from tests.dispatch.api import contract

V1 = "/api/v1/"


class Caller:
    """One who calls the API: paths are below /api/v1/, bodies are JSON. Every answer is held against the OpenAPI
    document."""

    def __init__(self, client: Client, headers: dict[str, str] | None = None) -> None:
        self.client = client
        self.headers = headers or {}

    def get(self, path: str, **headers: str) -> Any:
        response = self.client.get(_whole(path), headers={**self.headers, **headers})
        contract.check("get", _whole(path), None, response)
        return response

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._send("post", path, body, headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._send("patch", path, body, headers)

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        send = getattr(self.client, method)
        content = {} if body is None else body
        response = send(_whole(path), content, content_type="application/json", headers={**self.headers, **names})
        contract.check(method, _whole(path), content, response)
        return response


def _whole(path: str) -> str:
    return path if path.startswith(("/", "http")) else V1 + path


def bearer(token: str) -> Caller:
    return Caller(Client(), {"Authorization": f"Bearer {token}"})


def shop(name: str = "Shop", *scopes: str) -> Caller:
    """An integrator with a key of these scopes; of both order scopes, if none are said."""
    _, secret = create_api_key(name=name, scopes=list(scopes) or ["orders:read", "orders:write"])
    return bearer(secret)


def script() -> Caller:
    """A script with the console's verbs."""
    return shop("Script", "dispatch")


def staff(name: str, *permissions: str) -> Caller:
    """A signed-in member of staff with these model permissions, `app.codename`."""
    user = User.objects.create_user(name, password=cast.PASSWORD, is_staff=True)
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    client = Client()
    client.force_login(user)
    return Caller(client)


def phone(driver: Driver) -> Caller:
    """A driver's app, signed in."""
    _, token = get_token_model().objects.create(user=driver.user)
    return bearer(token)


def integrator_id(name: str = "Shop") -> int:
    return Integrator.objects.get(name=name).pk


def body(**changes: Any) -> dict[str, Any]:
    """What a sender posts; None takes a field out."""
    given: dict[str, Any] = {
        "pickup": {"lat": 37.7955, "lng": -122.3937, "address": "Ferry Building"},
        "dropoff": {"lat": 37.788, "lng": -122.4075, "address": "Union Square"},
        "contact": {"name": "Carol Customer", "phone": "+1 415 555 0100", "notes": "Ring twice"},
    }
    return {name: value for name, value in {**given, **changes}.items() if value is not None}


def placed(caller: Caller, **changes: Any) -> dict[str, Any]:
    """An order that the caller placed."""
    response = caller.post("orders/", body(**changes))
    assert response.status_code == 201, response.content
    order: dict[str, Any] = response.json()
    return order


def written() -> dict[str, Any]:
    """Everything that a refused act must leave alone."""
    return {
        "orders": list(Order.objects.order_by("pk").values()),
        "contacts": list(OrderContact.objects.order_by("pk").values()),
        "events": OrderEvent.objects.count(),
    }


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """The problem document of a refusal, checked against status, code and media type."""
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert (document["status"], document["code"]) == (status, code)
    assert document["type"] == f"urn:baton:problem:{code}"
    return document


def errors(response: Any) -> dict[str, list[str]]:
    """What was wrong, by field, of a 400."""
    found: dict[str, list[str]] = problem(response, 400, "invalid")["errors"]
    return found


def order_of(document: dict[str, Any]) -> Order:
    return Order.objects.get(pk=UUID(document["id"]))
