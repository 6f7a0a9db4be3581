"""Templates in the organisation tree, the linter, the kind × channel matrix, and the phrases of a rejection."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from flask import Response, g
from pydantic import Field

from gateway.flows import kinds, looks
from gateway.flows import templates as flow
from gateway.flows.facts import path_of
from gateway.flows.rights import Acting, find_unit
from gateway.flows.templates import Draft
from gateway.rules.kinds import CHANNELS, KINDS, Cell, required_fields
from gateway.rules.permissions import TEMPLATES_VIEW
from gateway.rules.templates import OURS, TYPES, Lint, label
from gateway.store import lists_templates
from gateway.store.database import Row, Transaction, View
from modem.segments import Analysis
from web.answers import answer, nothing
from web.api.acting import As, By, User, who
from web.api.messages import moment, rfc3339
from web.api.organisations import ByUnit
from web.api.resource import Resource
from web.guards import Call
from web.idempotency import Done, once
from web.inputs import Input, Limit, Line, Query, Ref, Words

templates = Resource("templates", "Templates and kinds")


def _one_of(values: Any) -> Any:
    return Field(json_schema_extra={"enum": list(values)})


Segments = Annotated[int, Field(ge=1, le=flow.MOST_SEGMENTS)]


class MergeField(Input):
    """A merge field of the template's own: its value comes with each message."""

    name: Ref
    type: Annotated[Ref, _one_of(TYPES)] = "text"
    sample: Line


class NewTemplate(By):
    """A template of this unit."""

    name: Line
    kind: Annotated[Ref, _one_of(KINDS)]
    channel: Annotated[Ref, _one_of(CHANNELS)] = "sms"
    language: Ref | None = None
    body: Words
    max_segments: Segments = 4
    fields: Annotated[list[MergeField], Field(max_length=40, default_factory=list)]
    confirm_not_rejection: bool = False


class TemplateChange(By):
    """What is to change; a field left out stays. With `version`, only if nobody has changed it since."""

    version: Annotated[int | None, Field(ge=1)] = None
    name: Line | None = None
    kind: Annotated[Ref | None, _one_of(KINDS)] = None
    channel: Annotated[Ref | None, _one_of(CHANNELS)] = None
    language: Ref | None = None
    body: Words | None = None
    max_segments: Segments | None = None
    fields: Annotated[list[MergeField] | None, Field(max_length=40)] = None
    confirm_not_rejection: bool = False


class Draughted(Input):
    """A template that nobody has saved."""

    kind: Annotated[Ref, _one_of(KINDS)] = "contact"
    channel: Annotated[Ref, _one_of(CHANNELS)] = "sms"
    body: Words
    max_segments: Segments = 4
    fields: Annotated[list[MergeField], Field(max_length=40, default_factory=list)]


class Look(By):
    """With what to fill it: a candidate and case of yours, data, or nothing for samples."""

    data: dict[str, Any] | None = None
    candidate_ref: Ref | None = None
    case_ref: Ref | None = None
    transliterate: bool = False


class ByTemplate(ByUnit):
    """A template that this unit has or inherits."""

    template_id: Ref


class Wanted(Query):
    """Which templates; `after` is the id of the last one of the page before."""

    user: User = None
    channel: Ref | None = None
    kind: Ref | None = None
    language: Ref | None = None
    name: Line | None = None
    own: Annotated[bool, Field(description="Only the unit's own, without what it inherits.")] = False
    after: Ref | None = None
    limit: Limit = 50


class Rule(By):
    """One cell of the kind × channel matrix."""

    kind: Annotated[Ref, _one_of(KINDS)]
    channel: Annotated[Ref, _one_of(CHANNELS)]
    allowed: bool


class ByLanguage(ByUnit):
    """A language's phrases."""

    language: Ref


class Phrases(By):
    """The phrases of a rejection in this language; null brings the shipped ones back."""

    phrases: Annotated[list[Line] | None, Field(max_length=kinds.MOST_PHRASES)]


def _place(view: View, call: Call, asked: str, user: str | None) -> tuple[Row, Acting]:
    """The unit, and who acts there. Raises Refused without the right to see templates."""
    unit, by = find_unit(view, call.organisation_id, asked), who(view, call, user)
    by.require(view, TEMPLATES_VIEW, unit["id"])
    return unit, by


@templates.ask("/organisations/<id>/templates", scope="templates:read")
def find(call: Call, path: ByUnit, query: Wanted) -> Response:
    """What a unit can use: its own templates and those of the units above that it does not override (`inherited_from`)."""
    filters = query.model_dump(include={"channel", "kind", "language", "name"})
    with call.database.read() as view:
        unit, _ = _place(view, call, path.id, query.user)
        rows = lists_templates.effective(view, path_of(view, call.organisation_id, unit["id"]), filters)
    if query.own:
        rows = [row for row in rows if row["unit_id"] == unit["id"]]
    ids = [row["id"] for row in rows]
    start = ids.index(query.after) + 1 if query.after in ids else 0
    page = rows[start : start + query.limit]
    more = start + query.limit < len(rows)
    return answer(200, {"data": [shown_template(row, unit) for row in page], "next": page[-1]["id"] if more else None})


