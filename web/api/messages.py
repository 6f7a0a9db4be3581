"""Messages: send one, send many, look at them, call them back."""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

from flask import Response, g
from pydantic import Field

from gateway import clock
from gateway.errors import Refused
from gateway.flows.accept import Accepted, Preview, ahead, preview, submit, submit_all
from gateway.flows.cancel import cancel
from gateway.flows.escorting import Escorted
from gateway.flows.explain import explain
from gateway.flows.resolve import resolve
from gateway.flows.submissions import Submission
from gateway.rules.kinds import CHANNELS, KINDS
from gateway.rules.lifecycle import LANE_NAMES, LANES, State
from gateway.rules.permissions import MESSAGES_CANCEL, MESSAGES_RESOLVE
from gateway.store import lists_web
from gateway.store.database import Row, Transaction
from modem.segments import analyse
from web import problems
from web.answers import answer
from web.api.acting import By, who
from web.api.resource import Resource, listed
from web.guards import Call
from web.idempotency import Done, once
from web.inputs import Input, Line, Moment, Page, Query, Ref, checked

messages = Resource("messages", "Messages")

MOST_IN_BATCH = 1_000

rfc3339 = lru_cache(maxsize=256)(clock.rfc3339)
"""A batch has a thousand messages and one time."""


def _one_of(values: Any) -> Any:
    return Field(json_schema_extra={"enum": list(values)})


class NewMessage(Input):
    """A message to a candidate. There is no `to`: the number is the one in the candidate's record."""

    user: Annotated[Ref, Field(description="E-mail address or id of the acting recruiter.")]
    candidate_ref: Ref
    case_ref: Ref | None = None
    pool_ref: Ref | None = None
    channel: Annotated[Ref, _one_of(CHANNELS)] = "sms"
    kind: Annotated[Ref, _one_of(KINDS)]
    text: str | None = None
    template_id: Ref | None = None
    template_name: Annotated[
        Ref | None, Field(description="The nearest template of this name up the tree, in the best language there is.")
    ] = None
    transliterate: Annotated[bool, Field(description="Write what GSM-7 lacks in letters that it has.")] = False
    data: dict[str, Any] | None = None
    send_at: Moment | None = None
    valid_until: Moment | None = None
    priority: Annotated[Ref | None, _one_of(LANES)] = None
    urgent: bool = False
    reason: Line | None = None
    client_ref: Ref | None = None
    confirm_not_rejection: bool = False


class Batch(Input):
    """Up to 1,000 messages, each through all gates by itself."""

    messages: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST_IN_BATCH)]


class Resolution(By):
    """What a person decides about a message whose fate is unknown."""

    choice: Literal["send_again", "treat_as_sent"]


class ById(Query):
    """The id of a message."""

    id: Ref


class Wanted(Page):
    """Which messages."""

    state: State | None = None
    kind: Ref | None = None
    channel: Ref | None = None
    candidate_ref: Ref | None = None
    case_ref: Ref | None = None
    client_ref: Ref | None = None


def submission(call: Call, new: NewMessage, *, batch: bool = False) -> Submission:
    """What the flow takes, of what the caller sent."""
    return Submission(
        organisation_id=call.organisation_id,
        actor=call.actor,
        user=new.user,
        candidate_ref=new.candidate_ref,
        case_ref=new.case_ref,
        pool_ref=new.pool_ref,
        channel=new.channel,
        kind=new.kind,
        text=new.text,
        template_id=new.template_id,
        template_name=new.template_name,
        transliterate=new.transliterate,
        data=new.data,
        send_at=new.send_at,
        valid_until=new.valid_until,
        priority=new.priority,
        urgent=new.urgent,
        reason=new.reason,
        client_ref=new.client_ref,
        confirm_not_rejection=new.confirm_not_rejection,
        batch=batch,
    )


@messages.act("POST", "/messages", scope="messages:write", audits=False)
def create(call: Call, body: NewMessage) -> Response:
    """Send a message.

    202 means: on disk. `state` is `queued`, or `held` with the reason and, where known, the time until which it waits.
    """
    asked = submission(call, body)

    def act(tx: Transaction) -> Done | Refused:
        done = submit(tx, asked, call.now)
        return done if isinstance(done, Refused) else Done(202, shown_accepted(done))

    return once(call, g.body, act, shared=True, ahead=ahead(asked))


@messages.act("POST", "/messages/batch", scope="messages:write", audits=False)
def create_many(call: Call, body: Batch) -> Response:
    """Send up to 1,000 messages.

    207: every item has its own status, 202 with the message or a refusal with its problem. Refused items change nothing.
    """
    asked: list[Submission | Refused] = []
    for number, item in enumerate(body.messages):
        try:
            asked.append(submission(call, checked(NewMessage, item, f"messages[{number}]"), batch=True))
        except problems.Invalid as invalid:
            asked.append(invalid)

    def act(tx: Transaction) -> Done:
        results = []
        outcomes = iter(submit_all(tx, [item for item in asked if not isinstance(item, Refused)], call.now))
        for number, item in enumerate(asked):
            done = item if isinstance(item, Refused) else next(outcomes)
            if isinstance(done, Refused):
                results.append({"index": number, "status": done.status, "problem": problems.body(done)})
            else:
                results.append({"index": number, "status": 202, "message": shown_accepted(done)})
        accepted = sum(result["status"] == 202 for result in results)
        return Done(207, {"accepted": accepted, "refused": len(results) - accepted, "results": results})

    return once(call, g.body, act)


