"""What becomes of texts that wait for a companion, and of a companion whose last text is gone (design.md §3.3).

`endings.move` calls `after` with itself, so that every change of state is followed up in its own transaction.
"""

from collections.abc import Callable
from typing import Any

from gateway.rules.lifecycle import FINAL, Hold, State
from gateway.store.database import Row, Transaction

COMPANIONS = ("identification", "consent_optin", "consent_reminder")
LEFT = (State.SENT, State.DELIVERED, State.UNDELIVERED)
_OPEN = "state IN ('held', 'queued')"


def after(tx: Transaction, message: Row, state: State, now: int, move: Callable[..., Any]) -> None:
    """Follow up a message that has just moved to `state`."""
    if message["kind"] in COMPANIONS:
        if state in LEFT:
            _let_go(tx, message["id"], now, move)
    elif message["after_message_id"] is not None and state in FINAL and state not in LEFT:
        _drop_companion(tx, message["after_message_id"], message["id"], now, move)


def must_wait(tx: Transaction, message: Row) -> bool:
    """Whether the identification that this text follows has not left yet; asked in the claim."""
    if message["after_message_id"] is None or message["kind"] in COMPANIONS:
        return False
    first = tx.one("SELECT kind, state FROM message WHERE id = ?", message["after_message_id"])
    return first is not None and first["kind"] == "identification" and first["state"] not in LEFT


def has_left(tx: Transaction, companion_id: str | None) -> bool:
    """Whether a companion has reached the network (None: there is nothing to wait for)."""
    if companion_id is None:
        return True
    return tx.value("SELECT state FROM message WHERE id = ?", companion_id) in LEFT


def waiting_for(tx: Transaction, companion_id: str) -> list[Row]:
    """The texts that still wait behind a companion, in their order."""
    return tx.all(f"SELECT * FROM message WHERE after_message_id = ? AND {_OPEN} ORDER BY seq", companion_id)


def _let_go(tx: Transaction, companion_id: str, now: int, move: Callable[..., Any]) -> None:
    for message in waiting_for(tx, companion_id):
        if message["state"] != State.HELD or message["hold_reason"] != Hold.WAITS_FOR:
            continue
        if message["not_before"] is not None and message["not_before"] > now:
            tx.execute("UPDATE message SET hold_reason = ? WHERE id = ? AND state = 'held'", Hold.SCHEDULED, message["id"])
            continue
        move(tx, message, State.QUEUED, now, "gateway", hold_reason=None, not_before=None, due_at=now)
        tx.wake = True


def _drop_companion(tx: Transaction, companion_id: str, gone: str, now: int, move: Callable[..., Any]) -> None:
    """The last text behind a companion that has not left is gone: the companion has nothing to announce any more."""
    if any(other["id"] != gone for other in waiting_for(tx, companion_id)):
        return
    companion = tx.one(f"SELECT * FROM message WHERE id = ? AND {_OPEN}", companion_id)
    if companion is not None:
        move(tx, companion, State.CANCELLED, now, "gateway", error="no_follower")
