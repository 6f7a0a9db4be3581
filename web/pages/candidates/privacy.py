"""The tab Data protection, for who may erase: export and erasure, which a candidate may ask for, and the legal hold."""

from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import Response, abort, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import DateField, HiddenField, StringField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import erase as erasing
from gateway.flows import export as exporting
from gateway.flows.case_desk import Seen
from gateway.flows.rights import acting
from gateway.rules.permissions import ERASE
from gateway.store import lists_candidates
from gateway.store.database import Transaction
from web import sessions
from web.pages import door, refusals
from web.pages.candidates import common, words
from web.pages.candidates.common import blueprint
from web.pages.forms import PageForm
from web.pages.language import N_, _
from web.pages.words import zone_of


class EraseForm(PageForm):
    """Why, since when, and the reference typed once more, so that nobody erases the wrong person."""

    case = HiddenField()
    requested_on = DateField(N_("The candidate asked on"), [InputRequired(N_("Enter the day on which the candidate asked."))])
    reason = StringField(N_("Reason"), [InputRequired(N_("Say why.")), Length(max=300)])
    again = StringField(
        N_("The candidate's reference, to be sure"),
        [InputRequired(N_("Type the candidate's reference."))],
        render_kw={"autocomplete": "off"},
    )


class HoldForm(PageForm):
    """Why a candidate's data must be kept, or no longer."""

    case = HiddenField()
    reason = StringField(N_("Reason"), [InputRequired(N_("Say why.")), Length(max=300)])


@blueprint.get("/<ref>/privacy")
@door.needs(ERASE)
def privacy(ref: str) -> ResponseReturnValue:
    """What may be done with the candidate's data."""
    return _page(ref)


def _page(ref: str, erase: EraseForm | None = None, hold: HoldForm | None = None, error: str | None = None) -> str:
    with sessions.services().database.read() as view:
        seen = common.meet(view, ref)
        forms: dict[str, Any] = {"erase": erase or EraseForm(formdata=None), "hold": hold or HoldForm(formdata=None)}
        held = lists_candidates.hold_of(view, seen.candidate["id"]) if seen.candidate["legal_hold"] else None
        shown = common.page(view, "privacy", seen, "privacy", forms=forms, error=error, opened=erase is not None, held=held)
    return shown()


def _met(tx: Transaction, ref: str) -> Seen:
    """The candidate, for who may erase at the organisation itself."""
    viewer = door.viewer()
    acting(tx, viewer.organisation_id, viewer.actor, viewer.user_id).require(tx, ERASE)
    return common.meet(tx, ref)


@blueprint.post("/<ref>/privacy/erase")
@door.needs(ERASE)
def erase(ref: str) -> ResponseReturnValue:
    """Erase the candidate; at once, or once nothing of theirs is on the air."""
    form = EraseForm()
    right = form.validate()
    if right and form.again.data.strip() != ref:
        form.again.errors = [_("This is not the candidate's reference.")]
        right = False
    if not right:
        return _page(ref, erase=form), HTTPStatus.UNPROCESSABLE_ENTITY
    services, viewer = sessions.services(), door.viewer()
    now, day = services.clock.now_ms(), form.requested_on.data
    asked_at = round(datetime(day.year, day.month, day.day, tzinfo=zone_of(viewer.zone)).timestamp() * 1000)

    def step(tx: Transaction) -> erasing.Erasure:
        _met(tx, ref)
        return erasing.erase(tx, viewer.organisation_id, ref, form.reason.data, asked_at, viewer.actor, now)

    try:
        done = services.database.transact(step)
    except Refused as refused:
        if refused.status == HTTPStatus.FORBIDDEN:
            raise
        error = refusals.put(form, refused, words.REFUSALS, {"requested_at": "requested_on"})
        return _page(ref, erase=form, error=error), refused.status
    if done.state == "done":
        services.database.truncate_log()
    return redirect(url_for("candidates.erasure", erasure_id=done.id), HTTPStatus.SEE_OTHER)


@blueprint.get("/-/erasures/<erasure_id>")
@door.needs(ERASE)
def erasure(erasure_id: str) -> ResponseReturnValue:
    """How far an erasure is; it refreshes itself while it waits."""
    with sessions.services().database.read() as view:
        row = lists_candidates.erasure(view, door.viewer().organisation_id, erasure_id)
    if row is None:
        abort(HTTPStatus.NOT_FOUND)
    return render_template("candidates/erasure.html", erasure=row)


@blueprint.get("/-/erasures/<erasure_id>/live")
@door.needs(ERASE, fragment=True)
def erasure_live(erasure_id: str) -> ResponseReturnValue:
    """Its state alone, for live.js."""
    with sessions.services().database.read() as view:
        row = lists_candidates.erasure(view, door.viewer().organisation_id, erasure_id)
    if row is None:
        abort(HTTPStatus.NOT_FOUND)
    response = Response(render_template("candidates/_erasure.html", erasure=row), content_type="text/html; charset=utf-8")
    response.set_etag(row["state"])
    return response.make_conditional(request)


@blueprint.post("/<ref>/privacy/hold")
@door.needs(ERASE)
def hold(ref: str) -> ResponseReturnValue:
    """Set or lift the legal hold."""
    form = HoldForm()
    if not form.validate():
        return _page(ref, hold=form), HTTPStatus.UNPROCESSABLE_ENTITY
    services, viewer = sessions.services(), door.viewer()
    on, now = request.form.get("on") == "yes", services.clock.now_ms()

    def step(tx: Transaction) -> str:
        seen = _met(tx, ref)
        erasing.set_hold(tx, viewer.organisation_id, ref, on, form.reason.data, viewer.actor, now)
        return common.address("privacy", seen)

    back = services.database.transact(step)
    door.notice(_("The legal hold is set.") if on else _("The legal hold is lifted."))
    return redirect(back, HTTPStatus.SEE_OTHER)


@blueprint.post("/<ref>/privacy/export")
@door.needs(ERASE)
def export(ref: str) -> ResponseReturnValue:
    """Everything that is the candidate's, as one archive; both steps, the wish and the download, are logged."""
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()

    def step(tx: Transaction) -> str:
        _met(tx, ref)
        token, _expires_at = exporting.make_link(tx, viewer.organisation_id, ref, viewer.actor, now)
        tx.flush()
        return exporting.take(tx, token, now)

    candidate_id = services.database.transact(step)
    with services.database.read() as view:
        octets = exporting.archive(view, candidate_id, now)
    response = make_response(octets)
    response.headers["Content-Type"] = "application/zip"
    response.headers["Content-Disposition"] = 'attachment; filename="export.zip"'
    return response
