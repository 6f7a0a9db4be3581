"""The rows of an interview: locked in one order, changed by name, and the slots that it offers.

Everything that decides locks the candidate first, then the interview, then slots in the order of their ids, then money. Slots
belong to a case: the same id in several invitations is one slot whose places are shared.
"""

from collections.abc import Mapping
from typing import Any

from gateway.errors import Refused
from gateway.flows.locks import lock_candidate
from gateway.rules.interviews import InterviewState, Slot
from gateway.store import ids
from gateway.store.database import Row, Transaction, View


def locked(tx: Transaction, organisation_id: str | None, interview_id: str) -> Row:
    """An interview, its candidate's row locked before it. Raises Refused `interview_not_found`."""
    found = tx.one("SELECT candidate_id, organisation_id FROM interview WHERE id = ?", interview_id)
    if found is None or (organisation_id is not None and found["organisation_id"] != organisation_id):
        raise Refused("interview_not_found", 404, "No interview with this id.", field="id")
    lock_candidate(tx, found["candidate_id"])
    row = tx.one("SELECT * FROM interview WHERE id = ?" + tx.for_update, interview_id)
    assert row is not None
    return row


def still_open(row: Row) -> Row:
    """The same interview. Raises Refused `interview_cancelled`."""
    if row["state"] == InterviewState.CANCELLED:
        raise Refused("interview_cancelled", 409, "This interview is cancelled.", field="id")
    return row


def set_columns(tx: Transaction, interview_id: str, values: Mapping[str, Any], now: int) -> None:
    """Set these columns."""
    sets = ", ".join(f"{name} = ?" for name in values)
    tx.execute(f"UPDATE interview SET {sets}, updated_at = ? WHERE id = ?", *values.values(), now, interview_id)


# --- slots ------------------------------------------------------------------------------------------------------------


def put_slots(tx: Transaction, organisation_id: str, case_id: str, slots: tuple[Slot, ...], now: int) -> list[Row]:
    """The rows of these slots, by time; those that the case has already must be the same. Raises Refused `slot_conflict`."""
    rows: dict[str, Row] = {}
    for slot in sorted(slots, key=lambda each: each.ref):
        tx.execute(
            "INSERT INTO slot (id, organisation_id, case_id, ref, starts_at, ends_at, capacity, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (case_id, ref) DO NOTHING",
            *(ids.new("slt"), organisation_id, case_id, slot.ref, slot.starts_at, slot.ends_at, slot.capacity, now),
        )
        row = tx.one("SELECT * FROM slot WHERE case_id = ? AND ref = ?", case_id, slot.ref)
        assert row is not None
        if (row["starts_at"], row["ends_at"], row["capacity"]) != (slot.starts_at, slot.ends_at, slot.capacity):
            raise Refused(
                "slot_conflict",
                409,
                f"The slot {slot.ref} of this case has another time or capacity; give the new one an id of its own.",
                field="slots",
                facts={"slot": slot.ref},
            )
        rows[slot.ref] = row
    return [rows[slot.ref] for slot in slots]


def remaining(view: View, interview_id: str, now: int) -> list[Row]:
    """The slots of an interview that still have a place, by time, each with its number."""
    return view.all(
        "SELECT s.*, o.number FROM slot s JOIN interview_slot o ON o.slot_id = s.id"
        " WHERE o.interview_id = ? AND s.taken < s.capacity AND s.starts_at > ? ORDER BY o.number",
        interview_id,
        now,
    )


def release(tx: Transaction, slot_id: str) -> None:
    """Give a place back; whoever had nothing left to choose from is told anew when nothing is left again."""
    tx.execute("UPDATE slot SET taken = taken - 1 WHERE id = ? AND taken > 0", slot_id)
    for other in offered_by(tx, slot_id, "no_slots_at IS NOT NULL"):
        tx.execute("UPDATE interview SET no_slots_at = NULL WHERE id = ?", other["id"])


def offered_by(tx: Transaction, slot_id: str, which: str) -> list[Row]:
    """Interviews that offer a slot. One that is locked waits for the slot itself, and will see by itself what became of it."""
    return tx.all(
        f"SELECT * FROM interview WHERE {which} AND id IN (SELECT interview_id FROM interview_slot WHERE slot_id = ?)"
        f" ORDER BY id{tx.skip_locked}",
        slot_id,
    )
