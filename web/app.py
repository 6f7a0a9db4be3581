"""The wiring of the web: settings, clock and store in, a WSGI application out. Nothing else happens here."""

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import NullSession, SessionInterface, SessionMixin
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from gateway import keys, wake
from gateway.clock import Clock
from gateway.config import Config
from gateway.store.database import Database
from web import answers, guards, problems
from web.api.candidates import candidates
from web.api.compliance import compliance
from web.api.consents import consents
from web.api.countries import compliance as countries
from web.api.credits import credits
from web.api.docs import docs
from web.api.events import Waiting, events
from web.api.interviews import resource as interviews
from web.api.messages import messages
from web.api.modems import modems
from web.api.organisations import organisations
from web.api.reports import reports
from web.api.resource import Problem
from web.api.retention import downloads, forgetting
from web.api.senders import numbers
from web.api.system import system
from web.api.templates import templates
from web.api.threads import inbox
from web.api.users import users
from web.api.webhooks import webhooks
from web.candidate.app import create_candidate_app, is_candidates
from web.inputs import MOST_BODY_BYTES
from web.routes import LateRule
from web.services import Services

log = logging.getLogger(__name__)

RESOURCES = (
    *(candidates, consents, compliance, messages, credits, modems, events, webhooks),
    *(reports, organisations, users, templates, countries, numbers, interviews, inbox, forgetting),
)


def create_app(config: Config, clock: Clock, database: Database, *, stopping: threading.Event | None = None) -> Flask:
    """The application: API, docs, health, and the pages. `stopping`, once set, ends every long poll."""
    app = OpenAPI(
        "web",
        info=Info(title="Ringpost", version="1"),
        security_schemes={"key": {"type": "http", "scheme": "bearer", "description": "An API key: rp_…"}},
        doc_ui=False,  # its pages need inline script; web/api/docs.py has our own
        validation_error_model=Problem,
    )
    app.url_rule_class = LateRule
    box_keys = keys.load(config.gateway.state_dir)
    app.secret_key = box_keys.session
    app.config["MAX_CONTENT_LENGTH"] = MOST_BODY_BYTES
    app.config["MAX_FORM_MEMORY_SIZE"] = MOST_BODY_BYTES
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 3600
    app.url_map.strict_slashes = False
    services = Services(config, clock, database, partial(wake.ring, config.gateway.state_dir))
    guards.register(app, services, box_keys, config.web.processes)
    answers.register(app)
    problems.register(app)
    app.extensions["ringpost.waiting"] = Waiting(config.web.threads // 2, stopping or threading.Event())
    for resource in RESOURCES:
        app.register_api(resource)
    app.register_blueprint(docs)
    app.register_blueprint(downloads)
    app.register_blueprint(system)
    _add_pages(app, services)
    candidates_app = create_candidate_app(services, box_keys)
    app.extensions["ringpost.candidates"] = candidates_app
    if config.web.candidate_listen is None:
        app.wsgi_app = _beside(app.wsgi_app, candidates_app)  # type: ignore[method-assign]
    return app


def _beside(pages: Callable[..., Any], candidates_app: Flask) -> Callable[..., Any]:
    """Candidates' pages on the same address, where they have none of their own: another application all the same."""

    def choose(environ: dict[str, Any], start_response: Any) -> Any:
        chosen = candidates_app if is_candidates(environ.get("PATH_INFO", "")) else pages
        return chosen(environ, start_response)

    return choose


def _add_pages(app: Flask, services: Services) -> None:
    from web import pages

    pages.register(app, services)
    app.session_interface = PagesOnly(app.session_interface)


class PagesOnly(SessionInterface):
    """The pages' sessions, for pages only: the API neither reads nor sets a cookie, and does not pay for one."""

    def __init__(self, inner: SessionInterface) -> None:
        self._inner = inner

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:
        """The session of a page; a session that refuses to be used for the API."""
        if request.path.startswith(problems.API_PATHS):
            return NullSession()
        return self._inner.open_session(app, request)

    def is_null_session(self, obj: object) -> bool:
        """Whether this is the API's."""
        return isinstance(obj, NullSession) or self._inner.is_null_session(obj)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Only pages have one to save."""
        self._inner.save_session(app, session, response)
