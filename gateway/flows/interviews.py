"""Interviews as recruiters make them: the invitation and its message in one transaction, moving, cancelling.

What candidates answer stands in interview_answers, the order of locks in interview_rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refused
from gateway.flows import reminders
from gateway.flows.accept import OPT_IN_FOR_MS, Accepted, accept
from gateway.flows.cancel import cancel
from gateway.flows.facts import find_case
from gateway.flows.interview_desk import InterviewDesk, merge_for
from gateway.flows.interview_rows import locked, put_slots, release, set_columns, still_open
from gateway.flows.locks import lock_candidate
from gateway.flows.submissions import Submission
from gateway.rules.interviews import (
    MOST_LISTED,
    TOKEN_GRACE_MS,
    TYPES,
    InterviewState,
    Slot,
    check_link,
    check_slots,
    zone_of,
)
from gateway.rules.links import digest
from gateway.store import ids
from gateway.store.database import Row, Transaction, View


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInterview:
    """What an ATS asks for; times in ms UTC."""

    organisation_id: str
    actor: str
    user: str
    candidate_ref: str
    case_ref: str
    type: str
    channel: str
    tz: str
    starts_at: int | None = None
    ends_at: int | None = None
    slots: tuple[Slot, ...] = ()
    location: str = ""
    template_id: str | None = None
    text: str | None = None
    data: Mapping[str, Any] | None = None
    response_url: str | None = None
    client_ref: str | None = None
    urgent: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What is to change; None leaves it. With a text or template the candidate is told, with a link that works again."""

    user: str | None = None
    starts_at: int | None = None
    ends_at: int | None = None
    tz: str | None = None
    location: str | None = None
    slots: tuple[Slot, ...] | None = None
    template_id: str | None = None
    text: str | None = None
    data: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """An interview and the message that tells of it (None where a change is not told)."""

    interview_id: str
    message: Accepted | None


def create(tx: Transaction, new: NewInterview, desk: InterviewDesk, now: int) -> Created:
    """Interview, invitation and token together. Raises Refused; then nothing of it exists."""
    _check_new(new, now)
    slots = check_slots(new.slots, now) if new.type == "self_schedule" else ()
    _check_invitation(tx, new.template_id, new.text)
    case = find_case(tx, new.organisation_id, new.case_ref)
    lock_candidate(tx, _id_of(tx, new))
    rows = put_slots(tx, new.organisation_id, case["id"], slots, now)  # before money, as everywhere
    interview_id = ids.new("int")
    token = desk.links.token(interview_id, 1)
    last = max((slot.starts_at for slot in slots), default=new.starts_at or 0)
    draft = {
        "id": interview_id,
        "type": new.type,
        "channel": new.channel,
        "zone": new.tz,
        "starts_at": new.starts_at,
        "location": new.location,
        "response_url": new.response_url,
        "link_serial": 1,
    }
    message = _invite(tx, new, draft, case, slots, last, desk, now)
    tx.flush()
    sent = tx.one("SELECT candidate_id, user_id FROM message WHERE id = ?", message.id)
    assert sent is not None
    tx.insert(
        "interview",
        id=interview_id,
        organisation_id=new.organisation_id,
        candidate_id=sent["candidate_id"],
        case_id=case["id"],
        user_id=sent["user_id"],
        type=new.type,
        state=InterviewState.INVITED,
        channel=new.channel,
        starts_at=new.starts_at,
        ends_at=new.ends_at,
        last_start_at=last,
        zone=new.tz,
        location=new.location,
        response_url=new.response_url,
        link_serial=1,
        token_hash=digest(token),
        token_expires_at=last + TOKEN_GRACE_MS,
        message_id=message.id,
        client_ref=new.client_ref,
        created_at=now,
        updated_at=now,
    )
    for number, row in enumerate(rows, 1):
        tx.insert("interview_slot", interview_id=interview_id, slot_id=row["id"], number=number)
    tx.flush()
    tx.audit(now, new.actor, "interview.create", interview_id, {"type": new.type, "message": message.id, "slots": len(rows)})
    return Created(interview_id, message)


def _id_of(view: View, new: NewInterview) -> str | None:
    """Whom it is for; None where accept is about to refuse."""
    found: str | None = view.value(
        "SELECT id FROM candidate WHERE organisation_id = ? AND ref = ?", new.organisation_id, new.candidate_ref
    )
    return found


def _check_new(new: NewInterview, now: int) -> None:
    if new.type not in TYPES:
        raise Refused("interview_type_not_supported", 422, f"type must be one of {', '.join(TYPES)}.", field="type")
    zone_of(new.tz)
    if new.type == "scheduled":
        if new.starts_at is None:
            raise Refused("starts_at_missing", 422, "A scheduled interview needs starts_at.", field="starts_at")
        if new.slots:
            raise Refused("slots_not_allowed", 422, "Slots belong to self_schedule.", field="slots")
    elif new.starts_at is not None or new.ends_at is not None:
        raise Refused("starts_at_not_allowed", 422, "self_schedule has slots, no starts_at of its own.", field="starts_at")
    _check_times(new.starts_at, new.ends_at, now)
    url = new.response_url
    if url is not None and not (url.startswith("https://") and len(url) <= 500 and url.isprintable() and " " not in url):
        raise Refused("response_url_not_https", 422, "response_url must be an https address.", field="response_url")


