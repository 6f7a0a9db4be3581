"""The queue as a page shows it: what waits, in the order in which it leaves, and how much of it; bounded whatever waits.

Who sees everything is answered along the indexes of the queue (sender, lane, time); anybody else from their own messages and
those of their teams, which are few. Counts stop at `MOST`: a page says “more than” beyond.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.store.database import Row, View

MOST = 1_000
"""So far things are counted."""
BEHIND = 5_000
"""So far back a place in the queue is reckoned."""
BULK = 2
OPEN = ("queued", "held", "sending", "unknown")


@dataclass(frozen=True, slots=True)
class Count:
    """How many; `more` where there are even more."""

    number: int
    more: bool


_LINE = (
    "SELECT m.*, c.first_name, c.last_name, c.ref AS candidate_ref, k.ref AS case_ref, k.title AS case_title, u.name AS author,"
    " s.number AS sender, p.text FROM {source} LEFT JOIN candidate c ON c.id = m.candidate_id"
    " LEFT JOIN hiring_case k ON k.id = m.case_id LEFT JOIN app_user u ON u.id = m.user_id"
    " LEFT JOIN sender s ON s.id = m.sender_id"
    " LEFT JOIN part p ON p.message_id = m.id AND p.number = 1 WHERE {where}"
)
_STATE = {
    "queued": "m.state = 'queued'",
    "held": "m.state = 'held'",
    "sending": "m.state = 'sending'",
    "unknown": "m.state = 'unknown' AND m.state <> 'sending'",  # the second half is its index's own
}
_LISTED = {
    **{state: f"m.state = '{state}' AND m.state <> 'sending' AND m.organisation_id = ?" for state in OPEN if state != "sending"},
    "sending": "m.state = 'sending' AND m.organisation_id || '' = ?",  # an index of its own, and never much
}
"""Spelled so that the index of states serves, which holds the author and the case as well: no row is read to choose."""
_NEEDED = "m.id, m.state, m.hold_reason, m.not_before, m.lane, m.due_at, m.sender_id, m.accepted_at, m.user_id, m.origin"


def mine(view: View, organisation_id: str, member: str) -> list[Row]:
    """A person's own open messages and those of their teams, with what is needed to count and order them.

    What is open is chosen from the index of states alone; other columns are hidden from planners that would begin with all that
    a person or a case ever had.
    """
    found: list[Row] = []
    theirs = "(m.user_id || '' = ? OR m.case_id || '' IN (SELECT case_id FROM case_member WHERE user_id = ?))"
    for state in OPEN:
        chosen = f"SELECT m.id FROM message m WHERE {_LISTED[state]} AND {theirs} LIMIT {MOST + 1}"
        found += view.all(f"SELECT {_NEEDED} FROM message m WHERE m.id IN ({chosen})", organisation_id, member, member)
    return found


def counts(view: View, organisation_id: str, own: Sequence[Row] | None) -> dict[str, Count]:
    """How many messages are in each open state; `own` are a person's (`mine`), None for who sees everything."""
    found = {}
    theirs = Counter(row["state"] for row in own or ())
    for state in OPEN:
        if own is not None:
            number = theirs[state]
        else:
            sql = f"SELECT COUNT(*) AS n FROM (SELECT 1 FROM message m WHERE {_LISTED[state]} LIMIT {MOST + 1}) q"
            number = int(view.value(sql, organisation_id))
        found[state] = Count(min(number, MOST), number > MOST)
    return found


def reasons(view: View, organisation_id: str, own: Sequence[Row] | None) -> dict[str, Count]:
    """Why held messages wait: how many for each reason, the most frequent first."""
    if own is not None:
        numbers = Counter(row["hold_reason"] for row in own if row["state"] == "held")
    else:
        rows = view.all(
            f"SELECT m.hold_reason FROM message m WHERE {_STATE['held']} AND m.organisation_id || '' = ? LIMIT {MOST + 1}",
            organisation_id,
        )
        numbers = Counter(row["hold_reason"] for row in rows)
    more = sum(numbers.values()) > MOST
    return {reason: Count(min(number, MOST), more) for reason, number in numbers.most_common() if reason is not None}