@messages.act("POST", "/messages/preview", scope="messages:write", audits=False)
def look_ahead(call: Call, body: NewMessage) -> Response:
    """What a message would become: text, parts, price, and the gate that would object. Nothing is sent or written."""
    with call.database.read() as view:
        return answer(200, shown_preview(preview(view, submission(call, body), call.now)))


@messages.ask("/messages", scope="messages:read")
def find(call: Call, query: Wanted) -> Response:
    """Messages, newest first; `after` is the last id of the page before."""
    filters = query.model_dump(exclude={"after", "limit"})
    with call.database.read() as view:
        rows = lists_web.messages(view, call.organisation_id, filters, query.after, query.limit)
    return listed([shown_row(row) for row in rows], query.limit)


@messages.ask("/messages/<id>", scope="messages:read")
def show(call: Call, path: ById) -> Response:
    """One message with its parts and its history."""
    with call.database.read() as view:
        row, parts, companions = lists_web.message(view, call.organisation_id, path.id)
        history = lists_web.history(view, path.id)
    return answer(200, shown_message(row, parts, companions, history))


@messages.ask("/messages/<id>/explain", scope="messages:read")
def why(call: Call, path: ById) -> Response:
    """What a message waits for, until when, and when it can be expected to leave."""
    with call.database.read() as view:
        told = explain(view, path.id, call.organisation_id, call.now)
    return answer(
        200,
        {
            "id": path.id,
            "state": told.state,
            "waiting_for": told.waiting_for,
            "text": told.text,
            "until": moment(told.until_ms),
            "eta": moment(told.eta_ms),
            "ahead": told.ahead,
        },
    )


@messages.act("POST", "/messages/<id>/cancel", scope="messages:write")
def call_back(call: Call, path: ById, body: By) -> Response:
    """Cancel a message, truthfully: `cancelled`, `too_late`, `partly_sent` or `already`."""

    def act(tx: Transaction) -> Done:
        by = who(tx, call, body.user)
        by.require_for(tx, MESSAGES_CANCEL, "message", path.id)
        done = cancel(tx, path.id, call.organisation_id, by.actor, call.now)
        return Done(200, {"id": path.id, "outcome": done.outcome, "state": done.state, "credits_refunded": done.credits_refunded})

    return once(call, g.body, act)


@messages.act("POST", "/messages/<id>/resolve", scope="messages:write")
def decide(call: Call, path: ById, body: Resolution) -> Response:
    """Decide about a message whose fate is `unknown`: send it again, or treat it as sent."""

    def act(tx: Transaction) -> Done:
        by = who(tx, call, body.user)
        by.require_for(tx, MESSAGES_RESOLVE, "message", path.id)
        state = resolve(tx, path.id, call.organisation_id, body.choice, by.actor, call.now)
        return Done(200, {"id": path.id, "state": state})

    return once(call, g.body, act)


# --- how a message looks ---------------------------------------------------------------------------------------------


def moment(milliseconds: int | None) -> str | None:
    """A time as the API shows it."""
    return None if milliseconds is None else rfc3339(milliseconds)


def columns(row: Row, plain: Iterable[str], times: Iterable[str] = ()) -> dict[str, Any]:
    """Columns of a row under their own names, and times as the API shows them."""
    return {**{name: row[name] for name in plain}, **{name: moment(row[name]) for name in times}}


def hold_of(reason: str | None, not_before: int | None) -> dict[str, Any] | None:
    """Why a message waits; null when it does not."""
    return None if reason is None else {"reason": reason, "not_before": moment(not_before)}


def shown_accepted(done: Accepted) -> dict[str, Any]:
    """The answer to an accepted message (design.md §6)."""
    return {
        "id": done.id,
        "state": done.state,
        "hold": hold_of(done.hold_reason, done.not_before),
        "encoding": done.encoding,
        "parts": done.parts,
        "credits": done.credits,
        "sender": done.sender,
        "country": done.country,
        "companions": [shown_companion(each) for each in done.companions],
        "created_at": rfc3339(done.created_at),
    }


def shown_companion(each: Escorted) -> dict[str, Any]:
    """A START invitation or identification, as a line of its own; in a preview it has no id yet."""
    return {
        "id": each.id,
        "kind": each.kind,
        "state": each.state,
        "text": each.text,
        "encoding": each.encoding,
        "parts": each.parts,
        "credits": each.credits,
    }


