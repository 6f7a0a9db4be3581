"""Answers that the box gives by itself: the confirmation of a STOP, the help text. Never blocked by credits or quiet hours."""

from gateway.flows import threads
from gateway.flows.accept import VALID_FOR_MS, insert_parts, tell_state
from gateway.flows.own_texts import contact_of, wording
from gateway.rules.lifecycle import LANES, State
from gateway.rules.wordings import fill
from gateway.store import ids
from gateway.store.database import Row, Transaction
from modem.segments import split


def reply(tx: Transaction, kind: str, *, phone: str, candidate: Row | None, iccid: str, now: int) -> str | None:
    """Queue an answer of this kind to the number, from the SIM that was written to. Its message id; None without a sender."""
    sender = tx.one("SELECT * FROM sender WHERE iccid = ?", iccid) or tx.one(
        "SELECT * FROM sender WHERE active = 1 ORDER BY id LIMIT 1"
    )
    if sender is None:
        return None
    organisation = tx.one("SELECT * FROM organisation WHERE id = ?", sender["organisation_id"])
    assert organisation is not None
    language = (candidate["language"] if candidate is not None else None) or organisation["language"]
    body = wording(tx, organisation["id"], kind, language, organisation["language"]).body
    text = fill(body, {"company": organisation["name"], "contact": contact_of(tx, organisation["id"])})
    return send_reply(tx, kind, text, sender=sender, phone=phone, candidate=candidate, now=now)


def send_reply(tx: Transaction, kind: str, text: str, *, sender: Row, phone: str, candidate: Row | None, now: int) -> str:
    """Queue a text of ours as the answer to what just came in; its message id. It costs no credits."""
    organisation_id = sender["organisation_id"]
    pieces = split(text)
    message_id = ids.new("msg")
    seq = 0
    if candidate is not None:
        seq = tx.value("UPDATE candidate SET last_seq = last_seq + 1 WHERE id = ? RETURNING last_seq", candidate["id"])
    tx.insert(
        "message",
        id=message_id,
        organisation_id=organisation_id,
        candidate_id=None if candidate is None else candidate["id"],
        origin="keyword_reply",
        channel="sms",
        kind=kind,
        lane=LANES["critical"],
        state=State.QUEUED,
        due_at=now,
        seq=seq,
        address=phone,
        country=candidate["country"] if candidate is not None else "ZZ",
        sender_id=sender["id"],
        alphabet=pieces[0].alphabet,
        parts=len(pieces),
        price=0,
        credits=0,
        month="",
        valid_until=now + VALID_FOR_MS,
        accepted_at=now,
        thread_id=threads.of_reply(tx, candidate, phone),
    )
    insert_parts(tx, message_id, pieces, phone)
    tx.audit(now, "gateway", "message.accept", message_id, {"kind": kind, "parts": len(pieces), "credits": 0})
    tell_state(tx, organisation_id, message_id, None if candidate is None else candidate["id"], State.QUEUED, now)
    tx.flush()
    tx.wake = True
    return message_id
