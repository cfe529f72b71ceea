"""Every refusal is a problem document, whoever makes it: router, middleware, framework, database, a fault of ours."""

from typing import Any

import psycopg
import psycopg_pool
import pytest
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError
from django.test import Client

from config import problems
from drivers import errors as driver_errors
from drivers.errors import DomainError
from orders import errors as order_errors
from tests.dispatch.api.callers import problem

pytestmark = pytest.mark.django_db


def all_errors(kind: type[DomainError]) -> set[type[DomainError]]:
    return {kind} | {deeper for below in kind.__subclasses__() for deeper in all_errors(below)}


def test_every_business_error_has_a_status_and_a_sentence() -> None:
    kinds = all_errors(DomainError) - {DomainError}

    assert {driver_errors.NotFound, order_errors.OrderTaken} < kinds
    assert {kind.code for kind in kinds} == set(problems.STATUS)
    for kind in kinds:
        assert kind.sentence().endswith("."), kind


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/nothing/", "/api/", "/api/v2/orders/", "/api/v1/drivers/7/x/"])
def test_an_unknown_address_is_a_problem(client: Client, path: str) -> None:
    assert problem(client.get(path), 404, "not_found")["detail"] == "There is no such address."


def test_a_wrong_method_is_a_problem_that_names_the_right_ones(client: Client) -> None:
    response = client.delete("/healthz")

    problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "GET, HEAD"
    assert problem(client.get("/api/v1/auth/login/"), 405, "method_not_allowed")


def test_a_host_that_is_not_ours_is_a_problem(client: Client) -> None:
    problem(client.get("/healthz", headers={"Host": "evil.example"}), 400, "invalid")
    problem(client.get("/api/v1/orders/", headers={"Host": "evil.example"}), 400, "invalid")


def test_a_post_without_the_last_slash_is_not_sent_elsewhere_without_its_body(client: Client) -> None:
    response = client.post("/api/v1/auth/login", {"username": "a"}, content_type="application/json")

    assert "end with a slash" in problem(response, 404, "not_found")["detail"]
    assert client.get("/api/v1/driver").status_code == 301


def test_the_admin_keeps_its_pages(client: Client, settings: Any) -> None:
    plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": plain}}

    assert client.get("/admin/login/").headers["Content-Type"].startswith("text/html")
    assert client.get("/admin/nothing/").status_code == 302


class Diagnosed(Exception):
    def __init__(self, sqlstate: str | None) -> None:
        self.sqlstate = sqlstate


def caused(error: DatabaseError | InterfaceError, sqlstate: str | None) -> Exception:
    error.__cause__ = Diagnosed(sqlstate)
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (caused(OperationalError(), "55P03"), "busy"),  # lock timeout
        (caused(OperationalError(), "40P01"), "busy"),  # deadlock
        (caused(OperationalError(), "57014"), "busy"),  # statement timeout
        (caused(OperationalError(), "40001"), "busy"),  # serialization
        (caused(OperationalError(), None), "unavailable"),  # no server at all
        (caused(OperationalError(), "57P01"), "unavailable"),  # shutting down
        (caused(InternalError(), "25P03"), "unavailable"),  # idle in a transaction for too long
        (caused(OperationalError(), "57P03"), "unavailable"),  # starting up
        (caused(OperationalError(), "08006"), "unavailable"),  # connection lost
        (caused(OperationalError(), "53300"), "unavailable"),  # too many connections
        (caused(InterfaceError(), None), "unavailable"),
        (psycopg_pool.PoolTimeout(), "unavailable"),
        (psycopg.OperationalError(), "unavailable"),
    ],
)
def test_a_database_that_is_busy_or_away_says_try_again(
    error: Exception, code: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object, **kwargs: object) -> object:
        raise error

    monkeypatch.setattr("drivers.authentication.driver_of_token", fails)
    for path in ("/api/v1/driver/", "/api/v1/driver/sync/"):
        response = client.get(path, headers={"Authorization": "Bearer abc"})
        problem(response, 503, code)
        assert response.headers["Retry-After"] == str(problems.RETRY_AFTER[code])


@pytest.mark.parametrize("error", [caused(DatabaseError(), "42P01"), RuntimeError("secret detail"), KeyError("x")])
def test_a_fault_of_ours_tells_nothing(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object, **kwargs: object) -> object:
        raise error

    monkeypatch.setattr("drivers.authentication.driver_of_token", fails)
    client = Client(raise_request_exception=False)

    response = client.get("/api/v1/driver/", headers={"Authorization": "Bearer abc"})

    assert problem(response, 500, "internal") == {
        "type": "urn:baton:problem:internal",
        "title": "Internal Server Error",
        "status": 500,
        "code": "internal",
        "detail": "Something went wrong here. It is on record; nothing was changed.",
    }


def test_nested_errors_are_flat_paths() -> None:
    assert problems._by_field({"a": {"b": ["x", "y"], "c": [{"d": ["z"]}]}, "non_field_errors": ["w"]}) == {
        "a.b": ["x", "y"],
        "a.c.0.d": ["z"],
        "body": ["w"],
    }
