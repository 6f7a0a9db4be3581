"""Putting a companion before its text: together with it, or when a text learns only later that it needs one.

A companion takes its text's place in the candidate's order, and passes all gates but the opt-in (design.md §3.3). It lives as
long as the last text behind it; a text whose companion cannot be written (no credits) waits and tries again.
"""

from dataclasses import dataclass
from typing import Any

from gateway.errors import Refused
from gateway.flows import companions, credits
from gateway.flows.companions import Companion, Escort
from gateway.flows.facts import facts_for, find_user, organisation
from gateway.flows.message_rows import insert_parts, tell_state
from gateway.rules.consent import PURPOSE_OF_KIND, Status
from gateway.rules.gates import Wait
from gateway.rules.kinds import COMPANIONS
from gateway.rules.lifecycle import Hold, State
from gateway.store import ids
from gateway.store.database import Row, Transaction

TRY_AGAIN_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Escorted:
    """A companion as the 202 and the preview tell it; `id` and `state` are None in a preview."""

    kind: str
    text: str
    encoding: str
    parts: int
    credits: int
    id: str | None = None
    state: str | None = None


def foreseen(escort: Escort, price: int) -> tuple[Escorted, ...]:
    """The companion that a preview shows as a line of its own."""
    if escort.new is None:
        return ()
    new = escort.new
    return (Escorted(new.kind, new.text, new.pieces[0].alphabet, len(new.pieces), price * len(new.pieces)),)


def write(
    tx: Transaction, new: Companion, row: dict[str, Any], candidate: Row, sender: Row, leaves: Wait | None, actor: str, now: int
) -> Escorted:
    """Write the companion before its text; `row` is the text's, which gets the next place in the candidate's order."""
    companion_id, price = ids.new("msg"), row["price"] * len(new.pieces)
    try:
        credits.reserve(tx, row["organisation_id"], companion_id, price, actor, now, month=row["month"], unit_id=row["unit_id"])
    except Refused as refused:
        refused.facts["needed"] = price + row["credits"]
        raise
    if new.kind == companions.INVITATION:
        expires_at = companions.pend(tx, candidate, row["channel"], row["kind"], actor, now)
        row["valid_until"] = min(row["valid_until"], expires_at)
    state = State.QUEUED if leaves is None else State.HELD
    first = {
        **row,
        "id": companion_id,
        "kind": new.kind,
        "state": state,
        "hold_reason": None if leaves is None else leaves.reason,
        "not_before": None if leaves is None else leaves.not_before,
        "alphabet": new.pieces[0].alphabet,
        "parts": len(new.pieces),
        "credits": price,
        "client_ref": None,
        "after_message_id": None,
        "valid_told": 0,  # others may come to wait behind it; it goes with the last of them
        "purpose": PURPOSE_OF_KIND[row["kind"]],
        "text_language": new.wording.language,
        "text_language_wanted": new.wording.wanted,
        "wording_version": new.wording.version,
    }
    _make_room(tx, row)
    tx.insert("message", **first)
    row["after_message_id"] = companion_id
    insert_parts(tx, companion_id, new.pieces, candidate["phone"])
    companions.note(tx, new, companion_id, candidate, row["channel"], sender, now)
    told = {"parts": len(new.pieces), "credits": price, "kind": new.kind, "state": state, "user": row["user_id"]}
    tx.audit(now, actor, "message.accept", companion_id, told)
    tell_state(tx, row["organisation_id"], companion_id, candidate["id"], state, now, hold=leaves)
    tx.wake = tx.wake or state == State.QUEUED
    return Escorted(new.kind, new.text, new.pieces[0].alphabet, len(new.pieces), price, companion_id, state)


def _make_room(tx: Transaction, row: dict[str, Any]) -> None:
    """The companion gets the text's place; the text and whatever waits behind it move one back, in their order."""
    tx.execute(
        "UPDATE message SET seq = seq + 1 WHERE candidate_id = ? AND seq >= ?"
        " AND state IN ('held', 'queued', 'sending', 'unknown')",
        row["candidate_id"],
        row["seq"],
    )
    tx.execute("UPDATE candidate SET last_seq = last_seq + 1 WHERE id = ?", row["candidate_id"])
    row["seq"] += 1


def join(tx: Transaction, companion_id: str, not_before: int | None, valid_until: int, now: int) -> None:
    """A text comes to wait behind a companion: that goes as early, if it only waits for its hour, and lives as long."""
    goes_at = now if not_before is None else max(now, not_before)
    hurried = tx.execute(
        "UPDATE message SET not_before = ? WHERE id = ? AND state = 'held' AND hold_reason = ? AND not_before > ?",
        goes_at,
        companion_id,
        Hold.SCHEDULED,
        goes_at,
    )
    tx.execute(
        "UPDATE message SET valid_until = ? WHERE id = ? AND settled_at IS NULL AND valid_until < ?",  # the air may give it back
        valid_until,
        companion_id,
        valid_until,
    )
    tx.wake = tx.wake or bool(hurried)


