"""Consent: pushed by the ATS with evidence, withdrawn and restored by the candidate's own words.

Every change is a new version with its evidence; the newest counts. A STOP binds every candidate with that number and all
purposes of the channel, cancels what waits, and can be undone only by START from that number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.clock import rfc3339
from gateway.errors import Refused
from gateway.flows.cancel import cancel_waiting
from gateway.flows.endings import lock_candidate, move
from gateway.flows.facts import consent_status, country_of, find_candidate, is_suppressed
from gateway.flows.replies import reply
from gateway.rules.consent import GRANTING_SOURCES, PURPOSES, SOURCES, Act, Status, step
from gateway.rules.lifecycle import Hold, State
from gateway.store import ids
from gateway.store.database import Row, Transaction, View, compact

CHANNELS = ("sms", "whatsapp")
_REQUIRED = ("captured_at", "wording_version", "wording_text")
"""Evidence without which a grant proves nothing (requirements §3.1, S33)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentPush:
    """A consent as the ATS pushes it. `captured_at` is ms UTC; `evidence` holds the fields of requirements §3.1."""

    status: str
    purpose: str = "recruiting_process"
    source: str = "application"
    captured_at: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConsentState:
    """One consent as it stands."""

    channel: str
    purpose: str
    status: str
    since: int | None
    source: str | None
    expires_at: int | None
    evidence_id: str | None


def push_consent(
    tx: Transaction, organisation_id: str, candidate_ref: str, channel: str, push: ConsentPush, actor: str, now: int
) -> ConsentState:
    """Record a consent that the ATS collected, or its withdrawal.

    Raises Refused: `unknown_channel`, `unknown_purpose`, `unknown_status`, `evidence_incomplete`, `prechecked`,
    `number_missing`, and `opted_out` where a STOP stands (nobody inside can overrule it).
    """
    _check(channel, push, now)
    lock_candidate(tx, find_candidate(tx, organisation_id, candidate_ref)["id"])
    candidate = find_candidate(tx, organisation_id, candidate_ref)
    if candidate["phone_hash"] is None:
        raise Refused(
            "number_missing",
            422,
            "The candidate has no usable number yet; consent belongs to a number.",
            field="candidate_ref",
        )
    if push.status == "revoked":
        _revoke_all(tx, [candidate], channel, "ats", actor, {"evidence": dict(push.evidence)}, now)
        return state_of(tx, candidate, channel, push.purpose)
    if push.status == "granted" and is_suppressed(tx, candidate["phone_hash"], channel):
        raise Refused(
            "opted_out",
            409,
            "A STOP stands for this number. Only START, sent from it, undoes it.",
            field="candidate_ref",
        )
    before = consent_status(tx, candidate, channel, push.purpose)
    if push.status == "granted":
        country = country_of(tx, candidate["country"], channel)
        double = country is None or country["opt_in"] != "single"
        if before == Status.REVOKED:
            raise Refused(
                "opted_out",
                409,
                "The candidate has withdrawn consent; only START from their number restores it.",
                field="candidate_ref",
            )
        act = Act.GRANT_DOUBLE if double else Act.GRANT_SINGLE
    else:
        double, act = False, Act.REFUSE
    outcome = step(before, act)
    if outcome.changed or push.status == "granted":
        _version(
            tx,
            candidate,
            channel,
            push.purpose,
            outcome.after,
            source=push.source,
            mode="double" if double else "single",
            actor=actor,
            evidence=dict(push.evidence),
            captured_at=push.captured_at,
            now=now,
        )
    if outcome.changed:
        _told(tx, candidate, channel, push.purpose, before, outcome.after, push.source, actor, now)
        if push.status == "refused":
            cancel_waiting(tx, candidate["id"], channel, "consent_refused", now, purpose=push.purpose, actor=actor)
    return state_of(tx, candidate, channel, push.purpose)


def consents_of(view: View, organisation_id: str, candidate_ref: str) -> list[ConsentState]:
    """Every consent of a candidate, one line per channel and purpose, "none" where nothing was ever recorded."""
    candidate = find_candidate(view, organisation_id, candidate_ref)
    return [state_of(view, candidate, channel, purpose) for channel in CHANNELS for purpose in PURPOSES]


