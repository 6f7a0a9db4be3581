"""What leaves the house: JSON bodies, gzip, and the headers that every answer carries.

Refuses to know: resources, keys, the store.
"""

import gzip
import json
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.datastructures import Headers

SECURITY_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    # not no-referrer: browsers then send "Origin: null" with our own forms, and the Origin check would refuse them
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
)

_GZIP_FROM = 1024
"""Below this many bytes gzip costs more than it saves."""
_GZIP_TO = 4_000_000
"""Above this many it would hold a small box up."""
_TEXT = ("text/", "application/json", "application/problem+json", "application/javascript", "image/svg+xml")


def json_text(value: Any) -> str:
    """Compact JSON in UTF-8 characters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def answer(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return ready(status, json_text(value), headers)


def ready(status: int, text: str, headers: Mapping[str, str] | None = None, *, mimetype: str = "application/json") -> Response:
    """An answer whose JSON text exists already, with all its headers at once: setting them one by one takes its time."""
    octets = text.encode()
    lines = [
        ("Content-Type", mimetype),
        ("Content-Length", str(len(octets))),
        ("Cache-Control", "no-store"),
        *SECURITY_HEADERS,
        ("X-Request-Id", g.request_id),
    ]
    if headers:
        lines.extend(headers.items())
    return Dressed([octets], status, Headers(lines))


class Dressed(Response):
    """An answer that has its headers already."""


def nothing() -> Response:
    """204: done, and there is nothing to say about it."""
    return Response(status=204)


def register(app: Flask) -> None:
    """Dress every answer of `app`: request id, security headers, gzip where the caller takes it."""
    packed: dict[str, bytes] = {}

    @app.after_request
    def dress(response: Response) -> Response:
        if not isinstance(response, Dressed):
            headers = response.headers
            headers["X-Request-Id"] = g.request_id
            for name, value in SECURITY_HEADERS:
                if name not in headers:
                    headers[name] = value
        if request.environ.get("HTTP_ACCEPT_ENCODING") and _worth_packing(response):
            _pack(response, packed)
        return response


def _worth_packing(response: Response) -> bool:
    return (
        response.status_code == 200
        and _GZIP_FROM <= (response.content_length or 0) <= _GZIP_TO
        and (response.mimetype or "").startswith(_TEXT)
        and "Content-Encoding" not in response.headers
        and request.accept_encodings.quality("gzip") > 0
    )


def _pack(response: Response, packed: dict[str, bytes]) -> None:
    """Gzip the body; files are packed once and kept by their ETag, other bodies are packed quickly."""
    if response.direct_passthrough:
        etag = response.headers.get("ETag", "")
        body = packed.get(etag)
        if body is None:
            response.direct_passthrough = False
            body = gzip.compress(response.get_data(), 9, mtime=0)
            if etag and len(packed) < 64:
                packed[etag] = body
        else:
            response.direct_passthrough = False
            response.close()
        response.set_data(body)
    else:
        response.set_data(gzip.compress(response.get_data(), 4, mtime=0))
    response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
