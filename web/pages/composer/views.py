"""The composer's endpoints: a page of its own, the preview while one types, and sending exactly once."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.errors import Refused
from gateway.flows import writing
from gateway.flows.writing import Sent
from gateway.rules.permissions import MESSAGES_VIEW
from gateway.store.database import Transaction, View
from web import sessions
from web.pages import door
from web.pages.composer import told
from web.pages.composer.form import ONCE, Form, form_for, look, read_form, submission, with_trouble

blueprint = door.pages("composer", __name__, "/admin/compose")
blueprint.add_app_template_global(lambda code: told.CHANNELS.get(code, code), "channel_word")
blueprint.add_app_template_global(lambda code: told.KINDS.get(code, code), "written_kind")
blueprint.add_app_template_global(lambda code: told.CLOSED.get(code, (code.replace("_", " ").capitalize(), "")), "closed_word")


@blueprint.get("")
@door.needs(MESSAGES_VIEW)
def show() -> ResponseReturnValue:
    """The composer as a page of its own: `?candidate=&case=` (or `&pool=`) `&template=&back=`."""
    asked = {name: request.args.get(name, "") for name in ("back", "template_id", "text", "kind")}
    names = {"candidate_ref": "candidate", "case_ref": "case", "pool_ref": "pool"}
    asked |= {ours: request.args.get(theirs, "") for ours, theirs in names.items()}
    with sessions.services().database.read() as view:
        form = look(view, door.viewer(), _form(view, asked), sessions.services().clock.now_ms())
    return render_template("composer/show.html", composer=form)


@blueprint.post("/preview")
@door.needs(MESSAGES_VIEW)
def preview() -> ResponseReturnValue:
    """Show what the message would become; a button `swap` first exchanges a costly character. Nothing is sent."""
    sent = _swapped(request.form)
    with sessions.services().database.read() as view:
        form = look(view, door.viewer(), _form(view, sent), sessions.services().clock.now_ms())
    return render_template("composer/show.html", composer=form)


@blueprint.post("/live")
@door.needs(MESSAGES_VIEW, fragment=True)
def live() -> ResponseReturnValue:
    """The same as a fragment, for composer.js."""
    with sessions.services().database.read() as view:
        form = look(view, door.viewer(), _form(view, request.form), sessions.services().clock.now_ms())
    return render_template("composer/_live.html", composer=form)


@blueprint.post("/send")
@door.needs(MESSAGES_VIEW)
def send() -> ResponseReturnValue:
    """Send it, once however often the form arrives, and go back; or show the form again with what stands against it."""
    viewer, services = door.viewer(), sessions.services()
    once, now = request.form.get("once", ""), services.clock.now_ms()
    if not ONCE.fullmatch(once):
        abort(HTTPStatus.BAD_REQUEST)
    with services.database.read() as view:
        form = _form(view, request.form)
    try:
        wanted = submission(form, viewer, now)

        def step(tx: Transaction) -> Sent | Refused:
            return writing.send_once(tx, wanted, once, now)

        done = services.database.transact(step)
    except Refused as refused:
        done = refused
    if isinstance(done, Refused):
        return _refused(form, done, now)
    door.notice(*told.became(done))
    back = form.back or (url_for("inbox.show", thread_id=done.thread_id) if done.thread_id else url_for("inbox.index"))
    return redirect(back, HTTPStatus.SEE_OTHER)


def _refused(form: Form, refused: Refused, now: int) -> ResponseReturnValue:
    viewer = door.viewer()
    with sessions.services().database.read() as view:
        shown = with_trouble(view, viewer, look(view, viewer, replace(form, trouble=None), now), refused)
    return render_template("composer/show.html", composer=shown), HTTPStatus.UNPROCESSABLE_ENTITY


def _form(view: View, sent: Mapping[str, str]) -> Form:
    candidate_ref = sent.get("candidate_ref", "")
    if not candidate_ref or any("\0" in value for value in sent.values()):
        abort(HTTPStatus.BAD_REQUEST)
    return form_for(
        view,
        door.viewer(),
        candidate_ref,
        sent.get("case_ref") or None,
        sessions.services().clock.now_ms(),
        pool_ref=sent.get("pool_ref") or None,
        back=sent.get("back", ""),
        asked=read_form(sent),
    )


def _swapped(sent: Mapping[str, str]) -> Mapping[str, str]:
    """The form after a press on "write … instead"."""
    swap = sent.get("swap")
    if swap is None:
        return sent
    return {**sent, "text": writing.plainer(sent.get("text", ""), None if swap == "*" else swap)}
