"""Which conversation a message from outside belongs to, and when a conversation falls asleep. Pure.

active ── nothing for 14 days ──▶ inactive ── new traffic ──▶ active
   └──────────── closed by a person, or by the timer ────────────▶ closed (immutable: new traffic opens a new thread)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Row = Mapping[str, Any]

DAY_MS: Final = 86_400_000
INACTIVE_AFTER_MS: Final = 14 * DAY_MS
CLOSED_AFTER_MS: Final = 180 * DAY_MS
"""Without a word either way."""
STATES: Final = ("active", "inactive", "closed")
UNASSIGNED: Final = ""
"""The context of what belongs to no case and no pool: the unassigned inbox."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The thread a message goes to, and whether another one might have been meant."""

    thread: Row
    ambiguous: bool


def choose(threads: Sequence[Row], sender_id: str | None) -> Choice | None:
    """The open thread that an inbound message continues (S19); None when there is none with a case or pool.

    Of those that wrote from this SIM, else of all: cases that go on before closed ones, active before sleeping, newest outbound
    first. `threads` are open ones of one candidate on one channel, with `case_closed_at` beside.
    """
    found = [thread for thread in threads if thread["context"] != UNASSIGNED]
    found = [thread for thread in found if sender_id is not None and thread["sender_id"] == sender_id] or found
    found = [thread for thread in found if thread["case_closed_at"] is None] or found
    found = [thread for thread in found if thread["state"] == "active"] or found
    if not found:
        return None
    newest = max(found, key=lambda thread: (thread["last_out_at"] or 0, thread["last_at"], thread["id"]))
    return Choice(newest, len(found) > 1)
