"""How the OpenAPI 3.1 document is made. What the calls are is said in dispatch/api/schema*.py; here are added the refusals
that every call shares, and the problem document with the codes of config/problems.py."""

import inspect
from collections.abc import Iterable
from functools import cache
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse

import dispatch.errors
import drivers.errors
import orders.errors
from config.problems import CONTENT_TYPE, FRAMEWORK_CODES, STATUS
from dispatch.api.documents import COMPONENTS, STRING, TRUTH, Schema, count, listed, ref
from dispatch.api.documents_board import board_components
from dispatch.api.schema import CALLS, DRIVER_TOKEN, SECURITY_SCHEMES, TAGS, Call, answered, grants_in_words
from dispatch.api.schema_board import BOARD_CALLS
from dispatch.api.schema_driver import DRIVER_CALLS
from drivers.errors import DomainError
from drivers.http import StrictSerializer
from orders.lifecycle import Status

EVERY_CALL = CALLS | DRIVER_CALLS | BOARD_CALLS
#: Statuses of the codes that the product's errors do not carry themselves.
STATUS_OF = {code: status for status, code in FRAMEWORK_CODES.items()} | STATUS

PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457. `code` is stable; `detail` is for people.",
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": ["urn:baton:problem:order_taken"]},
        "title": STRING,
        "status": count(400, 599),
        "code": {"type": "string", "enum": sorted(STATUS_OF)},
        "detail": STRING,
        "errors": {
            "type": "object",
            "description": "With `invalid`: sentences by field (`pickup.lat`), parameter or header; `body`: the whole.",
            "additionalProperties": listed(STRING),
        },
        "order_status": {
            "type": "string",
            "enum": [str(status) for status in Status],
            "description": "With `order_not_pending` and `version_conflict`: what the order is now.",
        },
        "version": count(1, description="With `version_conflict`: the order's version now."),
        "expired": {**TRUTH, "description": "With `order_not_pending`: the order is pending, but expired."},
        "seconds_ago": count(0, description="With `order_taken`, `order_expired` and `order_cancelled`: since when."),
        "retry_after": {"type": "number", "minimum": 0, "description": "With `throttled`: seconds to wait."},
        "current": {**ref("BoardOrder"), "description": "At the console, when the order has moved on: what it is now."},
        "last_event": {
            **ref("Event"),
            "description": "At the console, when the order has moved on: who did what last.",
        },
    },
    "required": ["type", "title", "status", "code", "detail"],
}


class Described(AutoSchema):
    """Reads a call's description instead of guessing it from the view."""

    @property
    def call(self) -> Call:
        view = type(self.view)
        return EVERY_CALL[view][self.method]

    def get_operation_id(self) -> str:
        return self.call.id

    def get_tags(self) -> list[str]:
        return [self.call.tag]

    def get_summary(self) -> str:
        return self.call.summary

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular's own signature
        about = self.call.about or inspect.getdoc(getattr(self.view, self.method.lower())) or ""
        return "\n\n".join(text for text in (about, grants_in_words(type(self.view), self.method)) if text)

    def get_auth(self) -> list[dict[str, list[str]]]:
        return [{name: []} for name in self.call.who]

    def get_request_serializer(self) -> Any:
        if self.call.media:
            return dict.fromkeys(self.call.media, OpenApiTypes.BINARY)
        return self.call.body

    def _get_request_body(self, direction: Any = "request") -> Any:
        """drf-spectacular takes it that a DELETE has no body; ours may name what goes."""
        if self.method != "DELETE" or self.call.body is None:
            return super()._get_request_body(direction)  # type: ignore[no-untyped-call]  # not typed there
        component = self.resolve_serializer(self.call.body, direction)
        return {"content": {"application/json": {"schema": component.ref}}, "required": True}

    def get_examples(self) -> list[OpenApiExample]:
        example = self.call.example
        return [OpenApiExample("As an example", value=example, request_only=True)] if example else []

    def get_override_parameters(self) -> list[Any]:
        shared = [answered("Retry-After", "Seconds to wait before trying again.", 429, 503)]
        if self.call.who:
            shared.append(answered("WWW-Authenticate", "How to sign in.", 401))
        return [*self.call.parameters, *shared]

    def get_response_serializers(self) -> Any:
        call = self.call
        answers: dict[Any, Any] = {
            call.status: OpenApiResponse(call.content, description="Done." if call.body else "Here it is.")
        }
        if any(parameter.name == "If-None-Match" for parameter in call.parameters):
            answers[304] = OpenApiResponse(description="Nothing has changed since the answer with that `ETag`.")
        by_status: dict[int, list[str]] = {}
        for code in self._codes():
            by_status.setdefault(STATUS_OF[code], []).append(code)
        for status, codes in sorted(by_status.items()):
            answers[status, CONTENT_TYPE] = OpenApiResponse(ref("Problem"), description=_in_words(codes))
        return answers

    def _codes(self) -> Iterable[str]:
        """The call's own, and those that go without saying."""
        call = self.call
        codes = dict.fromkeys(("invalid", *call.codes))
        if call.who:
            codes |= dict.fromkeys(("not_authenticated", "permission_denied"))
        if DRIVER_TOKEN in call.who:
            codes["driver_suspended"] = None
        if "{" in self.path:
            codes["not_found"] = None
        if call.body is not None or call.media:
            codes |= dict.fromkeys(("too_large", "unsupported_media_type"))
        return (
            *codes,
            *(code for code in ("not_acceptable", "throttled", "busy", "unavailable", "internal") if code not in codes),
        )

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Schema:
        schema: Schema = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]  # not typed there
        if isinstance(serializer, StrictSerializer):
            schema["additionalProperties"] = False
            if "__doc__" not in vars(type(serializer)) or not type(serializer).__doc__:
                # What it has from its base is about code.
                schema.pop("description", None)
        return schema


#: What is refused before any error of the product's own is raised.
FRAMEWORK_SENTENCES = {
    "not_authenticated": "Nobody is signed in, or the token, key or session is no longer good.",
    "permission_denied": "Whoever is signed in may not do this.",
    "not_acceptable": "The answer is JSON, and the request does not accept that.",
    "too_large": "The request is larger than this server takes.",
    "unsupported_media_type": "The body is of a type that this call does not take.",
    "internal": "Something went wrong here; nothing was changed.",
}


@cache
def _sentences() -> dict[str, str]:
    found = dict(FRAMEWORK_SENTENCES)
    for module in (drivers.errors, orders.errors, dispatch.errors):
        for error in vars(module).values():
            if isinstance(error, type) and issubclass(error, DomainError) and "code" in vars(error):
                found.setdefault(error.code, error.sentence())
    return found


def _in_words(codes: list[str]) -> str:
    return "\n".join(f"- `{code}`: {_sentences()[code]}" for code in codes)


def complete(result: Schema, **_: Any) -> Schema:
    """The POSTPROCESSING_HOOK: the documents, the sign-ins and the groups that the calls refer to."""
    components = result.setdefault("components", {})
    schemas = {**components.get("schemas", {}), **COMPONENTS, **board_components(COMPONENTS), "Problem": PROBLEM}
    components["schemas"] = dict(sorted(schemas.items()))
    components["securitySchemes"] = SECURITY_SCHEMES
    return {**result, "tags": TAGS}
