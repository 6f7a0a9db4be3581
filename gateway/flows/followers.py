"""What becomes of texts that wait for a companion, and of a companion whose last text is gone (design.md §3.3).

`endings.move` calls `after` with itself, so that every change of state is followed up in its own transaction.
"""

from collections.abc import Callable
from typing import Any

from gateway.flows import escorting
from gateway.flows.companions import IDENTIFICATION, INVITATION, REMINDER
from gateway.flows.facts import consent_status
from gateway.flows.onward import queue_or_schedule
from gateway.rules.consent import PURPOSE_OF_KIND, Status
from gateway.rules.kinds import COMPANIONS
from gateway.rules.lifecycle import FINAL, Hold, State
from gateway.store.database import Row, Transaction

LEFT = (State.SENT, State.DELIVERED, State.UNDELIVERED)
_OPEN = "state IN ('held', 'queued')"

Move = Callable[..., Any]


def after(tx: Transaction, message: Row, state: State, now: int, move: Move) -> None:
    """Follow up a message that has just moved to `state`."""
    if message["kind"] in COMPANIONS:
        if state in LEFT:
            _let_go(tx, waiting_for(tx, message["id"]), now, move)
        elif state in FINAL and message["kind"] == INVITATION:
            followers = [each for each in waiting_for(tx, message["id"]) if _waits(each)]
            _let_go(tx, [each for each in followers if escorting.introduce(tx, each, now)], now, move)
    elif message["origin"] == "user" and state in FINAL and state not in LEFT:
        tx.flush()  # a text that takes this one's place may be gathered already
        if message["after_message_id"] is not None:
            _drop_identification(tx, message, now, move)
        _drop_invitations(tx, message, now, move)


def must_wait(tx: Transaction, message: Row) -> bool:
    """Whether what says who writes, and which this text follows, has not left yet; asked in the claim."""
    if message["after_message_id"] is None or message["kind"] in COMPANIONS:
        return False
    first = tx.one("SELECT kind, state FROM message WHERE id = ?", message["after_message_id"])
    if first is None or first["state"] in LEFT:
        return False
    if first["kind"] == INVITATION:  # whoever has answered START to one whose fate is unknown has read it
        return bool(first["state"] != State.UNKNOWN)
    return bool(first["kind"] == IDENTIFICATION)


def has_left(tx: Transaction, companion_id: str | None) -> bool:
    """Whether a companion has reached the network (None: there is nothing to wait for)."""
    if companion_id is None:
        return True
    return tx.value("SELECT state FROM message WHERE id = ?", companion_id) in LEFT


def is_stranded(tx: Transaction, message: Row) -> bool:
    """Whether a text waits behind an invitation that will never leave: its START came first, and nothing else was written yet."""
    first = tx.one("SELECT kind, state FROM message WHERE id = ?", message["after_message_id"])
    return first is not None and first["kind"] == INVITATION and first["state"] in FINAL and first["state"] not in LEFT


def waiting_for(tx: Transaction, companion_id: str) -> list[Row]:
    """The texts that still wait behind a companion, in their order."""
    return tx.all(f"SELECT * FROM message WHERE after_message_id = ? AND {_OPEN} ORDER BY seq", companion_id)


def is_needed(tx: Transaction, companion: Row) -> bool:
    """Whether texts wait behind this companion: for it to leave, or for the START that it asks for."""
    if waiting_for(tx, companion["id"]):
        return True
    return companion["kind"] == INVITATION and _awaits_start(tx, companion["candidate_id"], companion["channel"])


def serves(tx: Transaction, companion: Row) -> bool:
    """Whether a companion has a text to go before, or a START to ask for or to remind of."""
    if companion["kind"] == REMINDER:
        return _awaits_start(tx, companion["candidate_id"], companion["channel"])
    return is_needed(tx, companion)


def outlive(tx: Transaction, companion: Row, until: int) -> None:
    """The box has put a companion off: the texts behind it may wait as long, unless their senders named the end themselves."""
    if companion["kind"] in COMPANIONS:
        tx.execute(
            f"UPDATE message SET valid_until = ? WHERE after_message_id = ? AND {_OPEN} AND valid_told = 0 AND valid_until < ?",
            until,
            companion["id"],
            until,
        )


def drop_invitations(tx: Transaction, candidate_id: str, channel: str, error: str, actor: str, now: int, move: Move) -> None:
    """START need not be asked for any more: an invitation or reminder that has not left is cancelled and refunded."""
    rows = tx.all(
        f"SELECT * FROM message WHERE candidate_id = ? AND channel = ? AND kind IN (?, ?) AND {_OPEN} ORDER BY seq",
        candidate_id,
        channel,
        INVITATION,
        REMINDER,
    )
    for row in rows:
        move(tx, row, State.CANCELLED, now, actor, error=error)


def _waits(message: Row) -> bool:
    return bool(message["state"] == State.HELD and message["hold_reason"] == Hold.WAITS_FOR)


def _let_go(tx: Transaction, messages: list[Row], now: int, move: Move) -> None:
    for message in filter(_waits, messages):
        queue_or_schedule(tx, message, now, "gateway", move)


def _drop_identification(tx: Transaction, text: Row, now: int, move: Move) -> None:
    """The last text behind an identification that has not left is gone: it has nothing to announce any more."""
    if any(other["id"] != text["id"] for other in waiting_for(tx, text["after_message_id"])):
        return
    companion = tx.one(f"SELECT * FROM message WHERE id = ? AND {_OPEN}", text["after_message_id"])
    if companion is not None and companion["kind"] == IDENTIFICATION:
        move(tx, companion, State.CANCELLED, now, "gateway", error="no_follower")


def _drop_invitations(tx: Transaction, text: Row, now: int, move: Move) -> None:
    """The last text that waited for START is gone: nobody asks for START any more, nor reminds of it."""
    if text["candidate_id"] is not None and not _awaits_start(tx, text["candidate_id"], text["channel"]):
        drop_invitations(tx, text["candidate_id"], text["channel"], "no_follower", "gateway", now, move)


def _awaits_start(tx: Transaction, candidate_id: str, channel: str) -> bool:
    """Whether a text to the candidate waits for START, whatever else it waits for."""
    candidate = tx.one("SELECT * FROM candidate WHERE id = ?", candidate_id)
    rows = tx.all(
        "SELECT DISTINCT kind, purpose FROM message WHERE candidate_id = ? AND channel = ? AND origin = 'user'"
        f" AND {_OPEN} AND sender_id IS NOT NULL",
        candidate_id,
        channel,
    )
    purposes = {row["purpose"] or PURPOSE_OF_KIND[row["kind"]] for row in rows if row["kind"] not in COMPANIONS}
    return candidate is not None and any(consent_status(tx, candidate, channel, each) == Status.PENDING for each in purposes)
