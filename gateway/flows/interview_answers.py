"""What a candidate answers to an interview: yes, no, or one of the slots; by link, by SMS, or on a page of the ATS.

The last valid answer before the start counts, and every one is kept. Whoever calls has locked the interview (interview_rows).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.clock import rfc3339
from gateway.errors import Refused
from gateway.flows import reminders
from gateway.flows.interview_desk import InterviewDesk
from gateway.flows.interview_rows import offered_by, release, remaining, set_columns, still_open
from gateway.rules.interviews import AFTER, Answer, InterviewState
from gateway.rules.links import digest, is_token
from gateway.store.database import Row, Transaction, View


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an answer: `outcome` is changed, repeated or late."""

    outcome: str
    interview: Row
    slot: Row | None


def by_token(view: View, token: str, now: int) -> Row:
    """The interview behind a link. Raises Refused `link_unknown` (404) or `link_expired` (410)."""
    row = view.one("SELECT * FROM interview WHERE token_hash = ?", digest(token)) if is_token(token) else None
    if row is None:
        raise Refused("link_unknown", 404, "This link is not known.")
    if row["token_expires_at"] <= now:
        raise Refused("link_expired", 410, "This link has expired.", facts={"interview": row["id"]})
    return row


def respond(
    tx: Transaction,
    row: Row,
    answer: Answer,
    source: str,
    actor: str,
    desk: InterviewDesk,
    now: int,
    *,
    received_id: str | None = None,
) -> Outcome:
    """Yes or no. The last one before the start counts, every one is kept; one that comes later changes nothing.

    Raises Refused `interview_cancelled`, or `slot_required` for a yes to slots none of which was chosen. `row` is locked.
    """
    still_open(row)
    if now >= (row["starts_at"] or row["last_start_at"]):
        return _late(tx, row, answer, None, source, received_id, now)
    if row["type"] == "self_schedule" and answer is Answer.CONFIRM and row["slot_id"] is None:
        raise Refused("slot_required", 422, "Choose one of the slots.", field="slot")
    after = AFTER[answer]
    if row["state"] == after:
        _keep(tx, row, answer, row["slot_id"], source, received_id, "repeated", now)
        return Outcome("repeated", row, None)
    values: dict[str, Any] = {"state": after, "answered_at": now, "letter": None}
    if answer is Answer.DECLINE and row["slot_id"] is not None:
        release(tx, row["slot_id"])
        values |= {"slot_id": None, "starts_at": None, "ends_at": None}
    set_columns(tx, row["id"], values, now)
    _keep(tx, row, answer, None, source, received_id, "changed", now)
    tx.audit(now, actor, "interview.respond", row["id"], {"answer": answer, "source": source, "from": row["state"]})
    fresh = tx.one("SELECT * FROM interview WHERE id = ?", row["id"])
    assert fresh is not None
    _tell_answer(tx, {**dict(row), "state": after}, answer, None, source, now, late=False)
    if answer is Answer.DECLINE:
        reminders.drop_all(tx, fresh, actor, now)
    return Outcome("changed", row, None)


