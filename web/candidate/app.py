"""The candidates' application: its own headers, its own errors, no cookie, nothing of the administrators' side."""

import logging
import secrets

from flask import Flask, Response, g, render_template, send_from_directory
from flask.sessions import NullSession, SessionInterface
from werkzeug.exceptions import HTTPException

from gateway.errors import Refused
from gateway.keys import Keys
from gateway.store.database import StoreUnavailable
from web.candidate import consent, interview
from web.services import Services

log = logging.getLogger(__name__)

BLUEPRINTS = (consent.blueprint, interview.blueprint)
MOST_BODY_BYTES = 16_384
HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),  # the address is the right to answer: no other site may read it
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
    ("X-Robots-Tag", "noindex, nofollow"),
    ("Cache-Control", "no-store"),
)


class NoSession(SessionInterface):
    """Candidates' pages know no session."""

    def open_session(self, app: Flask, request: object) -> NullSession:
        """One that refuses to be used."""
        return NullSession()

    def is_null_session(self, obj: object) -> bool:
        """Every one is."""
        return True


def create_candidate_app(services: Services, keys: Keys) -> Flask:
    """The application for candidates."""
    app = Flask("web", static_folder=None, template_folder="templates")
    app.session_interface = NoSession()
    app.config["MAX_CONTENT_LENGTH"] = MOST_BODY_BYTES
    app.config["MAX_FORM_MEMORY_SIZE"] = MOST_BODY_BYTES
    app.extensions["ringpost"] = services
    app.extensions["ringpost.secrets"] = keys
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)

    @app.before_request
    def number() -> None:
        g.request_id = "req_" + secrets.token_hex(12)

    @app.after_request
    def dress(response: Response) -> Response:
        for name, value in (*HEADERS, ("X-Request-Id", g.request_id)):
            response.headers[name] = value
        return response

    @app.get("/c/style.css")
    @app.get("/i/style.css")
    def style() -> Response:
        return send_from_directory(app.root_path + "/static", "candidate.css", max_age=3600)

    @app.errorhandler(Refused)
    def refused(error: Refused) -> tuple[str, int]:
        lang = error.facts.get("lang", "en")
        return render_template("candidate/said.html", lang=lang, said=error.detail, code=error.code), error.status

    @app.errorhandler(HTTPException)
    def wrong(error: HTTPException) -> tuple[str, int]:
        code = error.code or 500
        return render_template("candidate/said.html", lang="en", said=error.name, code="http"), code

    @app.errorhandler(StoreUnavailable)
    def unavailable(error: StoreUnavailable) -> tuple[str, int]:
        log.error("candidate page request_id=%s store=%s", g.request_id, error)
        return render_template("candidate/said.html", lang="en", said="Please try again in a minute.", code="unavailable"), 503

    return app


def is_candidates(path: str) -> bool:
    """Whether a path belongs to the candidates' application."""
    return path.startswith(("/c/", "/i/"))
