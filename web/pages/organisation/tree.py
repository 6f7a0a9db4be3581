"""Overview of a node and what is below it; its settings: name, place in the tree, language, zone, country, the SMS switch."""

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import HiddenField, SelectField, StringField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length, Optional, Regexp  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import allowances, people
from gateway.flows.facts import organisation
from gateway.flows.rights import below, find_unit
from gateway.rules.permissions import CREDITS_VIEW, SETTINGS_EDIT, USERS_VIEW
from gateway.store import lists_organisation, lists_reports, setup
from gateway.store.database import Transaction, View
from web import sessions
from web.pages import door, refusals, stale
from web.pages.forms import PageForm
from web.pages.language import N_, _
from web.pages.organisation.desk import SEEN, Room, blueprint, enter
from web.pages.places import CountryField, LanguageField, ZoneField

WORDS: Final = {
    "invalid_timezone": N_("This is no time zone; it looks like Europe/Stockholm."),
    "invalid_language": N_("This is no language code; it looks like sv or pt-BR."),
    "invalid_name": N_("A name has 1 to 200 characters."),
    "permission_denied": N_("Your right does not reach that unit."),
}
LABELS: Final = {
    "name": N_("Name"),
    "parent": N_("Stands below"),
    "language": N_("Language"),
    "zone": N_("Time zone"),
    "region": N_("Country of local numbers"),
    "sms_enabled": N_("SMS"),
}


SWITCH: Final = {"yes": N_("On: messages can be sent"), "no": N_("Off: nobody can send, e-mail is left to your system")}


