"""Consent versions: appended with all their evidence, never changed; each row's hash covers the row before it.

Personal values (number, IP address, user agent, raw words) stand behind HMAC(row's own salt), so that erasing them and the salt
leaves the chain verifiable. What is due when (expiry, the end of a request) is kept beside, in consent_watch.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

from gateway.clock import rfc3339
from gateway.flows import usage
from gateway.flows.facts import country_of
from gateway.rules.consent import Status
from gateway.rules.texts import as_text
from gateway.store import ids
from gateway.store.database import Row, Transaction, View, compact

DAY_MS = 86_400_000
PENDING_FOR_MS = 14 * DAY_MS
REQUEST_FOR_MS = 14 * DAY_MS
GRANTED_FOR_MS = 365 * DAY_MS
"""Twelve months without a word from the candidate end a consent (requirements §3.2)."""

_TOLD = ("wording_id", "privacy_notice_version", "source_url", "ip", "user_agent", "form_snapshot_hash", "lawful_basis", "lang")
_PERSONAL = ("phone_e164", "wa_user_id", "ip", "user_agent", "keyword_raw", "revoke_raw")
_KEPT = (
    *("case_ref", "lang", "wording_id", "wording_version", "wording_text", "privacy_notice_version", "lawful_basis"),
    *("request_id", "requested_at", "doi_invited_at"),
)
"""What a later version says again, so that one row tells to what the candidate agreed."""
_ACTIONS = {
    Status.GRANTED: "consent.grant",
    Status.PENDING: "consent.pend",
    Status.REFUSED: "consent.refuse",
    Status.REVOKED: "consent.revoke",
    Status.EXPIRED: "consent.expire",
    Status.REQUESTED: "consent.request",
}


def newest(view: View, candidate: Row, channel: str, purpose: str) -> Row | None:
    """The version that counts for the candidate's present number."""
    return view.one(
        "SELECT * FROM consent WHERE candidate_id = ? AND channel = ? AND purpose = ? AND phone_hash = ?"
        " ORDER BY version DESC LIMIT 1",
        candidate["id"],
        channel,
        purpose,
        candidate["phone_hash"],
    )


def needs_start(view: View, candidate: Row, channel: str) -> bool:
    """Whether a grant counts only after START from the number itself: so wherever the country was not set to single (S40)."""
    country = country_of(view, candidate["country"], channel)
    return country is None or country["opt_in"] != "single"


def add_version(
    tx: Transaction,
    candidate: Row,
    channel: str,
    purpose: str,
    status: str,
    *,
    source: str,
    mode: str,
    actor: str,
    evidence: Mapping[str, Any],
    captured_at: int | None,
    now: int,
    expires_at: int | None = None,
    **columns: Any,
) -> str:
    """Append a version; its id. `columns` are further evidence columns, which win over what `evidence` says."""
    before = newest(tx, candidate, channel, purpose)
    row: dict[str, Any] = {name: evidence[name] for name in _TOLD if isinstance(evidence.get(name), str)}
    row.update({name: _text(evidence[name]) for name in ("wording_version", "wording_text", "case_ref") if name in evidence})
    if before is not None:
        row.update({name: before[name] for name in _KEPT if row.get(name) is None and before[name] is not None})
    row.update(
        id=ids.new("con"),
        candidate_id=candidate["id"],
        organisation_id=candidate["organisation_id"],
        phone_e164=candidate["phone"],
        phone_hash=candidate["phone_hash"],
        channel=channel,
        purpose=purpose,
        version=1 if before is None else before["version"] + 1,
        prev_version=None if before is None else before["version"],
        status=str(status),
        mode=mode,
        source=source,
        actor=actor,
        actor_kind=_kind_of(actor),
        evidence=compact(dict(evidence)),
        country=candidate["country"],
        subdivision=candidate["subdivision"],
        captured_at=captured_at,
        recorded_at=now,
        expires_at=expires_at,
        controller_name=tx.value("SELECT name FROM organisation WHERE id = ?", candidate["organisation_id"]),
        keyword_raw=evidence.get("keyword_raw"),
        inbound_message_id=evidence.get("inbound_message_id"),
    )
    stamp = {Status.GRANTED: "granted_at", Status.REFUSED: "refused_at", Status.REVOKED: "revoked_at"}.get(Status(status))
    if stamp is not None:
        row[stamp] = now
    if status == Status.REVOKED:
        row.update(revoke_source=source, revoke_raw=evidence.get("keyword_raw"))
    row.update(columns)
    if status == Status.PENDING and before is not None and before["status"] == Status.PENDING and row["expires_at"] is None:
        row["expires_at"] = before["expires_at"]  # told again by the ATS: the time to answer goes on
    if status == Status.GRANTED and row["expires_at"] is None:
        row["expires_at"] = now + GRANTED_FOR_MS
    row = {name: as_text(value) if isinstance(value, str) else value for name, value in row.items()}
    row["private_salt"] = secrets.token_hex(16)
    row["private_mac"] = _private_mac(row["private_salt"], row)
    row["row_hash"] = row_hash("" if before is None else before["row_hash"] or "", row)
    tx.insert("consent", **row)
    tx.flush()
    _watch(tx, row)
    return str(row["id"])


