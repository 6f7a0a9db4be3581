"""Usage as reports show it, counted from the messages and the ledger.

Days that were added up ahead (`gateway.flows.usage_days`) are read as they were counted, all others row by row.

A message counts in the period in which it was settled: when the network took it, or when it ended. Its ledger row is written at
the same moment, so segments and credits are those of the ledger, exactly. Answers and opt-outs count when they came.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from gateway.rules.periods import Period
from gateway.store.database import Row, View

DAY_MS = 86_400_000
"""Days of UTC, as the indexes of reports have them."""
_EPOCH = date(1970, 1, 1).toordinal()
COUNTS = ("sent", "delivered", "failed", "inbound", "segments", "credits", "opt_outs")
KEYS = ("user_id", "country", "case_id")

Key = tuple[str | None, ...]


def usage(view: View, organisation_id: str, period: Period, keys: Sequence[str]) -> dict[Key, dict[str, int]]:
    """The counts by `keys` (of KEYS; none: one row). A key without a value is None; a country without one is ZZ."""
    found: dict[Key, dict[str, int]] = {}
    first, last = whole_days(period)
    days = [] if "case_id" in keys else counted(view, organisation_id, first, last)
    if days:
        for row in view.all(_counted_sql(keys), organisation_id, first, last):
            _add(found, tuple(row[key] for key in keys), row)
    return usage_of_rows(view, organisation_id, period, keys, without=days, found=found)


def usage_of_rows(
    view: View,
    organisation_id: str,
    period: Period,
    keys: Sequence[str],
    *,
    without: Collection[int] = (),
    found: dict[Key, dict[str, int]] | None = None,
) -> dict[Key, dict[str, int]]:
    """The same from the rows themselves, `without` some days of UTC; added to what was `found` already."""
    found = {} if found is None else found
    for question in _QUESTIONS:
        for when, values in stretches(question.at, period, without):
            for row in view.all(question.sql(keys, when), organisation_id, *values):
                _add(found, tuple(row[key] for key in keys), row)
    return found


def counted(view: View, organisation_id: str, first: int, end: int) -> list[int]:
    """The days of UTC (since 1970) from `first` to before `end` that are added up in `usage_day`, in order."""
    rows = view.all(
        "SELECT day FROM usage_counted WHERE organisation_id = ? AND day >= ? AND day < ? AND counted = 1 ORDER BY day",
        organisation_id,
        first,
        end,
    )
    return [row["day"] for row in rows]


def next_day(view: View, organisation_id: str, first: int) -> int | None:
    """The earliest day of UTC from `first` on in which anything counts."""
    days = []
    for question in _QUESTIONS:
        day = f"{question.at} / {DAY_MS}"
        of = f"FROM {question.table} WHERE organisation_id = ? AND {day} >= ?{question.only}"
        days.append(view.value(f"SELECT {day} AS day {of} ORDER BY {day} LIMIT 1", organisation_id, first))
    return min((int(day) for day in days if day is not None), default=None)


def _counted_sql(keys: Sequence[str]) -> str:
    columns = [{"user_id": "NULLIF(d.user_id, '') AS user_id", "country": "d.country"}[key] for key in keys]
    sums = [f"SUM(d.{name}) AS {name}" for name in COUNTS]
    groups = f" GROUP BY {', '.join(f'd.{key}' for key in keys)}" if keys else ""
    return (
        f"SELECT {', '.join(columns + sums)} FROM usage_counted c"
        " JOIN usage_day d ON d.organisation_id = c.organisation_id AND d.day = c.day"
        f" WHERE c.organisation_id = ? AND c.day >= ? AND c.day < ? AND c.counted = 1{groups}"
    )


def stretches(at: str, period: Period, without: Collection[int] = ()) -> list[tuple[str, tuple[int, ...]]]:
    """A period as conditions on the column `at`, each with its values: no moment is in two of them.

    They are those of the indexes: whole days of UTC, where no row's own moment need be looked at, and what is left at either end.
    `without` names whole days to leave out.
    """
    day = f"{at} / {DAY_MS}"
    first, last = whole_days(period)
    if first > last:  # within a day
        return [(f"{day} = ? AND {at} >= ? AND {at} < ?", (last, period.start, period.end))]
    found: list[tuple[str, tuple[int, ...]]] = []
    if period.start < first * DAY_MS:
        found.append((f"{day} = ? AND {at} >= ?", (first - 1, period.start)))
    found += [(f"{day} >= ? AND {day} < ?", run) for run in _runs(first, last, without)]
    if last * DAY_MS < period.end:
        found.append((f"{day} = ? AND {at} < ?", (last, period.end)))
    return found


def whole_days(period: Period) -> tuple[int, int]:
    """The first day of UTC that lies wholly in the period and the one after the last; the greater first where there is none."""
    return -(-period.start // DAY_MS), period.end // DAY_MS


def _runs(first: int, end: int, without: Collection[int]) -> list[tuple[int, int]]:
    """What is left of some days, as runs: each its first day and the one after its last."""
    edges = [first - 1, *sorted(day for day in without if first <= day < end), end]
    return [(before + 1, after) for before, after in pairwise(edges) if before + 1 < after]


def _add(found: dict[Key, dict[str, int]], key: Key, row: Row) -> None:
    counts = found.setdefault(key, dict.fromkeys(COUNTS, 0))
    for name, value in dict(row).items():
        if name in counts:
            counts[name] += int(value or 0)


@dataclass(frozen=True, slots=True)
class _Question:
    """What one table counts: columns and the aggregates of them, when each row counts, and the columns that hold the keys."""

    table: str
    counts: dict[str, str]
    at: str
    user_id: str = "user_id"
    case_id: str = "case_id"
    country: str = "country"
    only: str = ""

    def sql(self, keys: Sequence[str], when: str) -> str:
        """The statement for a stretch of time; its values are the organisation and those of the stretch.

        By author and country the rows are first added up for each day, in the order of the index, which leaves few to be sorted.
        """
        columns = {key: getattr(self, key) for key in keys}
        counts = ", ".join(f"{aggregate} AS {name}" for name, aggregate in self.counts.items())
        of = f"FROM {self.table} WHERE organisation_id = ? AND {when}{self.only}"
        if not keys:
            return f"SELECT {counts} {of}"
        if "case_id" in keys:
            return f"SELECT {_named(columns)}, {counts} {of} GROUP BY {', '.join(columns.values())}"
        fine = ", ".join([self.user_id, *([self.country] if "country" in keys else [])])
        daily = f"SELECT {fine}, {counts} {of} GROUP BY {self.at} / {DAY_MS}, {fine}"
        sums = ", ".join(f"SUM({name}) AS {name}" for name in self.counts)
        return f"SELECT {_named(columns)}, {sums} FROM ({daily}) AS daily GROUP BY {', '.join(columns.values())}"


def _named(columns: dict[str, str]) -> str:
    shown = {**columns, **({"country": f"COALESCE(NULLIF({columns['country']}, ''), 'ZZ')"} if "country" in columns else {})}
    return ", ".join(f"{column} AS {key}" for key, column in shown.items())


_QUESTIONS = (
    _Question(
        "message",
        {
            "sent": "COUNT(sent_at)",
            "delivered": "COUNT(CASE WHEN state = 'delivered' THEN 1 END)",
            "failed": "COUNT(CASE WHEN state = 'delivered' THEN NULL"  # the many first: most rows are done with one comparison
            " WHEN state IN ('failed', 'undelivered', 'expired', 'unknown') THEN 1 END)",
        },
        "settled_at",
        only=" AND settled_at IS NOT NULL",
    ),
    _Question("ledger", {"segments": "SUM(parts)", "credits": "SUM(charged)"}, "at", only=" AND kind = 'settle'"),
    _Question("received", {"inbound": "COUNT(*)"}, "received_at", "answers_user_id", "answers_case_id", "from_country"),
    _Question("opt_out", {"opt_outs": "COUNT(*)"}, "at"),
)


def people(view: View, organisation_id: str) -> dict[str, Row]:
    """Everybody of an organisation by id."""
    return {row["id"]: row for row in view.all("SELECT id, name, email FROM app_user WHERE organisation_id = ?", organisation_id)}


def cases(view: View, organisation_id: str) -> dict[str, Row]:
    """Every case of an organisation by id."""
    return {
        row["id"]: row for row in view.all("SELECT id, ref, title FROM hiring_case WHERE organisation_id = ?", organisation_id)
    }


def chargeback(view: View, organisation_id: str, first: str, last: str) -> list[dict[str, Any]]:
    """What was charged by accounting month (fixed at accept), unit and case; the sum is the ledger's."""
    rows = view.all(
        "SELECT l.month, o.ref AS team, o.name AS team_name, k.ref AS case_ref, k.title AS case_title,"
        " messages, segments, credits"
        " FROM (SELECT month, unit_id, case_id, COUNT(*) AS messages, SUM(parts) AS segments, SUM(charged) AS credits FROM ledger"
        f"  WHERE organisation_id = ? AND kind = 'settle' AND at / {DAY_MS} >= ? AND month >= ? AND month <= ?"
        "  GROUP BY month, unit_id, case_id) AS l"
        " LEFT JOIN organisation o ON o.id = l.unit_id LEFT JOIN hiring_case k ON k.id = l.case_id"
        " ORDER BY l.month, COALESCE(o.ref, ''), COALESCE(k.ref, '')",
        organisation_id,
        date.fromisoformat(f"{first}-01").toordinal() - _EPOCH - 1,  # nothing is settled before its month, anywhere
        first,
        last,
    )
    return [{**dict(row), **{name: int(row[name] or 0) for name in ("messages", "segments", "credits")}} for row in rows]


def waiting_grants(view: View, organisation_id: str) -> list[Row]:
    """Grants that nobody has approved yet, oldest first."""
    return view.all(
        "SELECT * FROM grant_request WHERE organisation_id = ? AND state = 'waiting' ORDER BY asked_at, id", organisation_id
    )
