"""Accept a submission: through the gates, then message, parts, reserve, audit row and event in one transaction.

`submit` is what callers use: it gives Accepted or the Refused that decided, with the refusal audited in the same transaction and
nothing else changed. The text is rendered, encoded and cut once, here; preview, price, ledger and sending use the same parts.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gateway.errors import Refused
from gateway.flows import companions, credits, templates, threads
from gateway.flows.facts import candidate_not_found, facts_for, find_candidate, find_case, find_user, organisation
from gateway.flows.followers import COMPANIONS
from gateway.flows.hours import links_are_forbidden
from gateway.flows.kinds import rejection_in
from gateway.flows.people import note_use
from gateway.flows.sender_choice import note_switch
from gateway.flows.timing import Leaving, at_accept
from gateway.rules.consent import PURPOSE_OF_KIND, Status
from gateway.rules.countries import has_link
from gateway.rules.credits import month_of
from gateway.rules.gates import Facts, Wait, judge
from gateway.rules.lifecycle import LANES, Hold, State
from gateway.rules.merge_fields import compile_template
from gateway.rules.numbers import tail
from gateway.rules.permissions import QUIET_HOURS_OVERRIDE, SEND_SMS
from gateway.rules.texts import is_text
from gateway.store import ids
from gateway.store.database import Row, Transaction, View
from modem.segments import Analysis, Piece, TooManyParts, analyse, split, transliterate

CHANNELS = ("sms", "whatsapp", "email")
KINDS = tuple(kind for kind in PURPOSE_OF_KIND if kind not in COMPANIONS)
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
    template_name: str | None = None
    """A template by name: the nearest up the tree from the case's unit, in the best language there is."""
    transliterate: bool = False
    """Write what GSM-7 lacks in letters that it has; never done unasked."""
    data: Mapping[str, Any] | None = None
    send_at: int | None = None
    valid_until: int | None = None
    priority: str | None = None
    urgent: bool = False
    reason: str | None = None
    client_ref: str | None = None
    confirm_not_rejection: bool = False
    batch: bool = False
    merge: Mapping[str, Any] | None = None
    """Values that only the box knows (interview_link …); with them a text, too, is read as a template."""
    suffix: str = ""
    """What the box adds below the text: the numbered slots of an invitation."""


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
    sender: str | None
    country: str
    companions: tuple["Escorted", ...]
    created_at: int


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
    companions: tuple[Escorted, ...] = ()
    plainer: str | None = None
    """The text in letters of GSM-7, where it is not in them."""
    template: Mapping[str, Any] | None = None
    """Which template and version gave the text; `found_by` is the rule that chose its language."""


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
    _check_urgent(submission, kind)
    facts = facts_for(
        tx,
        org=org,
        user=user,
        case=case,
        candidate=candidate,
        channel=submission.channel,
        kind=kind,
        urgent=submission.urgent,
        now=now,
    )
    facts, phrase = _with_rejection(tx, facts, submission)
    hold = judge(facts)
    assert facts.country is not None
    text = _text(submission, template, org, user, case, candidate)
    _check_links(tx, candidate, submission.channel, text)
    most = MOST_PARTS if template is None else template["max_parts"]
    pieces = _cut(text, most)
    price = int(facts.country["price"])
    message_id = ids.new("msg")
    month, unit_id = month_of(now, org["zone"]), (user if case is None else case)["unit_id"]
    credits.reserve(tx, org["id"], message_id, price * len(pieces), submission.actor, now, month=month, unit_id=unit_id)
    timed = partial(_timed, tx, submission, facts, kind, len(pieces), now)
    hold = timed(hold, submission.send_at)
    escort = _escort(tx, submission, org, user, case, facts)
    leaves, hold = _behind(escort, facts, hold, timed)
    state = State.QUEUED if hold is None else State.HELD
    valid_for = OPT_IN_FOR_MS if hold is not None and hold.reason == Hold.PENDING_OPT_IN else VALID_FOR_MS
    waits_until = 0 if hold is None else hold.not_before or 0
    valid_until = submission.valid_until or max(now, submission.send_at or now, waits_until) + valid_for
    thread_id = threads.outbound(
        tx,
        organisation_id=org["id"],
        candidate_id=candidate["id"],
        channel=submission.channel,
        case_id=None if case is None else case["id"],
        pool_ref=submission.pool_ref,
        sender_id=None if facts.sender is None else facts.sender["id"],
        user_id=user["id"],
        now=now,
    )
    row: dict[str, Any] = {
        "id": message_id,
        "organisation_id": org["id"],
        "candidate_id": candidate["id"],
        "case_id": None if case is None else case["id"],
        "pool_ref": submission.pool_ref,
        "thread_id": thread_id,
        "user_id": user["id"],
        "origin": "user",
        "channel": submission.channel,
        "kind": kind,
        "lane": _lane(submission, kind),
        "state": state,
        "hold_reason": None if hold is None else hold.reason,
        "not_before": None if hold is None else hold.not_before,
        "due_at": now,
        "seq": candidate["last_seq"],
        "address": candidate["phone"],
        "country": candidate["country"],
        "subdivision": candidate["subdivision"],
        "sender_id": None if facts.sender is None else facts.sender["id"],
        "alphabet": pieces[0].alphabet,
        "parts": len(pieces),
        "price": price,
        "credits": price * len(pieces),
        "month": month,
        "unit_id": unit_id,
        "client_ref": submission.client_ref,
        "valid_until": valid_until,
        "valid_told": int(submission.valid_until is not None),
        "urgent": int(submission.urgent),
        "accepted_at": now,
        "template_id": None,
        "template_version": None,
        "after_message_id": escort.waits_for,
        "purpose": None,
        "rule_country": candidate["country"],
        "text_language": companions.language_of(template, case, org),
        "text_language_wanted": None,
        "wording_version": None,
    }
    escorted = () if escort.new is None else (_send_companion(tx, escort, row, facts, leaves, submission.actor, now),)
    if escort.waits_for is not None:
        companions.hurry(tx, escort.waits_for, None if leaves is None else leaves.not_before, now)
    if template is not None:
        row["template_id"], row["template_version"] = template["id"], template["version"]
        templates.mark_used(tx, template, now)
    tx.insert("message", **row)
    insert_parts(tx, message_id, pieces, candidate["phone"])
    facts_told = {
        "parts": len(pieces),
        "credits": price * len(pieces),
        "kind": kind,
        "state": state,
        "user": user["id"],
        "right": SEND_SMS,
    }
    if submission.transliterate:
        facts_told["transliterated"] = True
    if template is not None:
        facts_told["template"] = [template["id"], template["version"]]
    tx.audit(now, submission.actor, "message.accept", message_id, facts_told)
    if phrase is not None:  # the recruiter has said that it is no rejection: the phrase is ours, not theirs
        told = {"code": "looks_like_rejection", "phrase": phrase, "user": user["id"]}
        tx.audit(now, submission.actor, "message.override", message_id, told)
    note_use(tx, user, now)
    if submission.urgent:
        told = {"urgent": True, "user": user["id"], "right": QUIET_HOURS_OVERRIDE}
        tx.audit(now, submission.actor, "message.override", message_id, told, private=(submission.reason or "")[:200])
    if facts.stands_in_for is not None and facts.sender is not None:
        note_switch(tx, message_id, facts.stands_in_for, facts.sender["id"], submission.actor, now)
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
        sender=None if facts.sender is None else facts.sender["number"],
        country=candidate["country"],
        companions=escorted,
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
    facts = facts_for(
        view,
        org=org,
        user=user,
        case=case,
        candidate=candidate,
        channel=submission.channel,
        kind=kind,
        urgent=submission.urgent,
        now=now,
    )
    facts, _ = _with_rejection(view, facts, submission)
    price = 1 if facts.country is None else int(facts.country["price"])
    hold: Wait | None = None
    refused: Refused | None = None
    escorted: tuple[Escorted, ...] = ()
    try:
        _check_urgent(submission, kind)
        hold = judge(facts)
        _check_links(view, candidate, submission.channel, text)
        pieces = _cut(text, MOST_PARTS if template is None else template["max_parts"])
        timed = partial(_timed, view, submission, facts, kind, len(pieces), now)
        hold = timed(hold, submission.send_at)
        escort = _escort(view, submission, org, user, case, facts)
        _, hold = _behind(escort, facts, hold, timed)
        escorted = _foreseen(escort, price)
        needed = price * len(pieces) + sum(each.credits for each in escorted)
        if credits.balance(view, org["id"]).available < needed:
            raise Refused("insufficient_credits", 402, "There are not enough credits.", facts={"needed": needed})
    except Refused as error:
        refused = error
    pieces = split(text, max_parts=sys.maxsize)
    sender = None if facts.sender is None else facts.sender["number"]
    seen = Preview(text, analyse(text), pieces, price * len(pieces), sender, candidate["country"], hold, refused, escorted)
    plainer = transliterate(text)
    return replace(seen, plainer=None if plainer == text else plainer, template=_told(template))