def shown_preview(seen: Preview) -> dict[str, Any]:
    """The answer to a preview."""
    return {
        "text": seen.text,
        "encoding": seen.pieces[0].alphabet,
        "parts": [{"number": piece.number, "text": piece.text} for piece in seen.pieces],
        "credits": seen.credits,
        "companions": [shown_companion(each) for each in seen.companions],
        "total_credits": seen.credits + sum(each.credits for each in seen.companions),
        "sender": seen.sender,
        "country": seen.country,
        "hold": None if seen.hold is None else hold_of(seen.hold.reason, seen.hold.not_before),
        "template": seen.template,
        "transliterated": shown_plainer(seen),
        "forcing": [
            {"position": each.position, "character": each.character, "replacement": each.replacement}
            for each in seen.analysis.forcing
        ],
        "would_be": "refused" if seen.refused is not None else "held" if seen.hold is not None else "queued",
        "problem": None if seen.refused is None else problems.body(seen.refused),
    }


def shown_plainer(seen: Preview) -> dict[str, Any] | None:
    """The same in letters of GSM-7, as `transliterate` would send it; null where it is in them already."""
    if seen.plainer is None:
        return None
    size = analyse(seen.plainer)
    each = seen.credits // len(seen.pieces)
    return {"text": seen.plainer, "encoding": size.alphabet, "parts": size.parts, "credits": each * size.parts}


def shown_row(row: Row) -> dict[str, Any]:
    """A message in a list."""
    return {
        "id": row["id"],
        "state": row["state"],
        "hold": hold_of(row["hold_reason"], row["not_before"]) if row["state"] == State.HELD else None,
        "channel": row["channel"],
        "kind": row["kind"],
        "origin": row["origin"],
        "user": row["user_email"],
        "candidate_ref": row["candidate_ref"],
        "case_ref": row["case_ref"],
        "client_ref": row["client_ref"],
        "priority": LANE_NAMES[row["lane"]],
        "encoding": row["alphabet"],
        "parts": row["parts"],
        "credits": row["credits"],
        "sender": row["sender"],
        "country": row["country"],
        "error": error_of(row["error"], row["state"]),
        "created_at": rfc3339(row["accepted_at"]),
        "sent_at": moment(row["sent_at"]),
        "done_at": moment(row["done_at"]),
        "valid_until": rfc3339(row["valid_until"]),
    }


def shown_message(row: Row, parts: list[Row], companions: list[str], history: list[Row]) -> dict[str, Any]:
    """A message with everything."""
    return {
        **shown_row(row),
        "text": "".join(part["text"] for part in parts),
        "attempts": row["attempts"],
        "companions": companions,
        "parts": [shown_part(part) for part in parts],
        "timeline": timeline(row, parts, history),
    }


def shown_part(part: Row) -> dict[str, Any]:
    """One part. `report` is what the network said about it: the TP-Status of 3GPP TS 23.040 §9.2.3.15."""
    reported = part["reported_at"] is not None
    return {
        "number": part["number"],
        "total": part["total"],
        "text": part["text"],
        "encoding": part["alphabet"],
        "state": part["state"],
        "attempt": part["attempt"],
        "tp_mr": part["tp_mr"],
        "reference": part["reference"],
        "submitted_at": moment(part["submitted_at"]),
        "sent_at": moment(part["sent_at"]),
        "report": {"status": part["report_status"], "at": moment(part["reported_at"])} if reported else None,
        "error": error_of(part["error"], part["state"]),
    }


def timeline(row: Row, parts: list[Row], history: list[Row]) -> list[dict[str, Any]]:
    """What happened to a message, oldest first: the audit's own rows, and the stamps of its parts."""
    told: list[tuple[int, dict[str, Any]]] = []
    for entry in history:
        step: dict[str, Any] = {"at": rfc3339(entry["at"]), "what": entry["action"]}
        data = json.loads(entry["data"])
        step.update((name, data[name]) for name in ("from", "to", "error") if name in data)
        told.append((entry["at"], step))
    for part in parts:
        for column, what in (("submitted_at", "part.submit"), ("sent_at", "part.sent"), ("reported_at", "part.report")):
            if part[column] is not None:
                told.append((part[column], {"at": rfc3339(part[column]), "what": what, "part": part["number"]}))
    return [step for _, step in sorted(told, key=lambda each: each[0])]


ERRORS: Mapping[str, str] = {
    "expired": "The message could not be sent before it ran out.",
    "opted_out": "The candidate has opted out; the message was not sent.",
    "consent_required": "The candidate's consent was gone when the message was due.",
    "country_disabled": "The country was switched off when the message was due.",
    "channel_disabled": "The channel was switched off when the message was due.",
    "number_missing": "The candidate's number was gone when the message was due.",
    "not_mobile": "The candidate's number is not a mobile number.",
    "invalid_number": "The candidate's number cannot be read.",
    "awaiting_report": "Whether this part left is not known yet; a delivery report would prove it.",
}
"""Codes that the gateway leaves on a message, in plain words; what is not here is plain words already."""


def error_of(error: str | None, state: str) -> dict[str, str] | None:
    """What went wrong, as code and plain words; null when nothing did."""
    if error is None or state in (State.SENT, State.DELIVERED):
        return None
    return {"code": error if error in ERRORS else state, "detail": ERRORS.get(error, error)}
