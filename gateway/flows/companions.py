"""Companions: the START invitation and the identification, messages of their own before a thread's first text (design.md §3.3).

`plan` says, inside accept or preview, whether the text needs one, brings its own or waits for one that is under way. A companion
is unique per candidate, channel and sender (the identification also per case or pool: it names the job). flows/escorting.py puts
it before its text; what becomes of followers afterwards is decided in flows/followers.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.errors import Refused
from gateway.flows.consent_rows import DAY_MS, add_version, newest
from gateway.flows.own_texts import job_languages, setting, wording
from gateway.rules.consent import PURPOSE_OF_KIND, Status
from gateway.rules.lifecycle import Hold, State
from gateway.rules.wordings import NEEDED, Wording, fill, languages_tried, shipped_text
from gateway.store.database import Row, Transaction, View
from modem.segments import Piece, split

INVITATION, IDENTIFICATION, REMINDER = "consent_optin", "identification", "consent_reminder"
REMIND_AFTER_H = 48
EXPIRE_AFTER_DAYS = 14
_ON_ITS_WAY = (State.HELD, State.QUEUED, State.SENDING, State.UNKNOWN)
_WAITING = (State.HELD, State.QUEUED)
_NEVER_LEFT = (State.FAILED, State.CANCELLED, State.EXPIRED)


@dataclass(frozen=True, slots=True)
class Companion:
    """A companion to be written with the text: what it says and what it is known by."""

    kind: str
    context: str
    text: str
    pieces: tuple[Piece, ...]
    wording: Wording


@dataclass(frozen=True, slots=True)
class Escort:
    """What goes before a text: `new` is written with it, `waits_for` is the message it waits for (None: for nothing)."""

    new: Companion | None = None
    waits_for: str | None = None
    pends: bool = False
    """The consent was granted before the country asked for START: this new thread waits for it (S40)."""


NOTHING = Escort()


def context_of(case_id: str | None, pool_ref: str | None) -> str:
    """What a thread is about: an application, or a prospect community."""
    return f"case:{case_id}" if case_id is not None else f"pool:{pool_ref or ''}"


def plan(
    view: View,
    *,
    org: Row,
    user: Row,
    case: Row | None,
    pool_ref: str | None,
    candidate: Row,
    channel: str,
    sender: Row,
    consent: Row | None,
    pends: bool = False,
) -> Escort:
    """The companion of a text. Raises Refused `merge_value_missing` where name, company or purpose is empty (S45)."""
    if consent is None or channel != "sms":
        return NOTHING
    if consent["status"] == Status.PENDING or pends:
        wanted, context = INVITATION, ""
    elif consent["status"] == Status.GRANTED:
        wanted, context = IDENTIFICATION, context_of(None if case is None else case["id"], pool_ref)
        invited = _known(view, candidate, channel, INVITATION, "", sender)
        if consent["mode"] == "double" and invited is not None and invited["state"] not in (*_NEVER_LEFT, *_WAITING):
            # The invitation from this number said who writes and why; one that is on the air is about to.
            return Escort(None, invited["message_id"]) if invited["state"] == State.SENDING else NOTHING
    else:
        return NOTHING
    known = _known(view, candidate, channel, wanted, context, sender)
    if known is not None and known["state"] not in _NEVER_LEFT:
        is_waiting = wanted == IDENTIFICATION and known["state"] in _ON_ITS_WAY
        return Escort(None, known["message_id"] if is_waiting else None, pends)
    chosen = wording(view, org["id"], wanted, *job_languages(org, case))
    values = values_for(org, user, case, chosen.language)
    for name in sorted(NEEDED.get(wanted, ())):
        if not values[name].strip():
            field = {"purpose": "case_ref", "user.name": "user"}.get(name, name)
            text = f"The first text of a thread tells {name}, which is empty here."
            raise Refused("merge_value_missing", 422, text, field=field, facts={"missing": name})
    text = fill(chosen.body, values)
    return Escort(Companion(wanted, context, text, split(text), chosen), None, pends)


def values_for(org: Row, user: Mapping[str, object] | None, case: Row | None, language: str) -> dict[str, str]:
    """Name, company and purpose, as the texts before a thread need them."""
    pool = next((found for name in languages_tried(language) if (found := shipped_text("pool", name))), "")
    return {
        "user.name": "" if user is None else str(user["name"]),
        "company": org["name"],
        "purpose": pool if case is None else case["title"],
    }


def _known(view: View, candidate: Row, channel: str, kind: str, context: str, sender: Row) -> Row | None:
    """The companion this thread and sender have already, and its message's state (None: known from before)."""
    return view.one(
        "SELECT c.message_id, m.state FROM companion c LEFT JOIN message m ON m.id = c.message_id WHERE c.candidate_id = ?"
        " AND c.channel = ? AND c.kind = ? AND c.context = ? AND c.sender_id = ? AND c.phone_hash = ?",
        candidate["id"],
        channel,
        kind,
        context,
        sender["id"],
        candidate["phone_hash"],
    )