def _check_times(starts_at: int | None, ends_at: int | None, now: int) -> None:
    if starts_at is not None and starts_at <= now:
        raise Refused("starts_at_past", 422, "starts_at must lie in the future.", field="starts_at")
    if ends_at is not None and (starts_at is None or ends_at <= starts_at):
        raise Refused("ends_before_start", 422, "ends_at must lie after starts_at.", field="ends_at")


def _check_invitation(view: View, template_id: str | None, text: str | None) -> None:
    """The link must be in the text, whoever wrote it (S11)."""
    if template_id is None:
        if (text or "").strip():
            check_link(text or "", "text")
        return
    template = view.one("SELECT kind, body FROM template WHERE id = ?", template_id)
    if template is None:
        return  # accept says so, with the code of an unknown reference
    if template["kind"] != "interview_invite":
        raise Refused("template_of_other_kind", 422, "This is no template for an interview invitation.", field="template_id")
    check_link(template["body"], "template_id")


def _invite(
    tx: Transaction,
    new: NewInterview,
    interview: Mapping[str, Any],
    case: Row,
    slots: tuple[Slot, ...],
    last: int,
    desk: InterviewDesk,
    now: int,
) -> Accepted:
    listed = [(number, slot.starts_at) for number, slot in enumerate(slots[:MOST_LISTED], 1)]
    candidate = tx.one("SELECT * FROM candidate WHERE organisation_id = ? AND ref = ?", new.organisation_id, new.candidate_ref)
    merge, below = merge_for(tx, desk, interview, case["language"], listed, candidate)
    body = new.text
    if new.template_id is not None:
        body = tx.value("SELECT body FROM template WHERE id = ?", new.template_id)
    submission = Submission(
        organisation_id=new.organisation_id,
        actor=new.actor,
        user=new.user,
        candidate_ref=new.candidate_ref,
        case_ref=new.case_ref,
        channel=new.channel,
        kind="interview_invite",
        text=new.text,
        template_id=new.template_id,
        data=new.data,
        valid_until=min(last, now + OPT_IN_FOR_MS),
        client_ref=new.client_ref,
        urgent=new.urgent,
        reason=new.reason,
        merge=merge,
        suffix="" if "interview.slots" in (body or "") else below,
    )
    return accept(tx, submission, now)


def move(
    tx: Transaction, organisation_id: str, interview_id: str, change: Move, actor: str, desk: InterviewDesk, now: int
) -> Created:
    """Change an interview. A new time asks for a new answer, and its reminders are planned anew: old times never fire."""
    row = still_open(locked(tx, organisation_id, interview_id))
    if change.tz is not None:
        zone_of(change.tz)
    if row["type"] == "self_schedule" and (change.starts_at is not None or change.ends_at is not None):
        raise Refused("starts_at_not_allowed", 422, "self_schedule has slots, no starts_at of its own.", field="starts_at")
    if row["type"] == "scheduled" and change.slots is not None:
        raise Refused("slots_not_allowed", 422, "Slots belong to self_schedule.", field="slots")
    starts_at = change.starts_at if change.starts_at is not None else row["starts_at"]
    ends_at = _moved_end(row, change)
    if (starts_at, ends_at) != (row["starts_at"], row["ends_at"]):
        _check_times(starts_at, ends_at, now)
    values: dict[str, Any] = {
        "starts_at": starts_at,
        "ends_at": ends_at,
        "zone": change.tz or row["zone"],
        "location": row["location"] if change.location is None else change.location,
    }
    slots: tuple[Slot, ...] = ()
    if change.slots is not None:
        slots = check_slots(change.slots, now)
        values |= _other_slots(tx, row, slots, now)
    moved = (values["starts_at"], values["zone"]) != (row["starts_at"], row["zone"]) or bool(slots)
    if moved and change.text is None and change.template_id is None:
        _check_invitation_left(tx, row)
    if row["type"] == "scheduled":
        values["last_start_at"] = values["starts_at"]
    if moved and (values["starts_at"] != row["starts_at"] or slots):
        values["state"] = InterviewState.INVITED if values.get("slot_id", row["slot_id"]) is None else row["state"]
    last: int = row["last_start_at"] if values.get("last_start_at") is None else values["last_start_at"]
    values["token_expires_at"] = last + TOKEN_GRACE_MS
    set_columns(tx, row["id"], values, now)
    tx.audit(now, actor, "interview.reschedule", row["id"], {"from": row["starts_at"], "to": values["starts_at"]})
    fresh = still_open(locked(tx, organisation_id, interview_id))
    message = None
    if change.text is not None or change.template_id is not None:
        message = _tell_change(tx, fresh, change, slots, actor, desk, now)
    if moved:
        reminders.replan(tx, fresh, actor, desk, now)
    return Created(interview_id, message)