def state_of(view: View, candidate: Row, channel: str, purpose: str) -> ConsentState:
    """One consent as it stands for the candidate's present number."""
    row = view.one(
        "SELECT * FROM consent WHERE candidate_id = ? AND channel = ? AND purpose = ? AND phone_hash = ?"
        " ORDER BY version DESC LIMIT 1",
        candidate["id"],
        channel,
        purpose,
        candidate["phone_hash"],
    )
    if row is None:
        return ConsentState(channel, purpose, Status.NONE, None, None, None, None)
    return ConsentState(channel, purpose, row["status"], row["recorded_at"], row["source"], row["expires_at"], row["id"])


def stop(tx: Transaction, *, phone_hash: str, phone: str, channel: str, raw: str, received_id: str, iccid: str, now: int) -> int:
    """STOP from a number: revoke, suppress, cancel what waits, confirm once. The number of messages cancelled."""
    evidence = {"keyword_raw": raw, "inbound_message_id": received_id}
    candidates = _with_number(tx, phone_hash)
    first = tx.execute(
        "INSERT INTO suppression (phone_hash, channel, source, evidence, since_at) VALUES (?, ?, 'keyword', ?, ?)"
        " ON CONFLICT (phone_hash, channel) DO NOTHING",
        phone_hash,
        channel,
        compact({"inbound_message_id": received_id}),
        now,
    )
    cancelled = _revoke_all(tx, candidates, channel, "inbound_keyword", "candidate", evidence, now)
    if first:
        tx.audit(now, "candidate", "suppression.add", received_id, {"channel": channel})
        reply(tx, "stop_confirmation", phone=phone, candidate=candidates[0] if candidates else None, iccid=iccid, now=now)
    return cancelled


def start(
    tx: Transaction, *, phone_hash: str, phone: str, channel: str, raw: str, received_id: str, iccid: str, now: int
) -> bool:
    """START from a number: complete a pending double opt-in, undo a STOP. True if anything changed.

    A consent withdrawn before it was ever granted is only asked for again (requested): START alone grants nothing. The
    STOP itself is lifted in any case, or nobody could ever consent for this number again.
    """
    del phone, iccid  # a START is answered by the messages it releases
    evidence = {"keyword_raw": raw, "inbound_message_id": received_id}
    changed = False
    for candidate in _with_number(tx, phone_hash):
        for purpose in PURPOSES:
            before = consent_status(tx, candidate, channel, purpose)
            if before not in (Status.PENDING, Status.REVOKED):
                continue
            after = step(before, Act.START).after
            if before == Status.REVOKED and not _once_granted(tx, candidate, channel, purpose):
                after = Status.REQUESTED
            _version(
                tx,
                candidate,
                channel,
                purpose,
                after,
                source="inbound_keyword",
                mode="double" if before == Status.PENDING else "single",
                actor="candidate",
                evidence=evidence,
                captured_at=now,
                now=now,
            )
            _told(tx, candidate, channel, purpose, before, after, "inbound_keyword", "candidate", now)
            changed = True
        _let_go(tx, candidate, channel, now)
    if tx.execute("DELETE FROM suppression WHERE phone_hash = ? AND channel = ?", phone_hash, channel):
        tx.audit(now, "candidate", "suppression.lift", received_id, {"channel": channel})
        changed = True
    return changed


def _let_go(tx: Transaction, candidate: Row, channel: str, now: int) -> None:
    """What waited for this START goes to the queue in its order, now, before anything accepted after it; or at its hour."""
    held = tx.all(
        "SELECT * FROM message WHERE candidate_id = ? AND channel = ? AND state = 'held' AND hold_reason = ? ORDER BY seq",
        candidate["id"],
        channel,
        Hold.PENDING_OPT_IN,
    )
    for message in held:
        if message["not_before"] is not None and message["not_before"] > now:
            tx.execute("UPDATE message SET hold_reason = ? WHERE id = ? AND state = 'held'", Hold.SCHEDULED, message["id"])
            continue
        move(tx, message, State.QUEUED, now, "candidate", hold_reason=None, not_before=None, due_at=now)
        tx.wake = True


