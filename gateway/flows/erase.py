"""Erasing a candidate: nothing that is theirs stays, everything that must be provable still verifies.

Waiting messages are cancelled and refunded first. While a message of theirs is on the air, or a PDU of theirs is not read
yet, the erasure waits and the gateway finishes it. What stays: amounts in the ledger, states and times under the candidate's id,
the versions of a consent without number and address, and the keyed hash of a number that said STOP, so that it goes on to count.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refused
from gateway.flows import credits
from gateway.flows.endings import move, parts_taken
from gateway.flows.facts import find_candidate
from gateway.flows.interviews import forget as forget_interviews
from gateway.flows.locks import lock_candidate
from gateway.flows.retention import wipe_messages, wipe_received
from gateway.rules.lifecycle import State
from gateway.rules.retention import DAY_MS, semi_octets, spellings
from gateway.rules.texts import as_text
from gateway.store import ids
from gateway.store.database import Database, Row, Transaction, View, compact

LATE_REPORTS_MS = 7 * DAY_MS
"""So long a status report for an erased number may still come from the network."""
_TOLD = ("message_id", "candidate_id", "received_id", "interview_id", "thread_id", "state", "status", "channel", "type")
"""What an event may still say."""
_MESSAGE_IDS = re.compile(r"(?:msg|inb|int|ivw|thr)_[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Erasure:
    """What became of the wish: "done", or "waiting" for what is on the air."""

    id: str
    state: str
    candidate_id: str
    cancelled: int


def set_hold(tx: Transaction, organisation_id: str, ref: str, on: bool, reason: str, actor: str, now: int) -> bool:
    """Set or lift a candidate's legal hold; whether that changed anything."""
    candidate = find_candidate(tx, organisation_id, ref)
    if bool(candidate["legal_hold"]) == on:
        return False
    tx.execute("UPDATE candidate SET legal_hold = ? WHERE id = ?", int(on), candidate["id"])
    tx.audit(now, actor, "legal_hold.set", candidate["id"], {"on": on}, private=as_text(reason)[:1000] or None)
    return True


def erase(tx: Transaction, organisation_id: str, ref: str, reason: str, requested_at: int, actor: str, now: int) -> Erasure:
    """Erase a candidate. Raises Refused `candidate_not_found`, `legal_hold`, `requested_in_future`."""
    if requested_at > now + 60_000:
        raise Refused("requested_in_future", 422, "requested_at lies in the future.", field="requested_at")
    lock_candidate(tx, find_candidate(tx, organisation_id, ref)["id"])
    candidate = find_candidate(tx, organisation_id, ref)
    if candidate["legal_hold"]:
        raise Refused("legal_hold", 409, "A legal hold keeps this candidate's data; lift it first.", field="ref")
    cancelled = _cancel(tx, candidate["id"], actor, now)
    erasure_id = ids.new("era")
    tx.execute(
        "INSERT INTO erasure (id, organisation_id, candidate_id, state, actor, requested_at, asked_at)"
        " VALUES (?, ?, ?, 'waiting', ?, ?, ?) ON CONFLICT (candidate_id) DO NOTHING",
        erasure_id,
        organisation_id,
        candidate["id"],
        actor,
        requested_at,
        now,
    )
    erasure_id = tx.value("SELECT id FROM erasure WHERE candidate_id = ?", candidate["id"])
    reasons = {"reason_given": bool(reason.strip()), "requested_at": requested_at, "erasure": erasure_id}
    tx.audit(now, actor, "erase.request", erasure_id, reasons)
    done = finish(tx, erasure_id, actor, now)
    tx.wake = True
    return Erasure(erasure_id, "done" if done else "waiting", candidate["id"], cancelled)


def waiting(view: View) -> list[str]:
    """Erasures that are not done yet."""
    return [row["id"] for row in view.all("SELECT id FROM erasure WHERE state = 'waiting' ORDER BY asked_at LIMIT 50")]


