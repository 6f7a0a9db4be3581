"""What people do with a conversation: read it, keep it unread, give it to somebody, connect it, close it, settle a plea."""

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from flask import Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from gateway.errors import Refused
from gateway.flows import pleas, reading, thread_readers
from gateway.rules.permissions import MESSAGES_VIEW
from gateway.store import lists_threads
from gateway.store.database import Transaction
from web import sessions
from web.pages import door, stale
from web.pages.inbox.blueprint import blueprint
from web.pages.inbox.views import page
from web.pages.language import N_, _

T = TypeVar("T")

WRONG = {
    "assignee_cannot_read": N_("This colleague may not read the conversation. Add them to the hiring team first."),
    "user_not_found": N_("There is no such colleague."),
    "thread_closed": N_("The conversation is closed and stays as it is. A new message opens another."),
    "case_missing": N_("Choose the case that the conversation belongs to."),
    "candidate_missing": N_("Say which candidate wrote this."),
    "candidate_not_found": N_("There is no candidate with this reference."),
    "case_not_found": N_("There is no such case."),
    "number_differs": N_(
        "This candidate has another number. If they wrote from a new one, correct it in the applicant tracking system first."
    ),
    "not_unassigned": N_("The conversation belongs to a case already."),
    "already_done": N_("A colleague has decided this already."),
    "task_not_found": N_("A colleague has decided this already."),
}
"""What can stand against an act, in words."""


@blueprint.post("/<thread_id>/seen")
@door.needs(MESSAGES_VIEW, fragment=True)
def seen(thread_id: str) -> ResponseReturnValue:
    """The reader has seen the conversation up to one message: said by inbox.js."""
    viewer, now = door.viewer(), _now()
    until = request.form.get("until") or None
    _act(lambda tx: thread_readers.mark_read(tx, viewer.organisation_id, thread_id, viewer.user_id, until, now))
    return Response(status=HTTPStatus.NO_CONTENT)


@blueprint.post("/<thread_id>/read")
@door.needs(MESSAGES_VIEW)
def read(thread_id: str) -> ResponseReturnValue:
    """Mark everything as read."""
    viewer, now = door.viewer(), _now()
    _act(lambda tx: thread_readers.mark_read(tx, viewer.organisation_id, thread_id, viewer.user_id, None, now))
    return _back(thread_id)


@blueprint.post("/<thread_id>/unread")
@door.needs(MESSAGES_VIEW)
def unread(thread_id: str) -> ResponseReturnValue:
    """Keep it for later: back to the list, with the conversation marked."""
    viewer, now = door.viewer(), _now()
    if not _act(lambda tx: reading.mark_unread(tx, viewer.organisation_id, thread_id, viewer.user_id, now)):
        door.notice(_("The candidate has not written yet, so there is nothing unread."), "warning")
        return _back(thread_id)
    door.notice(_("The conversation is marked as unread."))
    return redirect(url_for("inbox.index"), HTTPStatus.SEE_OTHER)


@blueprint.post("/<thread_id>/assign")
@door.needs(MESSAGES_VIEW)
def assign(thread_id: str) -> ResponseReturnValue:
    """Give it to a colleague, or to nobody; 409 where somebody was faster."""
    viewer, now = door.viewer(), _now()
    wanted = request.form.get("assignee", "").strip()

    def step(tx: Transaction) -> str:
        found = thread_readers.find_thread(tx, viewer.organisation_id, thread_id)
        thread_readers.reader(tx, viewer.organisation_id, found, viewer.user_id)
        row = lists_threads.thread(tx, viewer.organisation_id, thread_id, viewer.user_id)
        stale.check({"assignee": row["assignee"] or ""}, request.form.get("shown"))
        return thread_readers.assign(tx, viewer.organisation_id, thread_id, viewer.user_id, wanted or None, viewer.actor, now)

    try:
        _act(step)
    except stale.Stale as found:
        action, back = url_for("inbox.assign", thread_id=thread_id), url_for("inbox.show", thread_id=thread_id)
        return stale.page(found, {"assignee": wanted}, {"assignee": N_("Looked after by")}, action=action, back=back)
    except Refused as refused:
        return _refused(thread_id, refused)
    door.notice(_("Saved."))
    return _back(thread_id)


@blueprint.post("/<thread_id>/connect")
@door.needs(MESSAGES_VIEW)
def connect(thread_id: str) -> ResponseReturnValue:
    """Out of the unassigned inbox to a candidate's case."""
    viewer, now, form = door.viewer(), _now(), request.form
    case_ref = form.get("case", "").strip()
    if not case_ref:
        return page(thread_id, trouble=("case_ref", _(WRONG["case_missing"]))), HTTPStatus.UNPROCESSABLE_ENTITY
    candidate_ref = (form.get("other", "").strip() or form.get("candidate", "").strip()) or None
    try:
        joined = _act(
            lambda tx: thread_readers.assign(
                tx,
                viewer.organisation_id,
                thread_id,
                viewer.user_id,
                viewer.user_id,
                viewer.actor,
                now,
                candidate_ref=candidate_ref,
                case_ref=case_ref,
            )
        )
    except Refused as refused:
        return _refused(thread_id, refused)
    door.notice(_("The conversation is connected, and yours to answer."))
    return _back(joined)


@blueprint.post("/<thread_id>/close")
@door.needs(MESSAGES_VIEW)
def close(thread_id: str) -> ResponseReturnValue:
    """Close it for good."""
    viewer, now = door.viewer(), _now()
    try:
        _act(lambda tx: thread_readers.close(tx, viewer.organisation_id, thread_id, viewer.user_id, viewer.actor, now))
    except Refused as refused:
        return _refused(thread_id, refused)
    door.notice(_("The conversation is closed. A new message opens another."))
    return _back(thread_id)


@blueprint.post("/<thread_id>/plea")
@door.needs(MESSAGES_VIEW)
def plea(thread_id: str) -> ResponseReturnValue:
    """Decide whether the candidate's own words meant stop."""
    viewer, now, form = door.viewer(), _now(), request.form
    outcome = form.get("outcome", "")
    if outcome not in pleas.OUTCOMES:
        abort(HTTPStatus.BAD_REQUEST)

    def step(tx: Transaction) -> None:
        found = thread_readers.find_thread(tx, viewer.organisation_id, thread_id)
        thread_readers.reader(tx, viewer.organisation_id, found, viewer.user_id)
        reading.check_plea(tx, found, form.get("task", ""))
        note = form.get("note", "").strip()
        pleas.settle_task(tx, viewer.organisation_id, form.get("task", ""), outcome, note, viewer.actor, now)

    try:
        _act(step)
    except Refused as refused:
        return _refused(thread_id, refused)
    door.notice(_("Noted as an opt-out.") if outcome == "opt_out" else _("The conversation goes on."))
    return _back(thread_id)


def _act(step: Callable[[Transaction], T]) -> T:
    return sessions.services().database.transact(step)


def _now() -> int:
    return sessions.services().clock.now_ms()


def _back(thread_id: str) -> ResponseReturnValue:
    return redirect(url_for("inbox.show", thread_id=thread_id), HTTPStatus.SEE_OTHER)


def _refused(thread_id: str, refused: Refused) -> ResponseReturnValue:
    """Back to the conversation with the reason; what hides the conversation itself becomes its own page."""
    if refused.code not in WRONG:
        raise refused
    return page(thread_id, trouble=(refused.field or "", _(WRONG[refused.code]))), HTTPStatus.UNPROCESSABLE_ENTITY
