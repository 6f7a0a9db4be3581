"""Consent: pushed by the ATS with evidence, asked for and given on a page, run out; and how each stands.

Every change is a new version with its evidence; the newest counts. What candidates take back or restore by their own words is
in flows/stops.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import Refused
from gateway.flows import stops
from gateway.flows.cancel import cancel_waiting
from gateway.flows.consent_rows import add_version, change, needs_start, newest
from gateway.flows.facts import consent_status, find_candidate, is_suppressed
from gateway.flows.locks import check_not_erasing, lock_candidate, lock_number_of
from gateway.rules.consent import PURPOSES, SOURCES, Act, Status, step
from gateway.store.database import Row, Transaction, View

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
    `candidate_erasing` (not for a withdrawal), `number_missing`, and `opted_out` where a STOP stands (nobody inside can overrule
    it).
    """
    _check(channel, push, now)
    lock = lock_number_of if push.status == "revoked" else lock_candidate
    lock(tx, find_candidate(tx, organisation_id, candidate_ref)["id"])
    candidate = find_candidate(tx, organisation_id, candidate_ref)
    if push.status != "revoked":
        check_not_erasing(tx, candidate["id"])
    if candidate["phone_hash"] is None:
        raise Refused(
            "number_missing",
            422,
            "The candidate has no usable number yet; consent belongs to a number.",
            field="candidate_ref",
        )
    if push.status == "revoked":
        stops.withdraw(tx, candidate, channel, "ats", actor, dict(push.evidence), now)
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
    told: dict[str, Any] = {
        "source": push.source,
        "mode": "double" if double else "single",
        "actor": actor,
        "evidence": push.evidence,
        "captured_at": push.captured_at,
        "now": now,
    }
    if outcome.changed:
        change(tx, candidate, channel, push.purpose, before, outcome.after, **told)
    elif push.status == "granted":  # the same again: kept as further evidence, and told to nobody
        add_version(tx, candidate, channel, push.purpose, outcome.after, **told)
    if outcome.changed and push.status == "refused":
        cancel_waiting(tx, candidate["id"], channel, "consent_refused", now, purpose=push.purpose, actor=actor)
    return state_of(tx, candidate, channel, push.purpose)


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
        change(
            tx,
            candidate,
            channel,
            purpose,
            before,
            outcome.after,
            source=source,
            mode="double" if double else "single",
            actor=actor,
            evidence=evidence,
            captured_at=captured_at,
            now=now,
            **columns,
        )
    return str(outcome.after)


def request(
    tx: Transaction, candidate: Row, channel: str, purpose: str, *, actor: str, now: int, expires_at: int, **columns: Any
) -> None:
    """A consent request is under way: what was none, refused or expired is requested until the request ends."""
    before = consent_status(tx, candidate, channel, purpose)
    outcome = step(before, Act.REQUEST)
    if outcome.changed:
        mode = "double" if needs_start(tx, candidate, channel) else "single"
        columns = {"expires_at": expires_at, **columns}
        told: dict[str, Any] = {"source": "email_link", "mode": mode, "actor": actor, "now": now, **columns}
        change(tx, candidate, channel, purpose, before, outcome.after, **told)


def refuse(tx: Transaction, candidate: Row, channel: str, purpose: str, *, actor: str, now: int, **columns: Any) -> None:
    """The candidate said no on the page."""
    before = consent_status(tx, candidate, channel, purpose)
    outcome = step(before, Act.REFUSE)
    if not outcome.changed:
        return
    told: dict[str, Any] = {"source": "email_link", "actor": actor, "captured_at": now, "now": now, **columns}
    change(tx, candidate, channel, purpose, before, outcome.after, **told)
    cancel_waiting(tx, candidate["id"], channel, "consent_refused", now, purpose=purpose, actor=actor)


def expire(tx: Transaction, candidate: Row, channel: str, purpose: str, reason: str, now: int, *, actor: str = "gateway") -> bool:
    """A consent has run out: new consent is needed. True when that changed anything."""
    before = consent_status(tx, candidate, channel, purpose)
    outcome = step(before, Act.EXPIRE)
    if not outcome.changed:
        return False
    last = newest(tx, candidate, channel, purpose)
    assert last is not None
    told: dict[str, Any] = {"source": last["source"], "mode": last["mode"], "evidence": {"reason": reason}, "told_as": reason}
    change(tx, candidate, channel, purpose, before, outcome.after, actor=actor, now=now, **told)
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
