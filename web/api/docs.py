"""The OpenAPI 3.1 document, made from the code, and the page that shows it with assets of this machine only."""

import importlib.util
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app, render_template, send_from_directory

from gateway.store.setup import SCOPES
from web.answers import json_text, ready
from web.api.resource import Problem

docs = Blueprint("docs", __name__, url_prefix="/api")

_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 255},
    "description": "Makes the request repeatable: the same key and body get the stored answer, another body is refused (409).",
}


@docs.get("/openapi.json")
def document() -> Response:
    """The document; the same text until the process ends."""
    kept: dict[str, str] = current_app.extensions.setdefault("ringpost.openapi", {})
    if "text" not in kept:
        kept["text"] = json_text(made(current_app))
    response = ready(200, kept["text"])
    response.headers["Cache-Control"] = "no-cache"
    return response


@docs.get("/docs")
def page() -> str:
    """The page: our own template, because the packaged one needs inline script."""
    return render_template("docs/swagger.html")


@docs.get("/docs/assets/<path:name>")
def asset(name: str) -> Response:
    """Files of the swagger package."""
    return send_from_directory(_assets(), name, max_age=86_400)


def _assets() -> Path:
    spec = importlib.util.find_spec("flask_openapi3_swagger")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "templates" / "swagger"


def made(app: Any) -> dict[str, Any]:
    """The document of an application, with what flask-openapi3 does not know of: scopes, and the key of every POST."""
    document: dict[str, Any] = app.api_doc
    schemas = document["components"]["schemas"]
    schemas["Problem"] = Problem.model_json_schema()
    for path in document["paths"].values():
        for method, operation in path.items():
            scope = operation.get("x-scope")
            if scope is not None:
                operation["description"] = "\n\n".join(filter(None, [operation.get("description"), f"Scope: `{scope}`."]))
            if method == "post":
                operation.setdefault("parameters", []).append(_KEY)
    document["info"]["description"] = (
        "The API of this Ringpost box. Every refusal is `application/problem+json` (RFC 9457) with a `code`. "
        f"Keys have scopes: {', '.join(f'`{scope}`' for scope in SCOPES)}."
    )
    return document
