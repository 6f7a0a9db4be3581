"""What time does to consents: requests and pending opt-ins end, silent grants end after a year, one reminder asks for START.

Run by the gateway's housekeeping; each step is a short transaction of its own and safe to run again.
"""

import logging

from gateway.errors import Refused
from gateway.flows import consents, credits
from gateway.flows.companions import REMIND_AFTER_H, REMINDER, values_for
from gateway.flows.consent_rows import DAY_MS, GRANTED_FOR_MS, newest
from gateway.flows.endings import move
from gateway.flows.facts import country_of, is_paused, is_suppressed
from gateway.flows.locks import lock_candidate
from gateway.flows.message_rows import insert_parts, tell_state
from gateway.flows.own_texts import job_languages, setting, wording
from gateway.rules.consent import PURPOSE_OF_KIND, Status
from gateway.rules.credits import month_of
from gateway.rules.lifecycle import Hold, State
from gateway.rules.wordings import fill
from gateway.store import ids
from gateway.store.database import Database, Row, Transaction
from modem.segments import split

log = logging.getLogger(__name__)

_MOST = 100


def sweep(database: Database, now: int) -> int:
    """Whatever is due; how many consents, requests and reminders that were."""
    with database.read() as view:
        watched = view.all("SELECT * FROM consent_watch WHERE due_at <= ? ORDER BY due_at LIMIT ?", now, _MOST)
        requests = view.all(
            "SELECT id, candidate_id FROM consent_request WHERE state = 'live' AND expires_at <= ? ORDER BY expires_at LIMIT ?",
            now,
            _MOST,
        )
        reminders = view.all(
            "SELECT * FROM companion WHERE remind_at IS NOT NULL AND remind_at <= ? ORDER BY remind_at LIMIT ?", now, _MOST
        )
    for row in watched:
        database.transact(lambda tx, row=row: _due(tx, row, now))  # type: ignore[misc]
    for row in requests:
        database.transact(lambda tx, row=row: _request_ends(tx, row, now))  # type: ignore[misc]
    for row in reminders:
        database.transact(lambda tx, row=row: _remind(tx, row, now))  # type: ignore[misc]
    return len(watched) + len(requests) + len(reminders)


