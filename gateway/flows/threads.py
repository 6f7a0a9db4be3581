"""Threads: one candidate, one channel, one case or prospect pool (S19). Which thread a message belongs to, and when it rests.

`outbound` and `route` are called by accept and receive in their own transaction: the first message either way makes the thread.
At most one thread of a key is open; a closed one stays as it is, and new traffic opens another. What people do with threads
stands in thread_readers.
"""

from dataclasses import dataclass
from typing import Any

from gateway.flows.companions import context_of
from gateway.rules.threads import CLOSED_AFTER_MS, INACTIVE_AFTER_MS, UNASSIGNED, choose
from gateway.store import ids
from gateway.store.database import Database, Row, Transaction, View

_MOST = 200


@dataclass(frozen=True, slots=True)
class Routed:
    """Where an inbound message went. `place` is its number among what came in; `user` the e-mail address of whose it is."""

    thread_id: str
    place: int
    ambiguous: bool
    case_ref: str | None = None
    pool_ref: str | None = None
    user: str | None = None
    languages: tuple[str, ...] = ()
    """The case's and the candidate's."""


# --- traffic ---------------------------------------------------------------------------------------------------------


def outbound(
    tx: Transaction,
    *,
    organisation_id: str,
    candidate_id: str,
    channel: str,
    case_id: str | None,
    pool_ref: str | None,
    sender_id: str | None,
    user_id: str,
    now: int,
) -> str:
    """The thread of a message that a user writes, woken or made; the caller holds the candidate's lock."""
    context = context_of(case_id, pool_ref)
    found = tx.one(
        "UPDATE thread SET state = 'active', last_at = ?, last_out_at = ?, author_id = ?, sender_id = COALESCE(?, sender_id),"
        " awaiting_since = NULL"
        " WHERE candidate_id = ? AND channel = ? AND context = ? AND state <> 'closed' RETURNING id",
        now,
        now,
        user_id,
        sender_id,
        candidate_id,
        channel,
        context,
    )
    if found is not None:
        return str(found["id"])
    return open_thread(
        tx,
        organisation_id=organisation_id,
        candidate_id=candidate_id,
        channel=channel,
        context=context,
        case_id=case_id,
        pool_ref=pool_ref,
        author_id=user_id,
        sender_id=sender_id,
        last_at=now,
        last_out_at=now,
        created_at=now,
    )


def route(
    tx: Transaction,
    *,
    organisation_id: str | None,
    candidate: Row | None,
    address: str,
    sender_id: str | None,
    awaits: bool,
    now: int,
    channel: str = "sms",
) -> Routed | None:
    """The thread of an inbound message, with the message counted in it; None where no organisation owns the SIM.

    `awaits`: whether an answer of ours is due (a keyword has been answered already). The caller holds the candidate's lock.
    """
    if organisation_id is None:
        return None
    ambiguous = False
    if candidate is None:
        thread_id = _of_stranger(tx, organisation_id, channel, address, sender_id, now)
    else:
        choice = choose(_open_threads(tx, candidate["id"], channel), sender_id)
        if choice is not None:
            thread_id, ambiguous = choice.thread["id"], choice.ambiguous
        else:
            thread_id = _of_latest_case(tx, candidate, channel, sender_id, now)
        ambiguous = ambiguous or _is_shared(tx, candidate, channel)
    thread = tx.one(
        "UPDATE thread SET state = 'active', heard = heard + 1, last_at = ?, last_in_at = ?,"
        " sender_id = COALESCE(sender_id, ?), awaiting_since = CASE WHEN ? = 1 THEN COALESCE(awaiting_since, ?)"
        " ELSE awaiting_since END WHERE id = ? RETURNING *",
        now,
        now,
        sender_id,
        int(awaits),
        now,
        thread_id,
    )
    assert thread is not None
    tx.memo["thread of", address] = thread_id
    return _routed(tx, thread, candidate, ambiguous)


def answered(tx: Transaction, thread_id: str | None) -> None:
    """The box has answered what came in last (an interview answer, say): nobody waits for a person."""
    if thread_id is not None:
        tx.execute("UPDATE thread SET awaiting_since = NULL WHERE id = ? AND state <> 'closed'", thread_id)


def of_reply(tx: Transaction, candidate: Row | None, address: str, channel: str = "sms") -> str | None:
    """The thread that an answer of the box belongs to: where the message went that it answers, else the newest open one."""
    known: str | None = tx.memo.get(("thread of", address))
    if known is not None or candidate is None:
        return known
    found = tx.value(
        "SELECT id FROM thread WHERE candidate_id = ? AND channel = ? AND state <> 'closed' ORDER BY last_at DESC LIMIT 1",
        candidate["id"],
        channel,
    )
    return None if found is None else str(found)


def told(tx: Transaction, received: Row) -> Routed | None:
    """What an event says of the thread of a message received earlier."""
    if received["thread_id"] is None:
        return None
    thread = tx.one("SELECT * FROM thread WHERE id = ?", received["thread_id"])
    assert thread is not None
    candidate = None
    if thread["candidate_id"] is not None:
        candidate = tx.one("SELECT id, language FROM candidate WHERE id = ?", thread["candidate_id"])
    return _routed(tx, thread, candidate, bool(received["ambiguous"]))


def current(view: View, candidate: Row, channel: str, sender_id: str | None) -> Row | None:
    """The thread that a message from this candidate would continue now; None where it would open one."""
    choice = choose(_open_threads(view, candidate["id"], channel), sender_id)
    return None if choice is None else choice.thread


