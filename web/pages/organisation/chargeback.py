"""The Chargeback tab: what was charged by accounting month, team and case, to be booked to them; on the page and as CSV."""

from datetime import timedelta
from http import HTTPStatus
from typing import Any

from flask import Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from gateway.errors import Refused
from gateway.flows import chargeback as flow
from gateway.flows.facts import organisation
from gateway.rules.periods import today
from gateway.rules.permissions import REPORTS_VIEW
from gateway.rules.spreadsheets import csv_text
from gateway.store.database import View
from web import sessions
from web.pages import charts, door
from web.pages.language import _
from web.pages.organisation.desk import Room, blueprint, enter, is_month

SHOWN = 200
"""So many lines on a page; the file has all."""


@blueprint.get("/<unit_id>/chargeback")
@door.needs(REPORTS_VIEW)
def chargeback(unit_id: str) -> ResponseReturnValue:
    """Teams and their cases in a month, or several."""
    problem, found = None, None
    with sessions.services().database.read() as view:
        room = enter(view, unit_id, REPORTS_VIEW)
        first, last = _period(view, room)
        try:
            found = flow.chargeback(view, room.by.organisation_id, room.node.id, first, last)
        except Refused as refused:
            if refused.code not in ("period_reversed", "period_too_long"):
                raise
            problem = _("The first month lies after the last.") if refused.code == "period_reversed" else _("At most ten years.")
    page = render_template(
        "organisation/chargeback.html",
        **room.shown("chargeback"),
        found=found,
        first=first,
        last=last,
        problem=problem,
        chart=None if found is None else charts.bars([team["credits"] for team in found["teams"][:12]]),
        rows=[] if found is None else found["rows"][:SHOWN],
        more=found is not None and len(found["rows"]) > SHOWN,
    )
    return page if problem is None else (page, HTTPStatus.UNPROCESSABLE_ENTITY)


@blueprint.get("/<unit_id>/chargeback.csv")
@door.needs(REPORTS_VIEW)
def chargeback_csv(unit_id: str) -> ResponseReturnValue:
    """The same as a file."""
    with sessions.services().database.read() as view:
        room = enter(view, unit_id, REPORTS_VIEW)
        first, last = _period(view, room)
        found = flow.chargeback(view, room.by.organisation_id, room.node.id, first, last)
    named = {"Content-Disposition": f'attachment; filename="chargeback-{first}-{last}.csv"'}
    return Response(csv_text(found["columns"], found["rows"]), headers=named, content_type="text/csv; charset=utf-8")


def _period(view: View, room: Room) -> tuple[str, str]:
    """The months asked for; without any the month before this one."""
    zone: Any = organisation(view, room.by.organisation_id)["zone"]
    this = today(sessions.services().clock.now_ms(), zone).replace(day=1)
    before = f"{this - timedelta(days=1):%Y-%m}"
    first = request.args.get("from") or request.args.get("to") or before
    last = request.args.get("to") or request.args.get("from") or before
    if not (is_month(first) and is_month(last)):
        abort(HTTPStatus.BAD_REQUEST)
    return first, last
