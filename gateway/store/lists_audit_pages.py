"""The audit as its page asks for it: filtered by subject, action, actor and day, newest first, with names for who did it.

A filter has no index of its own (the audit is written a thousand times for each time that it is read), so a page looks at no
more than `WINDOW` positions; the next one goes on from there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.store.database import Row, View

WINDOW: Final = 50_000


@dataclass(frozen=True, slots=True)
class Entries:
    """A page of entries; `older` is the position to go on before, `searched` whether there is more to look through there."""

    rows: list[Row]
    older: int | None


def entries(
    view: View,
    wanted: Mapping[str, str | None],
    day: tuple[int, int] | None,
    before: int | None,
    limit: int,
    *,
    window: int = WINDOW,
) -> Entries:
    """Up to `limit` sealed entries before a position; `wanted` filters subject, action (`template.` for a whole area), actor."""
    top = _top(view, day, before)
    least = max(0, top - window)
    where, values = ["position < ?", "position >= ?"], [top, least]
    for column in ("subject", "actor"):
        if wanted.get(column):
            where.append(f"{column} = ?")
            values.append(wanted[column])  # type: ignore[arg-type]
    action = wanted.get("action")
    if action and action.endswith("."):
        where.append("action >= ? AND action < ?")
        values += [action, action[:-1] + "/"]  # type: ignore[list-item]
    elif action:
        where.append("action = ?")
        values.append(action)  # type: ignore[arg-type]
    if day is not None:
        where.append("at >= ? AND at < ?")
        values += list(day)
    rows = view.all(
        "SELECT position, at, actor, action, subject, data FROM audit"
        f" WHERE {' AND '.join(where)} ORDER BY position DESC LIMIT ?",
        *values,
        limit + 1,
    )
    if len(rows) > limit:
        return Entries(rows[:limit], rows[limit - 1]["position"])
    return Entries(rows, least if least > 1 and not _is_over(view, day, least) else None)


def _top(view: View, day: tuple[int, int] | None, before: int | None) -> int:
    """From which position to look down: the page before, the end of the day, or the newest."""
    newest = int(view.value("SELECT MAX(position) AS newest FROM audit") or 0) + 1
    if before is not None:
        return min(before, newest)
    if day is not None:
        found = view.value("SELECT position FROM audit WHERE at >= ? ORDER BY at, position LIMIT 1", day[1])
        return newest if found is None else min(int(found), newest)
    return newest


def _is_over(view: View, day: tuple[int, int] | None, least: int) -> bool:
    """Whether everything below is older than the day."""
    if day is None:
        return False
    row = view.one("SELECT at FROM audit WHERE position < ? ORDER BY position DESC LIMIT 1", least)
    return row is None or row["at"] < day[0]


def names(view: View, organisation_id: str, things: Iterable[str]) -> dict[str, str]:
    """What people call them; of what has no name, such as a message, the candidate's reference. Actors come as `user:usr_…`."""
    asked: dict[str, set[str]] = {}
    for thing in things:
        id_ = thing.partition(":")[2] if thing.startswith(("user:", "key:")) else thing
        asked.setdefault(id_.partition("_")[0], set()).add(id_)
    found: dict[str, str] = {}
    for prefix, (name, table, owner) in _NAMED.items():
        ids = sorted(asked.get(prefix, ()))
        if ids:
            sql = f"SELECT t.id, {name} AS name FROM {table} t {owner} AND t.id IN ({', '.join('?' * len(ids))})"
            found.update({row["id"]: row["name"] for row in view.all(sql, organisation_id, *ids)})
    return found


_OWN = "WHERE t.organisation_id = ?"
_THEIRS = f"JOIN candidate c ON c.id = t.candidate_id AND c.erased_at IS NULL {_OWN}"
_NAMED: Final[dict[str, tuple[str, str, str]]] = {
    "usr": ("t.name", "app_user", _OWN),
    "key": ("t.name", "api_key", _OWN),
    "cand": ("t.ref", "candidate", _OWN),
    "org": ("t.name", "organisation", "WHERE t.root_id = ?"),
    "tpl": ("t.name", "template", "JOIN organisation o ON o.id = t.unit_id WHERE o.root_id = ?"),
    "ep": ("t.url", "endpoint", _OWN),
    "case": ("t.title", "hiring_case", _OWN),
    "snd": ("t.number", "sender", _OWN),
    "kw": ("t.word", "keyword_addition", _OWN),
    "mdm": ("t.name", "modem", "JOIN organisation o ON o.id = ?"),  # the box's, whoever's cards are in it
    "msg": ("c.ref", "message", _THEIRS),
    "thr": ("c.ref", "thread", _THEIRS),
    "int": ("c.ref", "interview", _THEIRS),
    "creq": ("c.ref", "consent_request", _THEIRS),
    "task": ("c.ref", "task", _THEIRS),
    "rem": (
        "c.ref",
        "reminder",
        "JOIN interview i ON i.id = t.interview_id JOIN candidate c ON c.id = i.candidate_id AND c.erased_at IS NULL"
        " WHERE i.organisation_id = ?",
    ),
}
"""By prefix of the id: its name, the table, and whose it must be."""


def actors(view: View, organisation_id: str) -> list[tuple[str, str]]:
    """People and keys to filter by."""
    people = view.all("SELECT id, name FROM app_user WHERE organisation_id = ? ORDER BY name LIMIT 500", organisation_id)
    keys = view.all("SELECT id, name FROM api_key WHERE organisation_id = ? ORDER BY name LIMIT 500", organisation_id)
    return [(f"user:{row['id']}", row["name"]) for row in people] + [(f"key:{row['id']}", row["name"]) for row in keys]


def as_cells(row: Mapping[str, Any]) -> dict[str, Any]:
    """An entry as a line of a table."""
    return {name: row[name] for name in ("position", "at", "actor", "action", "subject", "data")}
