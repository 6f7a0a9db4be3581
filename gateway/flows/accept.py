"""Accept a submission: through the gates, then message, parts, reserve, audit row and event in one transaction.

`submit` is what callers use: it gives Accepted or the Refused that decided, with the refusal audited in the same transaction and
nothing else changed. The text is rendered, encoded and cut once, here; preview, price, ledger and sending use the same parts.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refused
from gateway.flows import credits
from gateway.flows.facts import candidate_not_found, facts_for, find_candidate, find_case, find_user, organisation
from gateway.rules.consent import PURPOSE_OF_KIND
from gateway.rules.gates import Facts, Wait, judge
from gateway.rules.lifecycle import LANES, Hold, State
from gateway.rules.merge_fields import compile_template
from gateway.rules.numbers import tail
from gateway.rules.texts import is_text
from gateway.store import ids
from gateway.store.database import Row, Transaction, View
from modem.segments import Analysis, Piece, TooManyParts, analyse, split

CHANNELS = ("sms", "whatsapp", "email")
KINDS = tuple(kind for kind in PURPOSE_OF_KIND if kind not in ("identification", "consent_optin"))
"""What a user may send; identification and START invitations are ours."""
VALID_FOR_MS = 72 * 3_600_000
OPT_IN_FOR_MS = 14 * 86_400_000
"""How long a message waits for START when nobody says otherwise (requirements §3.2)."""
LATEST = 4_102_444_800_000
"""The year 2100: no time that a caller names lies beyond."""
MOST_PARTS = 4
TEXT_LIMIT = 39_015
"""255 parts of 153 septets: beyond that no cutting is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What an ATS asks for; times in ms UTC. `actor` is who called (a key or a user), `user` the acting recruiter."""

    organisation_id: str
    actor: str
    user: str
    candidate_ref: str
    channel: str
    kind: str
    case_ref: str | None = None
    pool_ref: str | None = None
    text: str | None = None
    template_id: str | None = None
    data: Mapping[str, Any] | None = None
    send_at: int | None = None
    valid_until: int | None = None
    priority: str | None = None
    urgent: bool = False
    reason: str | None = None
    client_ref: str | None = None
    confirm_not_rejection: bool = False
    batch: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """On disk: what a 202 tells."""

    id: str
    state: str
    hold_reason: str | None
    not_before: int | None
    encoding: str
    parts: int
    credits: int
    sender: str
    country: str
    companions: tuple[str, ...]
    created_at: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a submission would become. `refused` is the gate that would object, None when it would be accepted."""

    text: str
    analysis: Analysis
    pieces: tuple[Piece, ...]
    credits: int
    sender: str | None
    country: str | None
    hold: Wait | None
    refused: Refused | None


@dataclass(frozen=True, slots=True)
class _Ready:
    """A submission whose references are known, whose text is cut and whose gates have spoken."""

    org: Row
    user: Row
    case: Row | None
    facts: Facts
    text: str
    max_parts: int


def submit(tx: Transaction, submission: Submission, now: int) -> Accepted | Refused:
    """Accept or refuse. A refusal leaves nothing behind but its audit row."""
    try:
        with tx.savepoint():
            return accept(tx, submission, now)
    except Refused as refused:
        kind = submission.kind if submission.kind in KINDS else "other"  # never what a stranger wrote
        tx.audit(now, submission.actor, "message.deny", submission.organisation_id, {"code": refused.code, "kind": kind})
        return refused


