"""What people do with threads: read them, give them to a colleague or a case, close them; and which of them they may see.

Whoever may read what was written in a case may do all of it (S25: no seat needed). S38's lock is only shown here: accept's own
gates are what refuses.
"""

from dataclasses import dataclass

from gateway.errors import Refused
from gateway.flows.companions import context_of
from gateway.flows.facts import candidate_not_found, find_case, find_user, is_paused, rights_of, standing_facts, tree
from gateway.flows.rights import Acting, acting, require_reader, standing
from gateway.flows.threads import open_thread
from gateway.rules.gates import consent_is_live, number_is_not_suppressed
from gateway.rules.permissions import ALL_CASES, COMMUNICATIONS
from gateway.rules.rights import TO_READ, refusal
from gateway.rules.threads import UNASSIGNED
from gateway.store.database import Row, Transaction, View


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
    thread = _locked(tx, organisation_id, thread_id, candidate_ref)
    by = _who(tx, organisation_id, thread, user, actor)
    if thread["state"] == "closed":
        raise _is_closed()
    if candidate_ref is not None or case_ref is not None:
        thread = _move(tx, organisation_id, thread, by, candidate_ref, case_ref, now)
    chosen = None if assignee is None else find_user(tx, organisation_id, assignee)
    if chosen is not None:
        refused = refusal(standing(tx, chosen, case_of(tx, thread)), TO_READ)
        if refused is not None:
            text = f"This colleague may not read the thread: {refused.detail}"
            raise Refused("assignee_cannot_read", 422, text, field="assignee", facts={"why": refused.code})
    assignee_id = None if chosen is None else chosen["id"]
    if assignee_id != thread["assignee_id"]:
        tx.execute("UPDATE thread SET assignee_id = ? WHERE id = ?", assignee_id, thread["id"])
        told = {"from": thread["assignee_id"], "to": assignee_id, **by.told}
        tx.audit(now, by.actor, "thread.assign", thread["id"], told)
    return str(thread["id"])


def close(tx: Transaction, organisation_id: str, thread_id: str, user: str, actor: str, now: int) -> None:
    """Close a thread for good; what comes next opens another. Raises Refused as `assign` does."""
    thread = _locked(tx, organisation_id, thread_id)
    by = _who(tx, organisation_id, thread, user, actor)
    if thread["state"] == "closed":
        raise _is_closed()
    tx.execute("UPDATE thread SET state = 'closed', closed_at = ?, awaiting_since = NULL WHERE id = ?", now, thread_id)
    tx.audit(now, by.actor, "thread.close", thread_id, {"from": thread["state"], **by.told})


def _is_closed() -> Refused:
    return Refused("thread_closed", 409, "This thread is closed and stays as it is; a new message opens another.", field="id")


def _who(view: View, organisation_id: str, thread: Row, user: str, key: str) -> Acting:
    """The person who acts, once they may read the thread. Raises Refused `user_not_found` or a 403."""
    by = acting(view, organisation_id, key, user)
    assert by.user is not None
    require_reader(view, by.user, case_of(view, thread))
    return by


def _locked(tx: Transaction, organisation_id: str, thread_id: str, candidate_ref: str | None = None) -> Row:
    """The thread; its candidate's row, and that of the candidate who is to have it, locked before it and by id."""
    thread = find_thread(tx, organisation_id, thread_id)
    if not tx.for_update:
        return thread
    tx.all(
        "SELECT id FROM candidate WHERE id = ? OR (organisation_id = ? AND ref = ?) ORDER BY id" + tx.for_update,
        thread["candidate_id"],
        organisation_id,
        candidate_ref,
    )
    tx.one("SELECT id FROM thread WHERE id = ?" + tx.for_update, thread_id)
    return find_thread(tx, organisation_id, thread_id)


def _move(
    tx: Transaction,
    organisation_id: str,
    thread: Row,
    by: Acting,
    candidate_ref: str | None,
    case_ref: str | None,
    now: int,
) -> Row:
    """What lies in the unassigned inbox joins the candidate's thread in a case (new or open); the emptied one is closed."""
    if thread["context"] != UNASSIGNED:
        text = "This thread belongs to a case or pool already; only those of the unassigned inbox can be given to another."
        raise Refused("not_unassigned", 409, text, field="case_ref")
    if case_ref is None:
        raise Refused("case_missing", 422, "Name the case that these messages belong to.", field="case_ref")
    case = find_case(tx, organisation_id, case_ref)
    assert by.user is not None
    require_reader(tx, by.user, case)
    candidate = _candidate_of(tx, organisation_id, thread, candidate_ref)
    context = context_of(case["id"], None)
    target = tx.value(
        "SELECT id FROM thread WHERE candidate_id = ? AND channel = ? AND context = ? AND state <> 'closed'",
        candidate["id"],
        thread["channel"],
        context,
    ) or open_thread(
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
    tx.audit(now, by.actor, "thread.move", thread["id"], {"to": target, "case": case["id"], **by.told})
    return find_thread(tx, organisation_id, target)


def _candidate_of(tx: Transaction, organisation_id: str, thread: Row, candidate_ref: str | None) -> Row:
    if candidate_ref is None and thread["candidate_id"] is None:
        raise Refused("candidate_missing", 422, "Name the candidate who wrote this.", field="candidate_ref")
    if candidate_ref is None:
        candidate = tx.one("SELECT * FROM candidate WHERE id = ?", thread["candidate_id"])
    else:
        sql = "SELECT * FROM candidate WHERE organisation_id = ? AND ref = ? AND erased_at IS NULL"
        candidate = tx.one(sql, organisation_id, candidate_ref)
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
    everything: bool
    """All of this: every case of every unit, and what belongs to no case."""


def reach(view: View, user: Row) -> Reach:
    """What a user may read (S25, S49). Raises Refused (403) where that is nothing at all."""
    organisation_id = user["organisation_id"]
    units = tree(view, organisation_id)
    team = tuple(each for each in units if COMMUNICATIONS in rights_of(view, user, each, on_team=True))
    role = tuple(each for each in units if {COMMUNICATIONS, ALL_CASES} <= rights_of(view, user, each))
    refused = refusal(standing(view, user, None), TO_READ)
    if refused is not None and (not user["active"] or not (team or role)):
        raise refused
    return Reach(user["id"], team, role, refused is None, refused is None and len(role) == len(units))


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
