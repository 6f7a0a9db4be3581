"""Templates in the organisation tree: write, version, archive, find the nearest, look at them with data (S12–S14).

Every change of what is sent makes a new version; the versions before stay as they were, used or not. A node uses its own
template, else the nearest up the tree.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.errors import Refused
from gateway.flows.facts import path_of, tree
from gateway.flows.kinds import rejection_in
from gateway.flows.rights import Acting
from gateway.rules.kinds import CHANNELS, KINDS, is_locked, not_allowed
from gateway.rules.merge_fields import compile_template
from gateway.rules.permissions import TEMPLATES_EDIT
from gateway.rules.templates import (
    OURS,
    Field,
    Lint,
    check_body,
    check_data,
    fields_from,
    languages_for,
    lint,
    tree_of,
)
from gateway.store import ids, lists_templates
from gateway.store.database import Row, Transaction, View, compact
from gateway.store.setup import check_language
from modem.segments import analyse

MOST_SEGMENTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What somebody wants saved; None leaves a value of an existing template as it is."""

    name: str | None = None
    kind: str | None = None
    channel: str | None = None
    language: str | None = None
    body: str | None = None
    max_segments: int | None = None
    fields: Sequence[Mapping[str, Any]] | None = None
    confirm_not_rejection: bool = False


def not_found() -> Refused:
    """The refusal for an id or name that no template has."""
    return Refused("template_not_found", 404, "No template with this id or name here.", field="template_id")


def find(view: View, organisation_id: str, unit_id: str, template_id: str) -> Row:
    """A template that this node has or inherits. Raises Refused `template_not_found`."""
    row = lists_templates.template(view, organisation_id, template_id)
    if row is None or row["unit_id"] not in path_of(view, organisation_id, unit_id):
        raise not_found()
    return row


def create(tx: Transaction, by: Acting, unit: Row, draft: Draft, now: int) -> Row:
    """A new template of a node; one that was archived under the same name comes back. Raises Refused."""
    by.require(tx, TEMPLATES_EDIT, unit["id"])
    name, channel, language = (draft.name or "").strip(), draft.channel or "sms", draft.language or unit["language"]
    values = _checked(tx, by, name, channel, language, draft, None)
    taken = "SELECT * FROM template WHERE unit_id = ? AND name = ? AND channel = ? AND language = ?"
    found = tx.one(taken, unit["id"], name, channel, language)
    if found is not None and found["archived_at"] is None:
        raise _duplicate(found)
    if found is not None:
        _write(tx, found, {**values, "archived_at": None}, by, now)
        return _again(tx, by, found["id"])
    template_id = ids.new("tpl")
    created = tx.execute(
        "INSERT INTO template (id, unit_id, name, kind, channel, language, body, fields, max_parts, version, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT (unit_id, name, channel, language) DO NOTHING",
        template_id,
        unit["id"],
        name,
        values["kind"],
        channel,
        language,
        values["body"],
        values["fields"],
        values["max_parts"],
        now,
    )
    if not created:  # somebody else was faster
        raise _duplicate(tx.one(taken, unit["id"], name, channel, language))
    keep_version(tx, template_id, by.actor, now)
    data = {"unit": unit["ref"], "kind": values["kind"], "channel": channel, "language": language, **by.told}
    tx.audit(now, by.actor, "template.create", template_id, data)
    return _again(tx, by, template_id)


def change(tx: Transaction, by: Acting, unit: Row, template_id: str, draft: Draft, version: int | None, now: int) -> Row:
    """Change a node's own template. Raises Refused: 403 for another node's, 409 `stale_version` where somebody was faster."""
    found = _own(tx, by, unit, template_id)
    if version is not None and version != found["version"]:
        raise Refused(
            "stale_version",
            409,
            "Somebody has changed this template meanwhile; read it again.",
            field="version",
            facts={"version": found["version"]},
        )
    name = found["name"] if draft.name is None else draft.name.strip()
    language = draft.language or found["language"]
    if draft.channel not in (None, found["channel"]):
        raise Refused("channel_is_fixed", 422, "A template keeps its channel; make another one.", field="channel")
    values = _checked(tx, by, name, found["channel"], language, draft, found)
    taken = tx.one(
        "SELECT * FROM template WHERE unit_id = ? AND name = ? AND channel = ? AND language = ? AND id <> ?",
        unit["id"],
        name,
        found["channel"],
        language,
        template_id,
    )
    if taken is not None:
        raise _duplicate(taken)
    _write(tx, found, {**values, "name": name, "language": language}, by, now)
    return _again(tx, by, template_id)