def finish(tx: Transaction, erasure_id: str, actor: str, now: int) -> bool:
    """Do what an erasure asks for, unless something of the candidate is on its way. Whether it is done."""
    candidate_id = tx.value("SELECT candidate_id FROM erasure WHERE id = ?", erasure_id)
    lock_candidate(tx, candidate_id)
    if tx.value("SELECT state FROM erasure WHERE id = ?", erasure_id) == "done":
        return True
    candidate = tx.one("SELECT * FROM candidate WHERE id = ?", candidate_id)
    assert candidate is not None
    if candidate["legal_hold"]:  # set while the erasure waited
        return False
    _cancel(tx, candidate["id"], actor, now)
    tx.flush()
    if _on_its_way(tx, candidate):
        return False
    counts = _wipe(tx, candidate, now)
    tx.execute("UPDATE erasure SET state = 'done', done_at = ? WHERE id = ?", now, erasure_id)
    tx.audit(now, actor, "erase.run", candidate["id"], {"erasure": erasure_id, **counts})
    return True


def sweep(database: Database, now: int) -> int:
    """Finish what waited for the air to be clear; how many."""
    with database.read() as view:
        found = waiting(view)
    done = sum(database.transact(lambda tx, one=each: finish(tx, one, "gateway", now)) for each in found)  # type: ignore[misc]
    if done:
        database.truncate_log()
    return done


def _cancel(tx: Transaction, candidate_id: str, actor: str, now: int) -> int:
    """What waits is cancelled and refunded, whoever wrote it; what nobody knows is charged as the rules say, and closed."""
    rows = tx.all("SELECT id FROM message WHERE candidate_id = ? AND state IN ('held', 'queued') ORDER BY seq", candidate_id)
    cancelled = 0
    for row in rows:
        message = tx.one("SELECT * FROM message WHERE id = ? AND state IN ('held', 'queued')", row["id"])
        if message is not None:  # a companion goes with the last text behind it
            move(tx, message, State.CANCELLED, now, actor, error="erased")
            cancelled += 1
    open_ends = "SELECT * FROM message WHERE candidate_id = ? AND state = 'unknown' AND settled_at IS NULL"
    for message in tx.all(open_ends, candidate_id):
        if tx.execute("UPDATE message SET settled_at = ? WHERE id = ? AND settled_at IS NULL", now, message["id"]):
            credits.settle(tx, message, parts_taken(tx, message["id"]), now)
            tx.audit(now, actor, "credits.settle", message["id"], {"reason": "erased"})
    return cancelled


def _on_its_way(tx: Transaction, candidate: Row) -> bool:
    sending = "SELECT 1 AS yes FROM message WHERE candidate_id = ? AND state = 'sending' LIMIT 1"
    if tx.one(sending, candidate["id"]) is not None:
        return True
    unread = tx.all("SELECT hex FROM inbound_pdu WHERE state = 'new'")
    return any(_is_theirs(row["hex"], candidate) for row in unread)


def _is_theirs(pdu_hex: str, candidate: Row) -> bool:
    forms = semi_octets("".join(filter(str.isdigit, candidate["phone"] or "")))
    return any(form in pdu_hex.upper() for form in forms)


# --- wiping ----------------------------------------------------------------------------------------------------------


def _wipe(tx: Transaction, candidate: Row, now: int) -> dict[str, int]:
    candidate_id, phone = candidate["id"], candidate["phone"] or ""
    hashes = _hashes(tx, candidate)
    messages = _ids(tx.all("SELECT id FROM message WHERE candidate_id = ?", candidate_id))
    strangers = "SELECT id FROM message WHERE candidate_id IS NULL AND address = ? AND address <> ''"
    messages += _ids(tx.all(strangers, phone))
    received = _ids(tx.all("SELECT id FROM received WHERE candidate_id = ?", candidate_id))
    for each in hashes:
        received += _ids(tx.all("SELECT id FROM received WHERE candidate_id IS NULL AND phone_hash = ?", each))
    interviews = _ids(tx.all("SELECT id FROM interview WHERE candidate_id = ?", candidate_id))
    threads = _ids(
        tx.all(
            "SELECT id FROM thread WHERE candidate_id = ? OR (candidate_id IS NULL AND address = ? AND address <> '')",
            candidate_id,
            phone,
        )
    )
    requests = _ids(tx.all("SELECT id FROM consent_request WHERE candidate_id = ?", candidate_id))
    consents = _ids(tx.all("SELECT id FROM consent WHERE candidate_id = ?", candidate_id))
    theirs = {candidate_id, *messages, *received, *interviews, *threads, *requests, *consents}
    words = _words(candidate)
    wipe_messages(tx, messages, now)
    wipe_received(tx, received, now)
    pdus = _raw(tx, candidate, received)
    _consents(tx, candidate_id)
    forget_interviews(tx, candidate_id, "gateway", now)
    _threads(tx, candidate_id, phone, threads, now)
    _mail(tx, candidate, theirs)
    events = _events(tx, theirs, words, now)
    answers = _answers(tx, candidate, theirs, words)
    _audit(tx, theirs, words)
    for each in hashes:
        tx.execute(
            "INSERT INTO erased_number (phone_hash, until_at) VALUES (?, ?)"
            " ON CONFLICT (phone_hash) DO UPDATE SET until_at = excluded.until_at",
            each,
            now + LATE_REPORTS_MS,
        )
    tx.execute("DELETE FROM sim_recipient WHERE recipient IN (?, ?, ?)", phone, candidate["phone_hash"] or "", candidate_id)
    tx.execute("DELETE FROM export_link WHERE candidate_id = ?", candidate_id)
    tx.execute(_BLANK, f"erased-{candidate_id}", now, now, candidate_id)
    return {"messages": len(messages), "received": len(received), "raw_pdus": pdus, "events": events, "answers": answers}


