"""The organisation's tree as the pages show it: parents before children, with how many people and cases each node has."""

from dataclasses import dataclass
from typing import Any

from gateway.store.database import Row, View


@dataclass(frozen=True, slots=True)
class Node:
    """A unit or team; `depth` is 0 for the main organisation."""

    id: str
    ref: str
    name: str
    parent_id: str | None
    depth: int
    users: int
    cases: int
    seats: int
    children: int


def nodes(view: View, organisation_id: str) -> list[Node]:
    """The whole tree, children by name below their parent."""
    rows = view.all("SELECT id, ref, name, parent_id FROM organisation WHERE root_id = ?", organisation_id)
    people = _counts(view, "app_user WHERE active = 1", organisation_id)
    seats = _counts(view, "app_user WHERE active = 1 AND seat = 1", organisation_id)
    cases = _counts(view, "hiring_case WHERE 1 = 1", organisation_id)
    below: dict[str | None, list[Row]] = {}
    for row in rows:
        below.setdefault(row["parent_id"], []).append(row)
    found: list[Node] = []

    def walk(row: Row, depth: int) -> None:
        under = sorted(below.get(row["id"], ()), key=lambda child: (child["name"].casefold(), child["ref"]))
        found.append(
            Node(
                id=row["id"],
                ref=row["ref"],
                name=row["name"],
                parent_id=row["parent_id"],
                depth=depth,
                users=people.get(row["id"], 0),
                cases=cases.get(row["id"], 0),
                seats=seats.get(row["id"], 0),
                children=len(under),
            )
        )
        for child in under:
            walk(child, depth + 1)

    for row in below.get(None, ()):
        walk(row, 0)
    return found


def _counts(view: View, of: str, organisation_id: str) -> dict[str, int]:
    rows = view.all(f"SELECT unit_id, COUNT(*) AS n FROM {of} AND organisation_id = ? GROUP BY unit_id", organisation_id)
    return {row["unit_id"]: row["n"] for row in rows}


def settings(view: View, unit_id: str) -> dict[str, Any]:
    """What can be changed of a node, as forms show it."""
    row = view.one(
        "SELECT o.name, p.ref AS parent, o.language, o.zone, o.region, o.sms_enabled FROM organisation o"
        " LEFT JOIN organisation p ON p.id = o.parent_id WHERE o.id = ?",
        unit_id,
    )
    assert row is not None
    return {
        "name": row["name"],
        "parent": row["parent"] or "",
        "language": row["language"],
        "zone": row["zone"],
        "region": row["region"] or "",
        "sms_enabled": "yes" if row["sms_enabled"] else "no",
    }
