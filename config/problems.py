"""The one place where an error becomes an HTTP answer: RFC 9457 `application/problem+json` with a stable `code`."""

import logging
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from rest_framework import exceptions as drf
from rest_framework.response import Response

from drivers.errors import DomainError, Throttled, Unavailable
from drivers.faults import as_domain_error

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"

#: Status of every code that the product's own errors carry.
STATUS: dict[str, int] = {
    "invalid": 400,
    "sign_in_refused": 401,
    "not_authenticated": 401,
    "permission_denied": 403,
    "not_offered": 403,
    "driver_suspended": 403,
    "not_found": 404,
    "order_taken": 409,
    "order_not_pending": 409,
    "driver_at_capacity": 409,
    "driver_offline": 409,
    "version_conflict": 409,
    "order_expired": 410,
    "undo_too_late": 410,
    "order_cancelled": 410,
    "too_large": 413,
    "idempotency_mismatch": 422,
    "throttled": 429,
    "busy": 503,
    "unavailable": 503,
}
#: Codes of what the framework refuses by itself.
FRAMEWORK_CODES: dict[int, str] = {
    400: "invalid",
    401: "not_authenticated",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "timeout",
    413: "too_large",
    415: "unsupported_media_type",
    429: "throttled",
    500: "internal",
    503: "unavailable",
}
RETRY_AFTER = {"busy": 1, "unavailable": 2}


def problem(status: int, code: str, detail: str, **members: Any) -> dict[str, Any]:
    """The document itself; `members` that are None are left out."""
    return {
        "type": f"urn:baton:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **{name: value for name, value in members.items() if value is not None},
    }


def problem_of(error: DomainError) -> dict[str, Any]:
    # `status` is the document's own member; the status of the order in question goes by another name.
    members = {"order_status" if name == "status" else name: value for name, value in error.data.items()}
    return problem(STATUS[error.code], error.code, str(error), **members)


def problem_of_any(error: BaseException) -> dict[str, Any]:
    """For doors without HTTP (settings.PROBLEM_OF): any error as a document; what is nobody's refusal goes on record."""
    if (domain := as_domain_error(error)) is not None:
        return problem_of(domain)
    log.error("Unexpected", exc_info=error)
    return problem(500, "internal", DETAILS["internal"])


def _headers(code: str) -> dict[str, str]:
    return {"Retry-After": str(RETRY_AFTER[code])} if code in RETRY_AFTER else {}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER. None (anything unknown) becomes a 500 without details."""
    headers: dict[str, str] = {}
    if (domain := as_domain_error(error)) is not None:
        document = problem_of(domain)
        headers = _headers(domain.code)
        if wait := domain.data.get("retry_after"):
            headers["Retry-After"] = str(wait)
    elif isinstance(error, drf.ValidationError):
        document = problem(400, "invalid", "Something in the request is not valid.", errors=_by_field(error.detail))
    elif isinstance(error, drf.APIException):
        code = FRAMEWORK_CODES.get(error.status_code, "invalid")
        wait = getattr(error, "wait", None)
        seconds = None if wait is None else max(1, int(wait + 0.999))
        document = problem(error.status_code, code, str(error.detail), retry_after=seconds)
        if seconds is not None:
            headers["Retry-After"] = str(seconds)
        if header := getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = header
    elif isinstance(error, Http404):
        document = problem(404, "not_found", "There is no such thing, or it is not yours to see.")
    elif isinstance(error, PermissionDenied):
        document = problem(403, "permission_denied", "You may not do this.")
    elif isinstance(error, RequestDataTooBig):
        document = problem(413, "too_large", "The request is larger than this server takes.")
    else:
        return None
    if document["status"] == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    return Response(document, status=document["status"], headers=headers, content_type=CONTENT_TYPE)


def _by_field(detail: Any, path: str = "") -> dict[str, list[str]]:
    """DRF's nested error details as flat field paths: `pickup.lat` → sentences."""
    if isinstance(detail, dict):
        flat: dict[str, list[str]] = {}
        for name, inner in detail.items():
            step = path if name == "non_field_errors" else f"{path}.{name}" if path else str(name)
            flat.update(_by_field(inner, step))
        return flat
    if isinstance(detail, list):
        if any(isinstance(inner, dict) for inner in detail):
            flat = {}
            for index, inner in enumerate(detail):
                flat.update(_by_field(inner, f"{path}.{index}" if path else str(index)))
            return flat
        return {path or "body": [str(text) for text in detail]}
    return {path or "body": [str(detail)]}


