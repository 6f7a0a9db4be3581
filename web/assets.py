"""Static files by their content: an address carries a hash of the file, so that browsers keep it for a year and see a new one
at once (RFC 8246 `immutable`)."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, request
from werkzeug.security import safe_join

FOLDERS = {"static": None, "bootstrap.static": "bootstrap"}
"""Endpoint → the blueprint whose folder it serves; None: the application's own."""


def install(app: Flask) -> None:
    """Put hashes into the addresses of static files, and let what is asked for by its hash be kept."""

    @app.url_defaults
    def name(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint in FOLDERS and "v" not in values:
            values["v"] = _hash_of(endpoint, values.get("filename", ""))

    @app.after_request
    def keep(response: Response) -> Response:
        wanted = request.args.get("v") if request.endpoint in FOLDERS else None
        if wanted and response.status_code in (200, 304):
            exact = wanted == _hash_of(str(request.endpoint), (request.view_args or {}).get("filename", ""))
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if exact else "no-cache"
        return response


def _hash_of(endpoint: str, filename: str) -> str | None:
    blueprint = FOLDERS[endpoint]
    folder = current_app.static_folder if blueprint is None else current_app.blueprints[blueprint].static_folder
    path = safe_join(str(folder), filename)
    return None if path is None else _hash(path)


@cache
def _hash(path: str) -> str | None:
    """Of a file that does not change while this process lives; None where there is none."""
    file = Path(path)
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12] if file.is_file() else None
