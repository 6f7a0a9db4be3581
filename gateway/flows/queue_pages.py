"""The queue for people: why each message waits and until when, how far batches are, and cancelling several truthfully."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import Refused
from gateway.flows.cancel import WAITING, cancel
from gateway.flows.explain import Explanation, in_queue, pace_ms
from gateway.rules.lifecycle import LANE_NAMES, State
from gateway.store import lists_queue
from gateway.store.database import Row, Transaction, View
from gateway.store.lists_queue import Count

KINDS = lists_queue.OPEN
_ON_PAGE = 30
_MOST_BATCHES = 3
MOST_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Line:
    """A message that waits, and why. `may_cancel`: asking makes sense."""

    row: Row
    why: Explanation
    lane: str
    may_cancel: bool


@dataclass(frozen=True, slots=True)
class Station:
    """A number, the modem that holds its card, and what waits for it in each lane."""

    sender_id: str
    number: str
    modem: str | None
    state: str
    parked: bool
    lanes: dict[str, Count]
    per_minute: int | None
    """At its pace; None where nothing holds it back."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Many messages of one call: how many are through, and when the last should have left (None: nobody knows)."""

    key: str
    author: str
    accepted_at: int
    total: int
    done: int
    states: dict[str, int]
    open: int
    eta_ms: int | None


@dataclass(frozen=True, slots=True)
class Board:
    """All that the page shows; `older` is the key of the next lines."""

    counts: dict[str, Count]
    reasons: dict[str, Count]
    stations: Sequence[Station]
    batches: Sequence[Batch]
    lines: Sequence[Line]
    older: str | None


@dataclass(frozen=True, slots=True)
class Swept:
    """What became of several wishes to cancel: how many by outcome, and the credits that came back."""

    outcomes: dict[str, int]
    refunded: int


def board(
    view: View,
    organisation_id: str,
    member: str | None,
    kind: str,
    reason: str | None,
    sender: str | None,
    after: str | None,
    now: int,
) -> Board:
    """The queue as one person sees it; `member` as in the lists of messages."""
    senders = {row["id"]: row for row in lists_queue.senders(view, organisation_id)}
    own = None if member is None else lists_queue.mine(view, organisation_id, member)
    if kind == "queued":
        rows = lists_queue.queued(view, organisation_id, own, sender, after, _ON_PAGE)
    elif kind == "held":
        rows = lists_queue.held(view, organisation_id, own, reason, after, _ON_PAGE)
    else:
        rows = lists_queue.open_ends(view, organisation_id, own, kind, after, _ON_PAGE)
    shown = rows[:_ON_PAGE]
    return Board(
        counts=lists_queue.counts(view, organisation_id, own),
        reasons=lists_queue.reasons(view, organisation_id, own) if kind == "held" else {},
        stations=[_station(view, row, sees_all=member is None) for row in senders.values()],
        batches=_batches(view, organisation_id, own, member, senders, now),
        lines=_lines(view, shown, senders, member, now),
        older=shown[-1]["id"] if len(rows) > _ON_PAGE else None,
    )


