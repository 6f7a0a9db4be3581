"""Cases: the list, and one case with its hiring team and everybody one has been in touch with in it."""

import re
from http import HTTPStatus
from typing import Any

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.flows import case_pages
from gateway.rules.permissions import MESSAGES_VIEW
from web import sessions
from web.pages import door
from web.pages.candidates import common, words
from web.pages.language import _

blueprint = door.pages("cases", __name__, "/admin/cases")

_ID = re.compile(r"case_[0-9a-z]{1,32}")
_PLACE = re.compile(r"(\d{1,15})-(cand_[0-9a-z_]{1,40})")
_LONGEST_SEARCH = 100


@blueprint.get("")
@door.needs(MESSAGES_VIEW)
def index() -> ResponseReturnValue:
    """The cases one sees: one's own, or all; open, or closed; by a few letters of title or reference."""
    viewer = door.viewer()
    show, search, after = request.args.get("show", "mine"), request.args.get("search", "").strip(), request.args.get("after")
    wrong = show not in case_pages.SHARES or len(search) > _LONGEST_SEARCH or (after is not None and not _ID.fullmatch(after))
    if wrong:
        abort(HTTPStatus.BAD_REQUEST)
    with sessions.services().database.read() as view:
        page = case_pages.overview(view, viewer.organisation_id, viewer.user_id, show, search, after)
    return render_template("cases/index.html", page=page, show=show, search=search, after=after)


@blueprint.get("/<ref>")
@door.needs(MESSAGES_VIEW)
def show(ref: str) -> ResponseReturnValue:
    """One case: team, candidates with their consent and last word, and the way to each of them."""
    return _shown(ref)


def _shown(ref: str, **told: Any) -> str:
    viewer, services = door.viewer(), sessions.services()
    place = _PLACE.fullmatch(request.args.get("after", "")) if "after" in request.args else None
    if "after" in request.args and place is None:
        abort(HTTPStatus.BAD_REQUEST)
    key = None if place is None else (int(place[1]), place[2])
    with services.database.read() as view:
        page = case_pages.case_page(view, viewer.organisation_id, viewer.user_id, ref, key, services.clock.now_ms())
    if page is None:
        abort(HTTPStatus.NOT_FOUND)
    return render_template("cases/show.html", page=page, place=place, words=words, **told)


@blueprint.get("/<ref>/contact")
@door.needs(MESSAGES_VIEW)
def contact(ref: str) -> ResponseReturnValue:
    """Find somebody by the reference in the ATS, or by the number: their page, to write to them in this case."""
    viewer, services = door.viewer(), sessions.services()
    asked = request.args.get("who", "").strip()
    with services.database.read() as view:
        found = case_pages.find_people(view, viewer.organisation_id, viewer.user_id, ref, asked, common.secrets().phone)
    if found is None:
        abort(HTTPStatus.NOT_FOUND)
    if len(found) == 1:
        return redirect(url_for("candidates.show", ref=found[0]["ref"], case=ref), HTTPStatus.SEE_OTHER)
    error = None if found else _("Nobody has this reference or number. References and numbers come from your tracking system.")
    page = _shown(ref, asked=asked, error=error, found=found)
    return page if found else (page, HTTPStatus.UNPROCESSABLE_ENTITY)