def _escort(view: View, submission: Submission, org: Row, user: Row, case: Row | None, facts: Facts) -> companions.Escort:
    if facts.sender is None:
        return companions.NOTHING
    return companions.plan(
        view,
        org=org,
        user=user,
        case=case,
        pool_ref=submission.pool_ref,
        candidate=facts.candidate,
        channel=submission.channel,
        sender=facts.sender,
        consent=facts.consent_row,
        pends=facts.pends,
    )


def _behind(
    escort: companions.Escort, facts: Facts, hold: Wait | None, timed: Callable[[Wait | None, int | None], Wait | None]
) -> tuple[Wait | None, Wait | None]:
    """When the companion may leave, and what the text waits for (design.md §3.3): "they pass all gates but opt-in"."""
    if escort.new is not None and escort.new.kind == companions.INVITATION:
        return timed(judge(replace(facts, consent=Status.GRANTED)), None), hold
    if escort.new is None and escort.waits_for is None:
        return None, hold
    return hold, Wait(Hold.WAITS_FOR, None if hold is None else hold.not_before)


def _send_companion(
    tx: Transaction,
    escort: companions.Escort,
    row: dict[str, Any],
    facts: Facts,
    leaves: Wait | None,
    actor: str,
    now: int,
) -> Escorted:
    """Write the companion before its text, which gets the next place in the candidate's order; `row` is the text's."""
    new, candidate, sender = escort.new, facts.candidate, facts.sender
    assert new is not None
    assert sender is not None
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
        "purpose": PURPOSE_OF_KIND[row["kind"]],
        "text_language": new.wording.language,
        "text_language_wanted": new.wording.wanted,
        "wording_version": new.wording.version,
    }
    tx.insert("message", **first)
    row["seq"] = tx.value("UPDATE candidate SET last_seq = last_seq + 1 WHERE id = ? RETURNING last_seq", candidate["id"])
    row["after_message_id"] = companion_id
    insert_parts(tx, companion_id, new.pieces, candidate["phone"])
    companions.note(tx, new, companion_id, candidate, row["channel"], sender, now)
    told = {"parts": len(new.pieces), "credits": price, "kind": new.kind, "state": state, "user": row["user_id"]}
    tx.audit(now, actor, "message.accept", companion_id, told)
    tell_state(tx, row["organisation_id"], companion_id, candidate["id"], state, now, hold=leaves)
    tx.wake = tx.wake or state == State.QUEUED
    return Escorted(new.kind, new.text, new.pieces[0].alphabet, len(new.pieces), price, companion_id, state)


