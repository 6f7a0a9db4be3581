"""Reminders of interviews (S55, S56).

A reminder is an ordinary message, accepted when it is asked for and held until its time. So its credits are set aside at once –
one that was promised does not fail for want of credits on the morning of the interview, and DELETE has something to refund –
and STOP, erasure, a changed number and the look at every rule before sending act on it as on any other message.
The gateway's housekeeping (`sweep`) writes down what fired, and what did not and why.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.clock import rfc3339
from gateway.errors import Refused
from gateway.flows.accept import accept
from gateway.flows.cancel import cancel
from gateway.flows.facts import find_user
from gateway.flows.hours import quiet_hours
from gateway.flows.interview_desk import InterviewDesk, merge_for
from gateway.flows.locks import lock_candidate
from gateway.flows.submissions import Submission
from gateway.rules.interviews import (
    MOST_REMINDERS,
    Firing,
    InterviewState,
    firing,
    nominal_at,
    read_offset,
    too_close,
    zone_of,
)
from gateway.rules.lifecycle import State
from gateway.rules.merge_fields import compile_template
from gateway.store import ids
from gateway.store.database import Database, Row, Transaction, View

LIVE = "('waiting', 'planned', 'fired')"
_MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReminder:
    """What an ATS asks for."""

    offset: str
    channel: str | None = None
    user: str | None = None
    template_id: str | None = None
    text: str | None = None


def add(
    tx: Transaction, organisation_id: str, interview_id: str, new: NewReminder, actor: str, desk: InterviewDesk, now: int
) -> Row:
    """Plan one reminder; its row. Raises Refused for a time that is past or too near another, a sixth, or what accept refuses."""
    interview = _open_interview(tx, organisation_id, interview_id)
    offset = read_offset(new.offset)
    _check_text(tx, new)
    channel = new.channel or interview["channel"]
    user_id = interview["user_id"] if new.user is None else find_user(tx, organisation_id, new.user)["id"]
    others = tx.all(f"SELECT * FROM reminder WHERE interview_id = ? AND state IN {LIVE}", interview_id)
    if len(others) >= MOST_REMINDERS:
        raise Refused("too_many_reminders", 422, f"An interview has at most {MOST_REMINDERS} reminders.", field="offset")
    row: dict[str, Any] = {
        "id": ids.new("rem"),
        "interview_id": interview_id,
        "user_id": user_id,
        "state": "waiting",
        "lead": new.offset,
        "channel": channel,
        "template_id": new.template_id,
        "body": new.text,
        "nominal_at": None,
        "fires_at": None,
        "message_id": None,
        "reason": None,
        "created_at": now,
        "updated_at": now,
    }
    if interview["starts_at"] is None:
        zone, reference = zone_of(interview["zone"]), interview["last_start_at"]
        nominal = nominal_at(reference, zone, offset)
        wanted = Firing(nominal, None)
        known = [(nominal_at(reference, zone, read_offset(other["lead"])), None) for other in others]
    else:
        wanted = _plan(tx, interview, new.offset, now)
        known = [(other["nominal_at"], other["fires_at"]) for other in others]
    if wanted.skipped == "reminder_in_past":
        raise Refused(
            "reminder_in_past",
            422,
            "This reminder would have come already.",
            field="offset",
            facts={"nominal_at": rfc3339(wanted.nominal_at)},
        )
    if too_close(wanted, known):
        raise Refused("reminder_too_close", 422, "Two reminders must be at least 15 minutes apart.", field="offset")
    if interview["starts_at"] is not None:
        row |= _as_planned(tx, interview, row, wanted, actor, desk, now)
    tx.insert("reminder", **row)
    tx.flush()
    told = {"interview": interview_id, "offset": new.offset, "fires_at": row["fires_at"]}
    tx.audit(now, actor, "reminder.create", row["id"], told)
    if row["state"] == "skipped":
        _tell_skipped(tx, interview, row, now)
    return row


def delete(tx: Transaction, organisation_id: str, interview_id: str, reminder_id: str, actor: str, now: int) -> int:
    """Take a reminder back; the credits refunded. Raises Refused `reminder_not_found` (the second time too) or `already_sent`."""
    interview = tx.one("SELECT * FROM interview WHERE id = ? AND organisation_id = ?", interview_id, organisation_id)
    if interview is not None:
        lock_candidate(tx, interview["candidate_id"])
    row = tx.one("SELECT * FROM reminder WHERE id = ? AND interview_id = ?" + tx.for_update, reminder_id, interview_id)
    if interview is None or row is None or row["state"] == "deleted":
        raise Refused("reminder_not_found", 404, "No reminder with this id.", field="id")
    refunded = _drop(tx, row, actor, now)
    if refunded is None:
        raise Refused("already_sent", 409, "This reminder has been sent.", field="id", facts={"message_id": row["message_id"]})
    return refunded


def drop_all(tx: Transaction, interview: Row, actor: str, now: int) -> int:
    """Take back whatever has not been sent yet; the credits refunded."""
    rows = tx.all("SELECT * FROM reminder WHERE interview_id = ? AND state IN ('waiting', 'planned', 'fired')", interview["id"])
    return sum(_drop(tx, row, actor, now) or 0 for row in rows)


def _drop(tx: Transaction, row: Row, actor: str, now: int) -> int | None:
    """None where it has been sent already."""
    refunded = 0
    if row["message_id"] is not None:
        done = cancel(tx, row["message_id"], None, actor, now)
        if done.outcome == "too_late" and done.state not in (State.FAILED, State.EXPIRED):
            return None
        refunded = done.credits_refunded
    _set(tx, row["id"], {"state": "deleted"}, now)
    tx.audit(now, actor, "reminder.delete", row["id"], {"interview": row["interview_id"], "refunded": refunded})
    return refunded


def replan(tx: Transaction, interview: Row, actor: str, desk: InterviewDesk, now: int) -> None:
    """The interview has another time: what was planned for the old one never fires; what cannot be kept is told as skipped."""
    rows = tx.all(
        "SELECT * FROM reminder WHERE interview_id = ? AND state IN ('waiting', 'planned', 'skipped') ORDER BY id",
        interview["id"],
    )
    settled: list[tuple[int | None, int | None]] = []
    for row in rows:
        if row["message_id"] is not None:
            done = cancel(tx, row["message_id"], None, actor, now)
            if done.outcome == "too_late" and row["state"] == "planned":
                continue  # on its way at this very moment: the sweep writes it down
        values: dict[str, Any] = {"state": "waiting", "nominal_at": None, "fires_at": None, "message_id": None, "reason": None}
        if interview["starts_at"] is not None:
            wanted = _plan(tx, interview, row["lead"], now)
            if wanted.skipped is None and too_close(wanted, settled):
                wanted = Firing(wanted.nominal_at, None, "reminder_too_close")
            values |= _as_planned_or_skipped(tx, interview, row, wanted, actor, desk, now)
            settled.append((values["nominal_at"], values["fires_at"]))
        _set(tx, row["id"], values, now)
        if values["state"] == "skipped":
            _tell_skipped(tx, interview, {**dict(row), **values}, now)


def _plan(view: View, interview: Mapping[str, Any], lead: str, now: int) -> Firing:
    candidate = view.one("SELECT * FROM candidate WHERE id = ?", interview["candidate_id"])
    assert candidate is not None
    hours = quiet_hours(view, candidate, interview["channel"])
    return firing(interview["starts_at"], zone_of(interview["zone"]), read_offset(lead), hours, now)


def _as_planned_or_skipped(
    tx: Transaction, interview: Row, row: Mapping[str, Any], wanted: Firing, actor: str, desk: InterviewDesk, now: int
) -> dict[str, Any]:
    try:
        with tx.savepoint():
            return _as_planned(tx, interview, row, wanted, actor, desk, now)
    except Refused as refused:
        return {
            "state": "skipped",
            "nominal_at": wanted.nominal_at,
            "fires_at": None,
            "message_id": None,
            "reason": refused.code,
        }


def _as_planned(
    tx: Transaction, interview: Row, row: Mapping[str, Any], wanted: Firing, actor: str, desk: InterviewDesk, now: int
) -> dict[str, Any]:
    """What a reminder becomes: planned with its message, or skipped with the reason. Raises what accept raises."""
    values: dict[str, Any] = {"nominal_at": wanted.nominal_at, "fires_at": wanted.fires_at, "reason": wanted.skipped}
    if wanted.fires_at is None:
        return {**values, "state": "skipped", "message_id": None}
    message_id = _accept(tx, interview, row, wanted.fires_at, actor, desk, now)
    return {**values, "state": "planned", "message_id": message_id}


def _accept(
    tx: Transaction, interview: Row, row: Mapping[str, Any], fires_at: int, actor: str, desk: InterviewDesk, now: int
) -> str:
    candidate = tx.one("SELECT * FROM candidate WHERE id = ?", interview["candidate_id"])
    case = tx.one("SELECT * FROM hiring_case WHERE id = ?", interview["case_id"])
    assert candidate is not None
    assert case is not None
    merge, _ = merge_for(tx, desk, _with_reachable_link(interview, desk), case["language"], (), candidate)
    submission = Submission(
        organisation_id=interview["organisation_id"],
        actor=actor,
        user=row["user_id"],
        candidate_ref=candidate["ref"],
        case_ref=case["ref"],
        channel=row["channel"],
        kind="interview_reminder",
        text=row["body"],
        template_id=row["template_id"],
        send_at=fires_at,
        valid_until=interview["starts_at"],
        client_ref=interview["client_ref"],
        merge=merge,
    )
    return accept(tx, submission, now).id


def _with_reachable_link(interview: Row, desk: InterviewDesk) -> Mapping[str, Any]:
    """A reminder needs no link; without an address for candidates it simply has none."""
    if interview["response_url"] is None and desk.links.base is None:
        return {**dict(interview), "response_url": ""}
    return interview


def _check_text(view: View, new: NewReminder) -> None:
    if new.template_id is not None:
        kind = view.value("SELECT kind FROM template WHERE id = ?", new.template_id)
        if kind is not None and kind != "interview_reminder":
            raise Refused("template_of_other_kind", 422, "This is no template for a reminder.", field="template_id")
        if new.text is not None:
            raise Refused("text_and_template", 422, "Give either text or template_id, not both.", field="text")
    elif not (new.text or "").strip():
        raise Refused("text_empty", 422, "A reminder needs a text or a template_id.", field="text")
    else:
        compile_template(new.text or "")


def _open_interview(tx: Transaction, organisation_id: str, interview_id: str) -> Row:
    found = tx.one("SELECT candidate_id FROM interview WHERE id = ? AND organisation_id = ?", interview_id, organisation_id)
    if found is None:
        raise Refused("interview_not_found", 404, "No interview with this id.", field="id")
    lock_candidate(tx, found["candidate_id"])
    row = tx.one("SELECT * FROM interview WHERE id = ?" + tx.for_update, interview_id)
    assert row is not None
    if row["state"] in (InterviewState.CANCELLED, InterviewState.DECLINED):
        raise Refused(f"interview_{row['state']}", 409, f"This interview is {row['state']}; it needs no reminder.", field="id")
    return row


def _set(tx: Transaction, reminder_id: str, values: Mapping[str, Any], now: int) -> None:
    sets = ", ".join(f"{name} = ?" for name in values)
    tx.execute(f"UPDATE reminder SET {sets}, updated_at = ? WHERE id = ?", *values.values(), now, reminder_id)


def _tell_skipped(tx: Transaction, interview: Row, row: Mapping[str, Any], now: int) -> None:
    tx.audit(now, "gateway", "reminder.skip", row["id"], {"interview": interview["id"], "reason": row["reason"]})
    data = {
        "interview_id": interview["id"],
        "candidate_id": interview["candidate_id"],
        "client_ref": interview["client_ref"],
        "reminder_id": row["id"],
        "reason": row["reason"],
        "nominal_at": None if row["nominal_at"] is None else rfc3339(row["nominal_at"]),
    }
    tx.event(now, interview["organisation_id"], "interview.reminder_skipped", interview["id"], data)


# --- their time has come ----------------------------------------------------------------------------------------------


def due(view: View, now: int) -> list[str]:
    """Planned reminders whose time has come and whose message no longer waits (or can wait no longer)."""
    rows = view.all(
        "SELECT r.id FROM reminder r JOIN message m ON m.id = r.message_id"
        " WHERE r.state = 'planned' AND r.fires_at <= ? AND (m.state <> 'held' OR m.valid_until <= ?)"
        " ORDER BY r.fires_at LIMIT ?",
        now,
        now,
        _MOST,
    )
    return [row["id"] for row in rows]


def fire(tx: Transaction, reminder_id: str, desk: InterviewDesk, now: int) -> None:
    """Write down what became of one reminder; a number that changed meanwhile gets it as a message of its own."""
    found = tx.one(
        "SELECT i.candidate_id, r.interview_id FROM reminder r JOIN interview i ON i.id = r.interview_id WHERE r.id = ?",
        reminder_id,
    )
    if found is None:
        return
    lock_candidate(tx, found["candidate_id"])
    row = tx.one("SELECT * FROM reminder WHERE id = ? AND state = 'planned'" + tx.for_update, reminder_id)
    interview = tx.one("SELECT * FROM interview WHERE id = ?", found["interview_id"])
    if row is None or interview is None:
        return
    message = tx.one("SELECT state, error FROM message WHERE id = ?", row["message_id"])
    assert message is not None
    if message["state"] == State.HELD and now < interview["starts_at"]:
        return
    if message["state"] not in (State.HELD, State.CANCELLED, State.FAILED, State.EXPIRED):
        _set(tx, row["id"], {"state": "fired"}, now)
        tx.audit(now, "gateway", "reminder.fire", row["id"], {"interview": interview["id"], "message": row["message_id"]})
        return
    if message["error"] == "number_changed" and now < interview["starts_at"]:
        again = Firing(row["nominal_at"], now)
        values = _as_planned_or_skipped(tx, interview, row, again, "gateway", desk, now)
        if values["state"] == "planned":
            _set(tx, row["id"], {"message_id": values["message_id"], "fires_at": now}, now)
            return
        reason = values["reason"]
    else:
        reason = message["error"] or message["state"]
    values = {"state": "skipped", "reason": reason}
    _set(tx, row["id"], values, now)
    _tell_skipped(tx, interview, {**dict(row), **values}, now)


def sweep(database: Database, desk: InterviewDesk, now: int) -> int:
    """Every reminder whose time has come, one short transaction each. How many."""
    with database.read() as view:
        found = due(view, now)
    for reminder_id in found:
        database.transact(lambda tx, each=reminder_id: fire(tx, each, desk, now))  # type: ignore[misc]
    return len(found)
