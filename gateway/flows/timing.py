"""May a message leave at this hour? Asked at accept after the credits are reserved, and again in every claim (design.md §3.5).

What may not leave yet is held, never refused: `clock_untrusted`, `scheduled`, `quiet_hours`, `no_modem`, `sim_budget`, in this
order, with the time until which it waits where anybody knows it.
"""

from dataclasses import dataclass

from gateway.flows import budgets
from gateway.flows.facts import kept
from gateway.flows.hours import quiet_hours
from gateway.rules.consent import PURPOSE_OF_KIND
from gateway.rules.gates import Wait
from gateway.rules.lifecycle import LANES, Hold
from gateway.rules.quiet_hours import is_open, next_opening
from gateway.store.database import Row, Transaction, View

ANSWER_MS = 30 * 60_000
"""An answer to somebody who wrote less than half an hour ago may leave at any hour."""
VALID_AFTER_MS = 72 * 3_600_000
"""How long a message may still be tried after the box itself has held it back."""
NEVER_EARLY = ("job_alert",)
"""Kinds that quiet hours bind whatever else is true."""
_OWN_VOICE = ("keyword_reply", "alert", "test", "loopback")
"""Origins that quiet hours and budgets do not bind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """A message about to be accepted or claimed, as far as its hour is concerned."""

    candidate: Row
    channel: str
    kind: str
    parts: int
    sender: Row | None
    accepted_at: int
    origin: str = "user"
    lane: int = LANES["normal"]
    urgent: bool = False
    send_at: int | None = None
    sender_is_down: bool = False


def at_accept(view: View, leaving: Leaving, hold: Wait | None, now: int) -> Wait | None:
    """The hold of a message that is being accepted; `hold` is what earlier gates said (an opt-in keeps its reason)."""
    later = leaving.send_at if leaving.send_at is not None and leaving.send_at > now else None
    hours = quiet_hours(view, leaving.candidate, leaving.channel)
    if (later is not None or _is_bound(leaving, hours.always)) and is_untrusted(view):
        return Wait(Hold.CLOCK_UNTRUSTED if hold is None else hold.reason, later)
    if later is not None:
        opens = later if leaving.urgent else next_opening(hours, later)
        reason = Hold.SCHEDULED if opens is not None else Hold.QUIET_HOURS
        return Wait(reason if hold is None else hold.reason, opens)
    return hold or at_claim(view, leaving, now)


def at_claim(view: View, leaving: Leaving, now: int) -> Wait | None:
    """What holds a message back at this moment; None when it may leave."""
    if leaving.origin in _OWN_VOICE or leaving.kind not in PURPOSE_OF_KIND:
        return None
    hours = quiet_hours(view, leaving.candidate, leaving.channel)
    if _is_bound(leaving, hours.always):
        if is_untrusted(view):
            return Wait(Hold.CLOCK_UNTRUSTED)
        if not is_open(hours, now) and not _is_answer(view, leaving, now):
            return Wait(Hold.QUIET_HOURS, next_opening(hours, now))
    if leaving.sender is None or leaving.sender_is_down:
        return Wait(Hold.NO_MODEM)
    full = budgets.full(view, leaving.sender, _recipient(leaving.candidate), leaving.parts, now)
    return None if full is None else Wait(Hold.SIM_BUDGET, full.free_at)


def in_claim(tx: Transaction, message: Row, candidate: Row | None, now: int) -> Wait | None:
    """The same for a queued message, the last look before `sending`."""
    if candidate is None:
        return None
    sender = tx.one("SELECT * FROM sender WHERE id = ?", message["sender_id"])
    leaving = Leaving(
        candidate=candidate,
        channel=message["channel"],
        kind=message["kind"],
        parts=message["parts"],
        sender=sender,
        accepted_at=message["accepted_at"],
        origin=message["origin"],
        lane=message["lane"],
        urgent=bool(message["urgent"]),
    )
    return at_claim(tx, leaving, now)


def valid_until(message: Row, hold: Wait) -> int:
    """A message held by the box is not outlived by its hold, unless its sender named the end of its validity."""
    end = int(message["valid_until"])
    return end if message["valid_told"] or hold.not_before is None else max(end, hold.not_before + VALID_AFTER_MS)


def count(tx: Transaction, message: Row, parts: int, now: int) -> None:
    """A claimed message counts against its card's budgets."""
    sender = tx.one("SELECT * FROM sender WHERE id = ?", message["sender_id"])
    if sender is not None:
        budgets.count(tx, sender, message["candidate_id"], parts, now)


def _recipient(candidate: Row) -> str:
    return str(candidate["id"])


def _is_bound(leaving: Leaving, always: bool) -> bool:
    return not always and not leaving.urgent


def _is_answer(view: View, leaving: Leaving, now: int) -> bool:
    """Whether this answers a candidate who wrote less than half an hour ago. A mailing answers nobody."""
    if leaving.kind in NEVER_EARLY or leaving.lane == LANES["bulk"]:
        return False
    return (
        view.one(
            "SELECT 1 AS yes FROM received WHERE candidate_id = ? AND received_at > ? AND received_at <= ? LIMIT 1",
            leaving.candidate["id"],
            now - ANSWER_MS,
            min(now, leaving.accepted_at),
        )
        is not None
    )


def is_untrusted(view: View) -> bool:
    """Whether a gateway of this store distrusts the clock."""
    return kept(view, ("clock",), "SELECT reason FROM clock_trust WHERE trusted = 0 LIMIT 1") is not None
