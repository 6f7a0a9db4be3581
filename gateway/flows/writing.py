"""What somebody who writes to a candidate must know before they begin, and sending what they wrote exactly once.

`desk_for` says which channels are open and why others are not (S5), which templates there are and what they ask for (S51).
`send_once` is `submit` for a form: the same form sent twice (a double click, a reload) is one message.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.clock import rfc3339
from gateway.errors import Refused
from gateway.flows.accept import Accepted, preview, submit
from gateway.flows.asking import whom_to_ask
from gateway.flows.channels import Openness, channels_for
from gateway.flows.facts import find_candidate, find_case, find_user, is_kind_allowed, rights_in
from gateway.flows.rights import require_reader
from gateway.flows.submissions import Submission
from gateway.flows.templates import choices, declared_fields
from gateway.rules.kinds import KINDS, is_locked
from gateway.rules.merge_fields import compile_template
from gateway.rules.permissions import CREDITS_VIEW, QUIET_HOURS_OVERRIDE
from gateway.rules.templates import Field, tree_of
from gateway.store.database import Row, Transaction, View
from modem.segments import analyse, transliterate

FILLED = ("candidate.", "case.", "user.name", "company", "purpose")
"""Fields that the box fills for every message."""
ONLY_FOR_INTERVIEWS = ("interview_link", "interview.slots")
"""Fields that only an invitation made in the interview's own screen has."""
FORM_REF = "page:"
"""Begins the client_ref of what was written on a page."""
POOL_KINDS = ("talent_pool", "job_alert", "contact")


@dataclass(frozen=True, slots=True)
class Choice:
    """A template as a composer offers it; `asks` are the fields that the writer must fill."""

    id: str
    name: str
    kind: str
    channel: str
    language: str
    asks: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Desk:
    """All that a composer shows before anything is typed."""

    candidate: Row
    case: Row | None
    channels: tuple[Openness, ...]
    kinds: tuple[str, ...]
    templates: tuple[Choice, ...]
    may_override: bool

    @property
    def open_channels(self) -> tuple[str, ...]:
        """Channels that this box itself can send by now."""
        return tuple(each.channel for each in self.channels if each.available and each.use is None)


def desk_for(
    view: View,
    organisation_id: str,
    user: str,
    candidate_ref: str,
    case_ref: str | None,
    pool_ref: str | None,
    now: int,
) -> Desk:
    """What a user needs to write to a candidate. Raises Refused (404; 403 where they may not read what was written)."""
    who = find_user(view, organisation_id, user)
    case = None if case_ref is None else find_case(view, organisation_id, case_ref)
    require_reader(view, who, case)
    candidate = find_candidate(view, organisation_id, candidate_ref)
    found = channels_for(view, organisation_id, user, user, candidate_ref, case_ref, now)
    if case is None and pool_ref is not None:
        found = [_of_pool(view, organisation_id, user, candidate_ref, pool_ref, each, now) for each in found]
    channels = [each.channel for each in found if each.use is None] or ["sms"]
    kinds = POOL_KINDS if case is None else tuple(kind for kind in KINDS if kind not in ("talent_pool", "job_alert"))
    kinds = tuple(kind for kind in kinds if any(_may_go(view, organisation_id, kind, channel) for channel in channels))
    return Desk(
        candidate,
        case,
        tuple(found),
        kinds,
        tuple(_offered(view, organisation_id, who, case, channels, kinds)),
        QUIET_HOURS_OVERRIDE in rights_in(view, who, case),
    )


def _may_go(view: View, organisation_id: str, kind: str, channel: str) -> bool:
    return not is_locked(kind, channel) and is_kind_allowed(view, organisation_id, kind, channel)


def _of_pool(
    view: View, organisation_id: str, user: str, candidate_ref: str, pool_ref: str, seen: Openness, now: int
) -> Openness:
    """In a pool the consent to its own kinds opens a channel as well."""
    if seen.available or seen.use is not None:
        return seen
    for kind in POOL_KINDS:
        trial = Submission(
            organisation_id=organisation_id,
            actor=user,
            user=user,
            candidate_ref=candidate_ref,
            pool_ref=pool_ref,
            channel=seen.channel,
            kind=kind,
            text=".",
        )
        found = preview(view, trial, now)
        if found.refused is None:
            return Openness(seen.channel, True, hold=None if found.hold is None else found.hold.reason)
    return seen