class UnitForm(PageForm):
    """A new unit below a node."""

    name = StringField(
        N_("Name"), [InputRequired(N_("Give it a name.")), Length(max=200)], description=N_("As colleagues call it.")
    )
    ref = StringField(
        N_("Reference"),
        [
            InputRequired(N_("Give it a reference.")),
            Regexp(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$", message=N_("Use letters, digits and . _ / - only, at most 64.")),
        ],
        description=N_("How the applicant tracking system and spreadsheets name it, for instance acme/north. It never changes."),
    )


class SettingsForm(PageForm):
    """What can be changed of a node."""

    shown = HiddenField()
    name = StringField(N_("Name"), [InputRequired(N_("Give it a name.")), Length(max=200)])
    parent = SelectField(
        N_("Stands below"), [Optional()], description=N_("Rights, templates and allowances are inherited from there.")
    )
    language = LanguageField(N_("Language"), description=N_("Of texts to candidates where nothing else is chosen."))
    zone = ZoneField(N_("Time zone"), [InputRequired(N_("Name a time zone."))], description=N_("Type a city, such as Stockholm."))
    region = CountryField(
        N_("Country of local numbers"),
        [Optional()],
        description=N_("Numbers without a country code are read as numbers of this country."),
    )
    sms_enabled = SelectField(N_("SMS"))

    def __init__(self, room: Room, parents: list[tuple[str, str]], **more: Any) -> None:
        super().__init__(**more)
        self.sms_enabled.choices = [(value, _(word)) for value, word in SWITCH.items()]
        self.parent.choices = parents
        if room.is_top:
            del self.parent
        else:
            del self.sms_enabled

    @property
    def values(self) -> dict[str, Any]:
        """What was typed, as `lists_organisation.settings` names it."""
        return {name: self[name].data for name in LABELS if name in self}


@blueprint.get("")
@door.needs(*SEEN)
def index() -> ResponseReturnValue:
    """The highest node that the viewer may see."""
    return _overview(None)


@blueprint.get("/<unit_id>")
@door.needs(*SEEN)
def show(unit_id: str) -> ResponseReturnValue:
    """A node and what stands below it."""
    return _overview(unit_id)


@blueprint.post("/<unit_id>/units")
@door.needs(SETTINGS_EDIT)
def add(unit_id: str) -> ResponseReturnValue:
    """Add a unit below this one."""
    form, services = UnitForm(), sessions.services()
    if not form.validate():
        return _overview(unit_id, form), HTTPStatus.UNPROCESSABLE_ENTITY
    now = services.clock.now_ms()

    def step(tx: Transaction) -> str:
        room = enter(tx, unit_id, SETTINGS_EDIT)
        parent = find_unit(tx, room.by.organisation_id, unit_id)
        own = {"language": None, "zone": None, "region": None}  # as its parent's
        return str(people.create_unit(tx, room.by, parent, ref=form.ref.data, name=form.name.data, **own, now=now)["id"])

    try:
        made = services.database.transact(step)
    except Refused as refused:
        if refused.field not in form:
            raise
        refusals.put(form, refused, WORDS, {})
        return _overview(unit_id, form), refused.status
    door.notice(_("“%(name)s” was added.", name=form.name.data))
    return redirect(url_for("organisation.show", unit_id=made), HTTPStatus.SEE_OTHER)


@blueprint.get("/<unit_id>/settings")
@door.needs(SETTINGS_EDIT)
def settings(unit_id: str) -> ResponseReturnValue:
    """The settings of a node, as a form."""
    with sessions.services().database.read() as view:
        room = enter(view, unit_id, SETTINGS_EDIT)
        now = lists_organisation.settings(view, unit_id)
        shown = stale.fingerprint(_own(room, now))
        form = SettingsForm(room, _parents(view, room), data={**now, "shown": shown})
    return _settings(room, form)


@blueprint.post("/<unit_id>/settings")
@door.needs(SETTINGS_EDIT)
def save(unit_id: str) -> ResponseReturnValue:
    """Change a node, unless somebody was faster."""
    services = sessions.services()
    with services.database.read() as view:
        room = enter(view, unit_id, SETTINGS_EDIT)
        form = SettingsForm(room, _parents(view, room), data=lists_organisation.settings(view, unit_id))
    if not form.validate():
        return _settings(room, form), HTTPStatus.UNPROCESSABLE_ENTITY
    wanted, now = form.values, services.clock.now_ms()

    def step(tx: Transaction) -> None:
        here = enter(tx, unit_id, SETTINGS_EDIT)
        stale.check(_own(here, lists_organisation.settings(tx, unit_id)), form.shown.data)
        unit = find_unit(tx, here.by.organisation_id, unit_id)
        changed = {**wanted, "region": wanted["region"] or None}
        if "sms_enabled" in changed:
            changed["sms_enabled"] = changed["sms_enabled"] == "yes"
        people.change_unit(tx, here.by, unit, changed, now)

    back = url_for("organisation.settings", unit_id=unit_id)
    try:
        services.database.transact(step)
    except stale.Stale as found:
        labels = {name: label for name, label in LABELS.items() if name in wanted}
        return stale.page(found, wanted, labels, action=back, back=back, words=stale.choices(form))
    except Refused as refused:
        if refused.field not in form:
            raise
        refusals.put(form, refused, WORDS, {})
        return _settings(room, form), refused.status
    door.notice(N_("Saved."))
    return redirect(url_for("organisation.show", unit_id=unit_id), HTTPStatus.SEE_OTHER)


def _own(room: Room, values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a node of this kind has."""
    without = "parent" if room.is_top else "sms_enabled"
    return {name: value for name, value in values.items() if name != without}


def _parents(view: View, room: Room) -> list[tuple[str, str]]:
    """Where a node may move: any node in reach that is not itself or below it."""
    inside = below(view, room.by.organisation_id, room.node.id)
    return [
        (node.ref, "\u2003" * node.depth + node.name)
        for node in room.tree
        if node.id not in inside and (node.id in room.reached or node.id == room.node.parent_id)
    ]


def _overview(unit_id: str | None, form: UnitForm | None = None) -> str:
    services = sessions.services()
    with services.database.read() as view:
        room = enter(view, unit_id)
        top, now = room.by.organisation_id, services.clock.now_ms()
        inside = below(view, top, room.node.id)
        standing = {}
        if room.may(CREDITS_VIEW):
            rows = allowances.all_standing(view, top, organisation(view, top)["zone"], now)
            standing = {row["unit"]: row for row in rows}
        draw = partial(
            render_template,
            "organisation/overview.html",
            **room.shown("show"),
            below=[node for node in room.tree if node.id in inside and node.id != room.node.id],
            settings=lists_organisation.settings(view, room.node.id),
            standing=standing,
            waiting=len(lists_reports.waiting_grants(view, top)) if room.is_top and room.may(CREDITS_VIEW) else 0,
            seats=setup.seats(view, top) if room.is_top and room.may(USERS_VIEW) else None,
            form=(form or UnitForm(formdata=None)) if room.may(SETTINGS_EDIT) else None,
            may_edit=room.may(SETTINGS_EDIT),
            may_list=room.may(USERS_VIEW),
        )
    return draw()


def _settings(room: Room, form: SettingsForm) -> str:
    return render_template("organisation/settings.html", **room.shown("settings"), form=form)
