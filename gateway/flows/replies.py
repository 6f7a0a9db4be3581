"""Answers that the box gives by itself: the confirmation of a STOP, the help text. Never blocked by credits or quiet hours."""

from gateway.flows import threads
from gateway.flows.accept import VALID_FOR_MS
from gateway.flows.message_rows import insert_own
from gateway.flows.own_texts import contact_of, wording
from gateway.rules.wordings import fill
from gateway.store.database import Row, Transaction


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
    seq = 0
    if candidate is not None:
        seq = tx.value("UPDATE candidate SET last_seq = last_seq + 1 WHERE id = ? RETURNING last_seq", candidate["id"])
    message_id, parts = insert_own(
        tx,
        organisation_id=sender["organisation_id"],
        candidate_id=None if candidate is None else candidate["id"],
        text=text,
        address=phone,
        now=now,
        origin="keyword_reply",
        kind=kind,
        seq=seq,
        country=candidate["country"] if candidate is not None else "ZZ",
        sender_id=sender["id"],
        valid_until=now + VALID_FOR_MS,
        thread_id=threads.of_reply(tx, candidate, phone),
    )
    tx.audit(now, "gateway", "message.accept", message_id, {"kind": kind, "parts": parts, "credits": 0})
    tx.flush()
    return message_id
