"""The compliance settings: opt-in per country with its acknowledgement, the box's own texts and their gaps, added keywords.

A change applies to new threads only: what pends stays pending, what was granted stays granted (S40).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import config
from gateway.clock import rfc3339
from gateway.errors import Refused
from gateway.flows.companions import EXPIRE_AFTER_DAYS, REMIND_AFTER_H
from gateway.flows.own_texts import put_setting, setting
from gateway.rules.countries import check_unambiguous
from gateway.rules.keywords import fold
from gateway.rules.wordings import FIELDS, KINDS, NEEDED, fields_of, languages_tried, shipped, shipped_text, shipped_version
from gateway.store import ids
from gateway.store.database import Row, Transaction, View
from modem.segments import split

MODES = ("double", "single")
KEYWORD_KINDS = ("stop", "start", "help", "stop_phrase")
NUMBERS: Mapping[str, tuple[int, int, int]] = {
    "reminder_hours": (REMIND_AFTER_H, 1, 24 * 13),
    "expiry_days": (EXPIRE_AFTER_DAYS, 1, 90),
    "grant_days": (365, 30, 3650),
}
"""Settings: default, least, most."""
_MOST_PARTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """What whoever drops the double opt-in puts their name to (S42)."""

    text: str
    name: str
    reference: str
    advised_on: str


# --- opt-in per country ----------------------------------------------------------------------------------------------


def opt_ins(view: View, channel: str | None = None) -> list[Row]:
    """Every country that was ever touched, with its opt-in mode."""
    where = "" if channel is None else " WHERE channel = ?"
    return view.all(f"SELECT * FROM country{where} ORDER BY iso, channel", *(() if channel is None else (channel,)))


def opt_in(view: View, iso: str, channel: str) -> dict[str, Any]:
    """One country's mode and how it came to be; "double" for a country nobody has touched. Raises Refused `unknown_country`."""
    known_country(iso)
    row = view.one("SELECT * FROM country WHERE iso = ? AND channel = ?", iso, channel)
    history = view.all("SELECT * FROM country_opt_in WHERE iso = ? AND channel = ? ORDER BY at DESC, id DESC", iso, channel)
    return {
        "iso": iso,
        "channel": channel,
        "state": "off" if row is None else row["state"],
        "opt_in": "double" if row is None else row["opt_in"],
        "suggested": next((each["opt_in"] for each in config.table("countries.toml")["country"] if each["iso"] == iso), "double"),
        "history": [
            {
                "at": rfc3339(each["at"]),
                "from": each["before"],
                "to": each["after"],
                "actor": each["actor"],
                "reason": each["reason"],
                "acknowledgement": each["acknowledgement"],
                "name": each["name"],
                "reference": each["reference"],
                "date": each["advised_on"],
            }
            for each in history
        ],
    }


def known_country(iso: str) -> None:
    """Raises Refused `ambiguous_country` or `unknown_country`."""
    import phonenumbers

    check_unambiguous(iso)
    if iso not in phonenumbers.SUPPORTED_REGIONS:
        raise Refused("unknown_country", 404, "No country has this ISO code.", field="iso")


def set_opt_in(
    tx: Transaction, iso: str, channel: str, mode: str, acknowledgement: Acknowledgement | None, reason: str, actor: str, now: int
) -> dict[str, Any]:
    """Change a country's opt-in mode. Raises Refused `unknown_mode`, `unknown_country`, `acknowledgement_required`."""
    known_country(iso)
    if mode not in MODES:
        raise Refused("unknown_mode", 422, 'opt_in must be "double" or "single".', field="opt_in")
    if channel not in ("sms", "whatsapp"):
        raise Refused("unknown_channel", 422, "Channel must be sms or whatsapp.", field="channel")
    row = tx.one("SELECT * FROM country WHERE iso = ? AND channel = ?" + tx.for_update, iso, channel)
    before = "double" if row is None else row["opt_in"]
    if before == mode:
        return opt_in(tx, iso, channel)
    if mode == "single":
        _check_acknowledgement(acknowledgement, now)
    tx.execute(
        "INSERT INTO country (iso, channel, state, opt_in, updated_at) VALUES (?, ?, 'off', ?, ?)"
        " ON CONFLICT (iso, channel) DO UPDATE SET opt_in = excluded.opt_in, updated_at = excluded.updated_at",
        iso,
        channel,
        mode,
        now,
    )
    given = acknowledgement
    tx.insert(
        "country_opt_in",
        id=ids.new("opt"),
        iso=iso,
        channel=channel,
        before=before,
        after=mode,
        acknowledgement=None if given is None else given.text,
        name=None if given is None else given.name,
        reference=None if given is None else given.reference,
        advised_on=None if given is None else given.advised_on,
        reason=reason or None,
        actor=actor,
        at=now,
    )
    subject = f"country:{iso}/{channel}"
    tx.audit(now, actor, "country.opt_in", subject, {"from": before, "to": mode}, private=reason or None)
    if mode == "single" and given is not None:
        private = json.dumps([given.text, given.name, given.reference, given.advised_on], ensure_ascii=False)
        tx.audit(now, actor, "country.acknowledgement", subject, {"to": mode}, private=private)
    tx.memo.clear()
    tx.flush()
    return opt_in(tx, iso, channel)