def change(
    tx: Transaction,
    candidate: Row,
    channel: str,
    purpose: str,
    before: str,
    after: str,
    *,
    source: str,
    actor: str,
    now: int,
    mode: str = "single",
    evidence: Mapping[str, Any] | None = None,
    captured_at: int | None = None,
    told_as: str | None = None,
    **columns: Any,
) -> None:
    """A consent goes from one state to another: its new version, and audit and event that tell it (as caused by `told_as`)."""
    add_version(
        tx,
        candidate,
        channel,
        purpose,
        after,
        source=source,
        mode=mode,
        actor=actor,
        evidence=evidence or {},
        captured_at=captured_at,
        now=now,
        **columns,
    )
    tell_change(tx, candidate, channel, purpose, before, after, told_as or source, actor, now)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _kind_of(actor: str) -> str:
    return "candidate" if actor == "candidate" else "ats_key" if actor.startswith("key:") else "user"


def _private_mac(salt: str, row: Mapping[str, Any]) -> str:
    told = json.dumps([row.get(name) for name in _PERSONAL], ensure_ascii=False)
    return hmac.new(bytes.fromhex(salt), told.encode(), hashlib.sha256).hexdigest()


def row_hash(before: str, row: Mapping[str, Any]) -> str:
    """The hash of a version: SHA-256 over the hash before it and every field that is not personal."""
    covered = {name: row[name] for name in sorted(row) if name not in _PERSONAL and name not in _UNCOVERED}
    told = json.dumps([before, {name: value for name, value in covered.items() if value is not None}], ensure_ascii=False)
    return hashlib.sha256(told.encode()).hexdigest()


_UNCOVERED = frozenset({"row_hash", "private_salt", "evidence"})


def verify(view: View, candidate_id: str) -> list[str]:
    """Ids of versions whose hash, or whose personal values while they are still there, do not fit. Empty: all is well."""
    wrong: list[str] = []
    hashes: dict[tuple[str, str, str], str] = {}
    for found in view.all("SELECT * FROM consent WHERE candidate_id = ? ORDER BY version", candidate_id):
        row = dict(found)
        if row["row_hash"] is None:
            continue
        key = (row["channel"], row["purpose"], row["phone_hash"])
        unlike = row["row_hash"] != row_hash(hashes.get(key, ""), row)
        if unlike or (row["private_salt"] and row["private_mac"] != _private_mac(row["private_salt"], row)):
            wrong.append(row["id"])
        hashes[key] = row["row_hash"]
    return wrong


def _watch(tx: Transaction, row: Mapping[str, Any]) -> None:
    """Remember when something is due for this consent: the expiry of a request, of a pending opt-in, of a silent grant."""
    key = (row["candidate_id"], row["channel"], row["purpose"], row["phone_hash"])
    if row["expires_at"] is None or row["status"] not in (Status.REQUESTED, Status.PENDING, Status.GRANTED):
        tx.execute("DELETE FROM consent_watch WHERE candidate_id = ? AND channel = ? AND purpose = ? AND phone_hash = ?", *key)
        return
    tx.execute(
        "INSERT INTO consent_watch (candidate_id, channel, purpose, phone_hash, due_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (candidate_id, channel, purpose, phone_hash) DO UPDATE SET due_at = excluded.due_at",
        *key,
        row["expires_at"],
    )


def tell_change(
    tx: Transaction, candidate: Row, channel: str, purpose: str, before: str, after: str, source: str, actor: str, now: int
) -> None:
    """The audit row and the event of a changed consent."""
    data = {"channel": channel, "purpose": purpose, "from": before, "to": after, "source": source}
    tx.audit(now, actor, _ACTIONS[Status(after)], candidate["id"], data)
    told = {"candidate_id": candidate["id"], "candidate_ref": candidate["ref"], **data, "at": rfc3339(now)}
    tx.event(now, candidate["organisation_id"], "consent.changed", candidate["id"], told)
    if after == Status.REVOKED:
        usage.opted_out(tx, candidate, now)
