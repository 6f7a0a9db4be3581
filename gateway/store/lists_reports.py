"""Usage as reports show it, counted from the messages and the ledger.

A message counts in the period in which it was settled: when the network took it, or when it ended. Its ledger row is written at
the same moment, so segments and credits are those of the ledger, exactly. Answers and opt-outs count when they came.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from gateway.rules.periods import Period
from gateway.store.database import Row, View

_DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1).toordinal()
COUNTS = ("sent", "delivered", "failed", "inbound", "segments", "credits", "opt_outs")
KEYS = ("user_id", "country", "case_id")

Key = tuple[str | None, ...]


def usage(view: View, organisation_id: str, period: Period, keys: Sequence[str]) -> dict[Key, dict[str, int]]:
    """The counts by `keys` (of KEYS; none: one row). A key without a value is None; a country without one is ZZ."""
    found: dict[Key, dict[str, int]] = {}
    for sql, columns in _QUESTIONS:
        given = [columns[key] for key in keys]
        groups = "".join(f"{expression} AS {key}, " for key, expression in zip(keys, given, strict=True))
        by = f" GROUP BY {', '.join(given)}" if given else ""
        for row in view.all(sql.format(groups=groups) + by, organisation_id, period.start, period.end):
            _add(found, tuple(row[key] for key in keys), row)
    return found


def _add(found: dict[Key, dict[str, int]], key: Key, row: Row) -> None:
    counts = found.setdefault(key, dict.fromkeys(COUNTS, 0))
    for name, value in dict(row).items():
        if name in counts:
            counts[name] += int(value or 0)


def _columns(user: str, case: str, country: str) -> dict[str, str]:
    return {"user_id": user, "case_id": case, "country": f"COALESCE(NULLIF({country}, ''), 'ZZ')"}


_QUESTIONS = (
    (
        "SELECT {groups}SUM(CASE WHEN sent_at IS NOT NULL THEN 1 ELSE 0 END) AS sent,"
        " SUM(CASE WHEN state = 'delivered' THEN 1 ELSE 0 END) AS delivered,"
        " SUM(CASE WHEN state IN ('failed', 'undelivered', 'expired', 'unknown') THEN 1 ELSE 0 END) AS failed"
        " FROM message WHERE organisation_id = ? AND settled_at >= ? AND settled_at < ?",
        _columns("user_id", "case_id", "country"),
    ),
    (
        "SELECT {groups}SUM(parts) AS segments, SUM(charged) AS credits"
        " FROM ledger WHERE organisation_id = ? AND kind = 'settle' AND at >= ? AND at < ?",
        _columns("user_id", "case_id", "country"),
    ),
    (
        "SELECT {groups}COUNT(*) AS inbound FROM received WHERE organisation_id = ? AND received_at >= ? AND received_at < ?",
        _columns("answers_user_id", "answers_case_id", "from_country"),
    ),
    (
        "SELECT {groups}COUNT(*) AS opt_outs FROM opt_out WHERE organisation_id = ? AND at >= ? AND at < ?",
        _columns("user_id", "case_id", "country"),
    ),
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
        "  WHERE organisation_id = ? AND kind = 'settle' AND at >= ? AND month >= ? AND month <= ?"
        "  GROUP BY month, unit_id, case_id) AS l"
        " LEFT JOIN organisation o ON o.id = l.unit_id LEFT JOIN hiring_case k ON k.id = l.case_id"
        " ORDER BY l.month, COALESCE(o.ref, ''), COALESCE(k.ref, '')",
        organisation_id,
        _DAY_MS * (date.fromisoformat(f"{first}-01").toordinal() - _EPOCH - 1),  # nothing is settled before its month, anywhere
        first,
        last,
    )
    return [{**dict(row), **{name: int(row[name] or 0) for name in ("messages", "segments", "credits")}} for row in rows]


def waiting_grants(view: View, organisation_id: str) -> list[Row]:
    """Grants that nobody has approved yet, oldest first."""
    return view.all(
        "SELECT * FROM grant_request WHERE organisation_id = ? AND state = 'waiting' ORDER BY asked_at, id", organisation_id
    )
