"""Rights given singly at a unit, to a person or to everybody with a role; and what each role brings, by category (S3)."""

from functools import partial
from http import HTTPStatus

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.errors import Refused
from gateway.flows import people
from gateway.flows.rights import find_unit
from gateway.rules.permissions import ROLES, USERS_EDIT, USERS_VIEW
from gateway.store import lists_users
from gateway.store.database import Transaction
from web import sessions
from web.pages import door, refusals
from web.pages.asker import who
from web.pages.language import N_, _
from web.pages.users import person
from web.pages.users.desk import blueprint, meet, units
from web.pages.users.words import GIFT, REFUSED, by_category, roles_of_right


@blueprint.get("/roles")
@door.needs(USERS_VIEW)
def roles() -> ResponseReturnValue:
    """Every right in its category, and which roles bring it."""
    return _roles()


@blueprint.post("/roles/rights")
@door.needs(USERS_EDIT)
def give_role() -> ResponseReturnValue:
    """Give one right to everybody with a role, at a unit and below."""
    refused = _give(role=request.form.get("role", ""), user=None)
    return (
        redirect(url_for("users.roles"), HTTPStatus.SEE_OTHER) if refused is None else (_roles(_words(refused)), refused.status)
    )


@blueprint.post("/<user_id>/rights")
@door.needs(USERS_EDIT)
def give(user_id: str) -> ResponseReturnValue:
    """Give one right to one person, at a unit and below."""
    refused = _give(role=None, user=user_id)
    if refused is not None:
        return person.page(user_id, problem=_words(refused)), refused.status
    return redirect(url_for("users.show", user_id=user_id), HTTPStatus.SEE_OTHER)


@blueprint.post("/roles/rights/<grant_id>/take-back", defaults={"user_id": None})
@blueprint.post("/<user_id>/rights/<grant_id>/take-back")
@door.needs(USERS_EDIT)
def take_back(user_id: str | None, grant_id: str) -> ResponseReturnValue:
    """Take a right back. What waits still goes: rights were decided when it was accepted."""
    services, unit_id = sessions.services(), request.form.get("unit", "")
    now = services.clock.now_ms()

    def step(tx: Transaction) -> None:
        by = who(tx)
        people.revoke(tx, by, find_unit(tx, by.organisation_id, unit_id, field="unit"), grant_id, now)

    try:
        services.database.transact(step)
    except Refused as refused:
        if refused.code not in ("permission_denied", "grant_not_found"):
            raise
        door.notice(N_("It had been taken back already.") if refused.status == HTTPStatus.NOT_FOUND else GIFT, "warning")
    else:
        door.notice(N_("The right was taken back. Messages that were accepted before still go."))
    there = url_for("users.roles") if user_id is None else url_for("users.show", user_id=user_id)
    return redirect(there, HTTPStatus.SEE_OTHER)


def _give(*, role: str | None, user: str | None) -> Refused | None:
    services, asked = sessions.services(), request.form
    now = services.clock.now_ms()

    def step(tx: Transaction) -> None:
        by = who(tx)
        if user is not None:
            meet(tx, by, user)
        unit = find_unit(tx, by.organisation_id, asked.get("unit", ""), field="unit")
        people.grant(tx, by, unit, asked.get("permission", ""), role=role or None, user=user, now=now)

    try:
        services.database.transact(step)
    except Refused as refused:
        return refused
    door.notice(N_("The right was given."))
    return None


def _words(refused: Refused) -> str:
    return _(GIFT) if refused.code == "permission_denied" else refusals.told(refused, REFUSED)


def _roles(problem: str | None = None) -> str:
    with sessions.services().database.read() as view:
        by = who(view)
        draw = partial(
            render_template,
            "users/roles.html",
            problem=problem,
            roles=list(ROLES),
            rights=by_category(),
            brings=roles_of_right(),
            grants=lists_users.single_grants(view, by.organisation_id),
            units=units(view, by),
        )
    return draw()