@templates.act("POST", "/organisations/<id>/templates", scope="templates:write")
def create(call: Call, path: ByUnit, body: NewTemplate) -> Response:
    """Save a new template; the answer holds what the linter says."""

    def act(tx: Transaction) -> Done:
        unit, by = find_unit(tx, call.organisation_id, path.id), who(tx, call, body.user)
        row = flow.create(tx, by, unit, _draft(body), call.now)
        return Done(201, {**shown_template(row, unit), "lint": _lint(tx, call, row)})

    return once(call, g.body, act)


@templates.act("POST", "/organisations/<id>/templates/lint", scope="templates:read", audits=False)
def lint(call: Call, path: ByUnit, body: Draughted) -> Response:
    """What the linter says of a text before it is saved; a text that could not be saved is refused as a save would be."""
    declared = [field.model_dump() for field in body.fields]
    with call.database.read() as view:
        find_unit(view, call.organisation_id, path.id)
        seen = flow.inspect(view, call.organisation_id, body.body, body.kind, body.channel, body.max_segments, declared)
    return answer(200, shown_lint(seen, body.max_segments))


@templates.ask("/organisations/<id>/templates/<template_id>", scope="templates:read")
def show(call: Call, path: ByTemplate, query: As) -> Response:
    """One template, with what the linter says."""
    with call.database.read() as view:
        unit, _ = _place(view, call, path.id, query.user)
        row = flow.find(view, call.organisation_id, unit["id"], path.template_id)
        return answer(200, {**shown_template(row, unit), "lint": _lint(view, call, row)})


@templates.act("PATCH", "/organisations/<id>/templates/<template_id>", scope="templates:write")
def change(call: Call, path: ByTemplate, body: TemplateChange) -> Response:
    """Change a unit's own template: what is sent gets a new version, the versions before stay as they were."""

    def act(tx: Transaction) -> dict[str, Any]:
        unit, by = find_unit(tx, call.organisation_id, path.id), who(tx, call, body.user)
        row = flow.change(tx, by, unit, path.template_id, _draft(body), body.version, call.now)
        return {**shown_template(row, unit), "lint": _lint(tx, call, row)}

    return answer(200, call.database.transact(act))


@templates.act("DELETE", "/organisations/<id>/templates/<template_id>", scope="templates:write")
def archive(call: Call, path: ByTemplate, query: As) -> Response:
    """Take a template out of use."""

    def act(tx: Transaction) -> None:
        unit = find_unit(tx, call.organisation_id, path.id)
        flow.archive(tx, who(tx, call, query.user), unit, path.template_id, call.now)

    call.database.transact(act)
    return nothing()


@templates.ask("/organisations/<id>/templates/<template_id>/versions", scope="templates:read")
def versions(call: Call, path: ByTemplate, query: As) -> Response:
    """Every version there was, newest first; `used_at` says when one was first sent."""
    with call.database.read() as view:
        unit, _ = _place(view, call, path.id, query.user)
        row = flow.find(view, call.organisation_id, unit["id"], path.template_id)
        rows = lists_templates.versions(view, row["id"])
    return answer(200, {"data": [_shown_version(each) for each in rows], "next": None})


@templates.act("POST", "/organisations/<id>/templates/<template_id>/preview", scope="templates:read", audits=False)
def preview(call: Call, path: ByTemplate, body: Look) -> Response:
    """The text as it would be sent, its parts and price: by the same parts that a message is sent and charged in."""
    with call.database.read() as view:
        unit, by = _place(view, call, path.id, body.user)
        row = flow.find(view, call.organisation_id, unit["id"], path.template_id)
        seen = looks.look(view, by, row, body.data, body.candidate_ref, body.case_ref, transliterated=body.transliterate)
    return answer(
        200,
        {
            "template_id": row["id"],
            "version": row["version"],
            "text": seen.text,
            **shown_size(seen.size),
            "max_segments": row["max_parts"],
            "credits": seen.credits,
            "too_long": seen.size.parts > row["max_parts"],
            "transliterated": shown_plainer(seen),
        },
    )


@templates.ask("/merge-fields", scope="templates:read")
def merge_fields(call: Call) -> Response:
    """The fields that the box fills by itself, with type and sample, and which kinds need which."""
    fields = [{"name": field.name, "type": field.type, "sample": field.sample, "longest": field.worst} for field in OURS]
    return answer(200, {"fields": fields, "required": {kind: list(required_fields(kind)) for kind in KINDS}})


