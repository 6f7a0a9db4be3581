"""Changing a message's state: one guarded update, and with it money, audit and event.

Every flow that moves a message calls `move`; a pair of states that lifecycle.FOLLOWS does not know is a bug and raises.
"""

from typing import Any

from gateway.errors import Refused
from gateway.flows import credits, followers, usage_days
from gateway.flows.locks import lock_candidate
from gateway.flows.message_rows import tell_state
from gateway.rules.gates import Wait
from gateway.rules.lifecycle import FINAL, State, may_follow
from gateway.store.database import Row, Transaction


class StateMoved(Exception):
    """Somebody else moved the message first; the caller looks again."""


def message_row(tx: Transaction, message_id: str) -> Row:
    """A message as it stands now. Raises LookupError when there is none."""
    row = tx.one("SELECT * FROM message WHERE id = ?", message_id)
    if row is None:
        raise LookupError(message_id)
    return row


def locked_message(tx: Transaction, message_id: str) -> Row:
    """A message as it stands now, its candidate's row locked first. Raises LookupError when there is none."""
    if tx.for_update:
        lock_candidate(tx, message_row(tx, message_id)["candidate_id"])
    return message_row(tx, message_id)


def owned_message(tx: Transaction, message_id: str, organisation_id: str | None) -> Row:
    """A message of this organisation (None: of any), locked after its candidate. Raises Refused `message_not_found`."""
    found = tx.one("SELECT candidate_id, organisation_id FROM message WHERE id = ?", message_id)
    if found is None or (organisation_id is not None and found["organisation_id"] != organisation_id):
        raise Refused("message_not_found", 404, "No message with this id.", field="id")
    lock_candidate(tx, found["candidate_id"])
    message = tx.one("SELECT * FROM message WHERE id = ?" + tx.for_update, message_id)
    assert message is not None
    return message


def parts_taken(tx: Transaction, message_id: str) -> int:
    """How many parts the network took (or may have taken: an unknown one is charged when the message ends)."""
    return int(
        tx.value(
            "SELECT COUNT(*) AS n FROM part WHERE message_id = ? AND state IN ('sent', 'delivered', 'undelivered', 'unknown')",
            message_id,
        )
    )


def move(
    tx: Transaction,
    message: Row,
    after: State,
    now: int,
    actor: str,
    *,
    error: str | None = None,
    hold: Wait | None = None,
    **columns: Any,
) -> None:
    """Move a message to `after`, settle its reserve when it is charged or ended, audit and tell it.

    `columns` are further columns to set. Raises StateMoved when the row is not in the state the caller saw.
    """
    before = message["state"]
    if not may_follow(before, after):
        raise ValueError(f"a message in state {before} cannot become {after}")
    values: dict[str, Any] = {"state": after, **columns}
    if error is not None:
        values["error"] = error
    elif after in (State.SENT, State.DELIVERED):
        values["error"] = None  # what an earlier attempt met with says nothing any more
    if after in FINAL:
        values["done_at"] = now
    if after == State.SENT:
        values["sent_at"] = now
    charged_now = message["settled_at"] is None and (after in FINAL or after == State.SENT)
    if charged_now:
        values["settled_at"] = now
    sets = ", ".join(f"{name} = ?" for name in values)
    guard = " AND settled_at IS NULL" if charged_now else ""
    if not tx.execute(f"UPDATE message SET {sets} WHERE id = ? AND state = ?{guard}", *values.values(), message["id"], before):
        raise StateMoved(message["id"])
    if before == State.QUEUED and after != State.SENDING and message["due_at"] > now:
        _let_followers_go(tx, message, now)
    told: dict[str, Any] = {"from": before, "to": after}
    if message["settled_at"] is not None:
        usage_days.changed(tx, message["organisation_id"], message["settled_at"], now)
    if charged_now:
        told["refunded"] = credits.settle(tx, message, parts_taken(tx, message["id"]), now)
    if error is not None:
        told["error"] = error
    if after != State.SENDING:  # for seconds only, and each part's intent is on disk anyway
        tx.audit(now, actor, _ACTIONS.get(after, "message.status"), message["id"], told)
        tell_state(
            tx,
            message["organisation_id"],
            message["id"],
            message["candidate_id"],
            after,
            now,
            hold=hold,
            error=error,
            client_ref=message["client_ref"],
        )
    followers.after(tx, message, after, now, move)


def _let_followers_go(tx: Transaction, message: Row, now: int) -> None:
    """Messages that stood behind a retry wait no longer than it does."""
    if message["candidate_id"] is not None:
        tx.execute(
            "UPDATE message SET due_at = ? WHERE candidate_id = ? AND lane = ? AND state = 'queued' AND seq > ? AND due_at = ?",
            now,
            message["candidate_id"],
            message["lane"],
            message["seq"],
            message["due_at"],
        )
        tx.wake = True


_ACTIONS = {
    State.SENT: "message.send",
    State.CANCELLED: "message.cancel",
    State.HELD: "message.hold",
    State.QUEUED: "message.release",
}
