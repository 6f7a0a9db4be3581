"""A held message whose reason has gone: it joins the queue now, or waits on for its own hour where that lies ahead.

`move` comes from whoever calls: endings, which has it, follows every change of state up in followers, which lets go as well.
"""

from collections.abc import Callable
from typing import Any

from gateway.rules.lifecycle import Hold, State
from gateway.store.database import Row, Transaction


def queue_or_schedule(tx: Transaction, message: Row, now: int, actor: str, move: Callable[..., Any]) -> None:
    """Let one held message go on. The caller holds the candidate's lock; the claim looks at every rule again."""
    if message["not_before"] is not None and message["not_before"] > now:
        tx.execute("UPDATE message SET hold_reason = ? WHERE id = ? AND state = 'held'", Hold.SCHEDULED, message["id"])
        return
    move(tx, message, State.QUEUED, now, actor, hold_reason=None, not_before=None, due_at=now)
    tx.wake = True
