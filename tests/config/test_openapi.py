"""The API's description: valid, complete, and a page that works under our own Content-Security-Policy."""

import io
import json
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from config.api_docs import openapi_document
from config.problems import FRAMEWORK_CODES, STATUS
from dispatch.api.documents import COMPONENTS


def test_the_schema_is_valid_and_made_without_a_warning() -> None:
    out = io.StringIO()

    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=out)

    assert json.loads(out.getvalue())["openapi"] == "3.1.0"


def paths(patterns: list[URLPattern | URLResolver], prefix: str = "/") -> set[str]:
    found = set()
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            found |= paths(pattern.url_patterns, path)
        else:
            found.add(re.sub(r"<\w+:(\w+)>", r"{\1}", path))
    return found


def test_every_call_is_described() -> None:
    served = {path for path in paths(get_resolver().url_patterns) if path.startswith("/api/v1/")}

    assert set(openapi_document()["paths"]) == served


def test_every_refusal_is_a_problem_document_with_a_known_code() -> None:
    document = openapi_document()
    codes = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]

    assert codes == sorted({*STATUS, *FRAMEWORK_CODES.values()})
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            refusals = {status: answer for status, answer in call["responses"].items() if int(status) >= 400}
            assert refusals.keys() >= {"400", "429", "500", "503"}, (method, path)
            for status, refusal in refusals.items():
                assert refusal["content"] == {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }, (method, path, status)
            for status in ("429", "503"):
                assert list(refusals[status]["headers"]) == ["Retry-After"]


def test_every_call_but_signing_in_says_who_may_call_it() -> None:
    document = openapi_document()
    assert sorted(document["components"]["securitySchemes"]) == ["apiKey", "driverToken", "staffSession"]

    without = [
        call["operationId"] for calls in document["paths"].values() for call in calls.values() if "security" not in call
    ]

    assert without == ["sign_in"]


def test_every_document_is_used_and_every_reference_leads_somewhere() -> None:
    document = openapi_document()
    text = json.dumps(document)
    used = set(re.findall(r"#/components/schemas/(\w+)", text))

    assert used == set(document["components"]["schemas"])
    assert used >= set(COMPONENTS)


def test_the_schema_is_served_to_anybody() -> None:
    response = Client().get("/api/schema/")

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json()["info"]["title"] == "Baton"


def test_the_page_loads_everything_from_our_own_server_and_nothing_inline(settings: Any, client: Client) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }

    page = client.get("/api/docs/")
    script = client.get("/api/docs/?script=")

    text = page.content.decode()
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    sources = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(sources) == 4
    assert all(source.startswith(("/static/", "/api/docs/")) for source in sources)
    assert "<style" not in text
    assert " style=" not in text
    assert re.findall(r"<script(?![^>]* src=)", text) == []
    assert script.headers["Content-Type"].startswith("application/javascript")
    assert "/api/schema/" in script.content.decode().replace("\\u002D", "-")


@pytest.mark.parametrize("path", ["/api/schema/", "/api/docs/"])
def test_other_methods_are_refused_with_a_problem_document(client: Client, path: str) -> None:
    response = client.post(path)

    assert response.status_code == 405
    assert response.json()["code"] == "method_not_allowed"