def bring(tx: Transaction, message: Row, candidate: Row, sender: Row, now: int) -> bool:
    """A text that gets its sender only now, another one, or its START: what must go before it. Whether the text may go on.

    Raises Refused where the companion cannot be written (credits, an empty purpose).
    """
    if message["origin"] != "user" or message["channel"] != "sms":
        return True
    if message["kind"] in COMPANIONS:
        _move_to(tx, message["id"], sender["id"])
        return True
    tx.flush()
    org = organisation(tx, message["organisation_id"])
    user = find_user(tx, org["id"], message["user_id"])
    case = None if message["case_id"] is None else tx.one("SELECT * FROM hiring_case WHERE id = ?", message["case_id"])
    facts = facts_for(tx, org=org, user=user, case=case, candidate=candidate, channel="sms", kind=message["kind"], now=now)
    escort = companions.plan(
        tx,
        org=org,
        user=user,
        case=case,
        pool_ref=message["pool_ref"],
        candidate=candidate,
        channel="sms",
        sender=sender,
        consent=facts.consent_row,
        pends=facts.pends,
    )
    row = {**dict(message), "sender_id": sender["id"], "after_message_id": escort.waits_for, "accepted_at": now, "due_at": now}
    if escort.new is not None:
        at = message["not_before"]
        later = at is not None and at > now and escort.new.kind != companions.INVITATION
        write(tx, escort.new, row, candidate, sender, Wait(Hold.SCHEDULED, at) if later else None, "gateway", now)
        tx.flush()
    elif escort.waits_for is not None:
        join(tx, escort.waits_for, message["not_before"], message["valid_until"], now)
    waits = facts.consent == Status.PENDING
    if escort.new is None and escort.waits_for is None and not waits:
        tx.execute(_FOLLOWS_NOBODY, message["id"])
        return True
    reason = Hold.PENDING_OPT_IN if waits else Hold.WAITS_FOR
    tx.execute(
        "UPDATE message SET seq = ?, after_message_id = ?, state = 'held', hold_reason = ? WHERE id = ?",
        row["seq"],
        row["after_message_id"],
        reason,
        message["id"],
    )
    tell_state(
        tx, org["id"], message["id"], candidate["id"], State.HELD, now, hold=Wait(reason), client_ref=message["client_ref"]
    )
    return False


_FOLLOWS_NOBODY = (
    "UPDATE message SET after_message_id = NULL WHERE id = ?"
    " AND after_message_id IN (SELECT id FROM message WHERE state IN ('failed', 'cancelled', 'expired'))"
)
"""What it waited for never left, and is not needed any more."""


def _move_to(tx: Transaction, message_id: str, sender_id: str) -> None:
    """A companion leaves from another number than planned: the thread knows it as that number's, and its texts follow it."""
    tx.execute(
        "UPDATE companion SET sender_id = ? WHERE message_id = ? AND NOT EXISTS (SELECT 1 FROM companion o"
        " WHERE o.candidate_id = companion.candidate_id AND o.channel = companion.channel AND o.kind = companion.kind"
        " AND o.context = companion.context AND o.phone_hash = companion.phone_hash AND o.sender_id = ?)",
        sender_id,
        message_id,
        sender_id,
    )
    tx.execute(
        "UPDATE message SET sender_id = ? WHERE after_message_id = ? AND state IN ('held', 'queued')", sender_id, message_id
    )


def introduce(tx: Transaction, message: Row, now: int) -> bool:
    """START is here: before a text that waited for it goes who writes, if nobody has said so yet. Whether the text may go on.

    What cannot be written now (no credits) is tried again with the next text to the candidate, and every hour.
    """
    candidate = tx.one("SELECT * FROM candidate WHERE id = ?", message["candidate_id"])
    sender = None if message["sender_id"] is None else tx.one("SELECT * FROM sender WHERE id = ?", message["sender_id"])
    if candidate is None or sender is None:  # without a sender it waits for one, and is brought its companion then
        return True
    try:
        with tx.savepoint():
            return bring(tx, message, candidate, sender, now)
    except Refused as refused:
        told = {"code": refused.code, "kind": companions.IDENTIFICATION}
        tx.audit(now, "gateway", "message.deny", message["id"], told)
    invitation = companions.invitation_of(tx, candidate, message["channel"], sender)
    tx.execute(
        "UPDATE message SET hold_reason = ?, after_message_id = COALESCE(?, after_message_id), not_before = ? WHERE id = ?"
        " AND state = 'held'",
        Hold.WAITS_FOR,
        invitation,
        max(message["not_before"] or 0, now + TRY_AGAIN_MS),
        message["id"],
    )
    return False
