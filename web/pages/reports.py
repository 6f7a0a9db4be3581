"""Usage of a period by user, country, both, case or month: bars, a table, a file; its sum beside the ledger's (S26, S27)."""

from datetime import date, timedelta
from http import HTTPStatus
from typing import Any, Final

from flask import Response, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.errors import Refused
from gateway.flows import reports as flow
from gateway.flows.facts import organisation
from gateway.rules.periods import today
from gateway.rules.permissions import REPORTS_VIEW
from gateway.rules.spreadsheets import csv_text
from gateway.store.database import View
from web import sessions
from web.pages import charts, door
from web.pages.asker import who
from web.pages.language import N_, _
from web.pages.territories import country_name

blueprint = door.pages("reports", __name__, "/admin/reports")

GROUPS: Final = {
    "user": N_("By user"),
    "country": N_("By country"),
    "user,country": N_("By user and country"),
    "case": N_("By case"),
    "month": N_("By month"),
}
PERIODS: Final = {
    "month": N_("This month"),
    "last": N_("Last month"),
    "quarter": N_("Last three months"),
    "year": N_("This year"),
}
KEYS: Final = {
    "user": N_("User"),
    "country": N_("Country"),
    "case_title": N_("Case"),
    "month": N_("Month"),
}
COUNTS: Final = {
    "sent": N_("Sent"),
    "delivered": N_("Delivered"),
    "failed": N_("Failed"),
    "inbound": N_("Answers"),
    "opt_outs": N_("Opt-outs"),
    "segments": N_("Parts"),
    "credits": N_("Credits"),
}
SHOWN: Final = 200
"""So many lines on a page, those that cost most; the file has all."""
BARS: Final = 15
WRONG: Final = {
    "period_reversed": N_("The first day lies after the last."),
    "period_too_long": N_("A report covers at most ten years, from 2000 on."),
}


@blueprint.get("")
@door.needs(REPORTS_VIEW)
def index() -> ResponseReturnValue:
    """A report as a page."""
    group_by = _group()
    found, problem = None, None
    with sessions.services().database.read() as view:
        allowed = _may(view)
    if not allowed:
        return render_template("reports/elsewhere.html"), HTTPStatus.FORBIDDEN
    with sessions.services().database.read() as view:
        first, last, zone, named = _period(view)
        try:
            found = flow.checked_usage(view, door.viewer().organisation_id, group_by, first, last, zone)
        except Refused as refused:
            if refused.code not in WRONG:
                raise
            problem = _(WRONG[refused.code])
    rows = [] if found is None else found["rows"]
    dear = rows if group_by == "month" else sorted(rows, key=lambda row: (-row["credits"], -row["sent"]))
    page = render_template(
        "reports/index.html",
        found=found,
        problem=problem,
        first=first,
        last=last,
        named=named,
        group_by=group_by,
        groups={key: (_(word), _there(group_by=key)) for key, word in GROUPS.items()},
        periods={key: (_(word), url_for("reports.index", group_by=group_by, period=key)) for key, word in PERIODS.items()},
        keys={key: word for key, word in KEYS.items() if found is not None and key in found["columns"]},
        counts=COUNTS,
        rows=dear[:SHOWN],
        more=len(dear) > SHOWN,
        drawn=[(_label(row), row["credits"], length) for row, length in _bars(dear)],
        chart=charts.line([row["credits"] for row in rows]) if group_by == "month" and rows else None,
        file=_there("reports.usage_csv", group_by=group_by, **{"from": first.isoformat(), "to": last.isoformat()}),
        country_name=country_name,
    )
    return page if problem is None else (page, HTTPStatus.UNPROCESSABLE_ENTITY)


@blueprint.get("/usage.csv")
@door.needs(REPORTS_VIEW)
def usage_csv() -> ResponseReturnValue:
    """The same as a file."""
    with sessions.services().database.read() as view:
        if not _may(view):
            abort(HTTPStatus.FORBIDDEN)
        first, last, zone, _named = _period(view)
        found = flow.usage(view, door.viewer().organisation_id, _group(), first, last, zone)
    named = {"Content-Disposition": f'attachment; filename="usage-{first}-{last}.csv"'}
    return Response(csv_text(found["columns"], found["rows"]), headers=named, content_type="text/csv; charset=utf-8")


def _may(view: View) -> bool:
    """A report counts the whole organisation: whoever reads it holds the right there."""
    return REPORTS_VIEW in (who(view).rights(view, door.viewer().organisation_id) or ())


def _group() -> str:
    group_by = request.args.get("group_by", "user")
    if group_by not in GROUPS:
        abort(HTTPStatus.BAD_REQUEST)
    return group_by


def _period(view: View) -> tuple[date, date, str, str]:
    """First and last day, the zone they are days of, and the name of the period where it has one."""
    zone: str = organisation(view, door.viewer().organisation_id)["zone"]
    now = today(sessions.services().clock.now_ms(), zone)
    named = request.args.get("period", "")
    if request.args.get("from") or request.args.get("to"):
        last = _day("to") or now
        return _day("from") or last.replace(day=1), last, zone, ""
    if named not in ("", *PERIODS):
        abort(HTTPStatus.BAD_REQUEST)
    return *_named(named or "month", now), zone, named or "month"


def _named(period: str, now: date) -> tuple[date, date]:
    this = now.replace(day=1)
    if period == "last":
        end = this - timedelta(days=1)
        return end.replace(day=1), end
    if period == "quarter":
        two_back = (this - timedelta(days=1)).replace(day=1) - timedelta(days=1)
        return two_back.replace(day=1), now
    return (now.replace(month=1, day=1) if period == "year" else this), now


def _day(name: str) -> date | None:
    text = request.args.get(name, "")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        abort(HTTPStatus.BAD_REQUEST)


def _there(endpoint: str = "reports.index", **more: Any) -> str:
    asked = {name: request.args[name] for name in ("period", "from", "to") if request.args.get(name)}
    return url_for(endpoint, **{**asked, **more})


def _label(row: dict[str, Any]) -> str:
    """What a bar stands for."""
    parts = []
    if "user" in row:
        parts.append(_("The box itself") if row["user"] == flow.SYSTEM else row["user"])
    if "country" in row:
        parts.append(country_name(row["country"]))
    if "case_ref" in row:
        parts.append(row["case_title"] or row["case_ref"] or _("Without a case"))
    return " · ".join([*parts, row["month"]] if "month" in row else parts)


def _bars(rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], float]]:
    """The first rows with a length each."""
    shown = rows[:BARS]
    return list(zip(shown, charts.bars([row["credits"] for row in shown]), strict=True))
