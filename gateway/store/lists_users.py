"""People as the pages list them: by name, searched for, in pages by key."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from gateway.store.database import Row, View


@dataclass(frozen=True, slots=True)
class PersonLine:
    """A person in a list."""

    id: str
    name: str
    email: str
    unit_id: str
    unit: str
    roles: list[str]
    seat: bool
    active: bool
    has_password: bool
    last_used_at: int | None


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """A page of people, how many there are of this sort, and the key to ask the next page with."""

    lines: list[PersonLine]
    found: int
    next: str | None


_PERSON = (
    "SELECT u.id, u.name, u.email, u.unit_id, u.roles, u.seat, u.active, u.last_used_at, o.name AS unit,"
    " CASE WHEN u.password_hash IS NULL THEN 0 ELSE 1 END AS has_password"
    " FROM app_user u JOIN organisation o ON o.id = u.unit_id WHERE u.organisation_id = ?"
)
GONE = "@former.invalid"


def people(
    view: View,
    organisation_id: str,
    *,
    units: Collection[str],
    search: str = "",
    role: str | None = None,
    seat: bool | None = None,
    active: bool | None = None,
    idle_since: int | None = None,
    after: str | None = None,
    limit: int = 50,
) -> PeoplePage:
    """People of these units. An office has hundreds, so names are searched and sorted here, as people spell them (Å, É)."""
    wanted = search.casefold().split()
    lines = []
    for row in view.all(_PERSON, organisation_id):
        line = _line(row)
        text = f"{line.name} {line.email}".casefold()
        if (
            line.unit_id in units
            and not line.email.endswith(GONE)
            and all(word in text for word in wanted)
            and (role is None or role in line.roles)
            and (seat is None or line.seat is seat)
            and (active is None or line.active is active)
            and (idle_since is None or (line.last_used_at or 0) < idle_since)
        ):
            lines.append(line)
    lines.sort(key=lambda line: (line.name.casefold(), line.id))
    start = next((at + 1 for at, line in enumerate(lines) if line.id == after), 0)
    page = lines[start : start + limit]
    return PeoplePage(page, len(lines), page[-1].id if start + limit < len(lines) else None)


def _line(row: Row) -> PersonLine:
    return PersonLine(
        id=row["id"],
        name=row["name"],
        email=row["email"],
        unit_id=row["unit_id"],
        unit=row["unit"],
        roles=json.loads(row["roles"]),
        seat=bool(row["seat"]),
        active=bool(row["active"]),
        has_password=bool(row["has_password"]),
        last_used_at=row["last_used_at"],
    )


def person(view: View, organisation_id: str, user_id: str) -> PersonLine | None:
    """One person, or None where there is no such person here (any more)."""
    row = view.one(f"{_PERSON} AND u.id = ?", organisation_id, user_id)
    return None if row is None or row["email"].endswith(GONE) else _line(row)


def settings(view: View, user_id: str) -> dict[str, Any]:
    """What can be changed of a person, as forms show it."""
    row = view.one(
        "SELECT u.name, o.ref AS unit, u.roles, u.seat FROM app_user u JOIN organisation o ON o.id = u.unit_id WHERE u.id = ?",
        user_id,
    )
    assert row is not None
    return {
        "name": row["name"],
        "unit": row["unit"],
        "roles": " ".join(json.loads(row["roles"])),
        "seat": "yes" if row["seat"] else "no",
    }


def cases_of(view: View, user_id: str, limit: int = 50) -> list[Row]:
    """The cases whose hiring team a person is on, newest first."""
    return view.all(
        "SELECT k.ref, k.title FROM case_member m JOIN hiring_case k ON k.id = m.case_id WHERE m.user_id = ?"
        " ORDER BY k.updated_at DESC LIMIT ?",
        user_id,
        limit,
    )


def single_grants(view: View, organisation_id: str, *, user_id: str = "", role: str = "") -> list[Row]:
    """What is granted singly: to a person, to a role, or (neither named) to any role."""
    where, value = ("g.user_id = ?", user_id) if user_id else ("g.role = ?", role) if role else ("g.holder = ?", "role")
    return view.all(
        "SELECT g.id, g.unit_id, g.role, g.permission, g.created_at, o.name AS unit FROM right_grant g"
        f" JOIN organisation o ON o.id = g.unit_id WHERE g.organisation_id = ? AND {where} ORDER BY g.id",
        organisation_id,
        value,
    )
