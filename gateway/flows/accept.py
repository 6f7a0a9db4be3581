"""Accept a submission: through the gates, then message, parts, reserve, audit row and event in one transaction.

`submit` is what callers use: it gives Accepted or the Refused that decided, with the refusal audited in the same transaction and
nothing else changed. What is asked for, and the text that it becomes, is read in flows/submissions.py.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gateway.errors import Refused
from gateway.flows import companions, credits, escorting, templates, threads
from gateway.flows.companions import Escort
from gateway.flows.escorting import Escorted
from gateway.flows.facts import candidate_not_found, facts_for, find_candidate
from gateway.flows.kinds import rejection_in
from gateway.flows.locks import check_not_erasing, lock_candidates
from gateway.flows.message_rows import insert_parts, tell_state
from gateway.flows.people import note_use
from gateway.flows.sender_choice import note_switch
from gateway.flows.submissions import Read, Submission, check_urgent, cut, read, render
from gateway.flows.timing import Leaving, at_accept
from gateway.rules.consent import Status
from gateway.rules.credits import month_of
from gateway.rules.gates import Facts, Wait, judge
from gateway.rules.kinds import KINDS
from gateway.rules.lifecycle import Hold, State
from gateway.rules.permissions import QUIET_HOURS_OVERRIDE, SEND_SMS
from gateway.store import ids
from gateway.store.database import Ahead, Row, Transaction, View
from modem.segments import Analysis, Piece, analyse, split, transliterate

VALID_FOR_MS = 72 * 3_600_000
OPT_IN_FOR_MS = 14 * 86_400_000
"""How long a message waits for START when nobody says otherwise (requirements §3.2)."""


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
    companions: tuple[Escorted, ...]
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
    companions: tuple[Escorted, ...] = ()
    plainer: str | None = None
    """The text in letters of GSM-7, where it is not in them."""
    template: Mapping[str, Any] | None = None
    """Which template and version gave the text; `found_by` is the rule that chose its language."""


def submit(tx: Transaction, submission: Submission, now: int) -> Accepted | Refused:
    """Accept or refuse. A refusal leaves nothing behind but its audit row."""
    try:
        with tx.savepoint():
            return accept(tx, submission, now)
    except Refused as refused:
        kind = submission.kind if submission.kind in KINDS else "other"  # never what a stranger wrote
        tx.audit(now, submission.actor, "message.deny", submission.organisation_id, {"code": refused.code, "kind": kind})
        return refused


def submit_all(tx: Transaction, submissions: Sequence[Submission], now: int) -> list[Accepted | Refused]:
    """Accept or refuse each by itself, in their order; the answers in that order, too."""
    lock_candidates(tx, [_whom(each) for each in submissions])
    return [submit(tx, each, now) for each in submissions]


def ahead(submission: Submission) -> Ahead:
    """Whose row accepting a submission locks, for a commit that it shares with others."""
    return Ahead(lock_candidates, _whom(submission))


def _whom(submission: Submission) -> tuple[str, str]:
    return submission.organisation_id, submission.candidate_ref


def accept(tx: Transaction, submission: Submission, now: int) -> Accepted:
    """Accept one submission. Raises Refused with the code of the first gate that objects."""
    draft = read(tx, submission, now)
    candidate = _next_in_line(tx, submission)
    check_urgent(draft)
    facts, phrase = _facts(tx, draft, candidate, now)
    hold = judge(facts)
    assert facts.country is not None
    pieces = cut(tx, draft, render(draft, candidate), candidate)
    org, user, case, template = draft.org, draft.user, draft.case, draft.template
    price = int(facts.country["price"])
    message_id = ids.new("msg")
    month, unit_id = month_of(now, org["zone"]), (user if case is None else case)["unit_id"]
    credits.reserve(tx, org["id"], message_id, price * len(pieces), submission.actor, now, month=month, unit_id=unit_id)
    timed = partial(_timed, tx, draft, facts, len(pieces), now)
    hold = timed(hold, submission.send_at)
    escort = _escort(tx, draft, facts)
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
        "kind": draft.kind,
        "lane": draft.lane,
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
    escorted: tuple[Escorted, ...] = ()
    if escort.new is not None:
        assert facts.sender is not None
        escorted = (escorting.write(tx, escort.new, row, candidate, facts.sender, leaves, submission.actor, now),)
    elif escort.waits_for is not None:
        escorting.join(tx, escort.waits_for, None if leaves is None else leaves.not_before, valid_until, now)
    if template is not None:
        row["template_id"], row["template_version"] = template["id"], template["version"]
        templates.mark_used(tx, template, now)
    tx.insert("message", **row)
    insert_parts(tx, message_id, pieces, candidate["phone"])
    facts_told = {
        "parts": len(pieces),
        "credits": price * len(pieces),
        "kind": draft.kind,
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
    draft = read(view, submission, now)
    candidate = find_candidate(view, draft.org["id"], submission.candidate_ref)
    text = render(draft, candidate)
    facts, _ = _facts(view, draft, candidate, now)
    price = 1 if facts.country is None else int(facts.country["price"])
    hold: Wait | None = None
    refused: Refused | None = None
    escorted: tuple[Escorted, ...] = ()
    try:
        check_not_erasing(view, candidate["id"])
        check_urgent(draft)
        hold = judge(facts)
        pieces = cut(view, draft, text, candidate)
        timed = partial(_timed, view, draft, facts, len(pieces), now)
        hold = timed(hold, submission.send_at)
        escort = _escort(view, draft, facts)
        _, hold = _behind(escort, facts, hold, timed)
        escorted = escorting.foreseen(escort, price)
        needed = price * len(pieces) + sum(each.credits for each in escorted)
        if credits.balance(view, draft.org["id"]).available < needed:
            raise Refused("insufficient_credits", 402, "There are not enough credits.", facts={"needed": needed})
    except Refused as error:
        refused = error
    pieces = split(text, max_parts=sys.maxsize)
    sender = None if facts.sender is None else facts.sender["number"]
    seen = Preview(text, analyse(text), pieces, price * len(pieces), sender, candidate["country"], hold, refused, escorted)
    plainer = transliterate(text)
    return replace(seen, plainer=None if plainer == text else plainer, template=_told(draft.template))


def _next_in_line(tx: Transaction, submission: Submission) -> Row:
    """Lock the candidate's row, first of all locks, and number the message in the candidate's own order."""
    candidate = tx.one(
        "UPDATE candidate SET last_seq = last_seq + 1 WHERE organisation_id = ? AND ref = ? AND erased_at IS NULL RETURNING *",
        submission.organisation_id,
        submission.candidate_ref,
    )
    if candidate is None:
        raise candidate_not_found()
    check_not_erasing(tx, candidate["id"])
    return candidate


def _facts(view: View, draft: Read, candidate: Row, now: int) -> tuple[Facts, str | None]:
    """What the gates look at, and the phrase of a rejection that the recruiter has confirmed to be none."""
    asked = draft.asked
    facts = facts_for(
        view,
        org=draft.org,
        user=draft.user,
        case=draft.case,
        candidate=candidate,
        channel=asked.channel,
        kind=draft.kind,
        urgent=asked.urgent,
        now=now,
    )
    phrase = rejection_in(view, asked.organisation_id, asked.text, asked.data)
    if phrase is None or asked.confirm_not_rejection:
        return facts, phrase
    return replace(facts, rejection=phrase), None


def _escort(view: View, draft: Read, facts: Facts) -> Escort:
    if facts.sender is None:
        return companions.NOTHING
    return companions.plan(
        view,
        org=draft.org,
        user=draft.user,
        case=draft.case,
        pool_ref=draft.asked.pool_ref,
        candidate=facts.candidate,
        channel=draft.asked.channel,
        sender=facts.sender,
        consent=facts.consent_row,
        pends=facts.pends,
    )


def _behind(
    escort: Escort, facts: Facts, hold: Wait | None, timed: Callable[[Wait | None, int | None], Wait | None]
) -> tuple[Wait | None, Wait | None]:
    """When the companion may leave, and what the text waits for (design.md §3.3): "they pass all gates but opt-in"."""
    if escort.new is not None and escort.new.kind == companions.INVITATION:
        return timed(judge(replace(facts, consent=Status.GRANTED)), None), hold
    if escort.new is None and escort.waits_for is None:
        return None, hold
    return hold, Wait(Hold.WAITS_FOR, None if hold is None else hold.not_before)


def _timed(view: View, draft: Read, facts: Facts, parts: int, now: int, hold: Wait | None, send_at: int | None) -> Wait | None:
    """The hold that the hour asks for, after those of the gates (requirements §0)."""
    leaving = Leaving(
        candidate=facts.candidate,
        channel=draft.asked.channel,
        kind=draft.kind,
        parts=parts,
        sender=facts.sender,
        accepted_at=now,
        lane=draft.lane,
        urgent=draft.asked.urgent,
        send_at=send_at,
        sender_is_down=facts.sender_is_down,
    )
    return at_accept(view, leaving, hold, now)


def _told(template: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The template as a preview shows it."""
    if template is None:
        return None
    names = ("id", "name", "version", "language")
    return {**{name: template[name] for name in names}, "found_by": dict(template).get("found_by")}