def _check(channel: str, push: ConsentPush, now: int) -> None:
    if channel not in CHANNELS:
        raise Refused("unknown_channel", 422, f"Channel must be one of {', '.join(CHANNELS)}.", field="channel")
    if push.purpose not in PURPOSES:
        raise Refused("unknown_purpose", 422, f"Purpose must be one of {', '.join(PURPOSES)}.", field="purpose")
    if push.status not in ("granted", "refused", "revoked"):
        raise Refused("unknown_status", 422, "Status must be granted, refused or revoked.", field="status")
    if push.source not in SOURCES or push.source == "inbound_keyword":
        raise Refused("unknown_source", 422, "Source must be application, email_link, paper or ats_import.", field="source")
    if push.status != "granted":
        return
    if push.evidence.get("prechecked") is True:
        raise Refused("prechecked", 422, "A box that was ticked beforehand is no consent.", field="evidence.prechecked")
    values = {**push.evidence, "captured_at": push.captured_at}
    for name in _REQUIRED:
        if values.get(name) in (None, ""):
            raise Refused("evidence_incomplete", 422, f"A granted consent needs evidence.{name}.", field=f"evidence.{name}")
    if push.captured_at is not None and push.captured_at > now + 60_000:
        raise Refused("evidence_incomplete", 422, "captured_at lies in the future.", field="evidence.captured_at")


def _with_number(tx: Transaction, phone_hash: str) -> list[Row]:
    return tx.all("SELECT * FROM candidate WHERE phone_hash = ? AND erased_at IS NULL ORDER BY id" + tx.for_update, phone_hash)


def _revoke_all(
    tx: Transaction, candidates: list[Row], channel: str, source: str, actor: str, evidence: dict[str, Any], now: int
) -> int:
    cancelled = 0
    for candidate in candidates:
        for purpose in PURPOSES:
            before = consent_status(tx, candidate, channel, purpose)
            outcome = step(before, Act.STOP)
            if outcome.changed:
                _version(
                    tx,
                    candidate,
                    channel,
                    purpose,
                    outcome.after,
                    source=source,
                    mode="single",
                    actor=actor,
                    evidence=evidence,
                    captured_at=now,
                    now=now,
                )
                _told(tx, candidate, channel, purpose, before, outcome.after, source, actor, now)
        tx.flush()
        cancelled += cancel_waiting(tx, candidate["id"], channel, "opted_out", now, actor=actor)
    return cancelled


def _once_granted(view: View, candidate: Row, channel: str, purpose: str) -> bool:
    rows = view.all(
        "SELECT DISTINCT source FROM consent WHERE candidate_id = ? AND channel = ? AND purpose = ? AND phone_hash = ?"
        " AND status IN ('granted', 'pending_double_opt_in')",
        candidate["id"],
        channel,
        purpose,
        candidate["phone_hash"],
    )
    return any(row["source"] in GRANTING_SOURCES for row in rows)


def _version(
    tx: Transaction,
    candidate: Row,
    channel: str,
    purpose: str,
    status: str,
    *,
    source: str,
    mode: str,
    actor: str,
    evidence: dict[str, Any],
    captured_at: int | None,
    now: int,
) -> None:
    last = tx.value(
        "SELECT MAX(version) AS v FROM consent WHERE candidate_id = ? AND channel = ? AND purpose = ? AND phone_hash = ?",
        candidate["id"],
        channel,
        purpose,
        candidate["phone_hash"],
    )
    tx.insert(
        "consent",
        id=ids.new("con"),
        candidate_id=candidate["id"],
        phone_hash=candidate["phone_hash"],
        channel=channel,
        purpose=purpose,
        version=(last or 0) + 1,
        status=status,
        mode=mode,
        source=source,
        actor=actor,
        evidence=compact(evidence),
        captured_at=captured_at,
        recorded_at=now,
        expires_at=None,
    )
    tx.flush()


_ACTIONS = {
    Status.GRANTED: "consent.grant",
    Status.PENDING: "consent.pend",
    Status.REFUSED: "consent.refuse",
    Status.REVOKED: "consent.revoke",
    Status.EXPIRED: "consent.expire",
    Status.REQUESTED: "consent.request",
}


def _told(
    tx: Transaction,
    candidate: Row,
    channel: str,
    purpose: str,
    before: str,
    after: Status,
    source: str,
    actor: str,
    now: int,
) -> None:
    data = {"channel": channel, "purpose": purpose, "from": before, "to": after, "source": source}
    tx.audit(now, actor, _ACTIONS[after], candidate["id"], data)
    told = {"candidate_id": candidate["id"], "candidate_ref": candidate["ref"], **data, "at": rfc3339(now)}
    tx.event(now, candidate["organisation_id"], "consent.changed", candidate["id"], told)
