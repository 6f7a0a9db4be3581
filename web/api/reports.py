"""Reports: usage by user, country, both, case or month; and what to charge back to whom. JSON, or CSV with `format=csv`."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from flask import Response, request
from pydantic import Field, StringConstraints

from gateway.flows import reports as flow
from gateway.flows.facts import organisation
from gateway.rules.periods import today
from gateway.rules.permissions import REPORTS_VIEW
from gateway.rules.spreadsheets import csv_text
from gateway.store import lists_reports
from gateway.store.database import View
from gateway.store.setup import check_zone
from web.answers import answer, ready
from web.api.acting import As, allowed
from web.api.resource import Resource
from web.guards import Call
from web.inputs import Ref

reports = Resource("reports", "Reports")

Month = Annotated[str, StringConstraints(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]


class _Asked(As):
    """For whom, and in which form."""

    format: Literal["json", "csv"] | None = None


class Usage(_Asked):
    """`from` and `to` are days, both included, in `zone` (default: the organisation's); without them this month so far."""

    group_by: Literal["user", "country", "user,country", "case", "month"] = "user"
    zone: Ref | None = None
    from_: Annotated[date | None, Field(alias="from")] = None
    to: date | None = None


class Chargeback(_Asked):
    """Accounting months, both included; a message belongs to the month in which it was accepted."""

    from_: Annotated[Month | None, Field(alias="from")] = None
    to: Month | None = None


@reports.ask("/reports/usage", scope="reports:read")
def usage(call: Call, query: Usage) -> Response:
    """Messages sent, delivered and failed, answers, segments, credits and opt-outs. The credits are the ledger's, exactly."""
    with call.database.read() as view:
        zone = query.zone or _home(view, call, query.user)
        check_zone(zone)
        last = query.to or today(call.now, zone)
        first = query.from_ or last.replace(day=1)
        found = flow.usage(view, call.organisation_id, query.group_by, first, last, zone)
    return _told(query.format, f"usage-{first}-{last}", found["columns"], found["rows"], found)


@reports.ask("/reports/chargeback", scope="reports:read")
def chargeback(call: Call, query: Chargeback) -> Response:
    """What was charged, by month, team (the unit that owns the case) and case."""
    with call.database.read() as view:
        now = today(call.now, _home(view, call, query.user))
        before = f"{now.replace(day=1) - timedelta(days=1):%Y-%m}"
        first = query.from_ or query.to or before
        last = query.to or query.from_ or before
        flow.check_period(date.fromisoformat(f"{first}-01"), date.fromisoformat(f"{last}-01"))
        rows = lists_reports.chargeback(view, call.organisation_id, first, last)
    total = {name: sum(row[name] for row in rows) for name in ("messages", "segments", "credits")}
    value = {"from": first, "to": last, "columns": list(flow.CHARGEBACK_COLUMNS), "rows": rows, "total": total}
    return _told(query.format, f"chargeback-{first}-{last}", flow.CHARGEBACK_COLUMNS, rows, value)


def _home(view: View, call: Call, user: str | None) -> str:
    """The organisation's zone, once it is sure that the reader may read. Raises Refused."""
    allowed(view, call, user, REPORTS_VIEW)
    return str(organisation(view, call.organisation_id)["zone"])


def _told(form: str | None, name: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], value: Any) -> Response:
    wants_csv = request.accept_mimetypes.best_match(("application/json", "text/csv")) == "text/csv"
    if form == "csv" or (form is None and wants_csv):
        headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        return ready(200, csv_text(columns, rows), headers, mimetype="text/csv; charset=utf-8; header=present")
    return answer(200, value)
