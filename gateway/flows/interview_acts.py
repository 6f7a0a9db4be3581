"""Interviews as a person handles them on a page: the flows of interviews and reminders behind the terms of sending (S49).

The API leaves these to its key and the user it names; somebody at a browser must be allowed to write in the interview's case.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import Refused
from gateway.flows import interviews, reminders
from gateway.flows.case_desk import Seen, meet, require_sender, sees
from gateway.flows.facts import find_case
from gateway.flows.interview_desk import InterviewDesk
from gateway.flows.interviews import Created, Move, NewInterview
from gateway.flows.reminders import NewReminder
from gateway.rules.interviews import Slot
from gateway.store import lists_candidates, lists_interviews
from gateway.store.database import Row, Transaction, View

_MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class Told:
    """An interview with everything there is to show of it. `may_act`: it may still be changed, by this person."""

    row: Row
    user_name: str
    slots: Sequence[Row]
    answers: Sequence[Row]
    reminders: Sequence[Row]
    deleted: Sequence[Row]
    wording: dict[str, str]
    """The words of each reminder: by the id of its message, else of the reminder."""
    templates: dict[str, str]
    may_act: bool
    has_begun: bool


def interviews_of(view: View, seen: Seen) -> list[Row]:
    """The candidate's interviews as far as this person sees their cases, newest first."""
    filters = {"candidate_ref": seen.candidate["ref"]}
    rows = lists_interviews.interviews(view, seen.candidate["organisation_id"], filters, None, _MOST_LISTED)
    if seen.case is not None:
        rows = [row for row in rows if row["case_id"] == seen.case["id"]]
    return [row for row in rows if sees(view, seen.user, find_case(view, row["organisation_id"], row["case_ref"]))]


def place(view: View, seen: Seen, interview_id: str) -> tuple[Row, Seen]:
    """An interview of this candidate, and how this person stands in its case. Raises Refused `interview_not_found`."""
    row = lists_interviews.interview(view, seen.candidate["organisation_id"], interview_id)
    case = find_case(view, row["organisation_id"], row["case_ref"])
    if row["candidate_id"] != seen.candidate["id"] or not sees(view, seen.user, case):
        raise Refused("interview_not_found", 404, "No interview with this id.", field="id")
    return row, meet(view, row["organisation_id"], seen.user["id"], seen.candidate["ref"], row["case_ref"])


def show(view: View, seen: Seen, interview_id: str, now: int) -> tuple[Told, Seen]:
    """One interview, and how this person stands in its case."""
    row, here = place(view, seen, interview_id)
    planned, deleted = lists_interviews.reminders(view, interview_id), lists_candidates.deleted_reminders(view, interview_id)
    texts = lists_candidates.message_texts(view, [each["message_id"] for each in planned if each["message_id"] is not None])
    wording = {each["id"]: texts.get(each["message_id"] or "", each["body"] or "") for each in [*planned, *deleted]}
    named = [each["template_id"] for each in [*planned, *deleted] if each["template_id"] is not None]
    has_begun = now >= (row["starts_at"] or row["last_start_at"])
    told = Told(
        row=row,
        user_name=lists_candidates.people(view, [row["user_id"]]).get(row["user_id"], ""),
        slots=lists_interviews.slots(view, interview_id),
        answers=lists_interviews.answers(view, interview_id),
        reminders=planned,
        deleted=deleted,
        wording=wording,
        templates=lists_candidates.template_names(view, named),
        may_act=here.may_send and row["state"] != "cancelled" and not has_begun,
        has_begun=has_begun,
    )
    return told, here


def free_slots(view: View, case_id: str, now: int) -> list[Row]:
    """Times of a case that lie ahead and still have a place: what another candidate may be offered as well."""
    return lists_interviews.free_slots(view, case_id, now)


def kept_slots(view: View, case_id: str, refs: Sequence[str], now: int) -> tuple[Slot, ...]:
    """Those of the case's times that somebody ticked."""
    known = {row["ref"]: row for row in lists_interviews.coming_slots(view, case_id, now)}
    return tuple(
        Slot(ref, known[ref]["starts_at"], known[ref]["ends_at"], known[ref]["capacity"]) for ref in refs if ref in known
    )


def invite(tx: Transaction, seen: Seen, new: NewInterview, desk: InterviewDesk, now: int) -> Created:
    """Invite a candidate. The same form sent twice (its token is `client_ref`) is one invitation."""
    require_sender(seen)
    if new.client_ref is not None:
        made = lists_interviews.interviews(tx, new.organisation_id, {"client_ref": new.client_ref}, None, 1)
        if made:
            return Created(made[0]["id"], None)
    return interviews.create(tx, new, desk, now)


def move(tx: Transaction, seen: Seen, interview_id: str, change: Move, desk: InterviewDesk, now: int) -> Created:
    """Give an interview another time or place."""
    row, here = place(tx, seen, interview_id)
    require_sender(here)
    return interviews.move(tx, row["organisation_id"], interview_id, change, _actor(seen), desk, now)


def call_off(tx: Transaction, seen: Seen, interview_id: str, now: int) -> int:
    """Cancel an interview; the credits that come back."""
    row, here = place(tx, seen, interview_id)
    require_sender(here)
    return interviews.call_off(tx, row["organisation_id"], interview_id, _actor(seen), now)


def remind(tx: Transaction, seen: Seen, interview_id: str, new: NewReminder, desk: InterviewDesk, now: int) -> Row:
    """Plan a reminder."""
    row, here = place(tx, seen, interview_id)
    require_sender(here)
    return reminders.add(tx, row["organisation_id"], interview_id, new, _actor(seen), desk, now)


def forget_reminder(tx: Transaction, seen: Seen, interview_id: str, reminder_id: str, now: int) -> int:
    """Take a reminder back; the credits that come back."""
    row, here = place(tx, seen, interview_id)
    require_sender(here)
    return reminders.delete(tx, row["organisation_id"], interview_id, reminder_id, _actor(seen), now)


def _actor(seen: Seen) -> str:
    return f"user:{seen.user['id']}"


def slots_of(view: View, interview_id: str) -> list[Row]:
    """The times on offer."""
    return lists_interviews.slots(view, interview_id)
