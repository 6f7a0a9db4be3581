"""Peace asked for in a candidate's own words: an opt-out for +1 numbers, elsewhere a paused thread and a task for a colleague.

"Can you stop by at 3?" from +46 must not revoke; from +1 it does, on the safe side (requirements §3.3).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.errors import Refused
from gateway.flows import stops
from gateway.flows.endings import move
from gateway.flows.locks import lock_candidate, lock_number_of
from gateway.flows.onward import queue_or_schedule
from gateway.rules.keywords import Fuzzy, Keywords
from gateway.rules.lifecycle import Hold, State
from gateway.store import ids
from gateway.store.database import Row, Transaction, View

OUTCOMES = ("opt_out", "resume")


def words(view: View, shipped: Keywords, candidate: Row | None) -> Keywords:
    """The shipped words and those that administrators have added; for a stranger, everybody's."""
    if candidate is None:
        rows = view.all("SELECT language, kind, word FROM keyword_addition ORDER BY id")
    else:
        rows = view.all(
            "SELECT language, kind, word FROM keyword_addition WHERE organisation_id = ? ORDER BY id",
            candidate["organisation_id"],
        )
    return shipped.with_additions((row["language"], row["kind"], row["word"]) for row in rows)


def look(tx: Transaction, received: dict[str, Any], candidate: Row | None, shipped: Keywords, now: int) -> None:
    """Look at a message that is no keyword."""
    if received["missing"]:
        return
    found = words(tx, shipped, candidate).fuzzy(received["text"], plus_one=received["address"].startswith("+1"))
    if found is None:
        return
    tx.audit(now, "candidate", "inbound.fuzzy", received["id"], {"asks": found})
    if found is Fuzzy.OPT_OUT:
        stops.stop(
            tx,
            phone_hash=received["phone_hash"],
            phone=received["address"],
            channel="sms",
            raw=received["text"],
            received_id=received["id"],
            iccid=received["iccid"],
            now=now,
        )
    elif candidate is not None:
        _pause(tx, candidate, "sms", received["id"], now)


def _pause(tx: Transaction, candidate: Row, channel: str, received_id: str, now: int) -> None:
    """Hold what waits for the candidate and ask a colleague to look by the next business day."""
    fresh = tx.execute(
        "INSERT INTO thread_pause (candidate_id, channel, received_id, since_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (candidate_id, channel) DO NOTHING",
        candidate["id"],
        channel,
        received_id,
        now,
    )
    if not fresh:
        return
    last = tx.one(
        "SELECT case_id, user_id FROM message WHERE candidate_id = ? AND origin = 'user' ORDER BY seq DESC LIMIT 1",
        candidate["id"],
    )
    zone = tx.value("SELECT zone FROM organisation WHERE id = ?", candidate["organisation_id"])
    tx.insert(
        "task",
        id=ids.new("task"),
        organisation_id=candidate["organisation_id"],
        kind="possible_opt_out",
        candidate_id=candidate["id"],
        case_id=None if last is None else last["case_id"],
        user_id=None if last is None else last["user_id"],
        received_id=received_id,
        state="open",
        due_at=end_of_next_business_day(now, str(zone or "UTC")),
        created_at=now,
    )
    queued = tx.all(
        "SELECT * FROM message WHERE candidate_id = ? AND channel = ? AND origin = 'user' AND state = 'queued' ORDER BY seq",
        candidate["id"],
        channel,
    )
    for message in queued:
        move(tx, message, State.HELD, now, "gateway", hold_reason=Hold.THREAD_PAUSED, not_before=None)
    tx.audit(now, "gateway", "thread.pause", candidate["id"], {"channel": channel, "held": len(queued)})


def end_of_next_business_day(now: int, zone: str) -> int:
    """17:00 of the next Monday to Friday, in the organisation's own time."""
    from zoneinfo import ZoneInfo

    here = datetime.fromtimestamp(now / 1000, UTC).astimezone(ZoneInfo(zone))
    day = here.date() + timedelta(days=1)
    while day.weekday() >= 5:
        day += timedelta(days=1)
    return int(datetime(day.year, day.month, day.day, 17, tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def settle_task(tx: Transaction, organisation_id: str, task_id: str, outcome: str, note: str, actor: str, now: int) -> Row:
    """A colleague has looked: it was an opt-out, or the thread goes on.

    Raises Refused `task_not_found`, `unknown_outcome`, `already_done`.
    """
    if outcome not in OUTCOMES:
        raise Refused("unknown_outcome", 422, f"Outcome must be one of {', '.join(OUTCOMES)}.", field="outcome")
    task = tx.one("SELECT * FROM task WHERE id = ? AND organisation_id = ?", task_id, organisation_id)
    if task is None:
        raise Refused("task_not_found", 404, "No task with this id.", field="id")
    lock = lock_number_of if outcome == "opt_out" else lock_candidate
    lock(tx, task["candidate_id"])
    changed = tx.execute(
        "UPDATE task SET state = 'done', outcome = ?, done_at = ?, done_by = ? WHERE id = ? AND state = 'open'",
        outcome,
        now,
        actor,
        task_id,
    )
    if not changed:
        raise Refused("already_done", 409, "This task is done already.", field="id")
    candidate = tx.one("SELECT * FROM candidate WHERE id = ?", task["candidate_id"])
    assert candidate is not None
    if outcome == "opt_out":
        evidence = {"inbound_message_id": task["received_id"], "noted_by": actor}
        stops.withdraw(tx, candidate, "sms", "user", actor, evidence, now)
    resume(tx, candidate["id"], "sms", actor, now)
    tx.audit(now, actor, "task.done", task_id, {"outcome": outcome}, private=note[:1000] or None)
    found = tx.one("SELECT * FROM task WHERE id = ?", task_id)
    assert found is not None
    return found


def resume(tx: Transaction, candidate_id: str, channel: str, actor: str, now: int) -> None:
    """Open a paused thread again; what waited goes on in its order (and every rule is looked at again in the claim)."""
    if not tx.execute("DELETE FROM thread_pause WHERE candidate_id = ? AND channel = ?", candidate_id, channel):
        return
    held = tx.all(
        "SELECT * FROM message WHERE candidate_id = ? AND channel = ? AND state = 'held' AND hold_reason = ? ORDER BY seq",
        candidate_id,
        channel,
        Hold.THREAD_PAUSED,
    )
    for message in held:
        queue_or_schedule(tx, message, now, actor, move)
    tx.audit(now, actor, "thread.resume", candidate_id, {"channel": channel})


def tasks(view: View, organisation_id: str, state: str | None, after: str | None, limit: int) -> list[Row]:
    """Tasks, newest first."""
    where, values = ["t.organisation_id = ?"], [organisation_id]
    if state is not None:
        where.append("t.state = ?")
        values.append(state)
    if after is not None:
        where.append("t.id < ?")
        values.append(after)
    return view.all(
        "SELECT t.*, c.ref AS candidate_ref, k.ref AS case_ref, u.email AS user_email, r.text AS said FROM task t"
        " LEFT JOIN candidate c ON c.id = t.candidate_id LEFT JOIN hiring_case k ON k.id = t.case_id"
        " LEFT JOIN app_user u ON u.id = t.user_id LEFT JOIN received r ON r.id = t.received_id"
        f" WHERE {' AND '.join(where)} ORDER BY t.id DESC LIMIT ?",
        *values,
        limit + 1,
    )
