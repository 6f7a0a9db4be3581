"""What candidates text back to an invitation: 1 or 2, a word of their language, the digit of a slot (S52, S53).

A text counts only as a whole, only for an invitation that has left the box, and only when it is plain which one is meant: with
several open ones the box asks, naming each with a letter, and `2B` answers. Anything else is left for the inbox.
"""

from collections.abc import Mapping
from typing import Any

from gateway.errors import Refused
from gateway.flows.facts import is_suppressed
from gateway.flows.hours import country_table
from gateway.flows.interview_answers import Outcome, choose, respond
from gateway.flows.interview_desk import InterviewDesk, zone_for
from gateway.flows.interview_rows import locked, remaining
from gateway.flows.replies import send_reply
from gateway.rules.interviews import MOST_LISTED, Answer, Said, zone_of
from gateway.rules.speech import base_of, moment_text
from gateway.store.database import Row, Transaction, View

REMEMBERED_MS = 7 * 86_400_000
"""So long after the start an answer is still recorded as a late one."""
MOST_REPLIES = 6
"""Acknowledgements for one number within an hour: two machines must not talk to each other for ever."""
_HOUR_MS = 3_600_000
KIND = "interview_reply"

_LEFT = " AND m.state IN ('sending', 'sent', 'delivered', 'undelivered', 'unknown')"
_SELECT = (
    "SELECT i.*, h.language AS language, h.title AS title, c.language AS candidate_language, c.country AS country"
    " FROM interview i JOIN candidate c ON c.id = i.candidate_id"
    " JOIN hiring_case h ON h.id = i.case_id JOIN message m ON m.id = i.message_id"
    " WHERE c.phone_hash = ? AND c.erased_at IS NULL AND i.channel = ? AND i.state <> 'cancelled'"
)


def _upcoming(view: View, phone_hash: str, channel: str, now: int) -> list[Row]:
    rows = view.all(_SELECT + _LEFT + " AND i.last_start_at > ? ORDER BY i.last_start_at, i.id", phone_hash, channel, now)
    return [row for row in rows if (row["starts_at"] or row["last_start_at"]) > now]


def is_awaited(view: View, phone_hash: str | None, now: int, channel: str = "sms") -> bool:
    """Whether an invitation waits for this number's answer: words that may also cancel an interview are then no STOP."""
    return phone_hash is not None and any(row["state"] == "invited" for row in _upcoming(view, phone_hash, channel, now))


def take(tx: Transaction, received: Mapping[str, Any], desk: InterviewDesk, now: int, *, channel: str = "sms") -> str | None:
    """Read a received message as an answer; the id of the interview it was taken for, None where it is none (inbox)."""
    phone_hash = received["phone_hash"]
    if phone_hash is None or len(received["text"]) > 64:
        return None
    upcoming = _upcoming(tx, phone_hash, channel, now)
    rows = upcoming or _past(tx, phone_hash, channel, now)
    said = desk.words.read(received["text"], _languages(rows)) if rows else None
    if said is None:
        return None
    meant = _meant(upcoming, said)
    if not upcoming:
        meant = rows[:1]  # only the last one that has begun, to be recorded as late
    meant = [row for row in meant if _fits(tx, row, said, now)]
    if not meant:
        return None
    if len(meant) > 1:
        _ask_which(tx, received, meant, desk, now)
        return None
    row = locked(tx, None, meant[0]["id"])
    try:
        outcome = _apply(tx, row, said, received, desk, now)
    except Refused:
        return None  # cancelled or changed in this very moment: a colleague reads it in the inbox
    tx.flush()
    text = _words(tx, {**dict(meant[0]), **dict(row)}, outcome, desk, now)
    _reply(tx, received, text, meant[0], now)
    return str(row["id"])


def _past(view: View, phone_hash: str, channel: str, now: int) -> list[Row]:
    return view.all(
        _SELECT + _LEFT + " AND i.last_start_at > ? AND COALESCE(i.starts_at, i.last_start_at) <= ?"
        " ORDER BY COALESCE(i.starts_at, i.last_start_at) DESC LIMIT 5",
        phone_hash,
        channel,
        now - REMEMBERED_MS,
        now,
    )


def _languages(rows: list[Row]) -> list[str]:
    """Of the job ads, of the candidate, and of the number's country."""
    found: list[str] = []
    for row in rows:
        official = country_table().get(row["country"] or "", {}).get("languages", ())
        found += [base_of(row["language"]), base_of(row["candidate_language"] or ""), *official]
    return list(dict.fromkeys(found))


def _meant(upcoming: list[Row], said: Said) -> list[Row]:
    """The one with the letter; else those that wait for an answer; else those that have one, which may be changed."""
    if said.letter is not None:
        return [row for row in upcoming if row["letter"] == said.letter]
    return [row for row in upcoming if row["state"] == "invited"] or upcoming