def senders(view: View, organisation_id: str) -> list[Row]:
    """Every number of the organisation with the modem that holds its card, and its pace."""
    return view.all(
        "SELECT s.id, s.number, s.gap_ms, i.slowest_ms, m.name AS modem, m.state AS modem_state, m.reason AS modem_reason,"
        " m.parked FROM sender s LEFT JOIN sim i ON i.iccid = s.iccid LEFT JOIN modem m ON m.id = ("
        "  SELECT o.id FROM modem o WHERE o.iccid = s.iccid AND o.iccid <> '' AND o.state <> 'removed'"
        "  ORDER BY COALESCE(o.seen_at, 0) DESC LIMIT 1)"
        " WHERE s.organisation_id = ? AND s.active = 1 ORDER BY s.number",
        organisation_id,
    )


def lanes(view: View, sender_id: str) -> dict[int, Count]:
    """How much waits for a number, lane by lane."""
    found = {}
    for lane in (0, 1, 2):
        number = int(
            view.value(
                f"SELECT COUNT(*) AS n FROM (SELECT 1 FROM message WHERE state = 'queued' AND sender_id = ? AND lane = ?"
                f" LIMIT {MOST + 1}) q",
                sender_id,
                lane,
            )
        )
        found[lane] = Count(min(number, MOST), number > MOST)
    return found


def queued(
    view: View, organisation_id: str, own: Sequence[Row] | None, sender: str | None, after: str | None, limit: int
) -> list[Row]:
    """What is in the queue, in the order in which it leaves; up to `limit` + 1."""
    last = None if after is None else view.one("SELECT lane, due_at, id FROM message WHERE id = ?", after)
    key = None if last is None else _place(last)
    if own is not None:
        waits = [row for row in own if row["state"] == "queued" and sender in (None, row["sender_id"])]
        return _page(view, sorted(waits, key=_place), key, _place, limit)
    order, further, found = "m.lane, m.due_at, m.id", "", []
    if key is not None:
        further = f" AND ({order}) > (?, ?, ?)"
    for row in senders(view, organisation_id):
        if sender in (None, row["id"]):
            where = f"{_STATE['queued']} AND m.sender_id = ?{further}"
            sql = f"{_LINE.format(source='message m', where=where)} ORDER BY {order} LIMIT ?"
            found += view.all(sql, row["id"], *(key or ()), limit + 1)
    return sorted(found, key=_place)[: limit + 1]


def _place(row: Row) -> tuple[Any, ...]:
    return row["lane"], row["due_at"], row["id"]


def _until(row: Row) -> tuple[Any, ...]:
    """What knows until when comes first."""
    return row["not_before"] is None, row["not_before"] or 0, row["id"]


def _page(
    view: View, rows: Sequence[Row], key: tuple[Any, ...] | None, order: Callable[[Row], tuple[Any, ...]], limit: int
) -> list[Row]:
    """The whole rows of a page out of what is ordered already."""
    chosen = [row["id"] for row in rows if key is None or order(row) > key][: limit + 1]
    marks = ", ".join("?" * len(chosen)) or "''"
    found = {row["id"]: row for row in view.all(_LINE.format(source="message m", where=f"m.id IN ({marks})"), *chosen)}
    return [found[each] for each in chosen]


