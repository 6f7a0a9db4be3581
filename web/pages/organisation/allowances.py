"""The Allowances tab: what a unit, with everything below it, may spend in a month, and what it may carry over."""

from functools import partial
from http import HTTPStatus
from typing import Final

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import HiddenField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, NumberRange  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import allowances as money
from gateway.flows.facts import organisation
from gateway.flows.rights import below, find_unit
from gateway.rules.permissions import CREDITS_VIEW, SETTINGS_EDIT
from gateway.store import lists_credits
from gateway.store.database import Transaction, View
from web import sessions
from web.pages import door, stale
from web.pages.forms import PageForm, WholeField
from web.pages.language import N_
from web.pages.organisation.desk import Room, blueprint, enter

LABELS: Final = {"monthly": N_("Credits a month"), "carry_over": N_("Carried over at most")}
_WHOLE = N_("Enter a whole number from 0 to 1,000,000,000.")


class AllowanceForm(PageForm):
    """Credits a month, and how much of an unused rest comes along."""

    shown = HiddenField()
    monthly = WholeField(
        LABELS["monthly"],
        [InputRequired(_WHOLE), NumberRange(0, 1_000_000_000, _WHOLE)],
        description=N_("What this unit and everything below it may spend in a month."),
        render_kw={"inputmode": "numeric", "autocomplete": "off"},
    )
    carry_over = WholeField(
        LABELS["carry_over"],
        [InputRequired(_WHOLE), NumberRange(0, 1_000_000_000, _WHOLE)],
        description=N_("How much of an unused rest comes along into the next month; 0 is nothing."),
        render_kw={"inputmode": "numeric", "autocomplete": "off"},
    )


@blueprint.get("/<unit_id>/allowances")
@door.needs(CREDITS_VIEW)
def allowances(unit_id: str) -> ResponseReturnValue:
    """Gauges of this unit and those below it."""
    return _page(unit_id)


@blueprint.post("/<unit_id>/allowance")
@door.needs(SETTINGS_EDIT)
def allow(unit_id: str) -> ResponseReturnValue:
    """Set the unit's allowance; it counts from this month on."""
    form, services = AllowanceForm(), sessions.services()
    if not form.validate():
        return _page(unit_id, form), HTTPStatus.UNPROCESSABLE_ENTITY
    viewer, now = door.viewer(), services.clock.now_ms()
    wanted = {"monthly": form.monthly.data, "carry_over": form.carry_over.data}

    def step(tx: Transaction) -> None:
        room = enter(tx, unit_id, CREDITS_VIEW)
        room.by.require(tx, SETTINGS_EDIT)
        stale.check(_now(tx, room), form.shown.data)
        zone = organisation(tx, viewer.organisation_id)["zone"]
        unit = find_unit(tx, viewer.organisation_id, unit_id)
        money.put(tx, viewer.organisation_id, unit, **wanted, zone=zone, actor=viewer.actor, now=now)

    back = url_for("organisation.allowances", unit_id=unit_id)
    try:
        services.database.transact(step)
    except stale.Stale as found:
        action = url_for("organisation.allow", unit_id=unit_id)
        return stale.page(found, wanted, LABELS, action=action, back=back)
    door.notice(N_("The allowance was saved; it counts from this month on."))
    return redirect(back, HTTPStatus.SEE_OTHER)


@blueprint.post("/<unit_id>/allowance/remove")
@door.needs(SETTINGS_EDIT)
def remove_allowance(unit_id: str) -> ResponseReturnValue:
    """Let the unit spend without a limit of its own."""
    services = sessions.services()
    viewer, now = door.viewer(), services.clock.now_ms()

    def step(tx: Transaction) -> None:
        room = enter(tx, unit_id, CREDITS_VIEW)
        room.by.require(tx, SETTINGS_EDIT)
        money.remove(tx, viewer.organisation_id, find_unit(tx, viewer.organisation_id, unit_id), viewer.actor, now)

    try:
        services.database.transact(step)
    except Refused as refused:
        if refused.code != "allowance_not_found":
            raise
        door.notice(N_("This unit had no allowance any more."), "warning")
    else:
        door.notice(N_("This unit has no limit of its own now."))
    return redirect(url_for("organisation.allowances", unit_id=unit_id), HTTPStatus.SEE_OTHER)


def _now(view: View, room: Room) -> dict[str, int | None]:
    found = money.of_organisation(view, room.by.organisation_id).get(room.node.id)
    return {name: None if found is None else found[name] for name in LABELS}


def _page(unit_id: str, form: AllowanceForm | None = None) -> str:
    services = sessions.services()
    with services.database.read() as view:
        room = enter(view, unit_id, CREDITS_VIEW)
        top = room.by.organisation_id
        inside = below(view, top, room.node.id)
        own = [node for node in room.tree if node.id in inside]
        rows = money.all_standing(view, top, organisation(view, top)["zone"], services.clock.now_ms())
        standing = {row["unit"]: row for row in rows}
        now = _now(view, room)
        rights = room.by.rights(view, top) or frozenset()
        if form is None:
            form = AllowanceForm(formdata=None, data={**now, "shown": stale.fingerprint(now)})
        draw = partial(
            render_template,
            "organisation/allowances.html",
            **room.shown("allowances"),
            units=[node for node in own if node.ref in standing],
            free=[node for node in own if node.ref not in standing and node.id != room.node.id],
            standing=standing,
            months=lists_credits.months(view, [node.id for node in own if node.ref in standing]),
            has_own=now["monthly"] is not None,
            form=form if SETTINGS_EDIT in rights else None,
        )
    return draw()
