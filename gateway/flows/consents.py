"""Consent: pushed by the ATS with evidence, withdrawn and restored by the candidate's own words.

Every change is a new version with its evidence; the newest counts. A STOP binds every candidate with that number and all
purposes of the channel, cancels what waits, and can be undone only by START from that number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import Refused
from gateway.flows import usage
from gateway.flows.cancel import cancel_waiting
from gateway.flows.consent_rows import REQUEST_FOR_MS, add_version, newest, tell_change
from gateway.flows.endings import lock_candidate, move
from gateway.flows.facts import consent_status, country_of, find_candidate, is_suppressed
from gateway.flows.replies import reply
from gateway.rules.consent import GRANTING_SOURCES, PURPOSES, SOURCES, Act, Status, step
from gateway.rules.lifecycle import Hold, State
from gateway.store.database import Row, Transaction, View, compact

CHANNELS = ("sms", "whatsapp")
REFUSED_FOR_MS = 30 * 86_400_000
"""After a no on the page nobody asks again for so long."""
MODULES = ("smartrecruit", "smartcrm")
"""The e-mail side, kept by the ATS: shown here, asked for there (S36)."""
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
    can_request: bool = False
    reason: str | None = None
    """Why nobody can ask for it now."""
    opt_in: str | None = None


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
        withdraw(tx, candidate, channel, "ats", actor, dict(push.evidence), now)
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
        double = needs_start(tx, candidate, channel)
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
        add_version(
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
        tell_change(tx, candidate, channel, push.purpose, before, outcome.after, push.source, actor, now)
        if push.status == "refused":
            cancel_waiting(tx, candidate["id"], channel, "consent_refused", now, purpose=push.purpose, actor=actor)
    return state_of(tx, candidate, channel, push.purpose)


def needs_start(view: View, candidate: Row, channel: str) -> bool:
    """Whether a grant counts only after START from the number itself: so wherever the country was not set to single (S40)."""
    country = country_of(view, candidate["country"], channel)
    return country is None or country["opt_in"] != "single"


def grant(
    tx: Transaction,
    candidate: Row,
    channel: str,
    purpose: str,
    *,
    source: str,
    actor: str,
    evidence: Mapping[str, Any],
    captured_at: int,
    now: int,
    **columns: Any,
) -> str:
    """The candidate's own yes; the status after. Raises Refused `opted_out` where a STOP or withdrawal stands."""
    before = consent_status(tx, candidate, channel, purpose)
    if before == Status.REVOKED or is_suppressed(tx, candidate["phone_hash"], channel):
        raise Refused("opted_out", 409, "A STOP stands for this number. Only START, sent from it, undoes it.")
    double = needs_start(tx, candidate, channel)
    outcome = step(before, Act.GRANT_DOUBLE if double else Act.GRANT_SINGLE)
    if outcome.changed:
        mode = "double" if double else "single"
        add_version(
            tx,
            candidate,
            channel,
            purpose,
            outcome.after,
            source=source,
            mode=mode,
            actor=actor,
            evidence=evidence,
            captured_at=captured_at,
            now=now,
            **columns,
        )
        tell_change(tx, candidate, channel, purpose, before, outcome.after, source, actor, now)
    return str(outcome.after)


def request(
    tx: Transaction, candidate: Row, channel: str, purpose: str, *, actor: str, now: int, expires_at: int, **columns: Any
) -> None:
    """A consent request is under way: what was none, refused or expired is requested until the request ends."""
    before = consent_status(tx, candidate, channel, purpose)
    outcome = step(before, Act.REQUEST)
    if not outcome.changed:
        return
    add_version(
        tx,
        candidate,
        channel,
        purpose,
        outcome.after,
        source="email_link",
        mode="double" if needs_start(tx, candidate, channel) else "single",
        actor=actor,
        evidence={},
        captured_at=None,
        now=now,
        expires_at=expires_at,
        **columns,
    )
    tell_change(tx, candidate, channel, purpose, before, outcome.after, "email_link", actor, now)


def refuse(tx: Transaction, candidate: Row, channel: str, purpose: str, *, actor: str, now: int, **columns: Any) -> None:
    """The candidate said no on the page."""
    before = consent_status(tx, candidate, channel, purpose)
    outcome = step(before, Act.REFUSE)
    if not outcome.changed:
        return
    add_version(
        tx,
        candidate,
        channel,
        purpose,
        outcome.after,
        source="email_link",
        mode="single",
        actor=actor,
        evidence={},
        captured_at=now,
        now=now,
        **columns,
    )
    tell_change(tx, candidate, channel, purpose, before, outcome.after, "email_link", actor, now)
    cancel_waiting(tx, candidate["id"], channel, "consent_refused", now, purpose=purpose, actor=actor)


