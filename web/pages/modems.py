"""Modems: each stick with its signal, SIM, operator and state, refreshed while the page is open."""

import hashlib

from flask import Response, render_template, request
from flask.typing import ResponseReturnValue

from gateway.rules.permissions import MODEMS_VIEW
from gateway.store import lists_pages
from web import sessions
from web.pages import door

blueprint = door.pages("modems", __name__, "/admin/modems")


@blueprint.get("")
@door.needs(MODEMS_VIEW)
def index() -> ResponseReturnValue:
    """All modems."""
    cards = _cards()
    return render_template("modems/index.html", cards=cards, etag=_etag(cards))


@blueprint.get("/live")
@door.needs(MODEMS_VIEW, fragment=True)
def live() -> ResponseReturnValue:
    """The same cards alone, or 304 where nothing has changed: what live.js asks for every three seconds."""
    cards = _cards()
    response = Response(cards, content_type="text/html; charset=utf-8")
    response.set_etag(_etag(cards))
    return response.make_conditional(request)


def _cards() -> str:
    services = sessions.services()
    with services.database.read() as view:
        modems = lists_pages.modems(view)
    return render_template("modems/_cards.html", modems=modems, now=services.clock.now_ms())


def _etag(cards: str) -> str:
    return hashlib.sha256(cards.encode()).hexdigest()[:32]