def _fits(view: View, row: Row, said: Said, now: int) -> bool:
    """Whether what was said can mean anything to this invitation."""
    if row["type"] == "scheduled":
        return said.answer is not None
    if said.number is not None:
        return _slot_ref(view, row, said.number) is not None
    return said.answer is Answer.DECLINE or (said.answer is not None and row["slot_id"] is not None)


def _slot_ref(view: View, row: Row, number: int) -> str | None:
    ref = view.value(
        "SELECT s.ref FROM slot s JOIN interview_slot o ON o.slot_id = s.id WHERE o.interview_id = ? AND o.number = ?",
        row["id"],
        number,
    )
    return None if ref is None else str(ref)


def _apply(
    tx: Transaction, row: Row, said: Said, received: Mapping[str, Any], desk: InterviewDesk, now: int
) -> Outcome | Refused:
    if row["type"] == "self_schedule" and said.number is not None:
        ref = _slot_ref(tx, row, said.number)
        assert ref is not None
        return choose(tx, row, ref, "sms", "candidate", desk, now, received_id=received["id"])
    assert said.answer is not None
    return respond(tx, row, said.answer, "sms", "candidate", desk, now, received_id=received["id"])


def _words(view: View, row: Mapping[str, Any], outcome: Outcome | Refused, desk: InterviewDesk, now: int) -> str:
    """The acknowledgement."""
    language = row["language"]
    company = str(view.value("SELECT name FROM organisation WHERE id = ?", row["organisation_id"]))
    candidate = view.one("SELECT * FROM candidate WHERE id = ?", row["candidate_id"])
    assert candidate is not None
    zone = zone_for(candidate, row["zone"])
    if isinstance(outcome, Refused):
        left = remaining(view, row["id"], now)[:MOST_LISTED]
        if not left:
            return desk.phrases.text("none_left", language, company=company)
        listed = desk.phrases.numbered([(slot["number"], slot["starts_at"]) for slot in left], zone, language)
        return desk.phrases.text("taken", language, company=company, list=listed)
    if outcome.outcome == "late":
        return desk.phrases.text("late", language, company=company)
    after = outcome.interview
    if outcome.slot is not None:
        return desk.phrases.text("chosen", language, company=company, when=moment_text(outcome.slot["starts_at"], zone, language))
    starts_at = after["starts_at"] or row["starts_at"]
    if row["type"] == "scheduled":
        zone = zone_of(row["zone"])
    when = "" if starts_at is None else moment_text(starts_at, zone, language)
    state = str(view.value("SELECT state FROM interview WHERE id = ?", row["id"]))
    return desk.phrases.text(state, language, company=company, when=when).replace("  ", " ")


def _ask_which(tx: Transaction, received: Mapping[str, Any], rows: list[Row], desk: InterviewDesk, now: int) -> None:
    """Name each open invitation with a letter, and ask for digit and letter."""
    items = []
    for letter, row in zip("ABCDEFGH", rows, strict=False):
        tx.execute("UPDATE interview SET letter = ? WHERE id = ?", letter, row["id"])
        if row["type"] == "scheduled":
            when = moment_text(row["starts_at"], zone_of(row["zone"]), row["language"])
            items.append(desk.phrases.text("which_scheduled", row["language"], letter=letter, title=row["title"], when=when))
        else:
            slots = remaining(tx, row["id"], now)[:MOST_LISTED]
            numbers = ", ".join(f"{slot['number']}{letter}" for slot in slots)
            items.append(desk.phrases.text("which_slots", row["language"], letter=letter, title=row["title"], numbers=numbers))
    company = str(tx.value("SELECT name FROM organisation WHERE id = ?", rows[0]["organisation_id"]))
    text = desk.phrases.text("which", rows[0]["language"], company=company, items="\n".join(items))
    _reply(tx, received, text, rows[0], now)


def _reply(tx: Transaction, received: Mapping[str, Any], text: str, row: Mapping[str, Any], now: int) -> None:
    """Answer from the SIM that was written to, unless the number wants no more, or too many answers went there lately."""
    sender = tx.one("SELECT * FROM sender WHERE iccid = ?", received["iccid"])
    lately = tx.value(
        "SELECT COUNT(*) AS n FROM message WHERE candidate_id = ? AND kind = ? AND accepted_at > ?",
        row["candidate_id"],
        KIND,
        now - _HOUR_MS,
    )
    if sender is None or lately >= MOST_REPLIES or is_suppressed(tx, received["phone_hash"], "sms"):
        return
    candidate = tx.one("SELECT * FROM candidate WHERE id = ?", row["candidate_id"])
    send_reply(tx, KIND, text, sender=sender, phone=received["address"], candidate=candidate, now=now)