def accept(tx: Transaction, submission: Submission, now: int) -> Accepted:
    """Accept one submission. Raises Refused with the code of the first gate that objects."""
    _check_schema(submission, now)
    org = organisation(tx, submission.organisation_id)
    user, case, template = _references(tx, submission)
    candidate = _lock_candidate(tx, submission)
    kind = submission.kind if template is None else template["kind"]
    facts = facts_for(tx, org=org, user=user, case=case, candidate=candidate, channel=submission.channel, kind=kind)
    hold = judge(facts)
    assert facts.country is not None
    assert facts.sender is not None
    text = _text(submission, template, org, user, case, candidate)
    most = MOST_PARTS if template is None else template["max_parts"]
    pieces = _cut(text, most)
    price = int(facts.country["price"])
    message_id = ids.new("msg")
    credits.reserve(tx, org["id"], message_id, price * len(pieces), submission.actor, now)
    hold = _with_schedule(hold, submission.send_at, now)
    state = State.QUEUED if hold is None else State.HELD
    valid_for = OPT_IN_FOR_MS if hold is not None and hold.reason == Hold.PENDING_OPT_IN else VALID_FOR_MS
    valid_until = submission.valid_until or max(now, submission.send_at or now) + valid_for
    tx.insert(
        "message",
        id=message_id,
        organisation_id=org["id"],
        candidate_id=candidate["id"],
        case_id=None if case is None else case["id"],
        user_id=user["id"],
        origin="user",
        channel=submission.channel,
        kind=kind,
        lane=_lane(submission, kind),
        state=state,
        hold_reason=None if hold is None else hold.reason,
        not_before=None if hold is None else hold.not_before,
        due_at=now,
        seq=candidate["last_seq"],
        address=candidate["phone"],
        country=candidate["country"],
        subdivision=candidate["subdivision"],
        sender_id=facts.sender["id"],
        alphabet=pieces[0].alphabet,
        parts=len(pieces),
        price=price,
        credits=price * len(pieces),
        month=credits.month_of(now),
        client_ref=submission.client_ref,
        valid_until=valid_until,
        accepted_at=now,
    )
    insert_parts(tx, message_id, pieces, candidate["phone"])
    facts_told = {
        "parts": len(pieces),
        "credits": price * len(pieces),
        "kind": kind,
        "state": state,
        "user": user["id"],
    }
    tx.audit(now, submission.actor, "message.accept", message_id, facts_told)
    tell_state(tx, org["id"], message_id, candidate["id"], state, now, hold=hold, client_ref=submission.client_ref)
    tx.wake = tx.wake or state == State.QUEUED
    return Accepted(
        id=message_id,
        state=state,
        hold_reason=None if hold is None else hold.reason,
        not_before=None if hold is None else hold.not_before,
        encoding=pieces[0].alphabet,
        parts=len(pieces),
        credits=price * len(pieces),
        sender=facts.sender["number"],
        country=candidate["country"],
        companions=(),
        created_at=now,
    )


def preview(view: View, submission: Submission, now: int) -> Preview:
    """What `accept` would do, without doing it. Raises Refused only for a broken request or unknown references."""
    _check_schema(submission, now)
    org = organisation(view, submission.organisation_id)
    user, case, template = _references(view, submission)
    candidate = find_candidate(view, org["id"], submission.candidate_ref)
    text = _text(submission, template, org, user, case, candidate)
    kind = submission.kind if template is None else template["kind"]
    facts = facts_for(view, org=org, user=user, case=case, candidate=candidate, channel=submission.channel, kind=kind)
    price = 1 if facts.country is None else int(facts.country["price"])
    hold: Wait | None = None
    refused: Refused | None = None
    try:
        hold = _with_schedule(judge(facts), submission.send_at, now)
        pieces = _cut(text, MOST_PARTS if template is None else template["max_parts"])
        if credits.balance(view, org["id"]).available < price * len(pieces):
            raise Refused("insufficient_credits", 402, "There are not enough credits.", facts={"needed": price * len(pieces)})
    except Refused as error:
        refused = error
    pieces = split(text, max_parts=sys.maxsize)
    sender = None if facts.sender is None else facts.sender["number"]
    return Preview(text, analyse(text), pieces, price * len(pieces), sender, candidate["country"], hold, refused)


def insert_parts(tx: Transaction, message_id: str, pieces: tuple[Piece, ...], address: str) -> None:
    """Store a message's parts as they will be sent; TP-MR, reference and TPDU are made at claim."""
    for piece in pieces:
        tx.insert(
            "part",
            message_id=message_id,
            number=piece.number,
            total=piece.total,
            text=piece.text,
            alphabet=piece.alphabet,
            address_tail=tail(address),
        )


def tell_state(
    tx: Transaction,
    organisation_id: str,
    message_id: str,
    candidate_id: str | None,
    state: str,
    now: int,
    *,
    hold: Wait | None = None,
    error: str | None = None,
    client_ref: str | None = None,
) -> None:
    """The event `message.state`, on the message's own stream."""
    data: dict[str, Any] = {
        "message_id": message_id,
        "candidate_id": candidate_id,
        "state": state,
        "client_ref": client_ref,
    }
    if hold is not None:
        data["hold"] = {"reason": hold.reason, "not_before": hold.not_before}
    if error is not None:
        data["error"] = error
    tx.event(now, organisation_id, "message.state", message_id, data)


def _with_schedule(hold: Wait | None, send_at: int | None, now: int) -> Wait | None:
    """A message that waits for its opt-in as well as for its hour keeps both."""
    if send_at is None or send_at <= now:
        return hold
    return Wait(Hold.SCHEDULED if hold is None else hold.reason, send_at)