_BLANK = (
    "UPDATE candidate SET ref = ?, first_name = '', last_name = '', email = '', language = NULL, region = NULL, phone_raw = '',"
    " phone = NULL, phone_state = 'missing', phone_hash = NULL, subdivision = NULL, zone = NULL, erased_at = ?, updated_at = ?"
    " WHERE id = ?"
)


def _ids(rows: Iterable[Row]) -> list[str]:
    return [row["id"] for row in rows]


def _hashes(tx: Transaction, candidate: Row) -> list[str]:
    rows = tx.all("SELECT DISTINCT phone_hash FROM consent WHERE candidate_id = ?", candidate["id"])
    return sorted({row["phone_hash"] for row in rows} | ({candidate["phone_hash"]} if candidate["phone_hash"] else set()))


def _words(candidate: Row) -> tuple[str, ...]:
    """What may stand in a text and is the candidate's: every spelling of the number, the address, the full name."""
    name = f"{candidate['first_name']} {candidate['last_name']}".strip()
    found = [*spellings(candidate["phone"] or "", candidate["phone_raw"]), candidate["email"]]
    if candidate["first_name"] and candidate["last_name"]:
        found.append(name)
    return tuple(word for word in found if len(word) >= 5)


def _raw(tx: Transaction, candidate: Row, received: list[str]) -> int:
    """Raw PDUs to or from the number, in whatever place of the hex its digits stand."""
    wiped = 0
    of_theirs = set(received)
    for row in tx.all("SELECT id, hex, received_id, group_key FROM inbound_pdu WHERE state <> 'new'"):
        tails = (candidate["phone"] or "")[-8:]
        if row["received_id"] in of_theirs or _is_theirs(row["hex"], candidate) or (tails and tails in (row["group_key"] or "")):
            wipe_pdu(tx, row["id"])
            wiped += 1
    return wiped


def wipe_pdu(tx: Transaction, row_id: str) -> None:
    """Let a raw PDU keep its time and nothing else."""
    tx.execute(
        "UPDATE inbound_pdu SET hex = '', fingerprint = id, note = NULL, group_key = NULL, address_tail = NULL, state = 'done'"
        " WHERE id = ?",
        row_id,
    )


def is_erased(tx: Transaction, phone_hash: str, now: int) -> bool:
    """Whether this number was erased lately: a late status report for it leaves no trace."""
    return tx.one("SELECT 1 AS yes FROM erased_number WHERE phone_hash = ? AND until_at > ?", phone_hash, now) is not None


def _consents(tx: Transaction, candidate_id: str) -> None:
    """Versions stay as proof that there was a consent; number, address, agent and words go, with the salt of their hash."""
    tx.execute(
        "UPDATE consent SET phone_e164 = NULL, wa_user_id = NULL, ip = NULL, user_agent = NULL, keyword_raw = NULL,"
        " revoke_raw = NULL, private_salt = NULL, evidence = '{}' WHERE candidate_id = ?",
        candidate_id,
    )
    tx.execute(
        "UPDATE consent_request SET state = CASE WHEN state = 'live' THEN 'withdrawn' ELSE state END,"
        " token_hash = 'gone-' || id WHERE candidate_id = ?",
        candidate_id,
    )
    tx.execute("UPDATE module_consent SET evidence = '{}' WHERE candidate_id = ?", candidate_id)
    for table in ("consent_watch", "companion", "thread_pause"):
        tx.execute(f"DELETE FROM {table} WHERE candidate_id = ?", candidate_id)