def archive(tx: Transaction, by: Acting, unit: Row, template_id: str, now: int) -> None:
    """Take a node's own template out of use; what was sent with it keeps its version. Raises Refused."""
    found = _own(tx, by, unit, template_id)
    tx.execute("UPDATE template SET archived_at = ?, updated_at = ? WHERE id = ?", now, now, found["id"])
    tx.audit(now, by.actor, "template.archive", template_id, {"unit": unit["ref"], **by.told})


def _own(tx: Transaction, by: Acting, unit: Row, template_id: str) -> Row:
    found = find(tx, by.organisation_id, unit["id"], template_id)
    by.require(tx, TEMPLATES_EDIT, found["unit_id"])
    if found["unit_id"] != unit["id"]:
        text = f"This template belongs to {found['unit']}; a node changes its own, or overrides an inherited one by its own."
        raise Refused("template_is_inherited", 409, text, field="template_id", facts={"inherited_from": found["unit"]})
    if found["archived_at"] is not None:
        raise not_found()
    locked: Row | None = tx.one("SELECT * FROM template WHERE id = ?" + tx.for_update, template_id)
    assert locked is not None
    return locked


def _again(view: View, by: Acting, template_id: str) -> Row:
    row = lists_templates.template(view, by.organisation_id, template_id)
    assert row is not None
    return row


def _duplicate(found: Row | None) -> Refused:
    return Refused(
        "duplicate_template",
        409,
        "This node has a template of that name, channel and language.",
        field="name",
        facts={"template_id": None if found is None else found["id"]},
    )


def _checked(view: View, by: Acting, name: str, channel: str, language: str, draft: Draft, before: Row | None) -> dict[str, Any]:
    """The columns to store. Raises Refused for whatever does not hold together."""
    if not name or len(name) > 100 or not name.isprintable():
        raise Refused("invalid_name", 422, "A template has a name of 1 to 100 characters.", field="name")
    if channel not in CHANNELS:
        raise Refused("unknown_channel", 422, f"Channel must be one of {', '.join(CHANNELS)}.", field="channel")
    check_language(language)
    kind = draft.kind or (None if before is None else before["kind"])
    if kind not in KINDS:
        raise Refused("unknown_kind", 422, f"Kind must be one of {', '.join(KINDS)}.", field="kind")
    if is_locked(kind, channel):
        raise not_allowed(kind, channel)
    most = draft.max_segments or (4 if before is None else before["max_parts"])
    if not 1 <= most <= MOST_SEGMENTS:
        raise Refused("out_of_range", 422, f"max_segments is 1 to {MOST_SEGMENTS}.", field="max_segments")
    declared = json.loads(before["fields"]) if draft.fields is None and before is not None else list(draft.fields or ())
    body = (before["body"] if draft.body is None and before is not None else draft.body or "").replace("\r\n", "\n")
    inspect(view, by.organisation_id, body, kind, channel, most, declared)
    if channel != "email" and not draft.confirm_not_rejection and (before is None or body != before["body"]):
        phrase = rejection_in(view, by.organisation_id, body, None)
        if phrase is not None:
            raise Refused(
                "looks_like_rejection",
                409,
                f'"{phrase}" reads like a rejection, which never goes by {channel}. If it is none, confirm_not_rejection.',
                field="body",
                facts={"phrase": phrase},
            )
    return {"kind": kind, "body": body, "fields": compact([dict(row) for row in declared]), "max_parts": most}


def _write(tx: Transaction, found: Row, values: Mapping[str, Any], by: Acting, now: int) -> None:
    changed = {column: value for column, value in values.items() if found[column] != value}
    if not changed:
        return
    is_new = bool({"kind", "body", "fields", "max_parts"} & set(changed)) or "archived_at" in changed
    sets = {**changed, "version": found["version"] + is_new, "updated_at": now}
    columns = ", ".join(f"{column} = ?" for column in sets)
    tx.execute(f"UPDATE template SET {columns} WHERE id = ?", *sets.values(), found["id"])
    keep_version(tx, found["id"], by.actor, now)
    data = {"version": [found["version"], sets["version"]], "changed": sorted(changed), **by.told}
    tx.audit(now, by.actor, "template.version", found["id"], data)


