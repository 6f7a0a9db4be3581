"""What to charge back to whom: accounting months by team and case, of the whole organisation or of a unit and all below it."""

from datetime import date
from typing import Any

from gateway.flows.facts import tree
from gateway.flows.reports import CHARGEBACK_COLUMNS, check_period
from gateway.flows.rights import below
from gateway.store import lists_reports
from gateway.store.database import View

COUNTS = ("messages", "segments", "credits")


def chargeback(view: View, organisation_id: str, unit_id: str, first: str, last: str) -> dict[str, Any]:
    """Rows, their total, and the teams with the sum of their cases, dearest first. Raises Refused `period_reversed`."""
    check_period(date.fromisoformat(f"{first}-01"), date.fromisoformat(f"{last}-01"))
    rows = lists_reports.chargeback(view, organisation_id, first, last)
    if unit_id != organisation_id:
        nodes = tree(view, organisation_id)
        refs = {nodes[each]["ref"] for each in below(view, organisation_id, unit_id)}
        rows = [row for row in rows if row["team"] in refs]
    teams: dict[str | None, dict[str, Any]] = {}
    for row in rows:
        team = teams.setdefault(row["team"], {"team": row["team"], "name": row["team_name"], **dict.fromkeys(COUNTS, 0)})
        for name in COUNTS:
            team[name] += row[name]
    return {
        "from": first,
        "to": last,
        "columns": CHARGEBACK_COLUMNS,
        "rows": rows,
        "teams": sorted(teams.values(), key=lambda team: (-team["credits"], team["team"] or "")),
        "total": {name: sum(row[name] for row in rows) for name in COUNTS},
    }