def bring_companion(tx: Transaction, message: Row, candidate: Row, sender: Row, now: int) -> bool:
    """A text that gets its sender only now, or another one: what must go before it from that number. Whether the text may go on.

    Raises Refused where the companion cannot be written (credits, an empty purpose).
    """
    if message["origin"] != "user" or message["channel"] != "sms":
        return True
    if message["kind"] in COMPANIONS:
        companions.move_to(tx, message["id"], sender["id"])
        return True
    org = organisation(tx, message["organisation_id"])
    user = find_user(tx, org["id"], message["user_id"])
    case = None if message["case_id"] is None else tx.one("SELECT * FROM hiring_case WHERE id = ?", message["case_id"])
    facts = facts_for(tx, org=org, user=user, case=case, candidate=candidate, channel="sms", kind=message["kind"], now=now)
    facts = replace(facts, sender=sender)
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
        _send_companion(tx, escort, row, facts, Wait(Hold.SCHEDULED, at) if later else None, "gateway", now)
        tx.flush()
    waits = facts.consent == Status.PENDING
    if escort.new is None and escort.waits_for is None and not waits:
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


def _foreseen(escort: companions.Escort, price: int) -> tuple[Escorted, ...]:
    """The companion that a preview shows as a line of its own."""
    if escort.new is None:
        return ()
    new = escort.new
    return (Escorted(new.kind, new.text, new.pieces[0].alphabet, len(new.pieces), price * len(new.pieces)),)