def held(
    view: View, organisation_id: str, own: Sequence[Row] | None, reason: str | None, after: str | None, limit: int
) -> list[Row]:
    """What is held: first what knows until when, the soonest first; then the rest."""
    last = None if after is None else view.one("SELECT not_before, id FROM message WHERE id = ?", after)
    if own is not None:
        waits = [row for row in own if row["state"] == "held" and reason in (None, row["hold_reason"])]
        return _page(view, sorted(waits, key=_until), None if last is None else _until(last), _until, limit)
    where, asked = f"{_STATE['held']} AND m.organisation_id || '' = ?", [organisation_id]
    if reason is not None:
        where += " AND m.hold_reason = ?"
        asked.append(reason)
    found: list[Row] = []
    if last is None or last["not_before"] is not None:
        further, key = ("", []) if last is None else (" AND (m.not_before, m.id) > (?, ?)", [last["not_before"], last["id"]])
        sql = _LINE.format(source="message m", where=where + " AND m.not_before IS NOT NULL" + further)
        found = view.all(f"{sql} ORDER BY m.not_before, m.id LIMIT ?", *asked, *key, limit + 1)
    if len(found) <= limit:
        further, key = ("", []) if last is None or last["not_before"] is not None else (" AND m.id > ?", [last["id"]])
        sql = _LINE.format(source="message m", where=where + " AND m.not_before IS NULL" + further)
        found += view.all(f"{sql} ORDER BY m.id LIMIT ?", *asked, *key, limit + 1 - len(found))
    return found


def open_ends(
    view: View, organisation_id: str, own: Sequence[Row] | None, state: str, after: str | None, limit: int
) -> list[Row]:
    """What is being sent, or is unclear: the oldest first."""
    if own is not None:
        waits = sorted((row for row in own if row["state"] == state), key=lambda row: row["id"])
        return _page(view, waits, None if after is None else (after,), lambda row: (row["id"],), limit)
    where, asked = f"{_STATE[state]} AND m.organisation_id || '' = ?", [organisation_id]
    if after is not None:
        where += " AND m.id > ?"
        asked.append(after)
    return view.all(f"{_LINE.format(source='message m', where=where)} ORDER BY m.id || '' LIMIT ?", *asked, limit + 1)


def ahead(view: View, row: Row, behind: Row | None = None) -> int | None:
    """How many of the same number leave before this one, or between `behind` (counted) and it; None: too many to count."""
    since, start = ("", ()) if behind is None else (" AND (lane, due_at, id) >= (?, ?, ?)", _place(behind))
    found = int(
        view.value(
            "SELECT COUNT(*) AS n FROM (SELECT 1 FROM message WHERE state = 'queued' AND sender_id = ?"
            f"{since} AND (lane, due_at, id) < (?, ?, ?) LIMIT {BEHIND + 1}) q",
            row["sender_id"],
            *start,
            *_place(row),
        )
    )
    return None if found > BEHIND else found


def some(view: View, organisation_id: str, member: str | None, message_ids: Sequence[str]) -> list[Row]:
    """These messages, as far as the person sees them, in the order of their ids."""
    marks = ", ".join("?" * len(message_ids)) or "''"
    where, values = f"m.id IN ({marks}) AND m.organisation_id = ?", [*message_ids, organisation_id]
    if member is not None:
        where += " AND (m.user_id = ? OR m.case_id IN (SELECT case_id FROM case_member WHERE user_id = ?))"
        values += [member, member]
    return view.all(f"{_LINE.format(source='message m', where=where)} ORDER BY m.id", *values)


# --- batches ----------------------------------------------------------------------------------------------------------
# A batch is what one call accepted at one moment, in the bulk lane, for one user.