def _check_schema(submission: Submission, now: int) -> None:
    _check_characters(submission)
    if submission.channel not in CHANNELS:
        raise Refused("unknown_channel", 422, f"Channel must be one of {', '.join(CHANNELS)}.", field="channel")
    if submission.kind not in KINDS:
        raise Refused("unknown_kind", 422, f"Kind must be one of {', '.join(KINDS)}.", field="kind")
    if submission.template_id is None and not (submission.text or "").strip():
        raise Refused("text_empty", 422, "A message needs a text or a template_id.", field="text")
    if submission.template_id is not None and submission.text is not None:
        raise Refused("text_and_template", 422, "Give either text or template_id, not both.", field="text")
    if submission.text is not None and len(submission.text) > TEXT_LIMIT:
        raise Refused("too_long", 422, f"The text is longer than any message can be ({TEXT_LIMIT} characters).", field="text")
    if submission.priority is not None and submission.priority not in LANES:
        raise Refused("unknown_priority", 422, f"Priority must be one of {', '.join(LANES)}.", field="priority")
    if submission.case_ref is not None and submission.pool_ref is not None:
        raise Refused("case_and_pool", 422, "Give either case_ref or pool_ref, not both.", field="pool_ref")
    if submission.case_ref is None and submission.pool_ref is None:
        raise Refused(
            "context_missing",
            422,
            "A message belongs to a case (case_ref) or a prospect pool (pool_ref).",
            field="case_ref",
        )
    for field in ("send_at", "valid_until"):
        if (getattr(submission, field) or 0) > LATEST:
            raise Refused("time_out_of_range", 422, f"{field} lies beyond the year 2099.", field=field)
    if submission.valid_until is not None and submission.valid_until <= max(now, submission.send_at or now):
        raise Refused("valid_until_past", 422, "valid_until must lie after now and after send_at.", field="valid_until")


def _check_characters(submission: Submission) -> None:
    """NUL and halves of surrogate pairs are no text: no phone shows them, and no store keeps them."""
    for field in ("user", "candidate_ref", "case_ref", "pool_ref", "channel", "kind", "text", "template_id", "client_ref"):
        value = getattr(submission, field)
        if value is not None and not is_text(value):
            raise Refused("invalid_characters", 422, f"{field} holds characters that are no text.", field=field)


def _references(view: View, submission: Submission) -> tuple[Row, Row | None, Row | None]:
    user = find_user(view, submission.organisation_id, submission.user)
    case = None if submission.case_ref is None else find_case(view, submission.organisation_id, submission.case_ref)
    template = None
    if submission.template_id is not None:
        template = view.one(
            "SELECT t.* FROM template t JOIN organisation o ON o.id = t.unit_id"
            " WHERE t.id = ? AND o.root_id = ? AND t.archived_at IS NULL",
            submission.template_id,
            submission.organisation_id,
        )
        if template is None:
            raise Refused("template_not_found", 404, "No template with this id.", field="template_id")
        if template["channel"] != submission.channel:
            text = f"This is a template for {template['channel']}."
            raise Refused("template_of_other_channel", 422, text, field="template_id")
        if template["kind"] not in KINDS:
            raise Refused("unknown_kind", 422, f"A user cannot send a {template['kind']}.", field="template_id")
    return user, case, template


def _lock_candidate(tx: Transaction, submission: Submission) -> Row:
    """Lock the candidate's row, first of all locks, and number the message in the candidate's own order."""
    candidate = tx.one(
        "UPDATE candidate SET last_seq = last_seq + 1 WHERE organisation_id = ? AND ref = ? AND erased_at IS NULL RETURNING *",
        submission.organisation_id,
        submission.candidate_ref,
    )
    if candidate is None:
        raise candidate_not_found()
    return candidate


def _text(submission: Submission, template: Row | None, org: Row, user: Row, case: Row | None, candidate: Row) -> str:
    if template is None:
        return (submission.text or "").replace("\r\n", "\n").replace("\r", "\n")
    known: dict[str, Any] = {
        "candidate": {"first_name": candidate["first_name"], "last_name": candidate["last_name"]},
        "user": {"name": user["name"]},
        "company": org["name"],
    }
    if case is not None:
        known["case"] = {"title": case["title"], "ref": case["ref"]}
    text = compile_template(template["body"]).render({**(submission.data or {}), **known})
    if not text.strip():
        raise Refused("text_empty", 422, "The template gives an empty text for these data.", field="template_id")
    return text


def _cut(text: str, most: int) -> tuple[Piece, ...]:
    try:
        return split(text, max_parts=most)
    except TooManyParts as error:
        raise Refused(
            "too_long",
            422,
            f"The text needs {error.needed} parts; this kind of message may have {most}.",
            field="text",
            facts={"segments": error.needed, "max": most},
        ) from error


def _lane(submission: Submission, kind: str) -> int:
    if submission.priority is not None:
        return LANES[submission.priority]
    if submission.batch:
        return LANES["bulk"]
    return LANES["critical"] if kind.startswith("interview_") else LANES["normal"]
