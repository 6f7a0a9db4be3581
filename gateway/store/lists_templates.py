"""Questions about templates: what a node sees, its own and what it inherits, and every version there was."""

from collections.abc import Sequence
from typing import Any

from gateway.store.database import Row, View

_FILTERS = ("channel", "kind", "language", "name")


def on_path(view: View, path: Sequence[str], filters: dict[str, Any] | None = None, *, archived: bool = False) -> list[Row]:
    """Templates of a node and of everything above it (`path`, nearest first), by name, channel, language, nearest first."""
    where, values = [f"t.unit_id IN ({', '.join('?' * len(path))})"], list(path)
    for name in _FILTERS:
        if (filters or {}).get(name) is not None:
            where.append(f"t.{name} = ?")
            values.append((filters or {})[name])
    if not archived:
        where.append("t.archived_at IS NULL")
    rows = view.all(
        f"SELECT t.*, o.ref AS unit FROM template t JOIN organisation o ON o.id = t.unit_id WHERE {' AND '.join(where)}", *values
    )
    place = {unit: number for number, unit in enumerate(path)}
    return sorted(rows, key=lambda row: (row["name"], row["channel"], row["language"], place[row["unit_id"]], row["id"]))


def effective(view: View, path: Sequence[str], filters: dict[str, Any] | None = None) -> list[Row]:
    """What a node can use: of each (name, channel, language) the nearest up the tree. An overridden kind filters too."""
    kind = (filters or {}).get("kind")
    rows = on_path(view, path, {name: value for name, value in (filters or {}).items() if name != "kind"})
    nearest: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        nearest.setdefault((row["name"], row["channel"], row["language"]), row)
    return [row for row in nearest.values() if kind is None or row["kind"] == kind]


def template(view: View, organisation_id: str, template_id: str) -> Row | None:
    """One template of this organisation, archived or not."""
    return view.one(
        "SELECT t.*, o.ref AS unit FROM template t JOIN organisation o ON o.id = t.unit_id WHERE t.id = ? AND o.root_id = ?",
        template_id,
        organisation_id,
    )


def versions(view: View, template_id: str) -> list[Row]:
    """Every version, newest first."""
    return view.all("SELECT * FROM template_version WHERE template_id = ? ORDER BY version DESC", template_id)


def longest_names(view: View, organisation_id: str, most: int = 50) -> dict[str, list[str]]:
    """The longest names that candidates really have, to reckon with in the linter."""
    return {
        f"candidate.{column}": [
            row[column]
            for row in view.all(
                f"SELECT {column} FROM candidate WHERE organisation_id = ? AND erased_at IS NULL"
                f" ORDER BY LENGTH({column}) DESC LIMIT ?",
                organisation_id,
                most,
            )
        ]
        for column in ("first_name", "last_name")
    }