def _station(view: View, row: Row, *, sees_all: bool) -> Station:
    each = pace_ms(row)
    return Station(
        sender_id=row["id"],
        number=row["number"],
        modem=row["modem"],
        state=row["modem_state"] or "absent",
        parked=bool(row["parked"]),
        lanes={LANE_NAMES[lane]: count for lane, count in lists_queue.lanes(view, row["id"]).items()} if sees_all else {},
        per_minute=None if each == 0 else max(1, 60_000 // each),
    )


def _lines(view: View, rows: Sequence[Row], senders: dict[str, Row], member: str | None, now: int) -> list[Line]:
    places: dict[str, tuple[Row, int | None]] = {}
    lines = []
    for row in rows:
        state = State(row["state"])
        if state is State.QUEUED:
            before, place = places.get(row["sender_id"], (None, 0))
            if place is not None:  # too many before one are too many before the next
                place = _next_place(view, row, before, place, is_next=member is None)
            places[row["sender_id"]] = row, place
            why = _why_queued(row, senders.get(row["sender_id"]), place, now)
        elif state is State.HELD:
            why = Explanation(state, row["hold_reason"], "", row["not_before"], row["not_before"])
        else:
            why = Explanation(state, None, "")
        lines.append(Line(row, why, LANE_NAMES[row["lane"]], state in WAITING))
    return lines


def _next_place(view: View, row: Row, before: Row | None, place: int, *, is_next: bool) -> int | None:
    """How many leave before this one, given the one shown above it of the same number; `is_next`: nothing is between them."""
    if before is not None and is_next:  # whoever sees everything reads the queue in its order
        return place + 1
    between = lists_queue.ahead(view, row, before)
    return None if between is None or place + between > lists_queue.BEHIND else place + between


def _why_queued(row: Row, sender: Row | None, place: int | None, now: int) -> Explanation:
    if sender is None:
        return in_queue(row, None, False, 0, place, now)
    return in_queue(row, sender["modem_state"], bool(sender["parked"]), pace_ms(sender), place, now)


# --- batches ----------------------------------------------------------------------------------------------------------


def batch(view: View, organisation_id: str, member: str | None, accepted_at: int, user_id: str, now: int) -> Batch | None:
    """One batch; None where there is none, or it is not this person's to see."""
    if not lists_queue.batch_is_visible(view, organisation_id, accepted_at, user_id, member):
        return None
    senders = {row["id"]: row for row in lists_queue.senders(view, organisation_id)}
    found = _batch(view, organisation_id, accepted_at, user_id, senders, now)
    return found if found.total else None


def _batches(
    view: View, organisation_id: str, own: Sequence[Row] | None, member: str | None, senders: dict[str, Row], now: int
) -> list[Batch]:
    found = lists_queue.open_batches(view, organisation_id, own, _MOST_BATCHES)
    return [
        _batch(view, organisation_id, at, user, senders, now)
        for at, user in found
        if lists_queue.batch_is_visible(view, organisation_id, at, user, member)
    ]


def _batch(view: View, organisation_id: str, accepted_at: int, user_id: str, senders: dict[str, Row], now: int) -> Batch:
    states = lists_queue.batch_states(view, organisation_id, accepted_at, user_id)
    still = sum(states.get(state, 0) for state in ("held", "queued", "sending", "unknown"))
    total = sum(states.values())
    return Batch(
        key=f"{accepted_at}-{user_id}",
        author=lists_queue.author(view, organisation_id, user_id) or "",
        accepted_at=accepted_at,
        total=total,
        done=total - still,
        states=states,
        open=states.get("held", 0) + states.get("queued", 0),
        eta_ms=_eta(view, organisation_id, accepted_at, user_id, states, senders, now),
    )


def _eta(
    view: View,
    organisation_id: str,
    accepted_at: int,
    user_id: str,
    states: dict[str, int],
    senders: dict[str, Row],
    now: int,
) -> int | None:
    """When the last of it should have left: at the pace of each number, and once the last hold ends."""
    ends: list[int | None] = []
    if states.get("held"):
        ends.append(lists_queue.latest_hold(view, organisation_id, accepted_at, user_id))
    for tail in lists_queue.batch_tails(view, organisation_id, accepted_at, user_id):
        why = _why_queued({**dict(tail), "error": None}, senders.get(tail["sender_id"]), lists_queue.ahead(view, tail), now)
        ends.append(why.eta_ms)
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


# --- cancelling several -----------------------------------------------------------------------------------------------


def chosen(view: View, organisation_id: str, member: str | None, message_ids: Sequence[str]) -> list[Row]:
    """The messages that somebody ticked, as far as they see them."""
    return lists_queue.some(view, organisation_id, member, message_ids)


def of_batch(view: View, organisation_id: str, accepted_at: int, user_id: str) -> list[str]:
    """What of a batch can still be cancelled."""
    return lists_queue.batch_ids(view, organisation_id, accepted_at, user_id, [str(state) for state in WAITING])


def cancel_some(tx: Transaction, organisation_id: str, message_ids: Sequence[str], actor: str, now: int) -> Swept:
    """Cancel each that still waits, and say of each what became of it; one that cannot be cancelled keeps no other."""
    outcomes: Counter[str] = Counter()
    refunded = 0
    for message_id in message_ids:
        try:
            done = cancel(tx, message_id, organisation_id, actor, now)
        except Refused as refused:
            outcomes[refused.code] += 1
            continue
        outcomes[done.outcome] += 1
        refunded += done.credits_refunded
    return Swept(dict(outcomes), refunded)
