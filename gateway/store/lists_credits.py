"""Credits as the pages show them: balance, ledger, the balance of the last days, grants that wait, months of the units.

The ledger is paged by key, newest first (`before` is the last key of the page above), never by OFFSET.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from gateway.rules.periods import Period
from gateway.store.database import Row, View
from gateway.store.lists_reports import counted, stretches, whole_days

NO_END = 2**62
"""Today has no end: what a clock that was set back stamped ahead counts as today's."""


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One entry of the ledger: `amount` moved the balance, `charged` is what a settled message cost."""

    id: int
    at: int
    kind: str
    amount: int
    charged: int
    reference: str | None
    message_id: str | None
    unit: str | None
    by: str


@dataclass(frozen=True, slots=True)
class Day:
    """The balance at the end of a day (today: now), and what was reserved and topped up on it."""

    date: date
    balance: int
    spent: int
    granted: int


@dataclass(frozen=True, slots=True)
class Credits:
    """An organisation's credits: balance, a page of the ledger, the last days.

    `full` is the balance after the last grant, `told` the lowest threshold told since then (100: none).
    """

    available: int
    reserved: int
    lines: list[LedgerLine]
    older: int | None
    days: list[Day]
    full: int = 0
    told: int = 100

    @property
    def percent(self) -> int:
        """How much of the balance after the last grant is left, in whole percents."""
        return 0 if self.full <= 0 else min(100, self.available * 100 // self.full)

    @property
    def lasts(self) -> int | None:
        """For how many days the balance lasts at the pace of the days shown; None where nothing was spent."""
        spent = sum(day.spent for day in self.days)
        return None if spent <= 0 else self.available * len(self.days) // spent


def credits(
    view: View,
    organisation_id: str,
    *,
    now: int,
    zone: tzinfo,
    before: int | None = None,
    limit: int = 30,
    days: int = 30,
    grants_only: bool = False,
) -> Credits:
    """Balance, ledger (all of it, or the grants) and the balance of the last days (days as in `zone`)."""
    balance = view.one("SELECT available, reserved, full_at, told FROM balance WHERE organisation_id = ?", organisation_id)
    lines, older = _ledger(view, organisation_id, before, limit, grants_only)
    if balance is None:
        return Credits(0, 0, lines, older, _days(view, organisation_id, 0, now, zone, days))
    history = _days(view, organisation_id, balance["available"], now, zone, days)
    return Credits(balance["available"], balance["reserved"], lines, older, history, balance["full_at"], balance["told"])


def _ledger(
    view: View, organisation_id: str, before: int | None, limit: int, grants_only: bool
) -> tuple[list[LedgerLine], int | None]:
    # Only grants have a reference, so that its index finds them; `+` keeps the planner from walking back through the ledger.
    where, order = "l.organisation_id = ?", "l.id"
    if grants_only:
        where, order = "l.organisation_id = ? AND l.reference IS NOT NULL", "+l.id"
    values: list[Any] = [organisation_id]
    if before is not None:
        where, values = where + f" AND {order} < ?", [organisation_id, before]
    rows = view.all(
        "SELECT l.id, l.at, l.kind, l.amount, l.charged, l.reference, l.message_id, l.actor, o.name AS unit FROM ledger l"
        f" LEFT JOIN organisation o ON o.id = l.unit_id WHERE {where} ORDER BY {order} DESC LIMIT ?",
        *values,
        limit + 1,
    )
    names = actors(view, {row["actor"] for row in rows})
    lines = [
        LedgerLine(
            id=row["id"],
            at=row["at"],
            kind=row["kind"],
            amount=row["amount"],
            charged=row["charged"],
            reference=row["reference"],
            message_id=row["message_id"],
            unit=row["unit"],
            by=names[row["actor"]],
        )
        for row in rows[:limit]
    ]
    return lines, lines[-1].id if len(rows) > limit else None


def _days(view: View, organisation_id: str, available: int, now: int, zone: tzinfo, count: int) -> list[Day]:
    """Backwards from today's balance, so that the chart ends at the figure beside it; each day summed from the index alone.

    What is settled moves nothing, and is not in that index; grants, which are few, are found by their reference.
    """
    today = datetime.fromtimestamp(now / 1000, zone).date()
    dates = [today - timedelta(days=back) for back in range(count)]
    starts = [int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000) for day in dates]
    grants = view.all(
        "SELECT at, amount FROM ledger WHERE organisation_id = ? AND reference IS NOT NULL AND at >= ? AND kind = 'grant'",
        organisation_id,
        starts[-1],
    )
    history: list[Day] = []
    balance, end = available, NO_END
    for day, start in zip(dates, starts, strict=True):
        moved = view.value(
            "SELECT SUM(amount) AS moved FROM ledger WHERE organisation_id = ? AND at >= ? AND at < ? AND kind <> 'settle'",
            organisation_id,
            start,
            end,
        )
        change, grant = int(moved or 0), sum(row["amount"] for row in grants if start <= row["at"] < end)
        history.append(Day(day, balance, grant - change, grant))
        balance, end = balance - change, start
    return history[::-1]


def entries(view: View, organisation_id: str, month: str, after: int, limit: int) -> list[dict[str, Any]]:
    """Entries of an accounting month, oldest first, as a file tells them."""
    rows = view.all(
        "SELECT l.id, l.at, l.kind AS what, l.amount AS credits, l.charged, l.parts, l.reference, o.ref AS unit, l.country,"
        " l.actor, l.message_id, l.month FROM ledger l LEFT JOIN organisation o ON o.id = l.unit_id"
        " WHERE l.organisation_id = ? AND l.id > ? AND l.month = ? ORDER BY l.id LIMIT ?",
        organisation_id,
        after,
        month,
        limit,
    )
    names = actors(view, {row["actor"] for row in rows})
    return [{**dict(row), "by": names[row["actor"]]} for row in rows]


def actors(view: View, wanted: Collection[str]) -> dict[str, str]:
    """Names for actor strings: people and keys by name, the rest as they are."""
    names = {actor: actor for actor in wanted}
    for kind, table in (("user", "app_user"), ("key", "api_key")):
        ids = sorted(actor.partition(":")[2] for actor in wanted if actor.startswith(f"{kind}:"))
        if ids:
            marks = ", ".join("?" * len(ids))
            for row in view.all(f"SELECT id, name FROM {table} WHERE id IN ({marks})", *ids):
                names[f"{kind}:{row['id']}"] = row["name"]
    return names


def waiting(view: View, organisation_id: str) -> list[dict[str, Any]]:
    """Grants that wait for somebody's yes, oldest first, with the name of who asked."""
    rows = view.all(
        "SELECT * FROM grant_request WHERE organisation_id = ? AND state = 'waiting' ORDER BY asked_at, id", organisation_id
    )
    names = actors(view, {row["asked_by"] for row in rows})
    return [{**dict(row), "asker": names[row["asked_by"]]} for row in rows]