def problem_response(status: int, code: str, detail: str, **members: Any) -> JsonResponse:
    return JsonResponse(
        problem(status, code, detail, **members), status=status, content_type=CONTENT_TYPE, headers=_headers(code)
    )


def speaks_json(request: HttpRequest) -> bool:
    return not request.path.startswith(("/admin/", "/driver/", "/static/"))


#: What the middlewares within put on every response, and a problem document in its place needs, too.
PROTECTIONS = (
    "Content-Security-Policy",
    "Cross-Origin-Opener-Policy",
    "Referrer-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
)


class ProblemMiddleware:
    """Whatever refuses a request before or behind a view (unknown address, wrong host, a fault), the API answers with a
    problem document."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not speaks_json(request):
            return response
        if response.status_code == 301 and request.method not in {"GET", "HEAD"}:
            # APPEND_SLASH: a client that followed would repeat it as a GET, without the body.
            moved = "There is no such address; addresses here end with a slash."
            return _instead(response, problem_response(404, "not_found", moved), PROTECTIONS)
        if response.status_code < 400 or request.path in OWN_DOCUMENTS:
            return response
        if response.headers.get("Content-Type", "").startswith(CONTENT_TYPE):
            return response
        status = response.status_code
        code = FRAMEWORK_CODES.get(status, "invalid")
        answer = problem_response(status, code, DETAILS.get(code, HTTPStatus(status).description or "Refused."))
        return _instead(response, answer, ("Retry-After", "Allow", "WWW-Authenticate", *PROTECTIONS))


def _instead(response: HttpResponseBase, answer: HttpResponseBase, names: tuple[str, ...]) -> HttpResponseBase:
    """The answer with those headers of the response that it takes the place of."""
    for name in names:
        if name in response.headers:
            answer.headers[name] = response.headers[name]
    return answer


#: Says with a 503 what is not ready, in a document of its own (config/health.py).
OWN_DOCUMENTS = {"/readyz"}

DETAILS = {
    "not_found": "There is no such address.",
    "internal": "Something went wrong here. It is on record; nothing was changed.",
    "method_not_allowed": "This address does not take that method.",
    "permission_denied": "You may not do this.",
    "unavailable": Unavailable.sentence(),
}


def locked_out(
    request: HttpRequest, response: HttpResponseBase, credentials: dict[str, Any] | None
) -> HttpResponseBase:
    """AXES_LOCKOUT_CALLABLE: what django-axes puts in the place of `response` after too many wrong passwords."""
    if speaks_json(request):
        # The sign-in door has already said so in its own words (drivers.errors.Throttled).
        return response
    return throttled(request, int(settings.AXES_COOLOFF_TIME.total_seconds()))


def throttled(request: HttpRequest, seconds: int) -> HttpResponse:
    """429, as a document or a page: try again after so many seconds, at least one."""
    seconds = max(1, seconds)
    if speaks_json(request):
        response: HttpResponse = problem_response(429, "throttled", Throttled.sentence(), retry_after=seconds)
    else:
        response = render(request, "problem.html", {"status": 429, "seconds": seconds}, status=429)
    response.headers["Retry-After"] = str(seconds)
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500, also reached when a middleware fails: a database that is away is a 503, not a fault."""
    error = sys.exc_info()[1]
    domain = as_domain_error(error) if error is not None else None
    status, code = (STATUS[domain.code], domain.code) if domain else (500, "internal")
    if speaks_json(request):
        return problem_response(status, code, str(domain) if domain else DETAILS["internal"])
    response = render(request, "problem.html", {"status": status, "busy": domain is not None}, status=status)
    for name, value in _headers(code).items():
        response.headers[name] = value
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    if speaks_json(request):
        return problem_response(403, "permission_denied", "The CSRF token is missing or wrong.")
    return render(request, "problem.html", {"status": 403, "busy": False}, status=403)
