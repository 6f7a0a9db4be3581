"""One resource of the API: routes that are documented, guarded and read in one declaration.

    messages = Resource("messages", "Messages")

    @messages.act("POST", "/messages", scope="messages:write", answers={202: Accepted})
    def create(call: Call, body: NewMessage) -> Response:
        '''Send a message.'''

flask-openapi3 makes the document of it; reading is our own (web/inputs.py), because its own echoes input in its errors and
builds schemas with every request.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from flask import Response, g
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel

from web import guards, inputs
from web.answers import answer

F = TypeVar("F", bound=Callable[..., Response])

PREFIX = "/api/v1"


class Problem(BaseModel):
    """RFC 9457 problem: what went wrong, for programs (`code`) and for people (`detail`)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[dict[str, str]]
    request_id: str


_PROBLEM = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
_REFUSALS = {
    "400": "malformed JSON",
    "401": "no live key",
    "403": "not allowed",
    "404": "not found",
    "409": "refused by a rule",
    "413": "body too large",
    "422": "a field is wrong",
    "429": "too many requests",
}


class Resource(APIBlueprint):
    """A blueprint below /api/v1 whose views get a `Call` and checked `path`, `query` and `body`."""

    def __init__(self, name: str, title: str) -> None:
        super().__init__(
            f"api_{name}",
            __name__,
            url_prefix=PREFIX,
            abp_tags=[Tag(name=title)],
            abp_security=[{"key": []}],
            abp_responses={status: {**_PROBLEM, "description": words} for status, words in _REFUSALS.items()},
        )

    def ask(self, rule: str, *, scope: str, answers: Mapping[int, Any] | None = None) -> Callable[[F], F]:
        """A GET."""
        return self._route("GET", rule, scope, answers, audits=False)

    def act(
        self, method: str, rule: str, *, scope: str, answers: Mapping[int, Any] | None = None, audits: bool = True
    ) -> Callable[[F], F]:
        """A POST, PUT, PATCH or DELETE. Refusals by a rule are audited, unless the flow does that (`audits=False`)."""
        return self._route(method, rule, scope, answers, audits=audits)

    def _route(self, method: str, rule: str, scope: str, answers: Mapping[int, Any] | None, *, audits: bool) -> Callable[[F], F]:
        document = getattr(self, method.lower())
        extra = {"x-scope": scope}

        def declare(view: F) -> F:
            view.ringpost = (scope, audits, method == "POST")  # type: ignore[attr-defined]
            document(rule, responses=dict(answers or {}), openapi_extensions=extra)(view)
            return view

        return declare

    @staticmethod
    def create_view_func(
        func: Any,
        header: Any,
        cookie: Any,
        path: type[BaseModel] | None,
        query: type[BaseModel] | None,
        form: Any,
        body: type[BaseModel] | None,
        raw: Any,
        view_class: Any = None,
        view_kwargs: Any = None,
        responses: Any = None,
        validate_response: Any = None,
    ) -> Callable[..., Response]:
        """What Flask calls: admit, read, call the view (in place of flask-openapi3's own reading)."""
        scope, audits, posted = func.ringpost
        may_be_empty = posted and body is not None and not any(field.is_required() for field in body.model_fields.values())

        @wraps(func)
        def view(**parts: Any) -> Response:
            call = guards.admit(scope)
            given: dict[str, Any] = {}
            if path is not None:
                given["path"] = inputs.checked(path, inputs.path_values(parts))
            if query is not None:
                given["query"] = inputs.checked(query, inputs.query_values())
            if body is not None:
                g.body = {} if may_be_empty and inputs.is_empty() else inputs.parsed_json()
                given["body"] = inputs.checked(body, g.body)
            if audits:
                response: Response = guards.audited_act(call, lambda: func(call, **given))
            else:
                response = func(call, **given)
            return response

        return view


def listed(rows: list[dict[str, Any]], limit: int) -> Response:
    """A page of a list: `data`, and in `next` what to send as `after` for the page behind it (null at the end)."""
    page = rows[:limit]
    return answer(200, {"data": page, "next": page[-1]["id"] if len(rows) > limit else None})
