"""Claim the next message for a modem: the last look at the rules, then `sending`, in one transaction.

A claim locks a candidate and takes their first due message, so that order per candidate holds and no two modems write to one
person at once. A message that may no longer go (consent withdrawn, expired) ends here, refunded, and the next one is looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import LeaseLost, Refused
from gateway.flows import budgets, followers, restore, timing
from gateway.flows.answers import KIND as INTERVIEW_REPLY
from gateway.flows.endings import move
from gateway.flows.facts import is_suppressed, standing_facts
from gateway.rules.consent import Status
from gateway.rules.gates import RELEASE_GATES, Wait
from gateway.rules.lifecycle import Hold, State
from gateway.store.database import Row, Transaction
from gateway.store.parts import Part, parts_of

_AT_ONCE = 8
"""Where candidates may be locked by others (PostgreSQL), so many are looked at; SQLite has one writer, who needs one."""
_MOST_ENDED = 100
"""So many messages that may not go any more are ended in one claim; the rest wait for the next, so that others get a turn."""
FIRST_OF_THEIRS = (
    " AND NOT EXISTS (SELECT 1 FROM message s WHERE s.candidate_id = m.candidate_id AND s.state = 'sending')"
    " AND NOT EXISTS (SELECT 1 FROM message e WHERE e.candidate_id = m.candidate_id AND e.lane = m.lane"
    " AND e.state = 'queued' AND e.seq < m.seq)"
)
"""Ends a question for queued messages `m`: only those that stand behind nothing of the same candidate."""
_NEXT = (
    "SELECT m.id, m.candidate_id FROM message m WHERE m.state = 'queued' AND m.sender_id = ? AND m.lane = ? AND m.due_at <= ?"
    f"{FIRST_OF_THEIRS} ORDER BY m.due_at, m.id LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Station:
    """Who sends: gateway with its epoch, modem and SIM, and the sender numbers that live on the SIM."""

    gateway: str
    epoch: int
    modem: str
    imei: str
    iccid: str
    sender_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message in `sending` and its parts that still have to go, in order."""

    message: Row
    parts: tuple[Part, ...]


def check_epoch(tx: Transaction, gateway: str, epoch: int) -> None:
    """Raises LeaseLost when another gateway of this name has taken over."""
    held = tx.value("SELECT epoch FROM gateway WHERE name = ?" + tx.for_share, gateway)
    if held != epoch:
        raise LeaseLost(f"gateway {gateway}: epoch {epoch} was replaced by {held}")


def claim(tx: Transaction, station: Station, lanes: Sequence[int], now: int) -> Claimed | None:
    """The next message for this station in the given order of lanes, moved to `sending`; None when nothing is due."""
    check_epoch(tx, station.gateway, station.epoch)
    if restore.holds(tx):
        return None
    if now < budgets.free_at(tx, station.sender_ids):
        return None
    for lane in lanes:
        for sender_id in station.sender_ids:
            claimed = _from_lane(tx, station, sender_id, lane, now)
            if claimed is not None:
                return claimed
    return None


def _from_lane(tx: Transaction, station: Station, sender_id: str, lane: int, now: int) -> Claimed | None:
    for _ in range(_MOST_ENDED):
        rows = tx.all(_NEXT, sender_id, lane, now, _AT_ONCE if tx.skip_locked else 1)
        if not rows:
            return None
        for row in rows:
            candidate = None
            if row["candidate_id"] is not None:
                candidate = tx.one("SELECT * FROM candidate WHERE id = ?" + tx.skip_locked, row["candidate_id"])
                if candidate is None:
                    continue  # another modem decides for this person right now
            outcome = _take(tx, station, row["id"], candidate, now)
            if isinstance(outcome, Claimed):
                return outcome
            if outcome == "ended":
                break  # what stood behind it may be due now: look again
        else:
            return None
    tx.wake = True
    return None


def _take(tx: Transaction, station: Station, message_id: str, candidate: Row | None, now: int) -> Claimed | str:
    message = tx.one("SELECT * FROM message WHERE id = ?" + tx.skip_locked, message_id)
    if message is None or message["state"] != State.QUEUED or _is_behind(tx, message):
        return "taken"
    if message["valid_until"] <= now and not timing.is_untrusted(tx):
        move(tx, message, State.EXPIRED, now, "gateway", error="expired")
        return "ended"
    if message["origin"] == "user" and candidate is not None:
        if candidate["phone"] != message["address"]:  # changed while an attempt was on its way: consent belongs to a number
            move(tx, message, State.FAILED, now, "gateway", error="number_changed")
            return "ended"
        if followers.must_wait(tx, message):
            move(tx, message, State.HELD, now, "gateway", hold=Wait(Hold.WAITS_FOR), hold_reason=Hold.WAITS_FOR, not_before=None)
            return "ended"
        facts = standing_facts(tx, message, candidate)
        if message["kind"] in ("consent_optin", "consent_reminder") and facts.consent == Status.GRANTED:
            move(tx, message, State.CANCELLED, now, "gateway", error="already_granted")
            return "ended"
        try:
            for gate in RELEASE_GATES:
                held = gate(facts)
                if held is not None:
                    move(
                        tx,
                        message,
                        State.HELD,
                        now,
                        "gateway",
                        hold=held,
                        hold_reason=held.reason,
                        not_before=held.not_before,
                    )
                    return "ended"
        except Refused as refused:
            move(tx, message, State.FAILED, now, "gateway", error=refused.code)
            return "ended"
    elif message["kind"] == INTERVIEW_REPLY and candidate is not None and is_suppressed(tx, candidate["phone_hash"], "sms"):
        move(tx, message, State.CANCELLED, now, "gateway", error="opted_out")  # STOP came while it waited
        return "ended"
    late = timing.in_claim(tx, message, candidate, now)
    if late is not None:
        until = timing.valid_until(message, late)
        again = late.not_before
        move(tx, message, State.HELD, now, "gateway", hold=late, hold_reason=late.reason, not_before=again, valid_until=until)
        followers.outlive(tx, message, until)
        return "ended"
    move(
        tx,
        message,
        State.SENDING,
        now,
        f"gateway:{station.gateway}",
        gateway=station.gateway,
        modem=station.modem,
        attempts=message["attempts"] + 1,
    )
    parts = tuple(part for part in parts_of(tx, message_id) if part.state == "ready")
    timing.count(tx, message, len(parts), now)
    return Claimed(message, parts)


def _is_behind(tx: Transaction, message: Row) -> bool:
    """Whether another of this candidate's messages comes first; asked again now that nobody else decides for them.

    Nobody ever did on SQLite, which has one writer.
    """
    if message["candidate_id"] is None or not tx.skip_locked:
        return False
    return tx.one(f"SELECT 1 AS yes FROM message m WHERE m.id = ?{FIRST_OF_THEIRS}", message["id"]) is None
