"""The admin pages: one blueprint per menu entry, a view being three moves (read input, call a flow, render or redirect).

    door.py      who may come in: session, Origin, CSRF token, permission; what is shown when something goes wrong
    menu.py      the menu, and what of it a viewer sees
    forms.py     what every form shares
    words.py     plain words for states, reasons and codes
    charts.py    numbers → points of an SVG
    language.py  gettext in the reader's language
    stale.py     two people, one form: 409 with both versions
    and one module (or package) per blueprint, named as in the menu

`register(app, services)` is all that the wiring calls. It expects `app.secret_key`, and headers set elsewhere: the CSP of
design.md §7 and `Referrer-Policy: same-origin` (with `no-referrer` browsers send `Origin: null`, which the door refuses).
"""

from flask import Flask
from flask_bootstrap import Bootstrap5
from flask_wtf.csrf import CSRFProtect

from web import assets, sessions
from web.pages import (
    account,
    audit,
    candidates,
    cases,
    compliance,
    composer,
    credits,
    door,
    fresh_password,
    home,
    inbox,
    language,
    login,
    menu,
    messages,
    modems,
    organisation,
    queue,
    reports,
    settings,
    setup,
    templates,
    users,
    webhooks,
    words,
)
from web.services import Services

BLUEPRINTS = (
    *(home, login, fresh_password, account, setup),
    *(inbox, composer, cases, candidates, queue, messages, templates),
    *(organisation, credits, users, compliance, reports),
    *(modems, webhooks, audit, settings),
)


def register(app: Flask, services: Services) -> None:
    """Add the pages to an application."""
    app.extensions["ringpost"] = services
    app.extensions["ringpost.error_page"] = door.error_page
    sessions.install(app)
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True  # no CDN on a LAN
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False  # the door asks for it on pages; the API has bearer keys and no cookie
    app.config["WTF_CSRF_SSL_STRICT"] = False  # the door checks Origin, which a Referrer-Policy cannot take away
    app.config["WTF_CSRF_TIME_LIMIT"] = None  # as long as the form's own cookie: a login page may stay open overnight
    Bootstrap5(app)
    CSRFProtect(app)
    assets.install(app)
    language.install(app)
    words.install(app)
    app.context_processor(lambda: {"viewer": door.viewer_or_none(), "menu": menu.shown()})
    for module in BLUEPRINTS:
        app.register_blueprint(module.blueprint)
