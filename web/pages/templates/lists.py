"""The list of templates, one template with its versions, and what is done with a whole one: archive, copy down."""

import json
import re
from http import HTTPStatus

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.errors import Refused
from gateway.flows import looks, template_desk
from gateway.flows import templates as flow
from gateway.flows.facts import path_of
from gateway.flows.rights import Acting, find_unit
from gateway.rules.kinds import CHANNELS, KINDS
from gateway.rules.permissions import MESSAGES_VIEW_ALL, TEMPLATES_EDIT, TEMPLATES_VIEW
from gateway.rules.templates import label
from gateway.store import lists_template_pages, lists_templates
from gateway.store.database import Row, Transaction, View
from web import sessions
from web.pages import door
from web.pages.language import N_, _
from web.pages.templates import desk, words
from web.pages.templates.desk import blueprint, who

PAGE = 50
_LINE = re.compile(r"[\x00-\x1f\x7f]")


@blueprint.get("")
@door.needs(TEMPLATES_VIEW)
def index() -> ResponseReturnValue:
    """What a unit can use: its own and what it inherits, filtered."""
    chosen = {name: request.args.get(name) or None for name in ("channel", "kind", "language")}
    search, after = request.args.get("q", "").strip(), request.args.get("after")
    wrong = chosen["channel"] not in (None, *CHANNELS) or chosen["kind"] not in (None, *KINDS)
    if wrong or _LINE.search(search) or len(search) > 100:
        abort(HTTPStatus.BAD_REQUEST)
    with sessions.services().database.read() as view:
        by = who(view)
        units, unit = _units(view, by, request.args.get("unit"))
        path = path_of(view, by.organisation_id, unit["id"])
        every = lists_templates.effective(view, path)
        rows = lists_templates.effective(view, path, chosen)
        may_edit = TEMPLATES_EDIT in (by.rights(view, unit["id"]) or ())
    if search:
        rows = [row for row in rows if search.casefold() in f"{label(row['name'], row['channel'])} {row['body']}".casefold()]
    ids = [row["id"] for row in rows]
    start = ids.index(after) + 1 if after in ids else 0
    page = rows[start : start + PAGE]
    kept = {"unit": unit["ref"], "kind": chosen["kind"], "language": chosen["language"], "q": search or None}
    every_channel = {"": (_("All channels"), url_for("templates.index", **kept))}
    return render_template(
        "templates/index.html",
        kept=kept,
        chips_of=every_channel
        | {name: (_(word), url_for("templates.index", channel=name, **kept)) for name, word in words.CHANNELS.items()},
        rows=[{**dict(row), "label": label(row["name"], row["channel"])} for row in page],
        older=page[-1]["id"] if len(rows) > start + PAGE else None,
        units=units,
        unit=unit,
        chosen=chosen,
        search=search,
        after=after,
        may_edit=may_edit,
        has_any=bool(every),
        channels=words.CHANNELS,
        kinds={kind: words.KINDS.get(kind, kind) for kind in KINDS},
        languages_used=sorted({row["language"] for row in every}),
    )


@blueprint.get("/<template_id>")
@door.needs(TEMPLATES_VIEW)
def show(template_id: str) -> ResponseReturnValue:
    """One template: its text, what the linter says, tried on a candidate, its versions, and where else it is overridden."""
    viewer = door.viewer()
    with sessions.services().database.read() as view:
        by = who(view)
        row, unit = desk.found(view, by, template_id)
        everybody = viewer.may(MESSAGES_VIEW_ALL)
        samples = lists_template_pages.samples(view, by.organisation_id, None if everybody else viewer.user_id)
        sample = next((each for each in samples if each.id == request.args.get("sample")), None)
        if request.args.get("sample") and sample is None:
            abort(HTTPStatus.NOT_FOUND)
        seen = looks.look(
            view,
            by,
            row,
            None,
            None if sample is None else sample.candidate_ref,
            None if sample is None else sample.case_ref,
            transliterated=False,
        )
        own = unit["id"] == row["unit_id"]
        editable = template_desk.units(view, by, TEMPLATES_EDIT)
        below = [each for each in editable if row["unit_id"] in path_of(view, by.organisation_id, each.row["id"])[1:]]
        overrides = lists_template_pages.overridden_by(view, by.organisation_id, row)
        taken = {each["id"] for each in overrides}
        return render_template(
            "templates/show.html",
            template=row,
            label=label(row["name"], row["channel"]),
            unit=unit,
            home=find_unit(view, by.organisation_id, row["unit_id"]),
            own=own,
            may_edit=row["archived_at"] is None and row["unit_id"] in {each.row["id"] for each in editable},
            copies=[each for each in below if each.row["id"] not in taken],
            overrides=overrides,
            samples=samples,
            sample=sample,
            seen=seen,
            checked=_checked(view, row),
            versions=lists_templates.versions(view, row["id"]),
            authors=lists_template_pages.authors(view, row["id"]),
            fields=json.loads(row["fields"]),
            **desk.word_tables(),
        )


