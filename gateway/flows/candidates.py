"""Candidates and cases as the ATS knows them: pushed whole, kept by its own reference.

A bad number is no error here: the candidate is stored and its phone says why nothing can be sent (design.md §6). A changed number
starts without consent; what waits for the old one is cancelled.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refused
from gateway.flows.cancel import cancel_waiting
from gateway.flows.consents import CHANNELS, expire
from gateway.flows.facts import find_candidate, find_case, organisation
from gateway.flows.hours import check_zone, where
from gateway.flows.locks import check_not_erasing, lock_number_of
from gateway.flows.stops import with_number
from gateway.rules.consent import PURPOSES
from gateway.rules.numbers import Number, normalise
from gateway.rules.texts import as_text
from gateway.store import ids
from gateway.store.database import Row, Transaction, View


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateFields:
    """What the ATS tells of a candidate; None leaves a field as it is."""

    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone_raw: str | None = None
    region: str | None = None
    language: str | None = None
    zone: str | None = None
    """Where the candidate is, if the ATS knows: overrides what the number tells. Empty: forget it."""
    reassigned: bool = False
    """The number known so far has been given to somebody else: nobody has consented to anything at it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFields:
    """What the ATS tells of a case; `team` are e-mail addresses of users, None leaves it as it is."""

    title: str | None = None
    language: str | None = None
    unit_ref: str | None = None
    team: tuple[str, ...] | None = None
    closed: bool | None = None
    """Retention counts from the day a case was closed; a case opened again is open."""


def phone_hash(key: bytes, e164: str) -> str:
    """HMAC-SHA256 of a number under the box's key: numbers are few, so a bare hash could be guessed."""
    return hmac.new(key, e164.encode(), hashlib.sha256).hexdigest()


def put_candidate(
    tx: Transaction, organisation_id: str, ref: str, fields: CandidateFields, actor: str, now: int, *, phone_key: bytes
) -> Row:
    """Create or update a candidate; the row as stored. Raises Refused `invalid_ref`, `invalid_region`, `candidate_erasing`."""
    _check_ref(ref, "candidate_ref")
    org = organisation(tx, organisation_id)
    if fields.reassigned:
        lock_number_of(tx, tx.value("SELECT id FROM candidate WHERE organisation_id = ? AND ref = ?", organisation_id, ref))
    before = tx.one("SELECT * FROM candidate WHERE organisation_id = ? AND ref = ?" + tx.for_update, organisation_id, ref)
    if before is not None:
        check_not_erasing(tx, before["id"])
    if fields.region is not None and not re.fullmatch("[A-Za-z]{2}", fields.region):
        raise Refused("invalid_region", 422, "Region must be a two-letter country code such as SE.", field="region")
    if fields.zone:
        check_zone(fields.zone)
    created = False
    if before is None:
        created = bool(tx.execute(_NEW_CANDIDATE, ids.new("cand"), organisation_id, ref, now, now))
        # Somebody else may have been faster: then theirs is updated, as if this call had come a moment later.
        before = tx.one("SELECT * FROM candidate WHERE organisation_id = ? AND ref = ?" + tx.for_update, organisation_id, ref)
        assert before is not None
    if fields.reassigned:
        _reassigned(tx, before, actor, now)
    region = (fields.region or before["region"] or org["region"] or "").upper() or None
    raw = as_text(fields.phone_raw if fields.phone_raw is not None else before["phone_raw"])[:64]
    number = normalise(raw, region)
    values = _values(fields, before, number, raw, region, phone_key, now)
    changed = sorted(name for name, value in values.items() if name != "updated_at" and before[name] != value)
    if changed:
        sets = ", ".join(f"{name} = ?" for name in values)
        tx.execute(f"UPDATE candidate SET {sets} WHERE id = ?", *values.values(), before["id"])
        if before["phone_hash"] != values["phone_hash"]:
            cancel_waiting(tx, before["id"], "sms", "number_changed", now, actor=actor)
            _number_gone(tx, before, "number_changed", actor, now)
    if created:
        tx.audit(now, actor, "candidate.create", before["id"], {"phone_state": number.state})
    elif changed:
        tx.audit(now, actor, "candidate.update", before["id"], {"changed": changed, "phone_state": number.state})
    return find_candidate(tx, organisation_id, ref)


_NEW_CANDIDATE = (
    "INSERT INTO candidate (id, organisation_id, ref, phone_state, created_at, updated_at) VALUES (?, ?, ?, 'missing', ?, ?)"
    " ON CONFLICT (organisation_id, ref) DO NOTHING"
)


def _reassigned(tx: Transaction, candidate: Row, actor: str, now: int) -> None:
    """A number has another owner (§3.2): whoever of this organisation is known by it must consent anew, and nothing waiting goes.

    A STOP for the number stands: who has it now must not be written to by mistake either.
    """
    if candidate["phone_hash"] is None:
        return
    for each in with_number(tx, candidate["phone_hash"]):
        if each["organisation_id"] != candidate["organisation_id"]:
            continue
        for channel in CHANNELS:
            cancel_waiting(tx, each["id"], channel, "reassigned", now, actor=actor)
        _number_gone(tx, each, "reassigned", actor, now)
        tx.audit(now, actor, "candidate.update", each["id"], {"changed": ["reassigned"]})


def _number_gone(tx: Transaction, before: Row, reason: str, actor: str, now: int) -> None:
    """Consent belongs to a number and its owner: what stood for the old one has expired, and links sent for it are dead."""
    if before["phone_hash"] is None:
        return
    for channel in CHANNELS:
        for purpose in PURPOSES:
            expire(tx, before, channel, purpose, reason, now, actor=actor)
    tx.execute(
        "UPDATE consent_request SET state = 'expired' WHERE candidate_id = ? AND state = 'live' AND phone_hash = ?",
        before["id"],
        before["phone_hash"],
    )


