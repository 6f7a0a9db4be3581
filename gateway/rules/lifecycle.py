"""The life of a message as a table: which state may follow which, and what each word means to people.

Pure. Every update of `message.state` goes through a pair that stands here; a missing pair is a bug, not a case.
"""

from enum import StrEnum


class State(StrEnum):
    """The states of design.md §3."""

    HELD = "held"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Hold(StrEnum):
    """Why a held message waits."""

    PENDING_OPT_IN = "pending_opt_in"
    WAITS_FOR = "waits_for"
    THREAD_PAUSED = "thread_paused"
    QUIET_HOURS = "quiet_hours"
    SCHEDULED = "scheduled"
    SIM_BUDGET = "sim_budget"
    NO_MODEM = "no_modem"
    CLOCK_UNTRUSTED = "clock_untrusted"


FOLLOWS: dict[State, frozenset[State]] = {
    State.HELD: frozenset({State.QUEUED, State.CANCELLED, State.EXPIRED, State.FAILED}),
    State.QUEUED: frozenset({State.HELD, State.SENDING, State.CANCELLED, State.EXPIRED, State.FAILED}),
    State.SENDING: frozenset({State.QUEUED, State.SENT, State.FAILED, State.EXPIRED, State.UNKNOWN, State.CANCELLED}),
    State.SENT: frozenset({State.DELIVERED, State.UNDELIVERED, State.EXPIRED}),
    State.UNKNOWN: frozenset({State.QUEUED, State.SENT, State.DELIVERED, State.UNDELIVERED, State.FAILED, State.EXPIRED}),
    State.EXPIRED: frozenset({State.DELIVERED}),  # the network's last word may come after ours
    State.UNDELIVERED: frozenset({State.DELIVERED}),
    State.DELIVERED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}

FINAL = frozenset({State.DELIVERED, State.UNDELIVERED, State.FAILED, State.EXPIRED, State.CANCELLED})
"""Nothing more is expected of us."""

LANES = {"critical": 0, "normal": 1, "bulk": 2}
LANE_NAMES = {number: name for name, number in LANES.items()}


def may_follow(before: str, after: str) -> bool:
    """Whether a message in state `before` may become `after`. Raises ValueError for a word that is no state."""
    return State(after) in FOLLOWS[State(before)]