@blueprint.get("/<template_id>/versions/<int:number>")
@door.needs(TEMPLATES_VIEW)
def version(template_id: str, number: int) -> ResponseReturnValue:
    """One version, and how its text differs from the one before (or the present one from another: `against`)."""
    with sessions.services().database.read() as view:
        row, unit = desk.found(view, who(view), template_id)
        versions = {each["version"]: each for each in lists_templates.versions(view, row["id"])}
        authors = lists_template_pages.authors(view, row["id"])
    against = request.args.get("against", "")
    other = int(against) if against.isascii() and against.isdigit() and len(against) < 9 else _before(versions, number)
    if number not in versions or (against and other not in versions):
        abort(HTTPStatus.NOT_FOUND)
    before = versions.get(other or 0)
    return render_template(
        "templates/version.html",
        template=row,
        label=label(row["name"], row["channel"]),
        unit=unit,
        version=versions[number],
        before=before,
        others=[each for each in versions if each != number],
        pieces=[] if before is None else template_desk.difference(before["body"], versions[number]["body"]),
        authors=authors,
        **desk.word_tables(),
    )


def _before(versions: dict[int, Row], number: int) -> int | None:
    return next((each for each in versions if each < number), None)


@blueprint.post("/<template_id>/archive")
@door.needs(TEMPLATES_VIEW)
def archive(template_id: str) -> ResponseReturnValue:
    """Take a template out of use."""
    services = sessions.services()
    now = services.clock.now_ms()

    def step(tx: Transaction) -> Row:
        _row, unit = desk.own(tx, template_id)
        flow.archive(tx, who(tx), unit, template_id, now)
        return unit

    unit = services.database.transact(step)
    door.notice(N_("The template is archived. Messages that were sent with it keep their text."))
    return redirect(url_for("templates.index", unit=unit["ref"]), HTTPStatus.SEE_OTHER)


@blueprint.post("/<template_id>/copy")
@door.needs(TEMPLATES_VIEW)
def copy(template_id: str) -> ResponseReturnValue:
    """Give a unit further down its own, to begin with the same."""
    services = sessions.services()
    now, asked = services.clock.now_ms(), request.form.get("to", "")

    def step(tx: Transaction) -> tuple[Row, Row]:
        by = who(tx)
        target = find_unit(tx, by.organisation_id, asked)
        row = flow.find(tx, by.organisation_id, target["id"], template_id)
        return template_desk.copy_to(tx, by, row, target, json.loads(row["fields"]), now), target

    made, target = services.database.transact(step)
    door.notice(_("%(unit)s has its own template now. Change it here; the one above stays as it is.", unit=target["name"]))
    return redirect(url_for("templates.edit", template_id=made["id"]), HTTPStatus.SEE_OTHER)


def _units(view: View, by: Acting, asked: str | None) -> tuple[list[template_desk.Unit], Row]:
    """The units to look at, and the chosen one: as asked, else the viewer's own, else the first."""
    units = template_desk.units(view, by)
    own = None if by.user is None else by.user["unit_id"]
    for each in units:
        if asked in (each.row["ref"], each.row["id"]) or (not asked and each.row["id"] == own):
            return units, each.row
    if asked or not units:
        abort(HTTPStatus.NOT_FOUND)
    return units, units[0].row


def _checked(view: View, row: Row) -> template_desk.Checked | None:
    """The remarks on a stored template; None where it could not be saved as it is any more."""
    try:
        return template_desk.check(
            view,
            door.viewer().organisation_id,
            row["body"],
            row["kind"],
            row["channel"],
            row["max_parts"],
            json.loads(row["fields"]),
        )
    except Refused:
        return None