def _values(
    fields: CandidateFields,
    before: Row,
    number: Number,
    raw: str,
    region: str | None,
    phone_key: bytes,
    now: int,
) -> dict[str, Any]:
    def kept(name: str, limit: int) -> str:
        value = getattr(fields, name)
        if value is None:
            value = before[name]
        return as_text(str(value or ""))[:limit]

    usable = number.state == "ok" and number.e164 is not None
    return {
        "first_name": kept("first_name", 100),
        "last_name": kept("last_name", 100),
        "email": kept("email", 254),
        "language": kept("language", 20) or None,
        "region": region,
        "phone_raw": raw,
        "phone": number.e164 if usable else None,
        "phone_state": number.state,
        "phone_hash": phone_hash(phone_key, number.e164) if usable and number.e164 else None,
        "country": number.country,
        "subdivision": where(number.e164, number.country),
        "zone": (fields.zone if fields.zone is not None else before["zone"]) or None,
        "updated_at": now,
    }


def put_case(tx: Transaction, organisation_id: str, ref: str, fields: CaseFields, actor: str, now: int) -> Row:
    """Create or update a case and its hiring team. Raises Refused `unit_not_found`, `user_not_found`, `title_missing`."""
    _check_ref(ref, "case_ref")
    unit_id = organisation_id
    if fields.unit_ref is not None:
        unit_id = tx.value("SELECT id FROM organisation WHERE ref = ? AND root_id = ?", fields.unit_ref, organisation_id)
        if unit_id is None:
            raise Refused("unit_not_found", 404, "No organisation unit with this reference.", field="organisation")
    before = tx.one("SELECT * FROM hiring_case WHERE organisation_id = ? AND ref = ?" + tx.for_update, organisation_id, ref)
    if before is None:
        if not (fields.title or "").strip():
            raise Refused("title_missing", 422, "A new case needs a title.", field="title")
        case_id = ids.new("case")
        created = tx.execute(
            "INSERT INTO hiring_case (id, organisation_id, unit_id, ref, title, language, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (organisation_id, ref) DO NOTHING",
            case_id,
            organisation_id,
            unit_id,
            ref,
            as_text(fields.title or "")[:300],
            as_text(fields.language or organisation(tx, organisation_id)["language"])[:20],
            now,
            now,
        )
        if not created:  # somebody else was faster: theirs is updated
            return put_case(tx, organisation_id, ref, fields, actor, now)
        tx.audit(now, actor, "case.create", case_id, {"ref": ref})
    else:
        case_id = before["id"]
        title = before["title"] if fields.title is None else as_text(fields.title)[:300]
        language = before["language"] if fields.language is None else as_text(fields.language)[:20]
        if fields.unit_ref is None:
            unit_id = before["unit_id"]
        if (title, language, unit_id) != (before["title"], before["language"], before["unit_id"]):
            tx.execute(
                "UPDATE hiring_case SET title = ?, language = ?, unit_id = ?, updated_at = ? WHERE id = ?",
                title,
                language,
                unit_id,
                now,
                case_id,
            )
            tx.audit(now, actor, "case.update", case_id, {"ref": ref})
    if fields.team is not None:
        set_team(tx, organisation_id, case_id, fields.team, actor, now)
    if fields.closed is not None:
        _close(tx, case_id, fields.closed, actor, now)
    tx.memo.clear()
    return find_case(tx, organisation_id, ref)


def _close(tx: Transaction, case_id: str, closed: bool, actor: str, now: int) -> None:
    sql = "UPDATE hiring_case SET closed_at = ? WHERE id = ? AND closed_at IS " + ("NULL" if closed else "NOT NULL")
    if tx.execute(sql, now if closed else None, case_id):
        tx.audit(now, actor, "case.close" if closed else "case.open", case_id)


def set_team(tx: Transaction, organisation_id: str, case_id: str, emails: tuple[str, ...], actor: str, now: int) -> bool:
    """Make these users the case's hiring team. True when that changed anything. Raises Refused `user_not_found`."""
    wanted: set[str] = set()
    for email in emails:
        user_id = tx.value(
            "SELECT id FROM app_user WHERE email = ? AND organisation_id = ?", email.strip().lower(), organisation_id
        )
        if user_id is None:
            raise Refused("user_not_found", 404, f"No user with the e-mail address {email}.", field="team")
        wanted.add(user_id)
    present = {row["user_id"] for row in tx.all("SELECT user_id FROM case_member WHERE case_id = ?", case_id)}
    for user_id in present - wanted:
        tx.execute("DELETE FROM case_member WHERE case_id = ? AND user_id = ?", case_id, user_id)
    for user_id in wanted - present:
        tx.execute("INSERT INTO case_member (case_id, user_id) VALUES (?, ?) ON CONFLICT DO NOTHING", case_id, user_id)
    if present != wanted:
        tx.audit(now, actor, "case.team", case_id, {"added": len(wanted - present), "removed": len(present - wanted)})
    return present != wanted


def get_candidate(view: View, organisation_id: str, ref: str) -> Row:
    """A candidate by reference. Raises Refused `candidate_not_found`."""
    return find_candidate(view, organisation_id, ref)


def get_case(view: View, organisation_id: str, ref: str) -> Row:
    """A case by reference. Raises Refused `case_not_found`."""
    return find_case(view, organisation_id, ref)


def _check_ref(ref: str, field: str) -> None:
    if not ref.strip() or len(ref) > 200 or not ref.isprintable():
        raise Refused("invalid_ref", 422, "A reference has 1 to 200 printable characters.", field=field)
