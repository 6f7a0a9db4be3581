"""Questions about interviews: lists with keyset cursors, one with its slots, answers and reminders, and what a candidate sees."""

from typing import Any

from gateway.errors import Refused
from gateway.store.database import Row, View

_SHOWN = (
    "SELECT i.*, c.ref AS candidate_ref, h.ref AS case_ref, u.email AS user_email, s.ref AS slot_ref FROM interview i"
    " JOIN candidate c ON c.id = i.candidate_id JOIN hiring_case h ON h.id = i.case_id JOIN app_user u ON u.id = i.user_id"
    " LEFT JOIN slot s ON s.id = i.slot_id"
)
_FILTERS = {"candidate_ref": "c.ref", "case_ref": "h.ref", "state": "i.state", "type": "i.type", "client_ref": "i.client_ref"}


def interviews(view: View, organisation_id: str, filters: dict[str, Any], after: str | None, limit: int) -> list[Row]:
    """Interviews, newest first, one more than `limit` where there are more."""
    where, values = ["i.organisation_id = ?"], [organisation_id]
    for name, column in _FILTERS.items():
        if filters.get(name) is not None:
            where.append(f"{column} = ?")
            values.append(filters[name])
    if after is not None:
        where.append("i.id < ?")
        values.append(after)
    return view.all(f"{_SHOWN} WHERE {' AND '.join(where)} ORDER BY i.id DESC LIMIT ?", *values, limit + 1)


def interview(view: View, organisation_id: str, interview_id: str) -> Row:
    """One interview. Raises Refused `interview_not_found`."""
    row = view.one(f"{_SHOWN} WHERE i.id = ? AND i.organisation_id = ?", interview_id, organisation_id)
    if row is None:
        raise Refused("interview_not_found", 404, "No interview with this id.", field="id")
    return row


def slots(view: View, interview_id: str) -> list[Row]:
    """Every slot on offer, by number, with the places that are left."""
    return view.all(
        "SELECT s.*, o.number, s.capacity - s.taken AS left_over FROM slot s JOIN interview_slot o ON o.slot_id = s.id"
        " WHERE o.interview_id = ? ORDER BY o.number",
        interview_id,
    )


def answers(view: View, interview_id: str) -> list[Row]:
    """Every answer that was given, oldest first."""
    return view.all(
        "SELECT a.*, s.ref AS slot_ref FROM interview_answer a LEFT JOIN slot s ON s.id = a.slot_id"
        " WHERE a.interview_id = ? ORDER BY a.id",
        interview_id,
    )


def reminders(view: View, interview_id: str) -> list[Row]:
    """Its reminders, those taken back left out."""
    return view.all(
        "SELECT r.*, m.state AS message_state, m.parts AS parts, m.credits AS credits, m.not_before AS not_before FROM reminder r"
        " LEFT JOIN message m ON m.id = r.message_id WHERE r.interview_id = ? AND r.state <> 'deleted' ORDER BY r.id",
        interview_id,
    )


def reminder(view: View, reminder_id: str) -> Row:
    """One reminder. Raises LookupError."""
    row = view.one(
        "SELECT r.*, m.state AS message_state, m.parts AS parts, m.credits AS credits, m.not_before AS not_before FROM reminder r"
        " LEFT JOIN message m ON m.id = r.message_id WHERE r.id = ?",
        reminder_id,
    )
    if row is None:
        raise LookupError(reminder_id)
    return row


def context(view: View, row: Row) -> tuple[Row, Row, Row]:
    """Candidate, case and organisation of an interview."""
    candidate = view.one("SELECT * FROM candidate WHERE id = ?", row["candidate_id"])
    case = view.one("SELECT * FROM hiring_case WHERE id = ?", row["case_id"])
    organisation = view.one("SELECT * FROM organisation WHERE id = ?", row["organisation_id"])
    if candidate is None or case is None or organisation is None:
        raise LookupError(row["id"])
    return candidate, case, organisation


def coming_slots(view: View, case_id: str, now: int) -> list[Row]:
    """Slots of a case that lie ahead, by time."""
    return view.all("SELECT * FROM slot WHERE case_id = ? AND starts_at > ? ORDER BY starts_at, id LIMIT 100", case_id, now)


def free_slots(view: View, case_id: str, now: int) -> list[Row]:
    """Those of them that still have a place."""
    return [row for row in coming_slots(view, case_id, now) if row["taken"] < row["capacity"]]
