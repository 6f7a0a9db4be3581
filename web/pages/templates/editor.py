"""The editor: a new template or another version, with the linter's remarks, live or by a button."""

import json
from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.errors import Refused
from gateway.flows import template_desk
from gateway.flows import templates as flow
from gateway.rules.kinds import required_fields
from gateway.rules.permissions import TEMPLATES_VIEW
from gateway.rules.templates import MOST_FIELDS, OURS
from gateway.store.database import Row, Transaction, View
from web import sessions
from web.pages import door, refusals, stale
from web.pages.language import N_
from web.pages.templates import desk, words
from web.pages.templates.desk import blueprint, who
from web.pages.templates.form import LABELS, SPARE_ROWS, TemplateForm, own_fields, values_of


@blueprint.get("/new")
@door.needs(TEMPLATES_VIEW)
def new() -> ResponseReturnValue:
    """An empty form for a template of a unit."""
    with sessions.services().database.read() as view:
        unit = desk.editable(view, request.args.get("unit"))
        form = TemplateForm(
            formdata=None, data={"channel": "sms", "kind": "contact", "language": unit["language"], "max_segments": 4}
        )
        return _editor(view, form, unit, None, "")


@blueprint.post("/new")
@door.needs(TEMPLATES_VIEW)
def create() -> ResponseReturnValue:
    """Save a new template; or only look at it, where a button of the linter was pressed without a script."""
    form, services = TemplateForm(), sessions.services()
    with services.database.read() as view:
        unit = desk.editable(view, request.args.get("unit"))
        if _was_helped(form):
            return _editor(view, form, unit, None, "")
        problem = "" if form.validate() else None
    now = services.clock.now_ms()
    if problem is not None:
        try:
            made = services.database.transact(lambda tx: flow.create(tx, who(tx), unit, form.draft(), now))
        except Refused as refused:
            problem = _put(form, refused)
        else:
            door.notice(N_("The template is saved."))
            return redirect(url_for("templates.show", template_id=made["id"], unit=unit["ref"]), HTTPStatus.SEE_OTHER)
    with services.database.read() as view:
        return _editor(view, form, unit, None, "", problem), HTTPStatus.UNPROCESSABLE_ENTITY


@blueprint.get("/<template_id>/edit")
@door.needs(TEMPLATES_VIEW)
def edit(template_id: str) -> ResponseReturnValue:
    """The editor."""
    with sessions.services().database.read() as view:
        row, unit = desk.own(view, template_id)
        values = values_of(row)
        return _editor(view, TemplateForm(formdata=None, data=values), unit, row, stale.fingerprint(values))


@blueprint.post("/<template_id>/edit")
@door.needs(TEMPLATES_VIEW)
def save(template_id: str) -> ResponseReturnValue:
    """Save a new version; 409 with both where somebody was faster."""
    form, services = TemplateForm(), sessions.services()
    shown, now = request.form.get("shown", ""), services.clock.now_ms()
    with services.database.read() as view:
        row, unit = desk.own(view, template_id)
        if _was_helped(form):
            return _editor(view, form, unit, row, shown)
        problem = "" if form.validate() else None

    def step(tx: Transaction) -> Row:
        stale.check(values_of(desk.own(tx, template_id)[0]), shown)
        return flow.change(tx, who(tx), unit, template_id, form.draft(), None, now)

    if problem is not None:
        try:
            services.database.transact(step)
        except stale.Stale as found:
            here = url_for("templates.save", template_id=template_id)
            wanted = {**form.wanted(), "body": template_desk.plain_lines(form.body.data or "")}
            back, words = url_for("templates.show", template_id=template_id), stale.choices(form)
            return stale.page(found, wanted, LABELS, action=here, back=back, words=words)
        except Refused as refused:
            problem = _put(form, refused)
        else:
            door.notice(N_("The template is saved. What was sent before keeps its version."))
            return redirect(url_for("templates.show", template_id=template_id), HTTPStatus.SEE_OTHER)
    with services.database.read() as view:
        return _editor(view, form, unit, row, shown, problem), HTTPStatus.UNPROCESSABLE_ENTITY


@blueprint.post("/lint")
@door.needs(TEMPLATES_VIEW, fragment=True)
def lint() -> ResponseReturnValue:
    """The linter's remarks on what is being typed: asked for by template-edit.js."""
    form = TemplateForm()
    with sessions.services().database.read() as view:
        return render_template("templates/_lint.html", **_remarks(view, form), **desk.word_tables())


def _was_helped(form: TemplateForm) -> bool:
    """Whether a button of the linter was pressed instead of "Save"; does to the text what it says."""
    text = form.body.data or ""
    position, _colon, replacement = request.form.get("replace", "").partition(":")
    if position.isascii() and position.isdigit() and len(position) < 6:
        form.body.data = template_desk.replaced(text, int(position), replacement[:8])
        return True
    if "plainer" in request.form:
        form.body.data = template_desk.plainer(text)
        return True
    return "check" in request.form


def _put(form: TemplateForm, refused: Refused) -> str:
    fields = {"template_id": "name", "confirm_not_rejection": "body"}
    form.asks_to_confirm = refused.code == "looks_like_rejection"
    return refusals.put(form, refused, words.REFUSALS, fields) or ""


def _editor(view: View, form: TemplateForm, unit: Row, row: Row | None, shown: str, problem: str | None = None) -> str:
    fields = own_fields() if request.method == "POST" else [] if row is None else json.loads(row["fields"])
    spare = [{"name": "", "type": "text", "sample": ""}] * min(SPARE_ROWS, MOST_FIELDS - len(fields))
    return render_template(
        "templates/edit.html",
        form=form,
        unit=unit,
        template=row,
        shown=shown,
        problem=problem,
        rows=[*fields, *spare],
        ours=OURS,
        needed=required_fields(form.kind.data or ""),
        **_remarks(view, form, fields),
        **desk.word_tables(),
    )


def _remarks(view: View, form: TemplateForm, fields: list[Any] | None = None) -> dict[str, Any]:
    """What the linter says of the form as it stands, or why it could not be saved; nothing of an empty text."""
    body = template_desk.plain_lines(form.body.data or "")
    if not body.strip():
        return {"checked": None, "refused": None}
    most = form.max_segments.data or 4
    declared = own_fields() if fields is None else fields
    try:
        checked = template_desk.check(
            view, door.viewer().organisation_id, body, form.kind.data or "contact", form.channel.data or "sms", most, declared
        )
    except Refused as refused:
        return {"checked": None, "refused": refusals.told(refused, words.REFUSALS)}
    return {"checked": checked, "refused": None}
