"""Which messages a list shows: their ids, newest first, found by index however many millions there are.

A list walks one index backwards and stops when it has enough. Where a filter allows several values, each has its own stretch of
the index (a share): the newest of every share are merged. Ids are UUIDv7, so their order is that of their making.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.rules.lifecycle import State
from gateway.store.database import View

_LOOK: Final = 5_000
"""So many of the newest are looked at for a person who sees only some, before each of their cases is asked for its own."""
_GLANCE: Final = 1_000
"""So many are looked at first: enough for a page of whoever sees a tenth of all."""
_SHARES_AT_ONCE: Final = 100
"""SQLite joins at most 500 SELECTs into one."""

Share = tuple[str, tuple[Any, ...]]
_BY_KEY: Final = "m.id"
_SORTED: Final = "m.id || ''"
"""Another index serves than one in the order of ids: what it finds is little, and is sorted."""


def newest(
    view: View,
    organisation_id: str,
    *,
    states: Sequence[State] = (),
    filters: Mapping[str, Any] | None = None,
    member: str | None = None,
    before: str | None = None,
    limit: int,
) -> list[str]:
    """Up to `limit` ids below `before`. `filters`: kind, channel, client_ref, candidate_ref, case_ref; None leaves one open.

    With `member`, only that person's own messages and those of their hiring teams.
    """
    wanted = {name: value for name, value in (filters or {}).items() if value is not None}
    found = _resolve(view, organisation_id, wanted)
    if found is None:
        return []
    shares, rest = _shares(organisation_id, states or tuple(State), found)
    if states and found:
        rest.append((_states(states), ()))
    if before is not None:
        rest.append((_BEFORE, (before,)))
    if member is not None:
        return _of_member(view, organisation_id, shares, rest, states, member, limit)
    return _merged(view, shares, rest, limit)


def _resolve(view: View, organisation_id: str, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """The filters with references turned into ids; None where one names nobody."""
    found: dict[str, Any] = {}
    for name, value in wanted.items():
        table = {"candidate_ref": "candidate", "case_ref": "hiring_case"}.get(name)
        if table is None:
            found[name] = value
            continue
        row_id = view.value(f"SELECT id FROM {table} WHERE organisation_id = ? AND ref = ?", organisation_id, value)
        if row_id is None:
            return None
        found["candidate_id" if table == "candidate" else "case_id"] = row_id
    return found


def _shares(organisation_id: str, states: Sequence[State], found: Mapping[str, Any]) -> tuple[list[Share], list[Share]]:
    """The stretches of the most selective index that the filters have, and the filters that each row must still pass."""
    left = dict(found)
    shares: list[Share]
    if "client_ref" in left:
        shares = [("m.organisation_id = ? AND m.client_ref = ?", (organisation_id, left.pop("client_ref")))]
    elif "candidate_id" in left:
        shares = [("m.candidate_id = ?", (left.pop("candidate_id"),))]
    elif "case_id" in left:
        shares = [("m.case_id = ?", (left.pop("case_id"),))]
    elif left:  # a kind or a channel: all messages by their key, without the index of any column
        shares = [("m.organisation_id || '' = ?", (organisation_id,))]
    else:
        shares = [_of_state(organisation_id, state) for state in states]
    return shares, [(f"m.{name} = ?", (value,)) for name, value in left.items()]


def _of_state(organisation_id: str, state: State) -> Share:
    # Spelled out, not bound: only then do the partial indexes serve. What is being sent has one of its own, and is never much.
    if state == State.SENDING:
        return "m.state = 'sending' AND m.organisation_id || '' = ?", (organisation_id,)
    return f"m.state = '{state.value}' AND m.state <> 'sending' AND m.organisation_id = ?", (organisation_id,)


def _states(states: Sequence[State]) -> str:
    return "m.state IN (" + ", ".join(f"'{state.value}'" for state in states) + ")"


def _of_member(
    view: View,
    organisation_id: str,
    shares: list[Share],
    rest: list[Share],
    states: Sequence[State],
    member: str,
    limit: int,
) -> list[str]:
    """First in the window of the newest of each share, read from the index alone; then in each of their cases."""
    for look in sorted({min(_GLANCE, _LOOK), _LOOK}):
        certain, floor = _in_window(view, shares, rest, member, limit, look)
        if len(certain) == limit or not floor:
            return certain
    theirs: list[Share] = [
        ("m.case_id = ?", (row["case_id"],)) for row in view.all("SELECT case_id FROM case_member WHERE user_id = ?", member)
    ]
    rest = [("m.organisation_id || '' = ?", (organisation_id,)), *rest]
    if states:
        rest.append((_states(states), ()))
    return _merged(view, [*theirs, ("m.user_id = ?", (member,))], rest, limit)


def _in_window(view: View, shares: list[Share], rest: list[Share], member: str, limit: int, look: int) -> tuple[list[str], str]:
    """What is theirs of the newest `look` of each share, as far down as no share hides any; and how far that is ("": all)."""
    mine: Share = ("(w.user_id = ? OR w.case_id IN (SELECT case_id FROM case_member WHERE user_id = ?))", (member, member))
    found: set[str] = set()
    floor = ""
    for share in shares:
        walk, values = _walk(share, rest, look)
        own = view.all(f"SELECT w.id FROM ({walk}) AS w WHERE {mine[0]} ORDER BY w.id DESC LIMIT ?", *values, *mine[1], limit)
        found.update(row["id"] for row in own)
        if len(own) < limit:
            window = view.one(f"SELECT COUNT(*) AS n, MIN(w.id) AS floor FROM ({walk}) AS w", *values)
            if window is not None and window["n"] == look:
                floor = max(floor, window["floor"])
    return sorted((each for each in found if each >= floor), reverse=True)[:limit], floor


def _walk(share: Share, rest: Sequence[Share], limit: int) -> tuple[str, list[Any]]:
    sql = " AND ".join([share[0], *(each for each, _ in rest)])
    order = _BY_KEY
    if share[0].startswith(_ELSEWHERE):
        sql, order = sql.replace(_BEFORE, f"{_SORTED} < ?"), _SORTED
    values = [value for _, values in (share, *rest) for value in values]
    return f"SELECT m.id, m.user_id, m.case_id FROM message m WHERE {sql} ORDER BY {order} DESC LIMIT ?", [*values, limit]


_BEFORE: Final = "m.id < ?"
_ELSEWHERE: Final = ("m.candidate_id", "m.state = 'sending'")


def _merged(view: View, shares: Sequence[Share], rest: Sequence[Share], limit: int) -> list[str]:
    found: set[str] = set()
    for first in range(0, len(shares), _SHARES_AT_ONCE):
        walks: list[str] = []
        values: list[Any] = []
        for share in shares[first : first + _SHARES_AT_ONCE]:
            walk, own = _walk(share, rest, limit)
            walks.append(f"SELECT id FROM ({walk}) AS s{len(walks)}")
            values += own
        rows = view.all(f"{' UNION ALL '.join(walks)} ORDER BY id DESC LIMIT ?", *values, limit)
        found.update(row["id"] for row in rows)
    return sorted(found, reverse=True)[:limit]


def counts(view: View, organisation_id: str, states: Sequence[State] = tuple(State), most: int = 1_000) -> dict[State, int]:
    """How many messages there are by state, each counted no further than `most` (show that as "1000+")."""
    found = {}
    for state in states:
        sql, values = _of_state(organisation_id, state)
        question = f"SELECT COUNT(*) AS n FROM (SELECT 1 AS one FROM message m WHERE {sql} LIMIT ?) AS counted"
        found[state] = int(view.value(question, *values, most) or 0)
    return found
