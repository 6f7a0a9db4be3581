"""What a spreadsheet of people would change, cell by cell: the dry run that a person reads before they say yes (S47)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.flows import people_csv
from gateway.flows.facts import tree
from gateway.flows.people_csv import COLUMNS, Result
from gateway.flows.rights import Acting
from gateway.store import lists_people, setup
from gateway.store.database import Transaction, View, compact


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of the file: `created`, `changed` or `same`; of each column that changes, what stands now and what would."""

    line: int
    email: str
    name: str
    action: str
    cells: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows, how many of each sort, and the seats in use before and after (`total` None: no limit)."""

    rows: list[Difference]
    created: int
    changed: int
    same: int
    seats_before: int
    seats_after: int
    seats_total: int | None

    @property
    def fingerprint(self) -> str:
        """What a person agreed to: it changes with any difference."""
        told = [[row.line, row.email, row.action, dict(row.cells)] for row in self.rows]
        return hashlib.sha256(compact([told, self.seats_after]).encode()).hexdigest()[:32]


class Undo(Exception):
    """Takes a dry run back; carries what it would have done."""

    def __init__(self, found: Comparison) -> None:
        super().__init__()
        self.found = found


def take(tx: Transaction, by: Acting, text: str, now: int) -> Comparison:
    """Take a file, all rows or none, and tell what changed. Raises what `people_csv.take` raises."""
    before, used = _everybody(tx, by), setup.seats(tx, by.organisation_id)[1]
    results = people_csv.take(tx, by, text, now)
    after, seats = _everybody(tx, by), setup.seats(tx, by.organisation_id)
    count = {action: sum(result.action == action for result in results) for action in ("created", "changed", "same")}
    return Comparison(
        [_difference(result, before.get(result.email, {}), after[result.email]) for result in results],
        **count,
        seats_before=used,
        seats_after=seats[1],
        seats_total=seats[0],
    )


def _everybody(view: View, by: Acting) -> dict[str, dict[str, str]]:
    units = tree(view, by.organisation_id)
    rows = lists_people.everybody(view, by.organisation_id)
    return {row["email"]: dict(zip(COLUMNS, people_csv.cells(row, units), strict=True)) for row in rows}


def _difference(result: Result, before: Mapping[str, str], after: Mapping[str, str]) -> Difference:
    shown = [column for column in COLUMNS[1:-1] if before.get(column, "") != after[column]]
    cells = {column: (before.get(column, ""), after[column]) for column in shown}
    return Difference(result.line, result.email, after["name"], result.action, cells)
