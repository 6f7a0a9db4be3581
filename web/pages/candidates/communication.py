"""The tab Communication: what was written with the candidate both ways, and the composer for the case at hand."""

import re
from http import HTTPStatus

from flask import abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from gateway.errors import Refused
from gateway.flows import candidate_pages
from gateway.rules.permissions import MESSAGES_VIEW
from gateway.store.database import Transaction, View
from web import sessions
from web.pages import composer, door
from web.pages.candidates import common
from web.pages.candidates.common import blueprint
from web.pages.language import ngettext

_ID = re.compile(r"(msg|inb)_[0-9a-z_]{1,40}")


@blueprint.get("")
@door.needs(MESSAGES_VIEW)
def index() -> ResponseReturnValue:
    """Candidates are found through their cases."""
    return redirect(url_for("cases.index"), HTTPStatus.SEE_OTHER)


@blueprint.get("/<ref>")
@door.needs(MESSAGES_VIEW)
def show(ref: str) -> ResponseReturnValue:
    """Newest first, with the composer above."""
    after = request.args.get("after")
    if after is not None and not _ID.fullmatch(after):
        abort(HTTPStatus.BAD_REQUEST)
    only = request.args.get("only") == "case"
    with sessions.services().database.read() as view:
        seen = common.meet(view, ref)
        found = candidate_pages.correspondence(view, seen, only, after)
        form = None if after is not None else _composer(view, ref, common.address("show", seen))
        shown = common.page(view, "show", seen, "show", found=found, composer=form, only=only, after=after)
    return shown()


def _composer(view: View, ref: str, back: str) -> composer.Form | None:
    """The form for writing; None for who reads here by another right than the team's."""
    try:
        now = sessions.services().clock.now_ms()
        return composer.form_for(view, door.viewer(), ref, common.case_ref(), now, back=back)
    except Refused:
        return None


@blueprint.post("/<ref>/read")
@door.needs(MESSAGES_VIEW)
def read(ref: str) -> ResponseReturnValue:
    """All that came in has been read; it is read in the inbox as well (S23)."""
    services = sessions.services()
    now = services.clock.now_ms()

    def step(tx: Transaction) -> tuple[int, str]:
        seen = common.meet(tx, ref)
        return candidate_pages.mark_read(tx, seen, now), common.address("show", seen)

    count, back = services.database.transact(step)
    door.notice(ngettext("One conversation is marked as read.", "%(count)s conversations are marked as read.", count))
    return redirect(back, HTTPStatus.SEE_OTHER)
