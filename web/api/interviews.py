"""Interviews: invite, move, cancel, remind, and pass on what a candidate answered on a page of the ATS."""

from typing import Annotated, Any

from flask import Response, g
from pydantic import Field, StringConstraints

from gateway.desk import open_interviews
from gateway.errors import Refused
from gateway.flows import interview_answers, interview_options, interview_rows, interviews, reminders
from gateway.flows.interview_desk import InterviewDesk
from gateway.flows.interviews import Move, NewInterview
from gateway.flows.reminders import NewReminder
from gateway.rules.interviews import Answer, InterviewState, Slot
from gateway.rules.permissions import SEND_SMS
from gateway.store import ids, lists_interviews
from gateway.store.database import Row, Transaction, View
from web.answers import answer
from web.api.acting import As, By, who
from web.api.messages import columns, moment, shown_accepted
from web.api.resource import Resource, listed
from web.guards import Call
from web.idempotency import Done, once
from web.inputs import Input, Line, Moment, Page, Query, Ref

resource = Resource("interviews", "Interviews")

Url = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Place = Annotated[Line, Field(description="Where: an address, a room, a video link.")]


class NewSlot(Input):
    """A time to choose. The same `id` in several invitations of a case is one slot whose places are shared."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")] | None = None
    starts_at: Moment
    ends_at: Moment
    capacity: int = 1


class Wanted(Input):
    """An invitation. `scheduled` has starts_at, `self_schedule` has slots; the text must hold {{interview_link}}."""

    user: Ref
    candidate_ref: Ref
    case_ref: Ref
    type: Ref
    channel: Ref = "sms"
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    tz: Annotated[Ref, Field(description="IANA zone of the interview, such as Europe/Stockholm.")]
    slots: list[NewSlot] | None = None
    location: Place = ""
    template_id: Ref | None = None
    text: str | None = None
    data: dict[str, Any] | None = None
    response_url: Annotated[Url | None, Field(description="A page of your own for the answer; https.")] = None
    client_ref: Ref | None = None
    urgent: bool = False
    reason: Line | None = None


class Change(By):
    """What is to change. With a text or template the candidate is told; a new time asks for a new answer."""

    starts_at: Moment | None = None
    ends_at: Moment | None = None
    tz: Ref | None = None
    slots: list[NewSlot] | None = None
    location: Place | None = None
    template_id: Ref | None = None
    text: str | None = None
    data: dict[str, Any] | None = None


class Said(Input):
    """What a candidate answered on a page of yours: an answer, or the slot they chose."""

    answer: Answer | None = Field(default=None, strict=False)
    slot: Ref | None = None


class Remind(By):
    """A reminder: `offset` before the start, P1D in calendar days or PT2H in hours, with a text or a template."""

    offset: Annotated[Ref, Field(description="ISO 8601 duration: P1D keeps the wall time, PT2H is elapsed time.")]
    channel: Ref | None = None
    template_id: Ref | None = None
    text: str | None = None


class ById(Query):
    """The id of an interview."""

    id: Ref


class ByBoth(Query):
    """An interview and one of its reminders."""

    id: Ref
    reminder: Ref


class Filter(Page):
    """Which interviews."""

    candidate_ref: Ref | None = None
    case_ref: Ref | None = None
    state: InterviewState | None = None
    type: Ref | None = None
    client_ref: Ref | None = None


class Asked(Query):
    """For which case and type; with user and candidate each channel says whether it may be used."""

    case: Ref
    type: Ref = "scheduled"
    user: Ref | None = None
    candidate: Ref | None = None


def desk(call: Call) -> InterviewDesk:
    """Links, words and texts of this box."""
    return open_interviews(call.services.config.web.candidate_base, call.secrets.token)


def _allowed(tx: Transaction, call: Call, user: str | None, interview_id: str) -> str:
    """Who changes an interview, as the audit names them, once they may write in its case. Raises Refused."""
    by = who(tx, call, user)
    by.require_for(tx, SEND_SMS, "interview", interview_id)
    return by.actor


def _slots(given: list[NewSlot] | None) -> tuple[Slot, ...]:
    return tuple(Slot(slot.id or ids.new("slot"), slot.starts_at, slot.ends_at, slot.capacity) for slot in given or ())


@resource.act("POST", "/interviews", scope="interviews:write")
def create(call: Call, body: Wanted) -> Response:
    """Invite a candidate: interview, message and link in one step, or nothing of it."""
    new = NewInterview(
        organisation_id=call.organisation_id,
        actor=call.actor,
        user=body.user,
        candidate_ref=body.candidate_ref,
        case_ref=body.case_ref,
        type=body.type,
        channel=body.channel,
        tz=body.tz,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        slots=_slots(body.slots),
        location=body.location,
        template_id=body.template_id,
        text=body.text,
        data=body.data,
        response_url=body.response_url,
        client_ref=body.client_ref,
        urgent=body.urgent,
        reason=body.reason,
    )

    def act(tx: Transaction) -> Done:
        made = interviews.create(tx, new, desk(call), call.now)
        shown = shown_interview(tx, call.organisation_id, made.interview_id)
        return Done(202, {**shown, "message": None if made.message is None else shown_accepted(made.message)})

    return once(call, g.body, act)


@resource.ask("/interviews", scope="interviews:read")
def find(call: Call, query: Filter) -> Response:
    """Interviews, newest first."""
    filters = query.model_dump(exclude={"after", "limit"})
    with call.database.read() as view:
        rows = lists_interviews.interviews(view, call.organisation_id, filters, query.after, query.limit)
    return listed([shown_row(row) for row in rows], query.limit)


@resource.ask("/interviews/options", scope="interviews:read")
def offer(call: Call, query: Asked) -> Response:
    """What a scheduling screen offers: channels, templates by kind and language, how each reads and how many parts it has."""
    with call.database.read() as view:
        found = interview_options.options(
            view, call.organisation_id, query.case, query.type, query.user, query.candidate, call.now
        )
    return answer(200, found)


@resource.ask("/interviews/<id>", scope="interviews:read")
def show(call: Call, path: ById) -> Response:
    """One interview with its slots, every answer, and its reminders."""
    with call.database.read() as view:
        return answer(200, shown_interview(view, call.organisation_id, path.id))


@resource.act("PATCH", "/interviews/<id>", scope="interviews:write")
def change(call: Call, path: ById, body: Change) -> Response:
    """Move an interview. Its reminders are planned anew; what was planned for the old time never fires."""
    wanted = Move(
        user=body.user,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        tz=body.tz,
        location=body.location,
        slots=None if body.slots is None else _slots(body.slots),
        template_id=body.template_id,
        text=body.text,
        data=body.data,
    )

    def act(tx: Transaction) -> dict[str, Any]:
        actor = _allowed(tx, call, body.user, path.id)
        made = interviews.move(tx, call.organisation_id, path.id, wanted, actor, desk(call), call.now)
        tx.flush()
        shown = shown_interview(tx, call.organisation_id, path.id)
        return {**shown, "message": None if made.message is None else shown_accepted(made.message)}

    return answer(200, call.database.transact(act))


@resource.act("DELETE", "/interviews/<id>", scope="interviews:write")
def call_off(call: Call, path: ById, query: As) -> Response:
    """Cancel an interview with all its reminders; credits of what has not left come back."""

    def act(tx: Transaction) -> int:
        actor = _allowed(tx, call, query.user, path.id)
        return interviews.call_off(tx, call.organisation_id, path.id, actor, call.now)

    refunded = call.database.transact(act)
    return answer(200, {"id": path.id, "state": InterviewState.CANCELLED, "credits_refunded": refunded})


@resource.act("POST", "/interviews/<id>/answer", scope="interviews:write")
def pass_on(call: Call, path: ById, body: Said) -> Response:
    """Pass on what the candidate answered on a page of yours. A slot that is gone: 409 with those that remain."""
    if (body.answer is None) == (body.slot is None):
        raise Refused("answer_missing", 422, "Give either answer (confirm, decline) or slot.", field="answer")

    def act(tx: Transaction) -> Done | Refused:
        row = interview_rows.locked(tx, call.organisation_id, path.id)
        if body.slot is not None:
            done = interview_answers.choose(tx, row, body.slot, "ats", call.actor, desk(call), call.now)
        else:
            assert body.answer is not None
            done = interview_answers.respond(tx, row, body.answer, "ats", call.actor, desk(call), call.now)
        if isinstance(done, Refused):
            return done
        tx.flush()
        return Done(200, {**shown_interview(tx, call.organisation_id, path.id), "outcome": done.outcome})

    return once(call, g.body, act)


@resource.act("POST", "/interviews/<id>/reminders", scope="interviews:write")
def remind(call: Call, path: ById, body: Remind) -> Response:
    """Plan a reminder. `nominal_at` is when it should come, `fires_at` when quiet hours let it; skipped ones say why."""
    new = NewReminder(offset=body.offset, channel=body.channel, user=body.user, template_id=body.template_id, text=body.text)

    def act(tx: Transaction) -> Done:
        actor = _allowed(tx, call, body.user, path.id)
        row = reminders.add(tx, call.organisation_id, path.id, new, actor, desk(call), call.now)
        tx.flush()
        return Done(202, shown_reminder(lists_interviews.reminder(tx, row["id"])))

    return once(call, g.body, act)


@resource.act("DELETE", "/interviews/<id>/reminders/<reminder>", scope="interviews:write")
def forget(call: Call, path: ByBoth, query: As) -> Response:
    """Take a reminder back; its credits are refunded."""

    def act(tx: Transaction) -> int:
        actor = _allowed(tx, call, query.user, path.id)
        return reminders.delete(tx, call.organisation_id, path.id, path.reminder, actor, call.now)

    refunded = call.database.transact(act)
    return answer(200, {"id": path.reminder, "state": "deleted", "credits_refunded": refunded})


# --- how they look -----------------------------------------------------------------------------------------------------


def shown_row(row: Row) -> dict[str, Any]:
    """An interview in a list."""
    return {
        **columns(row, _PLAIN, _TIMES),
        "user": row["user_email"],
        "tz": row["zone"],
        "slot": row["slot_ref"],
        "link_expires_at": moment(row["token_expires_at"]),
    }


_PLAIN = (
    *("id", "type", "state", "channel", "candidate_ref", "case_ref", "location", "response_url", "message_id", "client_ref"),
)
_TIMES = ("starts_at", "ends_at", "answered_at", "created_at", "updated_at")


def shown_interview(view: View, organisation_id: str, interview_id: str) -> dict[str, Any]:
    """An interview with everything."""
    return {
        **shown_row(lists_interviews.interview(view, organisation_id, interview_id)),
        "slots": [
            {**columns(slot, ("number", "capacity"), ("starts_at", "ends_at")), "id": slot["ref"], "free": slot["left_over"]}
            for slot in lists_interviews.slots(view, interview_id)
        ],
        "answers": [
            {**columns(given, ("answer", "source", "outcome", "received_id"), ("at",)), "slot": given["slot_ref"]}
            for given in lists_interviews.answers(view, interview_id)
        ],
        "reminders": [shown_reminder(row) for row in lists_interviews.reminders(view, interview_id)],
    }


def shown_reminder(row: Row) -> dict[str, Any]:
    """A reminder. `state` is waiting (no time chosen yet), planned, fired or skipped."""
    return {**columns(row, _REMINDER, ("nominal_at", "fires_at", "created_at")), "offset": row["lead"]}


_REMINDER = (
    *("id", "interview_id", "state", "reason", "channel", "template_id", "message_id", "message_state", "parts", "credits"),
)