def _check_acknowledgement(given: Acknowledgement | None, now: int) -> None:
    fields = {"acknowledgement": "text", "name": "name", "reference": "reference", "date": "advised_on"}
    for shown, name in fields.items():
        if given is None or not str(getattr(given, name)).strip():
            text = "Going without START needs a typed acknowledgement, your name, the reference of the legal advice and its date."
            raise Refused("acknowledgement_required", 422, text, field=shown)
    assert given is not None
    try:
        advised = date.fromisoformat(given.advised_on)
    except ValueError:
        text = "date must be the day of the advice, such as 2026-11-21."
        raise Refused("acknowledgement_required", 422, text, field="date") from None
    if advised.isoformat() > rfc3339(now + 86_400_000)[:10]:
        raise Refused("acknowledgement_required", 422, "The advice lies in the future.", field="date")


# --- texts and their gaps --------------------------------------------------------------------------------------------


def texts(view: View, organisation_id: str) -> list[dict[str, Any]]:
    """Every text by kind and language: the organisation's own, and the shipped proposal."""
    own = {
        (row["kind"], row["language"]): row
        for row in view.all("SELECT * FROM wording WHERE organisation_id = ?", organisation_id)
    }
    names = {(kind, language) for kind in KINDS for language in shipped() if shipped_text(kind, language)} | set(own)
    found = []
    for kind, language in sorted(names):
        row, proposal = own.get((kind, language)), shipped_text(kind, language)
        body = proposal if row is None else row["body"]
        found.append(
            {
                "kind": kind,
                "language": language,
                "body": body,
                "version": shipped_version() if row is None else str(row["version"]),
                "source": "shipped" if row is None else "own",
                "shipped": proposal,
                "reviewed": row is not None or bool(shipped().get(language, {}).get("reviewed")),
                "parts": len(split(body or "", max_parts=255)),
            }
        )
    return found


def put_text(tx: Transaction, organisation_id: str, kind: str, language: str, body: str, actor: str, now: int) -> None:
    """Write an organisation's own text, a new version where it changed.

    Raises Refused `unknown_kind`, `invalid_language`, `unknown_merge_field`, `missing_merge_field`, `too_long`.
    """
    from gateway.store.setup import check_language

    if kind not in KINDS:
        raise Refused("unknown_kind", 404, f"Kinds are {', '.join(KINDS)}.", field="kind")
    check_language(language)
    named = fields_of(body)
    strange = sorted(named - FIELDS[kind])
    if strange or body.count("{{") != body.count("}}") or "{%" in body:
        facts = {"known": sorted(FIELDS[kind]), **({"why": "strange", "strange": strange} if strange else {"why": "brace"})}
        raise Refused(
            "unknown_merge_field", 422, f"{', '.join(strange) or 'A brace'} is no field here.", field="body", facts=facts
        )
    missing = sorted(NEEDED.get(kind, frozenset()) - named)
    if missing:
        text = f"The text must tell {', '.join(missing)}."
        raise Refused("missing_merge_field", 422, text, field="body", facts={"missing": missing})
    if not body.strip() or len(body) > 1_000 or len(split(body, max_parts=255)) > _MOST_PARTS:
        raise Refused("too_long", 422, f"A text has 1 to {_MOST_PARTS} parts.", field="body")
    row = tx.one("SELECT * FROM wording WHERE organisation_id = ? AND kind = ? AND language = ?", organisation_id, kind, language)
    if row is not None and row["body"] == body:
        return
    version = 1 if row is None else row["version"] + 1
    tx.execute(
        "INSERT INTO wording (organisation_id, kind, language, body, version, updated_at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (organisation_id, kind, language) DO UPDATE SET body = excluded.body, version = excluded.version,"
        " updated_at = excluded.updated_at",
        organisation_id,
        kind,
        language,
        body,
        version,
        now,
    )
    tx.audit(now, actor, "text.update", f"text:{kind}/{language}", {"version": version})
    tx.memo.clear()