def expire(tx: Transaction, candidate: Row, channel: str, purpose: str, reason: str, now: int, *, actor: str = "gateway") -> bool:
    """A consent has run out: new consent is needed. True when that changed anything."""
    before = consent_status(tx, candidate, channel, purpose)
    outcome = step(before, Act.EXPIRE)
    if not outcome.changed:
        return False
    last = newest(tx, candidate, channel, purpose)
    assert last is not None
    add_version(
        tx,
        candidate,
        channel,
        purpose,
        outcome.after,
        source=last["source"],
        mode=last["mode"],
        actor=actor,
        evidence={"reason": reason},
        captured_at=None,
        now=now,
    )
    tell_change(tx, candidate, channel, purpose, before, outcome.after, reason, actor, now)
    return True


def withdraw(
    tx: Transaction, candidate: Row, channel: str, source: str, actor: str, evidence: Mapping[str, Any], now: int
) -> int:
    """Consent withdrawn elsewhere than by SMS (page, ATS, a colleague's note): as wide as a STOP, confirmed once."""
    was_live = any(consent_status(tx, candidate, channel, purpose) in (Status.GRANTED, Status.PENDING) for purpose in PURPOSES)
    told = {**evidence}
    cancelled = _revoke_all(tx, with_number(tx, candidate["phone_hash"]), channel, source, actor, told, now)
    first = _suppress(tx, candidate["phone_hash"], channel, source, {"by": actor}, now)
    if first:
        tx.audit(now, actor, "suppression.add", candidate["id"], {"channel": channel, "source": source})
        iccid = tx.value(
            "SELECT s.iccid FROM message m JOIN sender s ON s.id = m.sender_id WHERE m.candidate_id = ? AND m.sent_at IS NOT NULL"
            " ORDER BY m.seq DESC LIMIT 1",
            candidate["id"],
        )
        if was_live and channel == "sms" and iccid is not None:  # whoever never heard from us needs no text that we stop
            reply(tx, "stop_confirmation", phone=candidate["phone"], candidate=candidate, iccid=iccid, now=now)
    return cancelled


def _suppress(tx: Transaction, phone_hash: str, channel: str, source: str, evidence: Mapping[str, Any], now: int) -> bool:
    return bool(
        tx.execute(
            "INSERT INTO suppression (phone_hash, channel, source, evidence, since_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (phone_hash, channel) DO NOTHING",
            phone_hash,
            channel,
            source,
            compact(dict(evidence)),
            now,
        )
    )


def suppress_again(tx: Transaction, phone_hash: str, channel: str, at: int, now: int) -> bool:
    """After a restore: a STOP that the backup does not know. Nobody is told again. Whether it was news."""
    if not _suppress(tx, phone_hash, channel, "restore", {"at": at}, now):
        return False
    _revoke_all(tx, with_number(tx, phone_hash), channel, "restore", "gateway", {}, now)
    tx.audit(now, "gateway", "suppression.add", "setting", {"channel": channel, "source": "restore"})
    return True


def consents_of(view: View, organisation_id: str, candidate_ref: str, now: int | None = None) -> list[ConsentState]:
    """Every consent of a candidate, one line per channel and purpose, "none" where nothing was ever recorded."""
    candidate = find_candidate(view, organisation_id, candidate_ref)
    return [state_of(view, candidate, channel, purpose, now) for channel in CHANNELS for purpose in PURPOSES]


def state_of(view: View, candidate: Row, channel: str, purpose: str, now: int | None = None) -> ConsentState:
    """One consent as it stands for the candidate's present number."""
    row = newest(view, candidate, channel, purpose)
    reason = why_not_request(view, candidate, channel, purpose, row, now)
    if row is None:
        return ConsentState(channel, purpose, Status.NONE, None, None, None, None, reason is None, reason)
    return ConsentState(
        channel=channel,
        purpose=purpose,
        status=row["status"],
        since=row["recorded_at"],
        source=row["source"],
        expires_at=row["expires_at"],
        evidence_id=row["id"],
        can_request=reason is None,
        reason=reason,
        opt_in=row["mode"],
    )


def why_not_request(view: View, candidate: Row, channel: str, purpose: str, row: Row | None, now: int | None) -> str | None:
    """The code with which a consent request for this channel would be refused; None where one may be made."""
    if candidate["phone_hash"] is None:
        return "number_missing"
    status = Status.NONE if row is None else Status(row["status"])
    if status is Status.REVOKED or is_suppressed(view, candidate["phone_hash"], channel):
        return "opted_out"
    if status in (Status.GRANTED, Status.PENDING):
        return "already_granted"
    if row is not None and now is not None:
        refused_at = view.value(
            "SELECT MAX(refused_at) AS t FROM consent WHERE candidate_id = ? AND channel = ? AND purpose = ? AND refused_at > ?",
            candidate["id"],
            channel,
            purpose,
            now - REFUSED_FOR_MS,
        )
        if refused_at is not None:
            return "recently_refused"
    return None