def _threads(tx: Transaction, candidate_id: str, phone: str, threads: list[str], now: int) -> None:
    for thread_id in threads:
        tx.execute(
            "UPDATE thread SET address = '', state = 'closed', closed_at = COALESCE(closed_at, ?) WHERE id = ?", now, thread_id
        )
        tx.execute("DELETE FROM notice WHERE thread_id = ?", thread_id)
    tx.execute("UPDATE missed_call SET address = '' WHERE candidate_id = ? OR address = ?", candidate_id, phone or "-")
    done = "UPDATE task SET state = 'done', outcome = 'erased', done_at = ? WHERE candidate_id = ? AND state = 'open'"
    tx.execute(done, now, candidate_id)


def _mail(tx: Transaction, candidate: Row, theirs: set[str]) -> None:
    for row in tx.all("SELECT id, subject, address, state FROM mail"):
        if row["subject"] in theirs or (candidate["email"] and row["address"] == candidate["email"]):
            state = "cancelled" if row["state"] == "waiting" else row["state"]
            tx.execute("UPDATE mail SET address = '', sealed = '', answer = NULL, state = ? WHERE id = ?", state, row["id"])


def _events(tx: Transaction, theirs: set[str], words: tuple[str, ...], now: int) -> int:
    """Bodies of the outbox that are about them keep ids and states."""
    wiped = 0
    for row in tx.all("SELECT serial, stream, body FROM event WHERE wiped_at IS NULL"):
        if (
            row["stream"] in theirs
            or set(_MESSAGE_IDS.findall(row["body"])) & theirs
            or any(word in row["body"] for word in words)
        ):
            body = {name: value for name, value in json.loads(row["body"]).items() if name in _TOLD}
            tx.execute(
                "UPDATE event SET body = ?, wiped_at = ? WHERE serial = ?", compact({**body, "erased": True}), now, row["serial"]
            )
            wiped += 1
    return wiped


def _answers(tx: Transaction, candidate: Row, theirs: set[str], words: tuple[str, ...]) -> int:
    """Stored answers that speak of them; asking again then meets `candidate_not_found`."""
    wiped = 0
    mine = (candidate["id"], compact(candidate["ref"]))
    for row in tx.all("SELECT key_id, token, body FROM idempotency"):
        body = row["body"]
        if set(_MESSAGE_IDS.findall(body)) & theirs or any(one in body for one in (*mine, *words)):
            wiped += tx.execute("DELETE FROM idempotency WHERE key_id = ? AND token = ?", row["key_id"], row["token"])
    return wiped


def _audit(tx: Transaction, theirs: set[str], words: tuple[str, ...]) -> None:
    """Personal values and their salts; the chain covers only their HMAC, so it still verifies."""
    tx.flush()
    for subject in theirs:
        tx.execute("DELETE FROM audit_private WHERE subject = ?", subject)
        tx.execute("DELETE FROM subject_salt WHERE subject = ?", subject)
    for row in tx.all("SELECT id, value FROM audit_private"):
        if any(word in row["value"] for word in words):
            tx.execute("DELETE FROM audit_private WHERE id = ?", row["id"])


def again(tx: Transaction, erased: Mapping[str, Any], now: int) -> bool:
    """After a restore: erase once more whom the list names, if the backup brought them back."""
    candidate = tx.one("SELECT * FROM candidate WHERE id = ? AND erased_at IS NULL", erased["candidate"])
    if candidate is None:
        return False
    tx.execute("UPDATE candidate SET legal_hold = 0 WHERE id = ?", candidate["id"])
    tx.execute("DELETE FROM erasure WHERE candidate_id = ?", candidate["id"])
    at = int(erased["at"])
    return erase(tx, candidate["organisation_id"], candidate["ref"], "restore", min(at, now), "gateway", now).state == "done"