def _due(tx: Transaction, watched: Row, now: int) -> None:
    lock_candidate(tx, watched["candidate_id"])
    key = (watched["candidate_id"], watched["channel"], watched["purpose"], watched["phone_hash"])
    where = "candidate_id = ? AND channel = ? AND purpose = ? AND phone_hash = ?"
    due_at = tx.value(f"SELECT due_at FROM consent_watch WHERE {where}", *key)
    if due_at is None or due_at > now:
        return
    candidate = tx.one("SELECT * FROM candidate WHERE id = ?", watched["candidate_id"])
    if candidate is None or candidate["erased_at"] is not None or candidate["phone_hash"] != watched["phone_hash"]:
        tx.execute(f"DELETE FROM consent_watch WHERE {where}", *key)
        return
    row = newest(tx, candidate, watched["channel"], watched["purpose"])
    if row is not None and row["status"] == Status.GRANTED:
        lasts = setting(tx, candidate["organisation_id"], "grant_days", GRANTED_FOR_MS // DAY_MS) * DAY_MS
        heard = tx.value("SELECT MAX(received_at) AS t FROM received WHERE candidate_id = ?", candidate["id"])
        ends = max(row["recorded_at"], heard or 0) + lasts
        if ends > now:
            tx.execute(f"UPDATE consent_watch SET due_at = ? WHERE {where}", ends, *key)
            return
    reason = "silence" if row is not None and row["status"] == Status.GRANTED else "no_answer"
    if not consents.expire(tx, candidate, watched["channel"], watched["purpose"], reason, now):
        tx.execute(f"DELETE FROM consent_watch WHERE {where}", *key)
        return
    held = tx.all(
        "SELECT * FROM message WHERE candidate_id = ? AND channel = ? AND origin = 'user' AND state IN ('held', 'queued')"
        " ORDER BY seq",
        candidate["id"],
        watched["channel"],
    )
    for message in held:
        purpose = message["purpose"] or PURPOSE_OF_KIND[message["kind"]]
        state = tx.value("SELECT state FROM message WHERE id = ?", message["id"])
        if purpose == watched["purpose"] and state in (State.HELD, State.QUEUED):
            move(tx, message, State.EXPIRED, now, "gateway", error="no_answer" if reason == "no_answer" else "consent_expired")


def _request_ends(tx: Transaction, row: Row, now: int) -> None:
    lock_candidate(tx, row["candidate_id"])
    if tx.execute(
        "UPDATE consent_request SET state = 'expired' WHERE id = ? AND state = 'live' AND expires_at <= ?", row["id"], now
    ):
        tx.execute(
            "UPDATE mail SET state = 'cancelled', sealed = '', address = '' WHERE subject = ? AND state = 'waiting'", row["id"]
        )


def _remind(tx: Transaction, companion: Row, now: int) -> None:
    """Ask once more for START, if a text still waits for it; never a second time."""
    lock_candidate(tx, companion["candidate_id"])
    taken = tx.execute(
        "UPDATE companion SET remind_at = NULL WHERE message_id = ? AND candidate_id = ? AND kind = ? AND remind_at = ?",
        companion["message_id"],
        companion["candidate_id"],
        companion["kind"],
        companion["remind_at"],
    )
    candidate = tx.one("SELECT * FROM candidate WHERE id = ? AND erased_at IS NULL", companion["candidate_id"])
    if not taken or candidate is None or candidate["phone_hash"] != companion["phone_hash"]:
        return
    if is_suppressed(tx, candidate["phone_hash"], companion["channel"]) or is_paused(tx, candidate["id"], companion["channel"]):
        return
    text = tx.one(
        "SELECT * FROM message WHERE candidate_id = ? AND channel = ? AND state = 'held' AND hold_reason = ?"
        " ORDER BY seq LIMIT 1",
        candidate["id"],
        companion["channel"],
        Hold.PENDING_OPT_IN,
    )
    if text is not None and (again_at := _too_early(tx, companion, candidate["organisation_id"], now)) is not None:
        tx.execute(
            "UPDATE companion SET remind_at = ? WHERE message_id = ? AND candidate_id = ? AND kind = ?",
            again_at,
            companion["message_id"],
            companion["candidate_id"],
            companion["kind"],
        )
        return
    country = country_of(tx, candidate["country"], companion["channel"])
    if text is None or country is None or country["state"] != "active":
        return
    try:
        with tx.savepoint():
            _write_reminder(tx, text, candidate, companion["sender_id"], country["price"], now)
    except Refused as refused:
        tx.audit(now, "gateway", "message.deny", candidate["id"], {"code": refused.code, "kind": REMINDER})


def _too_early(tx: Transaction, companion: Row, organisation_id: str, now: int) -> int | None:
    """When to remind instead, where the invitation itself has waited (quiet hours, a modem away) and left late or not at all."""
    invitation = tx.one("SELECT state, sent_at FROM message WHERE id = ?", companion["message_id"])
    if invitation is None:
        return None
    waits = setting(tx, organisation_id, "reminder_hours", REMIND_AFTER_H) * 3_600_000
    if invitation["state"] in (State.HELD, State.QUEUED, State.SENDING):
        return now + waits
    if invitation["sent_at"] is not None and invitation["sent_at"] + waits > now:
        return int(invitation["sent_at"]) + waits
    return None


def _write_reminder(tx: Transaction, text: Row, candidate: Row, sender_id: str, price: int, now: int) -> None:
    org = tx.one("SELECT * FROM organisation WHERE id = ?", candidate["organisation_id"])
    assert org is not None
    case = None if text["case_id"] is None else tx.one("SELECT * FROM hiring_case WHERE id = ?", text["case_id"])
    user = tx.one("SELECT * FROM app_user WHERE id = ?", text["user_id"])
    chosen = wording(tx, org["id"], REMINDER, *job_languages(org, case))
    pieces = split(fill(chosen.body, values_for(org, user, case, chosen.language)))
    message_id = ids.new("msg")
    month = month_of(now, org["zone"])
    credits.reserve(tx, org["id"], message_id, price * len(pieces), "gateway", now, month=month, unit_id=text["unit_id"])
    seq = tx.value("UPDATE candidate SET last_seq = last_seq + 1 WHERE id = ? RETURNING last_seq", candidate["id"])
    row = {
        **{name: text[name] for name in _SHARED},
        "id": message_id,
        "kind": REMINDER,
        "state": State.QUEUED,
        "due_at": now,
        "seq": seq,
        "address": candidate["phone"],
        "sender_id": sender_id,
        "alphabet": pieces[0].alphabet,
        "parts": len(pieces),
        "price": price,
        "credits": price * len(pieces),
        "month": month,
        "valid_until": text["valid_until"],
        "accepted_at": now,
        "purpose": text["purpose"] or PURPOSE_OF_KIND[text["kind"]],
        "rule_country": candidate["country"],
        "text_language": chosen.language,
        "text_language_wanted": chosen.wanted,
        "wording_version": chosen.version,
    }
    tx.insert("message", **row)
    insert_parts(tx, message_id, pieces, candidate["phone"])
    tx.audit(now, "gateway", "message.accept", message_id, {"kind": REMINDER, "parts": len(pieces), "credits": row["credits"]})
    tell_state(tx, org["id"], message_id, candidate["id"], State.QUEUED, now)
    tx.wake = True


_SHARED = (
    *("organisation_id", "candidate_id", "case_id", "pool_ref", "thread_id", "user_id", "origin", "channel", "lane", "country"),
    "subdivision",
)
