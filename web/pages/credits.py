"""Credits: the balance, what is reserved, the last thirty days and the ledger (S15)."""

from http import HTTPStatus

from flask import abort, render_template, request
from flask.typing import ResponseReturnValue

from gateway.rules.permissions import CREDITS_GRANT, CREDITS_VIEW, MESSAGES_VIEW
from gateway.store import lists_pages
from web import sessions
from web.pages import charts, door, words

blueprint = door.pages("credits", __name__, "/admin/credits")


@blueprint.get("")
@door.needs(CREDITS_VIEW)
def index() -> ResponseReturnValue:
    """Balance and ledger, newest entry first."""
    given = request.args.get("before", "")
    if given and not (given.isascii() and given.isdigit() and len(given) <= 18):
        abort(HTTPStatus.BAD_REQUEST)
    viewer, services = door.viewer(), sessions.services()
    with services.database.read() as view:
        credits = lists_pages.credits(
            view,
            viewer.organisation_id,
            now=services.clock.now_ms(),
            zone=words.zone_of(viewer.zone),
            before=int(given) if given else None,
        )
    return render_template(
        "credits/index.html",
        credits=credits,
        before=given,
        chart=charts.line([day.balance for day in credits.days]),
        may_grant=viewer.may(CREDITS_GRANT),
        may_read_messages=viewer.may(MESSAGES_VIEW),
    )