def drop_text(tx: Transaction, organisation_id: str, kind: str, language: str, actor: str, now: int) -> None:
    """Back to the shipped text. Raises Refused `text_not_found`."""
    if not tx.execute(
        "DELETE FROM wording WHERE organisation_id = ? AND kind = ? AND language = ?", organisation_id, kind, language
    ):
        raise Refused("text_not_found", 404, "There is no text of your own for this.", field="kind")
    tx.audit(now, actor, "text.delete", f"text:{kind}/{language}")
    tx.memo.clear()


def gaps(view: View, organisation_id: str, *, accept_shipped: bool = False) -> list[dict[str, Any]]:
    """The holes in texts × active countries × languages of open job advertisements (S29, S42).

    A shipped text is a proposal: it fills a hole only once somebody has said so (`accept_shipped`, or publishing with it).
    """
    accept = accept_shipped or _accepted(view, organisation_id)
    languages = {
        str(row["language"])
        for row in view.all(
            "SELECT DISTINCT language FROM hiring_case WHERE organisation_id = ? AND closed_at IS NULL", organisation_id
        )
    }
    org = view.one("SELECT language FROM organisation WHERE id = ?", organisation_id)
    if org is not None:
        languages.add(org["language"])
    own = {
        (row["kind"], row["language"])
        for row in view.all("SELECT kind, language FROM wording WHERE organisation_id = ?", organisation_id)
    }
    found = []
    for country in view.all("SELECT iso, opt_in FROM country WHERE channel = 'sms' AND state = 'active' ORDER BY iso"):
        first = "identification" if country["opt_in"] == "single" else "consent_optin"
        for kind in (first, "stop_confirmation", "help"):
            for language in sorted(languages):
                tried = [name for name in languages_tried(language) if name.split("-")[0] == language.split("-")[0].lower()]
                tried = [language, *tried]
                if any((kind, name) in own for name in tried):
                    continue
                proposal = any(shipped_text(kind, name) for name in tried)
                if not (proposal and accept):
                    found.append({"country": country["iso"], "language": language, "kind": kind, "shipped": proposal})
    return found


def _accepted(view: View, organisation_id: str) -> bool:
    name = f"compliance.shipped:{organisation_id}"
    return bool(view.value("SELECT value FROM setting WHERE name = ?", name) == shipped_version())


def publish(tx: Transaction, organisation_id: str, accept_shipped: bool, actor: str, now: int) -> dict[str, Any]:
    """Declare the texts complete. Raises Refused `compliance_gaps` with the matrix of what is missing."""
    found = gaps(tx, organisation_id, accept_shipped=accept_shipped)
    if found:
        text = "Some active countries have no text in a language of an open job advertisement."
        raise Refused("compliance_gaps", 422, text, field="texts", facts={"gaps": found})
    if accept_shipped:
        put_setting(tx, f"compliance.shipped:{organisation_id}", shipped_version())
    tx.audit(now, actor, "compliance.publish", organisation_id, {"accept_shipped": accept_shipped, "version": shipped_version()})
    return {"published_at": rfc3339(now), "gaps": []}


# --- settings and keywords -------------------------------------------------------------------------------------------


def settings(view: View, organisation_id: str) -> dict[str, Any]:
    """Times and the contact that HELP tells."""
    found: dict[str, Any] = {name: setting(view, organisation_id, name, row[0]) for name, row in NUMBERS.items()}
    found["contact"] = view.value("SELECT value FROM setting WHERE name = ?", f"compliance.contact:{organisation_id}")
    return found


def put_settings(tx: Transaction, organisation_id: str, changes: Mapping[str, Any], actor: str, now: int) -> dict[str, Any]:
    """Change settings. Raises Refused `out_of_range`."""
    before = settings(tx, organisation_id)
    for name, value in changes.items():
        if name in NUMBERS:
            _, least, most = NUMBERS[name]
            if not least <= value <= most:
                raise Refused("out_of_range", 422, f"{name} is a number from {least} to {most}.", field=name)
        put_setting(tx, f"compliance.{name}:{organisation_id}", str(value).strip())
    after = settings(tx, organisation_id)
    if after != before:
        told = {name: [before[name], after[name]] for name in NUMBERS if before[name] != after[name]}
        tx.audit(now, actor, "config.change", f"compliance:{organisation_id}", {**told, "contact": "contact" in changes})
    return after


