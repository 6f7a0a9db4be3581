"""Reports: the counts of a period with names instead of ids, in the order a reader wants. Reads only."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from gateway.errors import Refused
from gateway.rules.periods import Period, days, months
from gateway.store import lists_credits, lists_reports
from gateway.store.database import Row, View

GROUPS = ("user", "country", "user,country", "case", "month")
CHARGEBACK_COLUMNS = ("month", "team", "team_name", "case_ref", "case_title", "messages", "segments", "credits")
LONGEST_DAYS = 3_660
SYSTEM = "system"
"""Who sent what nobody sent: answers to STOP and HELP."""


def check_period(first: date, last: date) -> None:
    """Raises Refused `period_reversed` or `period_too_long`."""
    if first > last:
        raise Refused("period_reversed", 422, "`from` lies after `to`.", field="from")
    if (last - first).days > LONGEST_DAYS or first.year < 2000 or last.year > 2099:
        raise Refused("period_too_long", 422, "A report covers at most ten years.", field="to")


def columns_of(group_by: str) -> tuple[str, ...]:
    """The columns of a report, in order."""
    names = {"user": ("user", "email"), "country": ("country",), "case": ("case_ref", "case_title"), "month": ("month",)}
    return tuple(name for group in group_by.split(",") for name in names[group]) + lists_reports.COUNTS


def usage(view: View, organisation_id: str, group_by: str, first: date, last: date, zone: str) -> dict[str, Any]:
    """Rows and their total. Days are those of the zone; both ends belong to the period. Raises Refused."""
    check_period(first, last)
    if group_by not in GROUPS:
        raise Refused("unknown_group", 422, f"group_by must be one of {' · '.join(GROUPS)}.", field="group_by")
    if group_by == "month":
        rows: list[dict[str, Any]] = [
            {"month": month, **_one(lists_reports.usage(view, organisation_id, period, ()))}
            for month, period in months(first, last, zone)
        ]
    else:
        rows = _grouped(view, organisation_id, group_by.split(","), days(first, last, zone))
    total = {name: sum(row[name] for row in rows) for name in lists_reports.COUNTS}
    return {
        "group_by": group_by,
        "from": first.isoformat(),
        "to": last.isoformat(),
        "zone": zone,
        "columns": list(columns_of(group_by)),
        "rows": rows,
        "total": total,
    }


def checked_usage(view: View, organisation_id: str, group_by: str, first: date, last: date, zone: str) -> dict[str, Any]:
    """The same, and beside it what the ledger charged in that period: `ledger`, and whether the two `agree`. Raises Refused."""
    found = usage(view, organisation_id, group_by, first, last, zone)
    period = days(first, last, zone)
    ledger = lists_credits.charged(view, organisation_id, period.start, period.end)
    return {**found, "ledger": ledger, "agree": ledger == found["total"]["credits"]}


def _one(found: dict[lists_reports.Key, dict[str, int]]) -> dict[str, int]:
    return found.get((), dict.fromkeys(lists_reports.COUNTS, 0))


def _grouped(view: View, organisation_id: str, groups: Sequence[str], period: Period) -> list[dict[str, Any]]:
    keys = [{"user": "user_id", "country": "country", "case": "case_id"}[group] for group in groups]
    people = lists_reports.people(view, organisation_id) if "user" in groups else {}
    cases = lists_reports.cases(view, organisation_id) if "case" in groups else {}
    rows: list[tuple[list[str], dict[str, Any]]] = []
    for key, counts in lists_reports.usage(view, organisation_id, period, keys).items():
        shown: dict[str, Any] = {}
        for group, value in zip(groups, key, strict=True):
            if group == "user":
                shown.update(_user(people, value))
            elif group == "case":
                shown.update(_case(cases, value))
            else:
                shown["country"] = value
        rows.append(([str(value or "") for value in shown.values()], {**shown, **counts}))
    return [row for _, row in sorted(rows, key=lambda named: named[0])]


def pseudonym(user_id: str) -> str:
    """What stands for a user who is gone; the same one everywhere."""
    return f"former user {user_id[-6:]}"


def _user(people: dict[str, Row], user_id: str | None) -> dict[str, Any]:
    if user_id is None:
        return {"user": SYSTEM, "email": None}
    person = people.get(user_id)
    if person is None or person["email"].endswith(GONE):
        return {"user": pseudonym(user_id), "email": None}
    return {"user": person["name"], "email": person["email"]}


GONE = "@former.invalid"
"""The address of a user who was deleted."""


def _case(cases: dict[str, Row], case_id: str | None) -> dict[str, Any]:
    if case_id is None:
        return {"case_ref": None, "case_title": None}
    case = cases.get(case_id)
    return {"case_ref": None, "case_title": None} if case is None else {"case_ref": case["ref"], "case_title": case["title"]}