def _offered(
    view: View, organisation_id: str, who: Row, case: Row | None, channels: Sequence[str], kinds: Sequence[str]
) -> list[Choice]:
    unit_id = (who if case is None else case)["unit_id"]
    language = None if case is None else case["language"]
    found = []
    for channel in channels:
        for kind in kinds:
            for row in choices(view, organisation_id, unit_id, channel, kind, language):
                used = compile_template(row["body"]).fields
                if not any(name in ONLY_FOR_INTERVIEWS for name in used):
                    asks = [name for name in used if not name.startswith(FILLED)]
                    known = {field.name: field for field in declared_fields(row)}
                    fields = tuple(known.get(name) or Field(name, "text", "") for name in asks)
                    found.append(Choice(row["id"], row["name"], kind, channel, row["language"], fields))
    return sorted(found, key=lambda choice: (choice.name.casefold(), choice.channel))


def data_of(choice: Choice, values: Mapping[str, str]) -> dict[str, Any]:
    """What a writer filled in, as a template is rendered with; what they left empty is missing."""
    asked = {field.name for field in choice.asks}
    return tree_of({name: value.strip() for name, value in values.items() if name in asked and value.strip()})


def moment_of(local: str, zone: str, now: int) -> int | None:
    """`2026-03-02T15:30` on the wall of a zone, in ms; None for nothing. A person who names a time means one to come.

    Raises Refused `send_at_unreadable` or `send_at_past`.
    """
    if not local:
        return None
    try:
        moment = datetime.fromisoformat(local)
        if moment.tzinfo is not None or moment.year < 1970:
            raise ValueError(local)
        send_at = round(moment.replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    except (ValueError, OverflowError, KeyError, OSError):
        raise Refused("send_at_unreadable", 422, "This is no date and time.", field="send_at") from None
    if send_at <= now:
        raise Refused("send_at_past", 422, "This time has passed already.", field="send_at", facts={"now": rfc3339(now)})
    return send_at


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a form: the message, whether this very form had made it before, and what it waits for."""

    message_id: str
    thread_id: str
    state: str
    hold_reason: str | None
    not_before: int | None
    is_repeat: bool = False


def send_once(tx: Transaction, submission: Submission, once: str, now: int) -> Sent | Refused:
    """Submit what a form holds. The same form with the same content again is answered with the message it made.

    `once` is the form's own token. A refusal is returned with its audit row, as `submit` does.
    """
    ref = reference(submission, once)
    lock = "SELECT id FROM candidate WHERE organisation_id = ? AND ref = ?" + tx.for_update
    tx.one(lock, submission.organisation_id, submission.candidate_ref)
    made = _made(tx, submission.organisation_id, ref)
    if made is not None:
        return made
    done = submit(tx, replace(submission, client_ref=ref), now)
    if isinstance(done, Refused):
        return done
    tx.flush()
    return _told(tx, done)


def reference(submission: Submission, once: str) -> str:
    """The client_ref of a form: another content under the same token (a page gone back to and changed) is another message."""
    said = [submission.text, submission.template_id, submission.data, submission.send_at, submission.channel]
    return f"{FORM_REF}{once}:{hashlib.sha256(repr(said).encode()).hexdigest()[:12]}"


def _made(view: View, organisation_id: str, ref: str) -> Sent | None:
    row = view.one(
        "SELECT id, thread_id, state, hold_reason, not_before FROM message WHERE organisation_id = ? AND client_ref = ?",
        organisation_id,
        ref,
    )
    if row is None:
        return None
    return Sent(row["id"], row["thread_id"] or "", row["state"], row["hold_reason"], row["not_before"], True)


def _told(view: View, done: Accepted) -> Sent:
    thread_id = str(view.value("SELECT thread_id FROM message WHERE id = ?", done.id) or "")
    return Sent(done.id, thread_id, done.state, done.hold_reason, done.not_before)


def colleagues_for_credits(view: View, organisation_id: str) -> list[str]:
    """Who can be asked for credits, by name (S15)."""
    found, _ = whom_to_ask(view, organisation_id, CREDITS_VIEW)
    return [person["name"] for person in found]


def parts_of(text: str) -> int:
    """How many parts a text has."""
    return analyse(text).parts


def plainer(text: str, character: str | None) -> str:
    """A text with one character exchanged for its equal in the standard alphabet, or (None) all of them."""
    if character is None:
        return transliterate(text)
    found = {each.character: each.replacement for each in analyse(text).forcing}
    return text.replace(character, found.get(character) or character)