def stop(tx: Transaction, *, phone_hash: str, phone: str, channel: str, raw: str, received_id: str, iccid: str, now: int) -> int:
    """STOP from a number: revoke, suppress, cancel what waits, confirm once. The number of messages cancelled."""
    evidence = {"keyword_raw": raw, "inbound_message_id": received_id}
    candidates = with_number(tx, phone_hash)
    first = _suppress(tx, phone_hash, channel, "keyword", {"inbound_message_id": received_id}, now)
    cancelled = _revoke_all(tx, candidates, channel, "inbound_keyword", "candidate", evidence, now)
    if first:
        tx.audit(now, "candidate", "suppression.add", received_id, {"channel": channel})
        if not candidates:
            usage.stranger_opted_out(tx, phone, iccid, now)
        reply(tx, "stop_confirmation", phone=phone, candidate=candidates[0] if candidates else None, iccid=iccid, now=now)
    return cancelled


def start(
    tx: Transaction, *, phone_hash: str, phone: str, channel: str, raw: str, received_id: str, iccid: str, now: int
) -> bool:
    """START from a number: complete a pending double opt-in, undo a STOP. True if anything changed.

    A consent withdrawn before it was ever granted is only asked for again (requested): START alone grants nothing. The
    STOP itself is lifted in any case, or nobody could ever consent for this number again.
    """
    evidence = {"keyword_raw": raw, "inbound_message_id": received_id}
    changed = asked = False
    candidates = with_number(tx, phone_hash)
    for candidate in candidates:
        for purpose in PURPOSES:
            before = consent_status(tx, candidate, channel, purpose)
            if before not in (Status.PENDING, Status.REVOKED):
                continue
            after = step(before, Act.START).after
            if before == Status.REVOKED and not _once_granted(tx, candidate, channel, purpose):
                after, asked = Status.REQUESTED, True
            # Also where a STOP came between: START from the number itself is what the country asks for, and asked for once.
            confirms = before == Status.PENDING or (after == Status.GRANTED and needs_start(tx, candidate, channel))
            add_version(
                tx,
                candidate,
                channel,
                purpose,
                after,
                source="inbound_keyword",
                mode="double" if confirms else "single",
                actor="candidate",
                evidence=evidence,
                captured_at=now,
                now=now,
                expires_at=now + REQUEST_FOR_MS if after == Status.REQUESTED else None,
                **({"doi_confirmed_at": now} if confirms else {}),
            )
            tell_change(tx, candidate, channel, purpose, before, after, "inbound_keyword", "candidate", now)
            changed = True
        _let_go(tx, candidate, channel, now)
    if tx.execute("DELETE FROM suppression WHERE phone_hash = ? AND channel = ?", phone_hash, channel):
        tx.audit(now, "candidate", "suppression.lift", received_id, {"channel": channel})
        changed = True
    if asked:
        reply(tx, "start_confirm", phone=phone, candidate=candidates[0], iccid=iccid, now=now)
    elif not candidates and not _answered_lately(tx, phone, now):
        reply(tx, "how_to_apply", phone=phone, candidate=None, iccid=iccid, now=now)
    return changed


def _answered_lately(view: View, phone: str, now: int) -> bool:
    """Whether a stranger's START was answered within a day: two machines must not talk to each other for ever."""
    found = view.one(
        "SELECT 1 AS yes FROM message WHERE origin = 'keyword_reply' AND kind = 'how_to_apply' AND address = ?"
        " AND accepted_at > ?",
        phone,
        now - 86_400_000,
    )
    return found is not None


def _let_go(tx: Transaction, candidate: Row, channel: str, now: int) -> None:
    """What waited for this START goes to the queue in its order, now, before anything accepted after it; or at its hour."""
    held = tx.all(
        "SELECT * FROM message WHERE candidate_id = ? AND channel = ? AND state = 'held' AND hold_reason = ? ORDER BY seq",
        candidate["id"],
        channel,
        Hold.PENDING_OPT_IN,
    )
    tx.execute("UPDATE companion SET remind_at = NULL WHERE candidate_id = ? AND channel = ?", candidate["id"], channel)
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


def with_number(tx: Transaction, phone_hash: str) -> list[Row]:
    """Every candidate who has this number, locked in id order."""
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
                add_version(
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
                tell_change(tx, candidate, channel, purpose, before, outcome.after, source, actor, now)
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
