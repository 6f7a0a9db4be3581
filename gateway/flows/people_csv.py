"""Users as CSV, down and up again (S47): one row per person, known by e-mail address; all rows are taken, or none."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.errors import Refused
from gateway.flows import people
from gateway.flows.facts import tree
from gateway.flows.people import Change
from gateway.flows.rights import Acting
from gateway.rules import spreadsheets
from gateway.rules.permissions import USERS_VIEW
from gateway.store import lists_people, setup
from gateway.store.database import Row, Transaction, View

COLUMNS = ("email", "name", "unit", "roles", "seat", "active", "last_used_at")
"""`last_used_at` is told, never taken."""
MOST_ROWS = 5_000
_YES, _NO = frozenset({"yes", "true", "1", "x"}), frozenset({"no", "false", "0", ""})


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one row: `created`, `changed` or `same`, and which columns changed."""

    line: int
    email: str
    action: str
    changed: tuple[str, ...]


class Undo(Exception):
    """Takes a dry run back; carries what it would have done."""

    def __init__(self, results: list[Result]) -> None:
        super().__init__()
        self.results = results


def export(tx: Transaction, by: Acting, delimiter: str, now: int) -> str:
    """Every person of the organisation that the asker may see, as a file. Audited."""
    by.require(tx, USERS_VIEW)
    units = tree(tx, by.organisation_id)
    rows = lists_people.everybody(tx, by.organisation_id)
    tx.audit(now, by.actor, "users.export", by.organisation_id, {"users": len(rows), **by.told})
    return spreadsheets.write(COLUMNS, [cells(row, units) for row in rows], delimiter)


def cells(row: Row, units: Mapping[str, Row]) -> list[str]:
    """A person as a row of the file."""
    used = row["last_used_at"]
    return [
        row["email"],
        row["name"],
        units[row["unit_id"]]["ref"],
        " ".join(json.loads(row["roles"])),
        "yes" if row["seat"] else "no",
        "yes" if row["active"] else "no",
        "" if used is None else datetime.fromtimestamp(used / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    ]


def take(tx: Transaction, by: Acting, text: str, now: int) -> list[Result]:
    """Take a file. Raises Refused: `unknown_column`, `bad_row` with every bad line and its reason, `seat_limit`, `last_admin`."""
    setup.lock_people(tx, by.organisation_id)
    rows, bad = _rows(tx, by, text)
    results: list[Result] = []
    had_admins = setup.admins(tx, by.organisation_id) > 0
    before = setup.seats(tx, by.organisation_id)[1]
    # People without a seat first: a file may move a seat from one row to another, in whatever order they stand.
    for line, email, wanted in sorted(rows, key=lambda row: (row[2].seat is True, row[0])):
        try:
            results.append(_put(tx, by, line, email, wanted, now))
        except Refused as refused:
            bad.append(_reason(line, refused))
    if bad:
        raise _bad(bad)
    total, used = setup.seats(tx, by.organisation_id)
    if total is not None and used > max(total, before):
        text = f"The file needs {used} seats, and there are {total}."
        raise Refused("seat_limit", 409, text, field="seat", facts={"have": total, "want": used})
    if had_admins and not setup.admins(tx, by.organisation_id):
        raise setup.last_admin()
    results.sort(key=lambda result: result.line)
    done = {action: sum(result.action == action for result in results) for action in ("created", "changed", "same")}
    if done["created"] or done["changed"]:
        tx.audit(now, by.actor, "users.import", by.organisation_id, {**done, **by.told})
    tx.memo.clear()
    return results


def _rows(view: View, by: Acting, text: str) -> tuple[list[tuple[int, str, Change]], list[dict[str, Any]]]:
    """Every row of the file as what it asks for, and what is wrong with the others."""
    units = {row["ref"]: row["ref"] for row in tree(view, by.organisation_id).values()}
    header: list[str] | None = None
    found: list[tuple[int, str, Change]] = []
    bad: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    for line, cells in spreadsheets.read(text):
        if header is None:
            header = _header(line, cells)
            continue
        if len(found) + len(bad) >= MOST_ROWS:
            raise Refused("too_many_rows", 422, f"A file may have {MOST_ROWS} rows.", field="body")
        try:
            if len(cells) != len(header):
                raise Refused("wrong_cells", 422, f"This row has {len(cells)} cells, the header {len(header)}.")
            email, wanted = _wanted(dict(zip(header, cells, strict=True)), units)
            if email in seen:
                raise Refused("duplicate_email", 422, f"This address stands in line {seen[email]} already.", field="email")
            seen[email] = line
            found.append((line, email, wanted))
        except Refused as refused:
            bad.append(_reason(line, refused))
    if header is None:
        raise Refused("empty_file", 422, "The file has no header line.", field="body")
    return found, bad


def _header(line: int, cells: Sequence[str]) -> list[str]:
    header = [cell.strip().casefold() for cell in cells]
    for name in header:
        if name not in COLUMNS:
            raise Refused(
                "unknown_column",
                422,
                f"A column of the header is not known; there are {', '.join(COLUMNS)}.",
                field="header",
                facts={"column": name[:64], "line": line},
            )
    if "email" not in header or len(set(header)) != len(header):
        raise Refused("missing_column", 422, "The header needs the column email, and each column once.", field="header")
    return header


def _wanted(cells: Mapping[str, str], units: Mapping[str, str]) -> tuple[str, Change]:
    email = cells["email"].strip().lower()
    setup.check_email(email)
    unit = cells.get("unit", "").strip() or None
    if unit is not None and unit not in units:
        raise Refused("unit_not_found", 422, "There is no unit with this reference.", field="unit")
    roles = None
    if "roles" in cells:
        roles = sorted(set(cells["roles"].replace("|", " ").replace(",", " ").split()))
        setup.check_roles(roles)
    return email, Change(
        name=cells.get("name", "").strip() or None,
        roles=roles,
        seat=_flag(cells, "seat"),
        active=_flag(cells, "active"),
        unit=unit,
    )


def _flag(cells: Mapping[str, str], column: str) -> bool | None:
    if column not in cells:
        return None
    word = cells[column].strip().casefold()
    if word not in _YES | _NO:
        raise Refused("not_a_boolean", 422, f"{column} is yes or no.", field=column)
    if not word and column == "active":
        return None
    return word in _YES


def _put(tx: Transaction, by: Acting, line: int, email: str, wanted: Change, now: int) -> Result:
    row = tx.one("SELECT * FROM app_user WHERE email = ?" + tx.for_update, email)
    if row is None:
        people.create(tx, by, email, wanted, now, checks=False)
        return Result(line, email, "created", COLUMNS[:-1])
    if row["organisation_id"] != by.organisation_id:
        raise Refused("duplicate_email", 409, "This address belongs to another organisation.", field="email")
    after = people.change(tx, by, row["id"], wanted, None, now, checks=False)
    names = ("name", "unit_id", "roles", "seat", "active")
    changed = tuple(name.removesuffix("_id") for name in names if row[name] != after[name])
    return Result(line, email, "changed" if changed else "same", changed)


def _reason(line: int, refused: Refused) -> dict[str, Any]:
    return {"line": line, "column": refused.field, "code": refused.code, "reason": refused.detail}


def _bad(rows: list[dict[str, Any]]) -> Refused:
    rows.sort(key=lambda row: row["line"])
    first = rows[0]
    return Refused(
        "bad_row",
        422,
        f"Line {first['line']}: {first['reason']} Nothing was changed.",
        field=f"line {first['line']}",
        facts={"line": first["line"], "reason": first["reason"], "rows": rows[:100]},
    )
