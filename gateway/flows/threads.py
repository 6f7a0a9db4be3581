"""Threads: one candidate, one channel, one case or prospect pool (S19). Who wrote, who has read it, whose turn it is.

`outbound` and `route` are called by accept and receive in their own transaction: the first message either way makes the thread.
At most one thread of a key is open; a closed one stays as it is, and new traffic opens another.
"""

from dataclasses import dataclass
from typing import Any

from gateway.errors import Refused
from gateway.flows.companions import context_of
from gateway.flows.facts import candidate_not_found, find_case, find_user, is_paused, rights_of, standing_facts, tree
from gateway.flows.rights import require_reader, standing
from gateway.rules.gates import consent_is_live, number_is_not_suppressed
from gateway.rules.permissions import ALL_CASES, COMMUNICATIONS
from gateway.rules.rights import TO_READ, refusal
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
    return _open(
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


def _open(tx: Transaction, **columns: Any) -> str:
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
    return _open(
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


# --- what people do with a thread ------------------------------------------------------------------------------------


def find_thread(view: View, organisation_id: str, thread_id: str) -> Row:
    """A thread by id. Raises Refused `thread_not_found`."""
    row = view.one("SELECT * FROM thread WHERE id = ? AND organisation_id = ?", thread_id, organisation_id)
    if row is None:
        raise Refused("thread_not_found", 404, "No thread with this id.", field="id")
    return row


def case_of(view: View, thread: Row) -> Row | None:
    """The case of a thread; None for a pool's and for the unassigned inbox."""
    return None if thread["case_id"] is None else view.one("SELECT * FROM hiring_case WHERE id = ?", thread["case_id"])


def reader(view: View, organisation_id: str, thread: Row, user: str) -> Row:
    """The user, who may read this thread (S25: no seat needed). Raises Refused `user_not_found` or a 403."""
    found = find_user(view, organisation_id, user)
    require_reader(view, found, case_of(view, thread))
    return found


def mark_read(tx: Transaction, organisation_id: str, thread_id: str, user: str, until: str | None, now: int) -> int:
    """A user has read the thread, all of it or up to one inbound message; how many are unread now.

    Raises Refused `thread_not_found`, `message_not_found`, or what keeps the user from reading it.
    """
    thread = find_thread(tx, organisation_id, thread_id)
    who = reader(tx, organisation_id, thread, user)
    place = int(thread["heard"])
    if until is not None:
        found = tx.value("SELECT place FROM received WHERE id = ? AND thread_id = ?", until, thread_id)
        if found is None:
            raise Refused("message_not_found", 404, "No inbound message of this thread has this id.", field="until")
        place = int(found)
    tx.execute(
        "INSERT INTO read_mark (thread_id, user_id, place, read_at) VALUES (?, ?, ?, ?) ON CONFLICT (thread_id, user_id)"
        " DO UPDATE SET place = excluded.place, read_at = excluded.read_at WHERE excluded.place > read_mark.place",
        thread_id,
        who["id"],
        place,
        now,
    )
    seen = tx.value("SELECT place FROM read_mark WHERE thread_id = ? AND user_id = ?", thread_id, who["id"])
    return int(thread["heard"]) - int(seen)


def assign(
    tx: Transaction,
    organisation_id: str,
    thread_id: str,
    user: str,
    assignee: str | None,
    actor: str,
    now: int,
    *,
    candidate_ref: str | None = None,
    case_ref: str | None = None,
) -> str:
    """Give a thread to a colleague, or to nobody; out of the unassigned inbox also to a case. The id of the thread it is now.

    A stranger's messages go to a candidate only if that is their number by now. Raises Refused `thread_not_found`,
    `thread_closed`, `not_unassigned`, `candidate_missing`, `number_differs`, `assignee_cannot_read`, or a 403 for the user.
    """
    thread = _locked(tx, organisation_id, thread_id)
    who = reader(tx, organisation_id, thread, user)
    if thread["state"] == "closed":
        raise _is_closed()
    if candidate_ref is not None or case_ref is not None:
        thread = _move(tx, organisation_id, thread, who, candidate_ref, case_ref, actor, now)
    chosen = None if assignee is None else find_user(tx, organisation_id, assignee)
    if chosen is not None:
        refused = refusal(standing(tx, chosen, case_of(tx, thread)), TO_READ)
        if refused is not None:
            text = f"This colleague may not read the thread: {refused.detail}"
            raise Refused("assignee_cannot_read", 422, text, field="assignee", facts={"why": refused.code})
    assignee_id = None if chosen is None else chosen["id"]
    if assignee_id != thread["assignee_id"]:
        tx.execute("UPDATE thread SET assignee_id = ? WHERE id = ?", assignee_id, thread["id"])
        tx.audit(now, actor, "thread.assign", thread["id"], {"by": who["id"], "from": thread["assignee_id"], "to": assignee_id})
    return str(thread["id"])


def close(tx: Transaction, organisation_id: str, thread_id: str, user: str, actor: str, now: int) -> None:
    """Close a thread for good; what comes next opens another. Raises Refused as `assign` does."""
    thread = _locked(tx, organisation_id, thread_id)
    who = reader(tx, organisation_id, thread, user)
    if thread["state"] == "closed":
        raise _is_closed()
    tx.execute("UPDATE thread SET state = 'closed', closed_at = ?, awaiting_since = NULL WHERE id = ?", now, thread_id)
    tx.audit(now, actor, "thread.close", thread_id, {"by": who["id"], "from": thread["state"]})


def _is_closed() -> Refused:
    return Refused("thread_closed", 409, "This thread is closed and stays as it is; a new message opens another.", field="id")


def _locked(tx: Transaction, organisation_id: str, thread_id: str) -> Row:
    """The thread, its candidate's row locked first."""
    thread = find_thread(tx, organisation_id, thread_id)
    if not tx.for_update:
        return thread
    if thread["candidate_id"] is not None:  # first of all locks (design.md §3.4)
        tx.one("SELECT id FROM candidate WHERE id = ?" + tx.for_update, thread["candidate_id"])
    tx.one("SELECT id FROM thread WHERE id = ?" + tx.for_update, thread_id)
    return find_thread(tx, organisation_id, thread_id)


def _move(
    tx: Transaction,
    organisation_id: str,
    thread: Row,
    who: Row,
    candidate_ref: str | None,
    case_ref: str | None,
    actor: str,
    now: int,
) -> Row:
    """What lies in the unassigned inbox joins the candidate's thread in a case (new or open); the emptied one is closed."""
    if thread["context"] != UNASSIGNED:
        text = "This thread belongs to a case or pool already; only those of the unassigned inbox can be given to another."
        raise Refused("not_unassigned", 409, text, field="case_ref")
    if case_ref is None:
        raise Refused("case_missing", 422, "Name the case that these messages belong to.", field="case_ref")
    case = find_case(tx, organisation_id, case_ref)
    require_reader(tx, who, case)
    candidate = _candidate_of(tx, organisation_id, thread, candidate_ref)
    context = context_of(case["id"], None)
    target = tx.value(
        "SELECT id FROM thread WHERE candidate_id = ? AND channel = ? AND context = ? AND state <> 'closed'",
        candidate["id"],
        thread["channel"],
        context,
    ) or _open(
        tx,
        organisation_id=organisation_id,
        candidate_id=candidate["id"],
        channel=thread["channel"],
        context=context,
        case_id=case["id"],
        sender_id=thread["sender_id"],
        last_at=thread["last_at"],
        created_at=now,
    )
    before = int(tx.value("SELECT heard FROM thread WHERE id = ?", target))
    tx.execute(
        "UPDATE received SET thread_id = ?, candidate_id = ?, place = place + ? WHERE thread_id = ?",
        target,
        candidate["id"],
        before,
        thread["id"],
    )
    tx.execute("UPDATE message SET thread_id = ?, candidate_id = ? WHERE thread_id = ?", target, candidate["id"], thread["id"])
    tx.execute(
        "UPDATE thread SET state = 'active', heard = heard + ?, last_in_at = ?,"
        " last_at = CASE WHEN last_at > ? THEN last_at ELSE ? END, awaiting_since = COALESCE(awaiting_since, ?) WHERE id = ?",
        thread["heard"],
        thread["last_in_at"],
        thread["last_at"],
        thread["last_at"],
        thread["awaiting_since"],
        target,
    )
    tx.execute("DELETE FROM notice WHERE thread_id = ?", thread["id"])
    tx.execute(
        "UPDATE thread SET state = 'closed', closed_at = ?, awaiting_since = NULL, address = '', moved_to = ? WHERE id = ?",
        now,
        target,
        thread["id"],
    )
    tx.audit(now, actor, "thread.move", thread["id"], {"by": who["id"], "to": target, "case": case["id"]})
    return find_thread(tx, organisation_id, target)


def _candidate_of(tx: Transaction, organisation_id: str, thread: Row, candidate_ref: str | None) -> Row:
    if candidate_ref is None and thread["candidate_id"] is None:
        raise Refused("candidate_missing", 422, "Name the candidate who wrote this.", field="candidate_ref")
    if candidate_ref is None:
        candidate = tx.one("SELECT * FROM candidate WHERE id = ?" + tx.for_update, thread["candidate_id"])
    else:
        sql = "SELECT * FROM candidate WHERE organisation_id = ? AND ref = ? AND erased_at IS NULL"
        candidate = tx.one(sql + tx.for_update, organisation_id, candidate_ref)
    if candidate is None:
        raise candidate_not_found()
    is_theirs = thread["candidate_id"] == candidate["id"] or (
        thread["candidate_id"] is None and candidate["phone"] == thread["address"]
    )
    if not is_theirs:
        text = "This candidate has another number. Correct it with PUT /candidates/{ref} first, if they wrote from a new one."
        raise Refused("number_differs", 409, text, field="candidate_ref")
    return candidate


# --- what can be seen of threads -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reach:
    """Which threads a user may read: those of their teams in `team_units`, and every one of the cases of `role_units`."""

    user_id: str
    team_units: tuple[str, ...]
    role_units: tuple[str, ...]
    without_case: bool
    """Pools and the unassigned inbox."""


def reach(view: View, user: Row) -> Reach:
    """What a user may read (S25, S49). Raises Refused (403) where that is nothing at all."""
    organisation_id = user["organisation_id"]
    units = tree(view, organisation_id)
    team = tuple(each for each in units if COMMUNICATIONS in rights_of(view, user, each, on_team=True))
    role = tuple(each for each in units if {COMMUNICATIONS, ALL_CASES} <= rights_of(view, user, each))
    refused = refusal(standing(view, user, None), TO_READ)
    if refused is not None and (not user["active"] or not (team or role)):
        raise refused
    return Reach(user["id"], team, role, refused is None)


def require_candidate_reader(view: View, user: Row, candidate_id: str) -> None:
    """Raises Refused unless the user may read something of what was written with this candidate, or nothing was."""
    threads = view.all("SELECT DISTINCT case_id FROM thread WHERE candidate_id = ?", candidate_id)
    first: Refused | None = None
    for row in threads:
        refused = refusal(standing(view, user, case_of(view, row)), TO_READ)
        if refused is None:
            return
        first = first or refused
    first = first or refusal(standing(view, user, None), TO_READ)
    if first is not None:
        raise first


@dataclass(frozen=True, slots=True)
class Lock:
    """Whether a thread may be written to: `reason` is the gate's code, None where it may; `paused` holds what is written."""

    reason: str | None
    paused: bool


def lock_of(view: View, thread: Row, candidate: Row | None) -> Lock:
    """S38: the very gates of accept say whether the conversation is locked; reading goes on all the same."""
    if candidate is None:
        return Lock("unknown_sender", False)
    reason: str | None = None
    for kind in ("talent_pool", "contact") if thread["pool_ref"] is not None else ("contact",):
        message = {"organisation_id": thread["organisation_id"], "channel": thread["channel"], "kind": kind, "purpose": None}
        facts = standing_facts(view, message, candidate)
        try:
            number_is_not_suppressed(facts)
            consent_is_live(facts)
        except Refused as refused:
            reason = refused.code
            continue
        reason = None
        break
    return Lock(reason, is_paused(view, candidate["id"], thread["channel"]))


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
