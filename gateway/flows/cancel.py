"""Cancel: what waits is cancelled and refunded; what is on the air is told truthfully."""

from dataclasses import dataclass

from gateway.errors import Refused
from gateway.flows import followers
from gateway.flows.endings import message_row, move, owned_message, parts_taken
from gateway.rules.consent import PURPOSE_OF_KIND
from gateway.rules.kinds import COMPANIONS
from gateway.rules.lifecycle import State
from gateway.store.database import Transaction

WAITING = (State.HELD, State.QUEUED)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What became of the wish: "cancelled", "partly_sent" (some parts had left), "too_late" or "already"."""

    outcome: str
    state: str
    credits_refunded: int


def cancel(tx: Transaction, message_id: str, organisation_id: str | None, actor: str, now: int) -> Cancelled:
    """Cancel one message if it still waits. Raises Refused `message_not_found`."""
    message = owned_message(tx, message_id, organisation_id)
    if message["state"] == State.CANCELLED:
        return Cancelled("already", message["state"], 0)
    if message["kind"] in COMPANIONS and message["state"] in WAITING and followers.is_needed(tx, message):
        raise Refused("has_followers", 409, "Texts wait behind this message; cancel them, and it goes with the last.", field="id")
    if message["state"] not in WAITING:
        return Cancelled("too_late", message["state"], 0)
    gone = parts_taken(tx, message_id)
    refunded = 0 if message["settled_at"] is not None else int(message["credits"]) - int(message["price"]) * gone
    move(tx, message, State.CANCELLED, now, actor, error="cancelled")
    return Cancelled("partly_sent" if gone else "cancelled", State.CANCELLED, refunded)


def cancel_waiting(
    tx: Transaction,
    candidate_id: str,
    channel: str,
    reason: str,
    now: int,
    *,
    purpose: str | None = None,
    actor: str = "candidate",
) -> int:
    """Cancel what waits for a candidate on a channel (only what needs consent to `purpose`, where one is given). How many.

    Texts go before their companions: the end of a companion lets go, or has introduced anew, whatever still waits behind it.
    The caller holds the candidate's lock.
    """
    messages = tx.all(
        "SELECT * FROM message WHERE candidate_id = ? AND channel = ? AND origin = 'user' AND state IN ('held', 'queued')"
        " ORDER BY seq",
        candidate_id,
        channel,
    )
    messages = [each for each in messages if purpose is None or (each["purpose"] or PURPOSE_OF_KIND[each["kind"]]) == purpose]
    cancelled = 0
    for listed in sorted(messages, key=lambda each: each["kind"] in COMPANIONS):
        message = message_row(tx, listed["id"])
        if message["state"] in WAITING:  # a companion goes with its last text
            move(tx, message, State.CANCELLED, now, actor, error=reason)
            cancelled += 1
    return cancelled