def open_batches(view: View, organisation_id: str, own: Sequence[Row] | None, most: int) -> list[tuple[int, str]]:
    """Batches with something in the queue or held: when they were accepted and by whom, the oldest first.

    For who sees everything, those of the front of the queue and of what has been held longest: what comes later shows when its
    turn is near.
    """
    if own is not None:
        rows: list[Row] = [row for row in own if row["lane"] == BULK and row["origin"] == "user" and row["state"] in OPEN[:2]]
    else:
        rows = []
        for sender in senders(view, organisation_id):
            rows += view.all(
                f"SELECT m.accepted_at, m.user_id FROM message m WHERE {_STATE['queued']} AND m.sender_id = ? AND m.lane = {BULK}"
                f" AND m.origin = 'user' ORDER BY m.due_at, m.id LIMIT {MOST}",
                sender["id"],
            )
        oldest = f"SELECT m.id FROM message m WHERE {_LISTED['held']} ORDER BY m.id LIMIT {BEHIND}"
        rows += view.all(
            f"SELECT m.accepted_at, m.user_id FROM message m WHERE m.id IN ({oldest}) AND m.lane = {BULK} AND m.origin = 'user'"
            f" ORDER BY m.id LIMIT {MOST}",
            organisation_id,
        )
    numbers = Counter((row["accepted_at"], row["user_id"]) for row in rows)
    return sorted(key for key, number in numbers.items() if number > 1)[:most]


_BATCH = (
    "accepted_at = ? AND wiped_at IS NULL AND user_id || '' = ? AND lane = 2 AND origin = 'user' AND organisation_id || '' = ?"
)
"""Along the index of what is not wiped yet, by the time of acceptance; the other columns are hidden from the planner."""


def batch_states(view: View, organisation_id: str, accepted_at: int, user_id: str) -> dict[str, int]:
    """How many messages of a batch are in each state."""
    rows = view.all(
        f"SELECT state, COUNT(*) AS n FROM message WHERE {_BATCH} GROUP BY state", accepted_at, user_id, organisation_id
    )
    return {row["state"]: int(row["n"]) for row in rows}


def batch_ids(view: View, organisation_id: str, accepted_at: int, user_id: str, states: Sequence[str]) -> list[str]:
    """Messages of a batch in these states."""
    marks = ", ".join("?" * len(states))
    sql = f"SELECT id FROM message WHERE {_BATCH} AND state IN ({marks}) ORDER BY id"
    return [row["id"] for row in view.all(sql, accepted_at, user_id, organisation_id, *states)]


def batch_tails(view: View, organisation_id: str, accepted_at: int, user_id: str) -> list[Row]:
    """The last queued message of a batch for each number: when it leaves, the batch has left."""
    rows = view.all(
        f"SELECT id, sender_id, lane, due_at FROM message WHERE {_BATCH} AND state = 'queued'",
        accepted_at,
        user_id,
        organisation_id,
    )
    tails: dict[str, Row] = {}
    for row in rows:
        known = tails.get(row["sender_id"])
        if known is None or (row["due_at"], row["id"]) > (known["due_at"], known["id"]):
            tails[row["sender_id"]] = row
    return list(tails.values())


def latest_hold(view: View, organisation_id: str, accepted_at: int, user_id: str) -> int | None:
    """Until when the last message of a batch is held, where all that are held know it; None otherwise."""
    row = view.one(
        "SELECT COUNT(*) AS n, COUNT(not_before) AS known, MAX(not_before) AS last FROM message"
        f" WHERE {_BATCH} AND state = 'held'",
        accepted_at,
        user_id,
        organisation_id,
    )
    return None if row is None or row["n"] == 0 or row["known"] < row["n"] else int(row["last"])


def author(view: View, organisation_id: str, user_id: str) -> str | None:
    """Who made a batch."""
    name = view.value("SELECT name FROM app_user WHERE id = ? AND organisation_id = ?", user_id, organisation_id)
    return None if name is None else str(name)


def batch_is_visible(view: View, organisation_id: str, accepted_at: int, user_id: str, member: str | None) -> bool:
    """Whether a person sees a batch: their own, or all of its cases are their teams'."""
    if member is None or member == user_id:
        return True
    stranger = view.one(
        f"SELECT 1 AS yes FROM message WHERE {_BATCH}"
        " AND (case_id IS NULL OR case_id NOT IN (SELECT case_id FROM case_member WHERE user_id = ?)) LIMIT 1",
        accepted_at,
        user_id,
        organisation_id,
        member,
    )
    return stranger is None