def choose(
    tx: Transaction,
    row: Row,
    slot_ref: str,
    source: str,
    actor: str,
    desk: InterviewDesk,
    now: int,
    *,
    received_id: str | None = None,
) -> Outcome | Refused:
    """Take a place in a slot; the one taken before is free again. A slot that is full comes back as Refused `slot_taken`.

    Raises Refused `interview_cancelled`, `slot_not_found`. `row` is locked.
    """
    still_open(row)
    slot = tx.one(
        "SELECT s.*, o.number FROM slot s JOIN interview_slot o ON o.slot_id = s.id WHERE o.interview_id = ? AND s.ref = ?",
        row["id"],
        slot_ref,
    )
    if slot is None:
        raise Refused("slot_not_found", 404, "This interview has no slot with this id.", field="slot")
    if now >= (row["starts_at"] or row["last_start_at"]):
        return _late(tx, row, Answer.CONFIRM, slot, source, received_id, now)
    if row["slot_id"] == slot["id"]:
        _keep(tx, row, Answer.CONFIRM, slot["id"], source, received_id, "repeated", now)
        return Outcome("repeated", row, slot)
    if tx.for_update:
        for slot_id in sorted({slot["id"], row["slot_id"] or slot["id"]}):
            tx.one("SELECT id FROM slot WHERE id = ?" + tx.for_update, slot_id)
    claim = "UPDATE slot SET taken = taken + 1 WHERE id = ? AND taken < capacity AND starts_at > ?"
    if not tx.execute(claim, slot["id"], now):
        _keep(tx, row, Answer.CONFIRM, slot["id"], source, received_id, "taken", now)
        return _taken(tx, row, now)
    if row["slot_id"] is not None:
        release(tx, row["slot_id"])
    values = {
        "slot_id": slot["id"],
        "starts_at": slot["starts_at"],
        "ends_at": slot["ends_at"],
        "state": InterviewState.CONFIRMED,
        "answered_at": now,
        "letter": None,
    }
    set_columns(tx, row["id"], values, now)
    _keep(tx, row, Answer.CONFIRM, slot["id"], source, received_id, "changed", now)
    tx.audit(now, actor, "interview.respond", row["id"], {"answer": Answer.CONFIRM, "source": source, "slot": slot["id"]})
    fresh = tx.one("SELECT * FROM interview WHERE id = ?", row["id"])
    assert fresh is not None
    _tell_answer(tx, fresh, Answer.CONFIRM, slot, source, now, late=False)
    reminders.replan(tx, fresh, actor, desk, now)
    for other in offered_by(tx, slot["id"], "state = 'invited' AND no_slots_at IS NULL"):
        _tell_if_gone(tx, other, now)
    return Outcome("changed", fresh, slot)


def shown_slot(slot: Row) -> dict[str, Any]:
    """A slot as events and answers name it."""
    return {"id": slot["ref"], "starts_at": rfc3339(slot["starts_at"]), "ends_at": rfc3339(slot["ends_at"])}


def _taken(tx: Transaction, row: Row, now: int) -> Refused:
    _tell_if_gone(tx, row, now)
    left = [shown_slot(slot) for slot in remaining(tx, row["id"], now)]
    return Refused("slot_taken", 409, "This slot was taken by somebody else.", field="slot", facts={"remaining": left})


def _tell_if_gone(tx: Transaction, row: Row, now: int) -> None:
    """The event that an invited candidate has nothing left to choose from, once until a place is free again."""
    if row["slot_id"] is not None or remaining(tx, row["id"], now):
        return
    if tx.execute("UPDATE interview SET no_slots_at = ? WHERE id = ? AND no_slots_at IS NULL", now, row["id"]):
        data = {"interview_id": row["id"], "candidate_id": row["candidate_id"], "client_ref": row["client_ref"]}
        tx.event(now, row["organisation_id"], "interview.no_slots", row["id"], data)


def _late(tx: Transaction, row: Row, answer: Answer, slot: Row | None, source: str, received_id: str | None, now: int) -> Outcome:
    _keep(tx, row, answer, None if slot is None else slot["id"], source, received_id, "late", now)
    tx.audit(now, "candidate", "interview.respond", row["id"], {"answer": answer, "source": source, "late": True})
    _tell_answer(tx, row, answer, slot, source, now, late=True)
    return Outcome("late", row, slot)


def _keep(
    tx: Transaction, row: Row, answer: str, slot_id: str | None, source: str, received_id: str | None, outcome: str, now: int
) -> None:
    tx.insert(
        "interview_answer",
        interview_id=row["id"],
        answer=answer,
        slot_id=slot_id,
        source=source,
        received_id=received_id,
        outcome=outcome,
        at=now,
    )


def _tell_answer(
    tx: Transaction, row: Mapping[str, Any], answer: Answer, slot: Row | None, source: str, now: int, *, late: bool
) -> None:
    data = {
        "interview_id": row["id"],
        "candidate_id": row["candidate_id"],
        "client_ref": row["client_ref"],
        "answer": answer,
        "state": row["state"],
        "slot": None if slot is None else shown_slot(slot),
        "starts_at": None if row["starts_at"] is None else rfc3339(row["starts_at"]),
        "source": source,
        "late": late,
        "answered_at": rfc3339(now),
    }
    tx.event(now, row["organisation_id"], "interview.responded", row["id"], data)
