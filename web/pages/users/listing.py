"""The list of people with search and filters, and the same people as a file (S47)."""

from functools import partial
from http import HTTPStatus
from typing import Final

from flask import Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.flows import people_csv
from gateway.flows.facts import tree
from gateway.flows.reach import reach
from gateway.flows.rights import below
from gateway.rules.permissions import ROLES, SEATS_LICENSE, USERS_EDIT, USERS_VIEW
from gateway.store import lists_users, setup
from gateway.store.database import Transaction
from web import sessions
from web.pages import door
from web.pages.asker import who
from web.pages.language import N_
from web.pages.users.desk import blueprint, units

SEATS: Final = {"": None, "with": True, "without": False}
STATES: Final = {"": True, "off": False, "all": None}
SEAT_WORDS: Final = {"": N_("any"), "with": N_("with a seat"), "without": N_("without a seat")}
STATE_WORDS: Final = {"": N_("switched on"), "off": N_("switched off"), "all": N_("any")}


@blueprint.get("")
@door.needs(USERS_VIEW, SEATS_LICENSE)
def index() -> ResponseReturnValue:
    """People by name. Who may only set the licence is led to the seats."""
    if not door.viewer().may(USERS_VIEW):
        return redirect(url_for("users.seats"), HTTPStatus.SEE_OTHER)
    asked = {name: request.args.get(name, "") for name in ("q", "role", "seat", "state", "unit", "after")}
    known = asked["seat"] in SEATS and asked["state"] in STATES and (not asked["role"] or asked["role"] in ROLES)
    if not known or len(asked["q"]) > 200:
        abort(HTTPStatus.BAD_REQUEST)
    with sessions.services().database.read() as view:
        by = who(view)
        inside = reach(view, by, USERS_VIEW)
        if asked["unit"]:
            nodes = tree(view, by.organisation_id)
            chosen = next((node_id for node_id, row in nodes.items() if asked["unit"] in (node_id, row["ref"])), None)
            if chosen not in inside:
                abort(HTTPStatus.NOT_FOUND)
            asked["unit"] = nodes[str(chosen)]["ref"]
            inside &= below(view, by.organisation_id, str(chosen))
        page = lists_users.people(
            view,
            by.organisation_id,
            units=inside,
            search=asked["q"],
            role=asked["role"] or None,
            seat=SEATS[asked["seat"]],
            active=STATES[asked["state"]],
            after=asked["after"] or None,
        )
        draw = partial(
            render_template,
            "users/index.html",
            page=page,
            asked={name: value for name, value in asked.items() if value and name != "after"},
            after=asked["after"],
            roles=list(ROLES),
            seat_words=SEAT_WORDS,
            state_words=STATE_WORDS,
            units=units(view, by, USERS_VIEW),
            seats=setup.seats(view, by.organisation_id),
            may_edit=bool(reach(view, by, USERS_EDIT)),
            sees_all=by.organisation_id in reach(view, by, USERS_VIEW),
        )
    return draw()


@blueprint.get("/people.csv")
@door.needs(USERS_VIEW)
def download() -> ResponseReturnValue:
    """Everybody as a spreadsheet: UTF-8 with a byte order mark, and no cell that could run as a formula."""
    delimiter = request.args.get("delimiter", ",")
    if delimiter not in (",", ";"):
        abort(HTTPStatus.BAD_REQUEST)
    services = sessions.services()
    now = services.clock.now_ms()

    def step(tx: Transaction) -> str:
        return people_csv.export(tx, who(tx), delimiter, now)

    text = services.database.transact(step)
    named = {"Content-Disposition": 'attachment; filename="people.csv"'}
    return Response(text, headers=named, content_type="text/csv; charset=utf-8")
