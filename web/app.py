"""The wiring of the web: settings, clock and store in, a WSGI application out. Nothing else happens here."""

import logging
import threading
from functools import partial

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
from web.api.consents import consents
from web.api.credits import credits
from web.api.docs import docs
from web.api.events import Waiting, events
from web.api.messages import messages
from web.api.modems import modems
from web.api.resource import Problem
from web.api.system import system
from web.api.webhooks import webhooks
from web.inputs import MOST_BODY_BYTES
from web.services import Services

log = logging.getLogger(__name__)

RESOURCES = (candidates, consents, messages, credits, modems, events, webhooks)


def create_app(config: Config, clock: Clock, database: Database, *, stopping: threading.Event | None = None) -> Flask:
    """The application: API, docs, health, and the pages. `stopping`, once set, ends every long poll."""
    app = OpenAPI(
        "web",
        info=Info(title="Ringpost", version="1"),
        security_schemes={"key": {"type": "http", "scheme": "bearer", "description": "An API key: rp_…"}},
        doc_ui=False,  # its pages need inline script; web/api/docs.py has our own
        validation_error_model=Problem,
    )
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
    app.register_blueprint(system)
    _add_pages(app, services)
    return app


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