def invitation_of(view: View, candidate: Row, channel: str, sender: Row) -> str | None:
    """The message that asked, or asks, this candidate for START from this number."""
    known = _known(view, candidate, channel, INVITATION, "", sender)
    return None if known is None else known["message_id"]


def note(tx: Transaction, companion: Companion, message_id: str, candidate: Row, channel: str, sender: Row, now: int) -> None:
    """Remember a companion just written; texts that waited for one that never left wait for this one."""
    key = (candidate["id"], channel, companion.kind, companion.context, sender["id"], candidate["phone_hash"])
    former = tx.value(
        "SELECT message_id FROM companion WHERE candidate_id = ? AND channel = ? AND kind = ? AND context = ? AND sender_id = ?"
        " AND phone_hash = ?",
        *key,
    )
    joined = 0
    if former is not None:
        joined += tx.execute(
            "UPDATE message SET after_message_id = ? WHERE after_message_id = ? AND state = 'held'", message_id, former
        )
    if companion.kind == IDENTIFICATION:  # START came before the invitation left, and this was not or could not be written then
        joined += tx.execute(
            "UPDATE message SET after_message_id = ? WHERE candidate_id = ? AND channel = ? AND sender_id = ? AND state = 'held'"
            " AND hold_reason = ? AND after_message_id IN"
            " (SELECT message_id FROM companion WHERE candidate_id = ? AND channel = ? AND sender_id = ? AND kind = ?)"
            f" AND {'case_id' if companion.context.startswith('case:') else 'pool_ref'} = ?",
            *(message_id, candidate["id"], channel, sender["id"], Hold.WAITS_FOR),
            *(candidate["id"], channel, sender["id"], INVITATION),
            companion.context.partition(":")[2],
        )
    if joined:  # it lives as long as the last that waits for it
        tx.flush()
        tx.execute(
            "UPDATE message SET valid_until = (SELECT MAX(t.valid_until) FROM message t WHERE t.id = message.id"
            " OR (t.after_message_id = message.id AND t.state = 'held')) WHERE id = ?",
            message_id,
        )
    remind_at = None
    if companion.kind == INVITATION:
        remind_at = now + setting(tx, candidate["organisation_id"], "reminder_hours", REMIND_AFTER_H) * 3_600_000
    tx.execute(
        "INSERT INTO companion (candidate_id, channel, kind, context, sender_id, phone_hash, message_id, created_at, remind_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (candidate_id, channel, kind, context, sender_id, phone_hash)"
        " DO UPDATE SET message_id = excluded.message_id, created_at = excluded.created_at, remind_at = excluded.remind_at",
        *key,
        message_id,
        now,
        remind_at,
    )


def pend(tx: Transaction, candidate: Row, channel: str, kind: str, actor: str, now: int) -> int:
    """A START invitation leaves: the pending consent says since when and until when it waits. When it ends, in ms."""
    purpose = PURPOSE_OF_KIND.get(kind, "recruiting_process")
    before = newest(tx, candidate, channel, purpose)
    assert before is not None
    expires_at = now + setting(tx, candidate["organisation_id"], "expiry_days", EXPIRE_AFTER_DAYS) * DAY_MS
    add_version(
        tx,
        candidate,
        channel,
        purpose,
        Status.PENDING,
        source=before["source"],
        mode="double",
        actor=actor,
        evidence={},
        captured_at=before["captured_at"],
        now=now,
        expires_at=expires_at,
        doi_invited_at=now,
    )
    told = {"channel": channel, "purpose": purpose, "from": before["status"], "to": Status.PENDING}
    tx.audit(now, actor, "consent.pend", candidate["id"], told)
    return expires_at


def introduced(tx: Transaction, candidate_id: str, sender_id: str, context: str, phone_hash: str, now: int) -> None:
    """Note that a candidate knows who writes, from a system that wrote before this box (imports, tests)."""
    tx.execute(
        "INSERT INTO companion (candidate_id, channel, kind, context, sender_id, phone_hash, message_id, created_at)"
        " VALUES (?, 'sms', ?, ?, ?, ?, NULL, ?) ON CONFLICT DO NOTHING",
        candidate_id,
        IDENTIFICATION,
        context,
        sender_id,
        phone_hash,
        now,
    )
    tx.audit(now, "import", "companion.import", candidate_id, {"sender": sender_id})


def language_of(template: Row | None, case: Row | None, org: Row) -> str:
    """The language stored with a text: the template's, else the job advertisement's, else the organisation's."""
    return str((template or case or org)["language"])