@templates.ask("/organisations/<id>/kinds", scope="templates:read")
def matrix(call: Call, path: ByUnit) -> Response:
    """Which kind may go by which channel; `locked` cells nobody opens."""
    with call.database.read() as view:
        find_unit(view, call.organisation_id, path.id)
        return answer(200, {"data": [_shown_cell(cell) for cell in kinds.kinds_of(view, call.organisation_id)], "next": None})


@templates.act("PUT", "/organisations/<id>/kinds", scope="templates:write")
def set_kind(call: Call, path: ByUnit, body: Rule) -> Response:
    """Open or close one cell. A rejection stays locked off for SMS and WhatsApp."""

    def act(tx: Transaction) -> dict[str, Any]:
        find_unit(tx, call.organisation_id, path.id)
        kinds.set_kind(tx, who(tx, call, body.user), body.kind, body.channel, body.allowed, call.now)
        return {"data": [_shown_cell(cell) for cell in kinds.kinds_of(tx, call.organisation_id)], "next": None}

    return answer(200, call.database.transact(act))


@templates.ask("/organisations/<id>/rejection-phrases", scope="templates:read")
def phrases(call: Call, path: ByUnit) -> Response:
    """By which words a rejection is recognised under another kind, by language."""
    with call.database.read() as view:
        find_unit(view, call.organisation_id, path.id)
        return answer(200, kinds.phrases_of(view, call.organisation_id))


@templates.act("PUT", "/organisations/<id>/rejection-phrases/<language>", scope="templates:write")
def set_phrases(call: Call, path: ByLanguage, body: Phrases) -> Response:
    """Replace a language's phrases, or bring the shipped ones back."""

    def act(tx: Transaction) -> dict[str, Any]:
        find_unit(tx, call.organisation_id, path.id)
        kinds.set_phrases(tx, who(tx, call, body.user), path.language, body.phrases, call.now)
        return kinds.phrases_of(tx, call.organisation_id)

    return answer(200, call.database.transact(act))


# --- how they look ---------------------------------------------------------------------------------------------------


def _draft(body: NewTemplate | TemplateChange) -> Draft:
    values = body.model_dump(exclude={"user", "version"})
    return Draft(**values)


def shown_template(row: Mapping[str, Any], unit: Row) -> dict[str, Any]:
    """A template as a unit sees it."""
    return {
        "id": row["id"],
        "name": row["name"],
        "label": label(row["name"], row["channel"]),
        "kind": row["kind"],
        "channel": row["channel"],
        "language": row["language"],
        "body": row["body"],
        "fields": json.loads(row["fields"]),
        "max_segments": row["max_parts"],
        "version": row["version"],
        "unit": row["unit"],
        "inherited_from": None if row["unit_id"] == unit["id"] else row["unit"],
        "updated_at": rfc3339(row["updated_at"]),
        "archived_at": moment(row["archived_at"]),
    }


def _shown_version(row: Row) -> dict[str, Any]:
    return {
        "version": row["version"],
        "kind": row["kind"],
        "body": row["body"],
        "fields": json.loads(row["fields"]),
        "max_segments": row["max_parts"],
        "created_at": rfc3339(row["created_at"]),
        "used_at": moment(row["used_at"]),
    }


def _lint(view: View, call: Call, row: Row) -> dict[str, Any]:
    fields = json.loads(row["fields"])
    seen = flow.inspect(view, call.organisation_id, row["body"], row["kind"], row["channel"], row["max_parts"], fields)
    return shown_lint(seen, row["max_parts"])


def shown_lint(seen: Lint, most: int) -> dict[str, Any]:
    """What the linter says."""
    return {
        "sample": {"text": seen.sample, **shown_size(seen.ordinary)},
        "longest": shown_size(seen.longest),
        "max_segments": most,
        "findings": [
            {
                "code": finding.code,
                "detail": finding.detail,
                "position": finding.position,
                "character": finding.character,
                "replacement": finding.replacement,
            }
            for finding in seen.findings
        ],
    }


def shown_size(size: Analysis) -> dict[str, Any]:
    """Encoding and segments of a text."""
    return {"encoding": size.alphabet, "segments": size.parts, "units": size.units, "room": size.room}


def shown_plainer(seen: Any) -> dict[str, Any] | None:
    """The text in letters of GSM-7, and what it would cost; null where it is in them already."""
    if seen.plainer is None:
        return None
    return {"text": seen.plainer, **shown_size(seen.plainer_size), "credits": seen.plainer_credits}


def _shown_cell(cell: Cell) -> dict[str, Any]:
    return {"kind": cell.kind, "channel": cell.channel, "allowed": cell.allowed, "locked": cell.locked}
