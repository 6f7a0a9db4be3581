"""Missed calls: a SIM of ours is no telephone, but whoever rang it meant something (S18).

A call rings every few seconds, and its number comes a moment after the first ring, or never: the rings are gathered into one
row, and one event tells it, at once when the number is known, else when the ringing has ended (`sweep`).
"""

from collections.abc import Callable

from gateway.clock import rfc3339
from gateway.flows import threads
from gateway.flows.receive import as_dialled, whose
from gateway.store import ids
from gateway.store.database import Database, Row, Transaction

ONE_CALL_MS = 15_000
"""Rings no further apart belong to one call (a network rings every 4 to 6 s)."""


def rang(tx: Transaction, iccid: str, number: str | None, hash_number: Callable[[str], str], now: int) -> None:
    """Somebody rings this SIM; `number` where the network tells it."""
    sender = tx.one("SELECT id, organisation_id, number FROM sender WHERE iccid = ?", iccid)
    address = "" if number is None else as_dialled(number, None if sender is None else sender["number"])
    call = tx.one(
        "SELECT * FROM missed_call WHERE iccid = ? AND rang_at > ? ORDER BY rang_at DESC LIMIT 1", iccid, now - ONE_CALL_MS
    )
    if call is not None and "" not in (address, call["address"]) and address != call["address"]:
        call = None  # another caller already
    if call is None:
        call_id = ids.new("call")
        tx.execute(
            "INSERT INTO missed_call (id, iccid, organisation_id, address, at, rang_at) VALUES (?, ?, ?, ?, ?, ?)",
            call_id,
            iccid,
            None if sender is None else sender["organisation_id"],
            address,
            now,
            now,
        )
        call = tx.one("SELECT * FROM missed_call WHERE id = ?", call_id)
        assert call is not None
    else:
        tx.execute("UPDATE missed_call SET rang_at = ? WHERE id = ?", now, call["id"])
    if address and call["told_at"] is None:
        candidate = whose(tx, hash_number(address) if address.startswith("+") else None, call["organisation_id"])
        _tell(tx, call, address, candidate, None if sender is None else sender["id"], now)


def sweep(database: Database, now: int) -> int:
    """Tell the calls whose number never came; how many."""
    with database.read() as view:
        if view.one("SELECT 1 AS yes FROM missed_call WHERE told_at IS NULL AND rang_at <= ? LIMIT 1", now - ONE_CALL_MS) is None:
            return 0
    return database.transact(lambda tx: _tell_hidden(tx, now))


def _tell_hidden(tx: Transaction, now: int) -> int:
    calls = tx.all("SELECT * FROM missed_call WHERE told_at IS NULL AND rang_at <= ?" + tx.for_update, now - ONE_CALL_MS)
    for call in calls:
        _tell(tx, call, call["address"], None, None, now)
    return len(calls)


def _tell(tx: Transaction, call: Row, address: str, candidate: Row | None, sender_id: str | None, now: int) -> None:
    thread = None if candidate is None else threads.current(tx, candidate, "sms", sender_id)
    organisation_id = call["organisation_id"] if candidate is None else candidate["organisation_id"]
    tx.execute(
        "UPDATE missed_call SET told_at = ?, address = ?, candidate_id = ?, thread_id = ?, organisation_id = ? WHERE id = ?",
        now,
        address,
        None if candidate is None else candidate["id"],
        None if thread is None else thread["id"],
        organisation_id,
        call["id"],
    )
    tx.audit(now, "network", "inbound.call", call["id"], {"number": bool(address), "known": candidate is not None})
    data = {
        "call_id": call["id"],
        "candidate_id": None if candidate is None else candidate["id"],
        "candidate_ref": None if candidate is None else candidate["ref"],
        "from": address or None,
        "thread_id": None if thread is None else thread["id"],
        "case_ref": None if thread is None else thread["case_ref"],
        "rang_at": rfc3339(call["at"]),
    }
    tx.event(now, organisation_id, "call.missed", call["id"] if candidate is None else candidate["id"], data)