def _open_threads(view: View, candidate_id: str, channel: str) -> list[Row]:
    return view.all(
        "SELECT t.*, k.closed_at AS case_closed_at, k.ref AS case_ref FROM thread t LEFT JOIN hiring_case k ON k.id = t.case_id"
        " WHERE t.candidate_id = ? AND t.channel = ? AND t.state <> 'closed'",
        candidate_id,
        channel,
    )


def open_thread(tx: Transaction, **columns: Any) -> str:
    """A new thread; its id."""
    thread_id = ids.new("thr")
    names = ", ".join(("id", "state", *columns))
    marks = ", ".join("?" * (len(columns) + 2))
    tx.execute(f"INSERT INTO thread ({names}) VALUES ({marks})", thread_id, "active", *columns.values())
    return thread_id


def _of_stranger(tx: Transaction, organisation_id: str, channel: str, address: str, sender_id: str | None, now: int) -> str:
    tx.execute(
        "INSERT INTO thread (id, organisation_id, channel, context, address, state, sender_id, last_at, created_at)"
        " VALUES (?, ?, ?, ?, ?, 'active', ?, ?, ?) ON CONFLICT DO NOTHING",
        ids.new("thr"),
        organisation_id,
        channel,
        UNASSIGNED,
        address,
        sender_id,
        now,
        now,
    )
    return str(
        tx.value(
            "SELECT id FROM thread WHERE organisation_id = ? AND channel = ? AND address = ? AND state <> 'closed'"
            " AND candidate_id IS NULL",
            organisation_id,
            channel,
            address,
        )
    )


def _of_latest_case(tx: Transaction, candidate: Row, channel: str, sender_id: str | None, now: int) -> str:
    """A new thread in the case or pool in which this candidate was written to last, or the unassigned one."""
    latest = tx.one(
        "SELECT context, case_id, pool_ref, author_id, assignee_id FROM thread WHERE candidate_id = ? AND context <> ?"
        " ORDER BY last_at DESC, id DESC LIMIT 1",
        candidate["id"],
        UNASSIGNED,
    )
    if latest is None:
        found = tx.one(
            "SELECT id FROM thread WHERE candidate_id = ? AND channel = ? AND context = ? AND state <> 'closed'",
            candidate["id"],
            channel,
            UNASSIGNED,
        )
        if found is not None:
            return str(found["id"])
    return open_thread(
        tx,
        organisation_id=candidate["organisation_id"],
        candidate_id=candidate["id"],
        channel=channel,
        context=UNASSIGNED if latest is None else latest["context"],
        case_id=None if latest is None else latest["case_id"],
        pool_ref=None if latest is None else latest["pool_ref"],
        author_id=None if latest is None else latest["author_id"],
        assignee_id=None if latest is None else latest["assignee_id"],
        sender_id=sender_id,
        last_at=now,
        created_at=now,
    )


def _is_shared(tx: Transaction, candidate: Row, channel: str) -> bool:
    """Whether somebody else with this very number is being written to: either may have answered."""
    return (
        candidate["phone_hash"] is not None
        and tx.one(
            "SELECT 1 AS yes FROM candidate c JOIN thread t ON t.candidate_id = c.id WHERE c.phone_hash = ? AND c.id <> ?"
            " AND c.organisation_id = ? AND c.erased_at IS NULL AND t.channel = ? AND t.state = 'active'"
            " AND t.last_out_at IS NOT NULL LIMIT 1",
            candidate["phone_hash"],
            candidate["id"],
            candidate["organisation_id"],
            channel,
        )
        is not None
    )


def _routed(tx: Transaction, thread: Row, candidate: Row | None, ambiguous: bool) -> Routed:
    case = None if thread["case_id"] is None else tx.one("SELECT * FROM hiring_case WHERE id = ?", thread["case_id"])
    owner = thread["assignee_id"] or thread["author_id"]
    spoken = [None if case is None else case["language"], None if candidate is None else candidate["language"]]
    return Routed(
        thread_id=thread["id"],
        place=thread["heard"],
        ambiguous=ambiguous,
        case_ref=None if case is None else case["ref"],
        pool_ref=thread["pool_ref"],
        user=None if owner is None else tx.value("SELECT email FROM app_user WHERE id = ?", owner),
        languages=tuple(name.lower().replace("_", "-").split("-")[0] for name in spoken if name),
    )


# --- the timer -------------------------------------------------------------------------------------------------------


def sweep(database: Database, now: int) -> int:
    """Let threads fall asleep, and close those that slept long; how many."""
    return database.transact(lambda tx: _rest(tx, now))


def _rest(tx: Transaction, now: int) -> int:
    asleep = tx.execute(
        "UPDATE thread SET state = 'inactive' WHERE id IN"
        " (SELECT id FROM thread WHERE state = 'active' AND last_at <= ? ORDER BY last_at LIMIT ?)",
        now - INACTIVE_AFTER_MS,
        _MOST,
    )
    gone = tx.all("SELECT id FROM thread WHERE state = 'inactive' AND last_at <= ? LIMIT ?", now - CLOSED_AFTER_MS, _MOST)
    for row in gone:
        tx.execute(
            "UPDATE thread SET state = 'closed', closed_at = ?, awaiting_since = NULL WHERE id = ? AND state = 'inactive'",
            now,
            row["id"],
        )
        tx.audit(now, "gateway", "thread.close", row["id"], {"from": "inactive", "reason": "timer"})
    return asleep + len(gone)