def keywords(view: View, organisation_id: str) -> dict[str, Any]:
    """The shipped words, which nobody removes, and the organisation's own."""
    table = config.table("keywords.toml")
    rows = view.all("SELECT * FROM keyword_addition WHERE organisation_id = ? ORDER BY id", organisation_id)
    return {
        "everywhere": {kind: table["everywhere"].get(kind, []) for kind in ("stop", "start", "help")},
        "plus_one": table["plus_one"]["stop"],
        "inside": table["plus_one"]["inside"],
        "phrases": table["phrases"]["stop"],
        "languages": {name: {k: v for k, v in row.items() if isinstance(v, list)} for name, row in table["language"].items()},
        "added": [
            {"id": row["id"], "language": row["language"], "kind": row["kind"], "word": row["word"], "at": rfc3339(row["at"])}
            for row in rows
        ],
    }


def add_keyword(tx: Transaction, organisation_id: str, language: str, kind: str, word: str, actor: str, now: int) -> str:
    """Add a word; its id. Raises Refused `unknown_kind`, `invalid_language`, `invalid_word`, `keyword_taken`."""
    from gateway.store.setup import check_language

    if kind not in KEYWORD_KINDS:
        raise Refused("unknown_kind", 422, f"Kind must be one of {', '.join(KEYWORD_KINDS)}.", field="kind")
    if language != "*":
        check_language(language)
    folded = fold(word)
    if len(folded) < 2 or len(word) > 60 or folded.isdigit():
        raise Refused("invalid_word", 422, "A word has 2 to 60 characters and is no number.", field="word")
    for other, shipped_word in _shipped_words():
        if fold(shipped_word) == folded and other != kind:
            text = f'"{word}" already means {other}; one word cannot mean two things.'
            raise Refused("keyword_taken", 409, text, field="word", facts={"means": other})
    rows = tx.all("SELECT * FROM keyword_addition WHERE organisation_id = ? AND folded = ?", organisation_id, folded)
    for row in rows:
        if row["kind"] != kind:
            raise Refused(
                "keyword_taken", 409, f'"{word}" already means {row["kind"]}.', field="word", facts={"means": row["kind"]}
            )
        if row["language"] == language:
            return str(row["id"])
    keyword_id = ids.new("kw")
    tx.insert(
        "keyword_addition",
        id=keyword_id,
        organisation_id=organisation_id,
        language=language,
        kind=kind,
        word=word.strip(),
        folded=folded,
        actor=actor,
        at=now,
    )
    tx.audit(now, actor, "keyword.add", keyword_id, {"language": language, "kind": kind, "word": word.strip()})
    tx.flush()
    return keyword_id


def _shipped_words() -> list[tuple[str, str]]:
    table = config.table("keywords.toml")
    found = []
    for row in (table["everywhere"], table["plus_one"], *table["language"].values()):
        for name, kind in (
            ("stop", "stop"),
            ("ambiguous_stop", "stop"),
            ("start", "start"),
            ("pending_start", "start"),
            ("help", "help"),
        ):
            found += [(kind, word) for word in row.get(name, ())]
    return found


def remove_keyword(tx: Transaction, organisation_id: str, keyword: str, actor: str, now: int) -> None:
    """Remove an added word, by id or by itself. Raises Refused `keyword_locked` for a shipped one, `keyword_not_found`."""
    row = tx.one(
        "SELECT * FROM keyword_addition WHERE organisation_id = ? AND (id = ? OR folded = ?)",
        organisation_id,
        keyword,
        fold(keyword),
    )
    if row is None:
        if any(fold(word) == fold(keyword) for _, word in _shipped_words()):
            raise Refused("keyword_locked", 409, "This word is shipped with the box; nobody removes it.", field="keyword")
        raise Refused("keyword_not_found", 404, "No such added word.", field="keyword")
    tx.execute("DELETE FROM keyword_addition WHERE id = ?", row["id"])
    tx.audit(now, actor, "keyword.remove", row["id"], {"word": row["word"], "kind": row["kind"]})
