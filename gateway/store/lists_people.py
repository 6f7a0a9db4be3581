"""Lists of people, of the tree, and of what is granted singly."""

from collections.abc import Collection, Sequence
from itertools import product
from typing import Any

from gateway.store.database import Row, View

_USER = (
    "SELECT u.id, u.email, u.name, u.unit_id, u.roles, u.seat, u.active, u.version, u.created_at, u.last_used_at, o.ref AS unit"
    " FROM app_user u JOIN organisation o ON o.id = u.unit_id"
)


def users(
    view: View,
    organisation_id: str,
    after: str | None,
    limit: int,
    *,
    units: Collection[str] | None = None,
    role: str | None = None,
    seat: bool | None = None,
    active: bool | None = None,
    idle_since: int | None = None,
) -> list[Row]:
    """People by id; `idle_since` wants those who were never seen, or not since then."""
    where, values = ["u.organisation_id = ?", "u.id > ?"], [organisation_id, after or ""]
    if units is not None:
        where.append(f"u.unit_id IN ({', '.join('?' * len(units))})")
        values += list(units)
    if role is not None:
        where.append("u.roles LIKE ?")
        values.append(f'%"{role}"%')
    more: list[Any] = list(values)
    for column, wanted in (("seat", seat), ("active", active)):
        if wanted is not None:
            where.append(f"u.{column} = ?")
            more.append(int(wanted))
    if idle_since is not None:
        where.append("COALESCE(u.last_used_at, 0) < ?")
        more.append(idle_since)
    return view.all(f"{_USER} WHERE {' AND '.join(where)} ORDER BY u.id LIMIT ?", *more, limit + 1)


def user(view: View, user_id: str) -> Row:
    """One person as the lists show them."""
    row = view.one(f"{_USER} WHERE u.id = ?", user_id)
    assert row is not None
    return row


def everybody(view: View, organisation_id: str) -> list[Row]:
    """Every person of an organisation, by e-mail address."""
    return view.all(f"{_USER} WHERE u.organisation_id = ? ORDER BY u.email", organisation_id)


def nodes(view: View, organisation_id: str) -> list[Row]:
    """The whole tree with how many people and cases each node has."""
    return view.all(
        "SELECT o.*, (SELECT COUNT(*) FROM app_user u WHERE u.unit_id = o.id) AS users,"
        " (SELECT COUNT(*) FROM hiring_case c WHERE c.unit_id = o.id) AS cases"
        " FROM organisation o WHERE o.root_id = ? ORDER BY o.ref",
        organisation_id,
    )


def grants(view: View, organisation_id: str, units: Collection[str]) -> list[Row]:
    """What is granted singly at these nodes."""
    return view.all(
        "SELECT g.*, u.email, o.ref AS unit FROM right_grant g JOIN organisation o ON o.id = g.unit_id"
        f" LEFT JOIN app_user u ON u.id = g.user_id WHERE g.organisation_id = ? AND g.unit_id IN ({', '.join('?' * len(units))})"
        " ORDER BY g.id",
        organisation_id,
        *units,
    )


def candidates(view: View, organisation_id: str, *, search: str = "", after: str | None = None, limit: int) -> list[Row]:
    """Candidates, the newest first, one more than `limit` where there are more; with `search` the first that fit, by name.

    A search is the beginning of a first name, of a last name, or a whole reference; both names together fit as well. Letters
    beyond ASCII are told apart by case on SQLite (`lower`), so each word counts in its `spellings`.
    """
    words = search.split()
    if not words:
        before, values = ("", [organisation_id]) if after is None else (" AND id < ?", [organisation_id, after])
        sql = f"SELECT * FROM candidate WHERE organisation_id = ? AND erased_at IS NULL{before} ORDER BY id DESC LIMIT ?"
        return view.all(sql, *values, limit + 1)
    walks = ["SELECT * FROM (SELECT * FROM candidate WHERE organisation_id = ? AND ref = ? AND erased_at IS NULL) AS s"]
    more: list[Any] = [organisation_id, search.strip()]
    for spelling, second in product(spellings(words[0]), spellings(words[1]) if len(words) > 1 else ("",)):
        for column, other in (("last_name", "first_name"), ("first_name", "last_name")):
            where = (
                f"organisation_id = ? AND lower({column}) >= lower(?) AND lower({column}) < lower(?) || ? AND erased_at IS NULL"
            )
            more += [organisation_id, spelling, spelling, _BEHIND_ALL]
            if second:
                where += f" AND lower({other}) >= lower(?) AND lower({other}) < lower(?) || ?"
                more += [second, second, _BEHIND_ALL]
            walks.append(
                f"SELECT * FROM (SELECT * FROM candidate WHERE {where} ORDER BY lower({column}) LIMIT ?) AS s{len(walks)}"
            )
            more.append(limit + 1)
    return view.all(" UNION ".join(walks) + " ORDER BY last_name, first_name, id LIMIT ?", *more, limit + 1)


def spellings(words: str) -> tuple[str, ...]:
    """What to compare by `lower`, which on SQLite knows ASCII alone: `öberg` or `ÖBERG` is also looked for as `Öberg`."""
    return (words,) if words.isascii() else tuple(dict.fromkeys((words, words.lower(), words.capitalize())))


def containing(columns: Sequence[str], words: str) -> tuple[str, list[str]]:
    """A condition that one of the columns holds what was typed, in any of its spellings; and its values."""
    plain = words.strip()
    for sign in ("!", "%", "_"):
        plain = plain.replace(sign, "!" + sign)
    tries = [(column, f"%{spelling}%") for column in columns for spelling in spellings(plain)]
    fits = " OR ".join(f"lower({column}) LIKE lower(?) ESCAPE '!'" for column, _ in tries)
    return f"({fits})", [value for _, value in tries]


_BEHIND_ALL = "\U0010ffff"
"""Sorts behind every letter that may follow what was typed."""


def cases(
    view: View, organisation_id: str, *, search: str = "", is_open: bool | None = None, after: str | None = None, limit: int
) -> list[Row]:
    """Cases, the newest first, with their unit; `search` is part of a title or of a reference."""
    where, values = ["k.organisation_id = ?"], [organisation_id]
    if search.strip():
        fits, tries = containing(("k.title", "k.ref"), search)
        where.append(fits)
        values += tries
    if is_open is not None:
        where.append(f"k.closed_at IS {'' if is_open else 'NOT '}NULL")
    if after is not None:
        where.append("k.id < ?")
        values.append(after)
    return view.all(
        "SELECT k.*, o.ref AS unit, o.name AS unit_name FROM hiring_case k JOIN organisation o ON o.id = k.unit_id"
        f" WHERE {' AND '.join(where)} ORDER BY k.id DESC LIMIT ?",
        *values,
        limit + 1,
    )
