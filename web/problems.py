"""Every refusal as RFC 9457 problem+json: the one place in web/ that turns errors into HTTP.

Flows raise `Refused` with code, status and field; guards and inputs raise it too. What Werkzeug raises by itself (no such
path, method not allowed …) has its code in `STATUSES`. Answers never repeat what the caller sent.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from gateway.clock import rfc3339
from gateway.errors import Refused
from gateway.store.database import StoreUnavailable
from web.answers import json_text, ready

log = logging.getLogger(__name__)

STATUSES: Mapping[int, tuple[str, str]] = {
    400: ("bad_request", "The request is malformed."),
    404: ("not_found", "There is nothing at this path."),
    405: ("method_not_allowed", "This path does not take this method; `Allow` names those it takes."),
    408: ("request_timeout", "The request did not arrive in time."),
    411: ("length_required", "A Content-Length is missing."),
    413: ("body_too_large", "The body exceeds the limit."),
    414: ("path_too_long", "The path and query exceed the limit."),
    415: ("unsupported_media_type", "Send JSON: Content-Type: application/json."),
    429: ("rate_limited", "Too many requests with this key."),
    431: ("headers_too_large", "The request headers exceed the limit."),
    500: ("internal_error", "Something broke on our side; the log has the details under this request id."),
    501: ("not_implemented", "The server does not support this transfer encoding."),
    503: ("store_unavailable", "The database takes no writes right now; nothing was changed. Try again."),
}
"""Code and plain words for what no flow has refused."""

FIELDS: Mapping[int, str] = {413: "body", 415: "Content-Type"}
"""What of the request such a status is about."""

API_PATHS = ("/api/", "/healthz", "/readyz", "/metrics")
"""Where programs ask; everywhere else people do, and get a page."""

MEMBERS = frozenset({"type", "title", "status", "detail", "code", "request_id", "errors"})


class Invalid(Refused):
    """The input breaks its schema in one or several fields."""

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__("validation_failed", 422, f"{first['field']}: {first['detail']}{more}", field=first["field"])
        self.errors = list(errors)


def body(refused: Refused, request_id: str | None = None) -> dict[str, Any]:
    """The problem object of a refusal."""
    if isinstance(refused, Invalid):
        errors: list[Mapping[str, str]] = list(refused.errors)
    elif refused.field is not None:
        errors = [{"field": refused.field, "code": refused.code, "detail": refused.detail}]
    else:
        errors = []
    problem: dict[str, Any] = {
        "type": f"urn:ringpost:problem:{refused.code}",
        "title": refused.code.replace("_", " ").capitalize(),
        "status": refused.status,
        "detail": refused.detail,
        "code": refused.code,
        "errors": errors,
    }
    if request_id is not None:
        problem["request_id"] = request_id
    problem.update((name, _told(name, value)) for name, value in refused.facts.items() if name not in MEMBERS)
    return problem


def _told(name: str, value: Any) -> Any:
    """A fact as it goes out: rules reckon in milliseconds, the API tells times in words (RFC 3339)."""
    return rfc3339(value) if name.endswith("_at") and isinstance(value, int) else value


def for_status(status: int, detail: str | None = None) -> Refused:
    """The refusal that stands for a bare HTTP status."""
    code, words = STATUSES.get(status) or (_phrase(status).lower().replace(" ", "_"), _phrase(status))
    return Refused(code, status, detail or words, field=FIELDS.get(status))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def answer(refused: Refused) -> Response:
    """The HTTP answer of a refusal: problem+json, with the headers its status asks for."""
    headers: dict[str, str] = {}
    if refused.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="ringpost"'
    elif refused.status == 403 and refused.code == "scope_missing":
        scope = refused.facts.get("scope", "")
        headers["WWW-Authenticate"] = f'Bearer realm="ringpost", error="insufficient_scope", scope="{scope}"'
    if "retry_after_s" in refused.facts:
        headers["Retry-After"] = str(refused.facts["retry_after_s"])
    text = json_text(body(refused, g.request_id))
    return ready(refused.status, text, headers, mimetype="application/problem+json")


def register(app: Flask) -> None:
    """Answer every error of `app`.

    Paths outside the API get the page of `app.extensions["ringpost.error_page"]`, a function of the refusal, where one is set.
    """

    def shown(refused: Refused) -> Response:
        page = app.extensions.get("ringpost.error_page")
        if page is None or request.path.startswith(API_PATHS):
            return answer(refused)
        response: Response = app.make_response(page(refused))
        return response

    @app.errorhandler(Refused)
    def on_refused(error: Refused) -> Response:
        return shown(error)

    @app.errorhandler(StoreUnavailable)
    def on_store(error: StoreUnavailable) -> Response:
        log.error("store unavailable request_id=%s error=%s", g.request_id, error)
        code, words = STATUSES[503]
        return shown(Refused(code, 503, words, facts={"retry_after_s": 5}))

    @app.errorhandler(HTTPException)
    def on_http(error: HTTPException) -> Response:
        ready_made = error.get_response()
        if (error.code or 500) < 400 or error.response is not None:
            return app.make_response(ready_made)
        response = shown(for_status(error.code or 500))
        for name in ("Allow", "Retry-After"):
            if name in ready_made.headers:
                response.headers[name] = ready_made.headers[name]
        return response

    @app.errorhandler(Exception)
    def on_bug(error: Exception) -> Response:
        log.exception("bug request_id=%s endpoint=%s", g.request_id, request.endpoint)
        return shown(for_status(500))
