"""Letting held messages go when their time has come, and ending what outlived its validity. Run by the gateway's housekeeping.

`held` to `queued` proves nothing: the claim looks at every rule again.
"""

from collections.abc import Callable

from gateway.flows import credits, escorting, followers
from gateway.flows.endings import StateMoved, locked_message, move, parts_taken
from gateway.flows.facts import consent_status
from gateway.flows.timing import is_untrusted
from gateway.rules.consent import PURPOSE_OF_KIND, Status
from gateway.rules.kinds import COMPANIONS
from gateway.rules.lifecycle import Hold, State
from gateway.store.database import Database, Row, Transaction, View

_MOST = 200
LONGEST_RETRY_MS = 2 * 3_600_000
"""No refusal is waited for longer than this (rules.retry: an hour and a fifth)."""


def due_holds(view: View, now: int) -> list[str]:
    """Held messages whose time has come."""
    rows = view.all("SELECT id FROM message WHERE state = 'held' AND not_before <= ? ORDER BY not_before, id LIMIT ?", now, _MOST)
    return [row["id"] for row in rows]


def overdue(view: View, now: int) -> list[str]:
    """Waiting or unknown messages past their validity (unknown ones: 48 hours past it)."""
    rows = view.all(
        "SELECT id FROM message WHERE (state IN ('held', 'queued') AND valid_until <= ?)"
        " OR (state = 'unknown' AND settled_at IS NULL AND valid_until <= ?) ORDER BY valid_until LIMIT ?",
        now,
        now - 48 * 3_600_000,
        _MOST,
    )
    return [row["id"] for row in rows]


def next_change(view: View) -> int | None:
    """When the next held message becomes due, in ms; None when none has a time."""
    value: int | None = view.value("SELECT MIN(not_before) AS t FROM message WHERE state = 'held'")
    return value


def release(tx: Transaction, message_id: str, now: int) -> None:
    """One held message to the queue; a scheduled one that still awaits its opt-in keeps waiting for that."""
    message = locked_message(tx, message_id)
    if message["state"] != State.HELD or message["not_before"] is None or message["not_before"] > now or is_untrusted(tx):
        return
    if message["hold_reason"] == Hold.NO_MODEM and message["sender_id"] is None:  # in the queue nobody would ever take it
        tx.execute("UPDATE message SET not_before = NULL WHERE id = ? AND state = 'held'", message_id)
        return
    if message["hold_reason"] == Hold.PENDING_OPT_IN and _opt_in_is_open(tx, message):
        tx.execute("UPDATE message SET not_before = NULL WHERE id = ? AND state = 'held'", message_id)
        return
    if message["hold_reason"] == Hold.WAITS_FOR and not followers.has_left(tx, message["after_message_id"]):
        if not followers.is_stranded(tx, message):
            tx.execute("UPDATE message SET not_before = NULL WHERE id = ? AND state = 'held'", message_id)
            return
        if not escorting.introduce(tx, message, now):
            return
    move(tx, message, State.QUEUED, now, "gateway", hold_reason=None, not_before=None, due_at=now)
    tx.wake = True


def expire(tx: Transaction, message_id: str, now: int) -> None:
    """End one overdue message: waiting ones expire with a refund, unknown ones are charged and stay unknown."""
    message = locked_message(tx, message_id)
    if message["state"] == State.UNKNOWN and message["settled_at"] is None:
        if not tx.execute("UPDATE message SET settled_at = ? WHERE id = ? AND settled_at IS NULL", now, message_id):
            raise StateMoved(message_id)
        credits.settle(tx, message, parts_taken(tx, message_id), now)
        tx.audit(now, "gateway", "credits.settle", message_id, {"reason": "unknown"})
    elif message["state"] in (State.HELD, State.QUEUED) and message["valid_until"] <= now:
        move(tx, message, State.EXPIRED, now, "gateway", error="expired")


def _opt_in_is_open(tx: Transaction, message: Row) -> bool:
    candidate = tx.one("SELECT * FROM candidate WHERE id = ?", message["candidate_id"])
    purpose = message["purpose"] or PURPOSE_OF_KIND[message["kind"]]
    if message["kind"] in COMPANIONS:
        return False
    return candidate is not None and consent_status(tx, candidate, message["channel"], purpose) == Status.PENDING


def stranded(view: View, now: int) -> list[str]:
    """Queued messages whose turn lies in a future that only a clock set back explains.

    They were accepted later than now, or their retry is further off than any retry is.
    """
    found: list[str] = []
    for sender in view.all("SELECT id FROM sender"):
        for lane in (0, 1, 2):
            rows = view.all(
                "SELECT id, accepted_at, due_at FROM message WHERE state = 'queued' AND sender_id = ? AND lane = ? AND due_at > ?"
                " ORDER BY due_at DESC, id DESC LIMIT ?",
                sender["id"],
                lane,
                now,
                _MOST,
            )
            found += [row["id"] for row in rows if row["accepted_at"] > now or row["due_at"] > now + LONGEST_RETRY_MS]
    return found


def hurry(tx: Transaction, message_ids: list[str], now: int) -> None:
    """Let stranded messages be due now; their order per candidate does not hang on the clock."""
    for message_id in message_ids:
        tx.execute("UPDATE message SET due_at = ? WHERE id = ? AND state = 'queued' AND due_at > ?", now, message_id, now)
    tx.wake = True


def sweep(database: Database, now: int) -> int:
    """Release and expire whatever is due, one short transaction each. How many messages moved."""
    with database.read() as view:
        due, late, early = due_holds(view, now), overdue(view, now), stranded(view, now)
        if is_untrusted(view):  # nobody knows what is due, or over
            due = late = []
    if early:
        database.transact(lambda tx: hurry(tx, early, now))
    for message_id in due:
        _quietly(database, release, message_id, now)
    for message_id in late:
        _quietly(database, expire, message_id, now)
    return len(due) + len(late) + len(early)


def _quietly(database: Database, flow: Callable[[Transaction, str, int], None], message_id: str, now: int) -> None:
    try:
        database.transact(lambda tx: flow(tx, message_id, now))
    except StateMoved:
        pass  # somebody was faster: the next sweep sees what is left