def _check_invitation_left(tx: Transaction, row: Row) -> None:
    """An invitation that still waits names the old time: it may not leave like that. Raises Refused `invitation_waiting`."""
    state = tx.value("SELECT state FROM message WHERE id = ?", row["message_id"])
    if state in ("held", "queued"):
        raise Refused(
            "invitation_waiting",
            409,
            "The invitation has not left yet and names the old time. Give a text or template_id: a new one then takes its place.",
            field="text",
            facts={"message_id": row["message_id"]},
        )


def _moved_end(row: Row, change: Move) -> int | None:
    """The end as told, or as far from the start as before."""
    if change.ends_at is not None:
        return change.ends_at
    before: int | None = row["ends_at"]
    if change.starts_at is None or before is None:
        return before
    return before + change.starts_at - int(row["starts_at"])


def _other_slots(tx: Transaction, row: Row, slots: tuple[Slot, ...], now: int) -> dict[str, Any]:
    """Offer these slots instead; a booked one that is no longer on offer is given back."""
    rows = put_slots(tx, row["organisation_id"], row["case_id"], slots, now)
    tx.execute("DELETE FROM interview_slot WHERE interview_id = ?", row["id"])
    for number, slot in enumerate(rows, 1):
        tx.insert("interview_slot", interview_id=row["id"], slot_id=slot["id"], number=number)
    tx.flush()
    values: dict[str, Any] = {"last_start_at": max(slot.starts_at for slot in slots), "no_slots_at": None}
    if row["slot_id"] is not None and all(slot["id"] != row["slot_id"] for slot in rows):
        release(tx, row["slot_id"])
        values |= {"slot_id": None, "starts_at": None, "ends_at": None}
    return values


def _tell_change(
    tx: Transaction, row: Row, change: Move, slots: tuple[Slot, ...], actor: str, desk: InterviewDesk, now: int
) -> Accepted:
    _check_invitation(tx, change.template_id, change.text)
    refs = tx.one(
        "SELECT c.ref AS candidate_ref, h.ref AS case_ref, h.language AS language FROM interview i"
        " JOIN candidate c ON c.id = i.candidate_id JOIN hiring_case h ON h.id = i.case_id WHERE i.id = ?",
        row["id"],
    )
    assert refs is not None
    new = NewInterview(
        organisation_id=row["organisation_id"],
        actor=actor,
        user=change.user or row["user_id"],
        candidate_ref=refs["candidate_ref"],
        case_ref=refs["case_ref"],
        type=row["type"],
        channel=row["channel"],
        tz=row["zone"],
        template_id=change.template_id,
        text=change.text,
        data=change.data,
        client_ref=row["client_ref"],
    )
    message = _invite(tx, new, row, refs, slots, row["last_start_at"], desk, now)
    _end_message(tx, row, actor, now)
    set_columns(tx, row["id"], {"message_id": message.id}, now)
    return message


def call_off(tx: Transaction, organisation_id: str, interview_id: str, actor: str, now: int) -> int:
    """Cancel an interview: its reminders go, its slot is free, a waiting invitation is refunded. The credits refunded."""
    row = locked(tx, organisation_id, interview_id)
    if row["state"] == InterviewState.CANCELLED:
        raise Refused("interview_not_found", 404, "This interview was cancelled before.", field="id")
    return _call_off(tx, row, actor, now)


def _call_off(tx: Transaction, row: Row, actor: str, now: int) -> int:
    if row["slot_id"] is not None:
        release(tx, row["slot_id"])
    refunded = _end_message(tx, row, actor, now) + reminders.drop_all(tx, row, actor, now)
    set_columns(tx, row["id"], {"state": InterviewState.CANCELLED, "slot_id": None}, now)
    tx.audit(now, actor, "interview.cancel", row["id"], {"refunded": refunded})
    return refunded


def forget(tx: Transaction, candidate_id: str, actor: str, now: int) -> int:
    """For an erasure: what lies ahead is called off, its slot free; no text, address or link of theirs remains. How many."""
    rows = tx.all("SELECT * FROM interview WHERE candidate_id = ? ORDER BY id" + tx.for_update, candidate_id)
    for row in rows:
        if row["state"] != InterviewState.CANCELLED and row["last_start_at"] > now:
            _call_off(tx, row, actor, now)
        set_columns(tx, row["id"], {**_BLANK, "token_hash": "gone-" + row["id"], "token_expires_at": now}, now)
        tx.execute("UPDATE reminder SET body = NULL WHERE interview_id = ?", row["id"])
    return len(rows)


_BLANK: Mapping[str, Any] = {"location": "", "response_url": None, "client_ref": None}


def _end_message(tx: Transaction, row: Row, actor: str, now: int) -> int:
    return cancel(tx, row["message_id"], None, actor, now).credits_refunded
