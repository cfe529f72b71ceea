"""Holds what the API really answers, and what it really takes, against its own OpenAPI document."""

import re
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator

from config.api_docs import openapi_document


@cache
def _operations() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    return [
        (re.compile(re.sub(r"\\{\w+\\}", "[0-9a-f-]{1,36}", re.escape(path))), calls)
        for path, calls in openapi_document()["paths"].items()
    ]


def _valid(document: Any, schema: dict[str, Any]) -> None:
    whole = {**schema, "components": openapi_document()["components"]}
    Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(document)


def check(method: str, address: str, body: Any, response: Any) -> None:
    """Fails unless the call is described and the answer is one of those that the description has."""
    path = urlsplit(address).path
    call = next((calls.get(method) for pattern, calls in _operations() if pattern.fullmatch(path)), None)
    if call is None:
        assert response.status_code in {404, 405}, f"{method} {path} is not described"
        return
    described = call["responses"].get(str(response.status_code))
    assert described is not None, f"{method} {path} answered {response.status_code}, which is not described"
    content = described.get("content", {})
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    if content:
        assert media_type in content
        _valid(response.json(), content[media_type]["schema"])
    else:
        assert response.content == b""
    for name in ("ETag", "Location", "Retry-After", "WWW-Authenticate"):
        if name in described.get("headers", {}):
            assert name in response.headers, f"{method} {path} {response.status_code} lacks {name}"
    if response.status_code < 400 and "application/json" in call.get("requestBody", {}).get("content", {}):
        _valid(body, call["requestBody"]["content"]["application/json"]["schema"])