def keep_version(tx: Transaction, template_id: str, actor: str, now: int) -> None:
    """Keep the present version of a template for good, if it is not kept yet."""
    tx.execute(
        "INSERT INTO template_version (template_id, version, kind, body, fields, max_parts, actor, created_at)"
        " SELECT id, version, kind, body, fields, max_parts, ?, ? FROM template WHERE id = ?"
        " ON CONFLICT (template_id, version) DO NOTHING",
        actor,
        now,
        template_id,
    )


# --- looking at them -------------------------------------------------------------------------------------------------


def inspect(
    view: View, organisation_id: str, body: str, kind: str, channel: str, most: int, declared: Sequence[Mapping[str, Any]]
) -> Lint:
    """What the linter says of a body, reckoning with the names that candidates really have. Raises Refused like a save."""
    own = fields_from(declared)
    compiled = check_body(body, kind, own)
    company = str(tree(view, organisation_id)[organisation_id]["name"])
    names = lists_templates.longest_names(view, organisation_id)
    fields = [_worst(field, names.get(field.name, ()), company) for field in (*OURS, *own)]
    return lint(compiled, body, channel, most, fields, company)


def _worst(field: Field, names: Sequence[str], company: str) -> Field:
    """The field with the dearest value known: the most parts, then the most places."""
    if field.name == "company":
        return replace(field, sample=company)
    candidates = [field.longest, *names]

    def cost(value: str) -> tuple[bool, int]:
        return analyse(value).alphabet == "ucs2", len(value)

    return replace(field, longest=max(candidates, key=cost)) if names else field


def nearest(view: View, organisation_id: str, unit_id: str, name: str, channel: str, language: str | None) -> Mapping[str, Any]:
    """The template of this name for a node, in the best language there is; `found_by` says which rule found it.

    Languages first (the job ad's, its base, the organisation's, English), then the nearest node. Raises Refused.
    """
    path = path_of(view, organisation_id, unit_id)
    rows = lists_templates.effective(view, path, {"name": name, "channel": channel})
    wanted = languages_for(language, str(tree(view, organisation_id)[organisation_id]["language"]))
    for tag, reason in wanted:
        for row in rows:
            if row["language"] == tag:
                return {**dict(row), "found_by": reason}
    raise Refused(
        "template_not_found",
        404,
        "No template of this name here in the language of the job ad, of the organisation, or English.",
        field="template_name",
        facts={"languages": [tag for tag, _ in wanted]},
    )


def choices(
    view: View, organisation_id: str, unit_id: str, channel: str, kind: str, language: str | None
) -> list[dict[str, Any]]:
    """What a node offers for a kind and channel, of each name the best language; for composers and scheduling screens (S51)."""
    path = path_of(view, organisation_id, unit_id)
    rows = lists_templates.effective(view, path, {"channel": channel, "kind": kind})
    best: dict[str, dict[str, Any]] = {}
    for tag, reason in languages_for(language, str(tree(view, organisation_id)[organisation_id]["language"])):
        for row in rows:
            if row["language"] == tag:
                best.setdefault(row["name"], {**dict(row), "found_by": reason})
    return [best[name] for name in sorted(best)]


def check_values(template: Mapping[str, Any], data: Mapping[str, Any] | None) -> None:
    """Raises Refused for a value that does not suit the type of its field."""
    if data:
        check_data(compile_template(template["body"]).fields, _declared(template["fields"]), data)


def _declared(stored: str) -> tuple[Field, ...]:
    return () if stored == "[]" else fields_from(json.loads(stored))


def declared_fields(template: Mapping[str, Any]) -> tuple[Field, ...]:
    """Every field that this template may use: the box's, and its own."""
    return (*OURS, *_declared(template["fields"]))


def filled(fields: Sequence[Field]) -> dict[str, Any]:
    """The fields' samples as the tree that a template is rendered with."""
    return tree_of({field.name: field.sample for field in fields})


def mark_used(tx: Transaction, template: Mapping[str, Any], now: int) -> None:
    """The first message with this version: it is in use from now on."""
    key = ("used", template["id"], template["version"])
    if key in tx.memo:
        return
    tx.memo[key] = True
    tx.execute(
        "UPDATE template_version SET used_at = ? WHERE template_id = ? AND version = ? AND used_at IS NULL",
        now,
        template["id"],
        template["version"],
    )