def _told(template: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The template as a preview shows it."""
    if template is None:
        return None
    names = ("id", "name", "version", "language")
    return {**{name: template[name] for name in names}, "found_by": dict(template).get("found_by")}


def _with_rejection(view: View, facts: Facts, submission: Submission) -> tuple[Facts, str | None]:
    """The facts, and the phrase of a rejection that the recruiter has confirmed to be none."""
    phrase = rejection_in(view, submission.organisation_id, submission.text, submission.data)
    if phrase is None or submission.confirm_not_rejection:
        return facts, phrase
    return replace(facts, rejection=phrase), None


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


def _timed(
    view: View,
    submission: Submission,
    facts: Facts,
    kind: str,
    parts: int,
    now: int,
    hold: Wait | None,
    send_at: int | None,
) -> Wait | None:
    """The hold that the hour asks for, after those of the gates (requirements §0)."""
    leaving = Leaving(
        candidate=facts.candidate,
        channel=submission.channel,
        kind=kind,
        parts=parts,
        sender=facts.sender,
        accepted_at=now,
        lane=_lane(submission, kind),
        urgent=submission.urgent,
        send_at=send_at,
        sender_is_down=facts.sender_is_down,
    )
    return at_accept(view, leaving, hold, now)


def _check_urgent(submission: Submission, kind: str) -> None:
    """Any hour is for interviews only, and says why (requirements §3.4)."""
    if not submission.urgent:
        return
    if not kind.startswith("interview_"):
        text = "Only messages about an interview may be urgent."
        raise Refused("urgent_not_allowed", 422, text, field="urgent", facts={"kind": kind})
    if not (submission.reason or "").strip():
        raise Refused("reason_missing", 422, "An urgent message needs a reason.", field="reason")


def _check_links(view: View, candidate: Row, channel: str, text: str) -> None:
    """Some countries take no web addresses from a SIM card: there, digits must do."""
    if links_are_forbidden(view, candidate["country"], channel) and has_link(text):
        raise Refused(
            "link_not_allowed",
            422,
            f"Texts from a SIM card to {candidate['country']} may hold no links; let the candidate answer with digits.",
            field="text",
            facts={"country": candidate["country"]},
        )


def _check_schema(submission: Submission, now: int) -> None:
    _check_characters(submission)
    if submission.channel not in CHANNELS:
        raise Refused("unknown_channel", 422, f"Channel must be one of {', '.join(CHANNELS)}.", field="channel")
    if submission.kind not in KINDS:
        raise Refused("unknown_kind", 422, f"Kind must be one of {', '.join(KINDS)}.", field="kind")
    templated = submission.template_id is not None or submission.template_name is not None
    if not templated and not (submission.text or "").strip():
        raise Refused("text_empty", 422, "A message needs a text or a template_id.", field="text")
    if templated and submission.text is not None:
        raise Refused("text_and_template", 422, "Give either text or template_id, not both.", field="text")
    if submission.template_id is not None and submission.template_name is not None:
        raise Refused("template_twice", 422, "Give either template_id or template_name, not both.", field="template_name")
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
    names = ("user", "candidate_ref", "case_ref", "pool_ref", "channel", "kind", "text", "template_id", "template_name")
    for field in (*names, "client_ref"):
        value = getattr(submission, field)
        if value is not None and not is_text(value):
            raise Refused("invalid_characters", 422, f"{field} holds characters that are no text.", field=field)


def _references(view: View, submission: Submission) -> tuple[Row, Row | None, Row | None]:
    user = find_user(view, submission.organisation_id, submission.user)
    case = None if submission.case_ref is None else find_case(view, submission.organisation_id, submission.case_ref)
    template = None
    if submission.template_name is not None:
        unit_id = user["unit_id"] if case is None else case["unit_id"]
        language = None if case is None else case["language"]
        name, channel = submission.template_name, submission.channel
        template = templates.nearest(view, submission.organisation_id, unit_id, name, channel, language)
    elif submission.template_id is not None:
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
    if template is not None and template["kind"] not in KINDS:
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
    plain = (submission.text or "").replace("\r\n", "\n").replace("\r", "\n")
    if template is None and submission.merge is None:
        return _spelled(submission, plain)
    if template is not None:
        templates.check_values(template, submission.data)
    known: dict[str, Any] = {
        "candidate": {"first_name": candidate["first_name"], "last_name": candidate["last_name"]},
        "user": {"name": user["name"]},
        "company": org["name"],
    }
    if case is not None:
        known["case"] = {"title": case["title"], "ref": case["ref"]}
        known["purpose"] = case["title"]
    body = plain if template is None else template["body"]
    text = compile_template(body).render({**(submission.data or {}), **(submission.merge or {}), **known})
    if not text.strip():
        raise Refused("text_empty", 422, "The template gives an empty text for these data.", field="template_id")
    return _spelled(submission, text + submission.suffix)


def _spelled(submission: Submission, text: str) -> str:
    """The text, in letters of GSM-7 where that was asked for."""
    return transliterate(text) if submission.transliterate else text


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
