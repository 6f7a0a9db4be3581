"""Usage as reports show it, counted from the messages and the ledger.

A message counts in the period in which it was settled: when the network took it, or when it ended. Its ledger row is written at
the same moment, so segments and credits are those of the ledger, exactly. Answers and opt-outs count when they came.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway.rules.periods import Period
from gateway.store.database import Row, View

_DAY_MS = 86_400_000
"""Days of UTC, as the indexes of reports have them."""
_EPOCH = date(1970, 1, 1).toordinal()
COUNTS = ("sent", "delivered", "failed", "inbound", "segments", "credits", "opt_outs")
KEYS = ("user_id", "country", "case_id")

Key = tuple[str | None, ...]


def usage(view: View, organisation_id: str, period: Period, keys: Sequence[str]) -> dict[Key, dict[str, int]]:
    """The counts by `keys` (of KEYS; none: one row). A key without a value is None; a country without one is ZZ."""
    found: dict[Key, dict[str, int]] = {}
    for question in _QUESTIONS:
        for when, values in stretches(question.at, period):
            for row in view.all(question.sql(keys, when), organisation_id, *values):
                _add(found, tuple(row[key] for key in keys), row)
    return found


def stretches(at: str, period: Period) -> list[tuple[str, tuple[int, ...]]]:
    """A period as conditions on the column `at`, each with its values: no moment is in two of them.

    They are those of the indexes: whole days of UTC, where no row's own moment need be looked at, and what is left at either end.
    """
    day, first, last = f"{at} / {_DAY_MS}", -(-period.start // _DAY_MS), period.end // _DAY_MS
    if first > last:  # within a day
        return [(f"{day} = ? AND {at} >= ? AND {at} < ?", (last, period.start, period.end))]
    found: list[tuple[str, tuple[int, ...]]] = []
    if period.start < first * _DAY_MS:
        found.append((f"{day} = ? AND {at} >= ?", (first - 1, period.start)))
    if first < last:
        found.append((f"{day} >= ? AND {day} < ?", (first, last)))
    if last * _DAY_MS < period.end:
        found.append((f"{day} = ? AND {at} < ?", (last, period.end)))
    return found


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
        daily = f"SELECT {fine}, {counts} {of} GROUP BY {self.at} / {_DAY_MS}, {fine}"
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
        f"  WHERE organisation_id = ? AND kind = 'settle' AND at / {_DAY_MS} >= ? AND month >= ? AND month <= ?"
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