def decided(view: View, organisation_id: str, limit: int = 5) -> list[dict[str, Any]]:
    """The last grants that were asked for and decided, newest first."""
    rows = view.all(
        "SELECT * FROM grant_request WHERE organisation_id = ? AND state <> 'waiting' ORDER BY decided_at DESC LIMIT ?",
        organisation_id,
        limit,
    )
    names = actors(view, {name for row in rows for name in (row["asked_by"], row["decided_by"]) if name})
    return [{**dict(row), "asker": names[row["asked_by"]], "decider": names.get(row["decided_by"], "")} for row in rows]


def months(view: View, units: Collection[str], count: int = 6) -> dict[str, list[Mapping[str, Any]]]:
    """By unit the last months of its allowance, newest first."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for unit_id in units:
        rows: list[Row] = view.all(
            "SELECT month, monthly, carried, used FROM allowance_month WHERE unit_id = ? ORDER BY month DESC LIMIT ?",
            unit_id,
            count,
        )
        found[unit_id] = [dict(row) for row in rows]
    return found


def charged(view: View, organisation_id: str, start: int, end: int) -> int:
    """The credits that the ledger charged in a period: what every report of it must come to."""
    period = Period(start, end)
    first, last = whole_days(period)
    known = view.value(
        "SELECT SUM(c.charged) AS total FROM usage_counted c"
        " WHERE c.organisation_id = ? AND c.day >= ? AND c.day < ? AND c.counted = 1",
        organisation_id,
        first,
        last,
    )
    return int(known or 0) + charged_rows(view, organisation_id, period, counted(view, organisation_id, first, last))


def charged_rows(view: View, organisation_id: str, period: Period, without: Collection[int] = ()) -> int:
    """The same from the ledger's lines themselves, `without` some days of UTC."""
    total = 0
    for when, values in stretches("at", period, without):
        sql = f"SELECT SUM(charged) AS total FROM ledger WHERE organisation_id = ? AND kind = 'settle' AND {when}"
        total += int(view.value(sql, organisation_id, *values) or 0)
    return total
