"""The box itself: organisation, zone, the modem that was found, its SIM card's PIN, and the card's number."""

from http import HTTPStatus
from typing import Any

from flask import current_app, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import SelectField, StringField, TelField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import countries, pins, setup_steps
from gateway.flows.setup_steps import Situation
from gateway.rules.permissions import MODEMS_OPERATE, SETTINGS_EDIT
from gateway.store import lists_pages
from gateway.store.database import Transaction
from web import sessions
from web.pages import door
from web.pages.forms import PageForm
from web.pages.language import LANGUAGES, N_, _
from web.pages.modems.overview import PinForm, etag, fragment, keep_pin
from web.pages.places import ZoneField
from web.pages.setup.frame import blueprint, forward, here, page, situation, who


def country_names() -> list[tuple[str, str]]:
    """Countries of the shipped table, by name."""
    with sessions.services().database.read() as view:
        known = [(each.iso, (each.shipped or {}).get("name", each.iso)) for each in countries.every(view, "sms")]
    return sorted(known, key=lambda entry: str(entry[1]))


class OrganisationForm(PageForm):
    """Who writes."""

    name = StringField(
        N_("Name of the organisation"),
        [InputRequired(N_("Enter the employer's name.")), Length(max=200)],
        description=N_("As candidates know it: it stands in the texts they get."),
        render_kw={"autocomplete": "organization"},
    )
    region = SelectField(N_("Country"), description=N_("Its home; rules and numbers are proposed by it."))
    language = SelectField(N_("Language"), description=N_("Of the pages, unless somebody chooses another."))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.region.choices = [("", _("Choose a country")), *country_names()]
        self.language.choices = list(LANGUAGES.items())


class ZoneForm(PageForm):
    """Which clock."""

    zone = ZoneField(
        N_("Time zone"),
        [InputRequired(N_("Choose a time zone.")), Length(max=64)],
        description=N_("Type a city, such as Stockholm."),
    )


class SenderForm(PageForm):
    """The number of a SIM card."""

    modem = SelectField(N_("Modem"))
    number = TelField(
        N_("Telephone number of the SIM card"),
        [InputRequired(N_("Enter the number.")), Length(max=30)],
        description=N_("In international form, such as +46 70 123 45 67. It stands in the card's papers; USSD can tell it too."),
        render_kw={"autocomplete": "off"},
    )


@blueprint.get("/organisation")
@door.needs(SETTINGS_EDIT)
def organisation() -> ResponseReturnValue:
    """Name, country and language."""
    where = situation()
    org = where.organisation
    name = org["name"] if where.done["organisation"] else ""
    form = OrganisationForm(formdata=None, name=name, region=org["region"] or "", language=org["language"])
    return page("organisation", "organisation", situation=where, form=form)


@blueprint.post("/organisation")
@door.needs(SETTINGS_EDIT)
def save_organisation() -> ResponseReturnValue:
    """Keep them."""
    where, form = situation(), OrganisationForm()
    if not form.validate():
        return page("organisation", "organisation", situation=where, form=form), HTTPStatus.UNPROCESSABLE_ENTITY
    now = sessions.services().clock.now_ms()

    def step(tx: Transaction) -> None:
        setup_steps.name_organisation(tx, who(tx), form.name.data, form.region.data, form.language.data, now)

    return _done("organisation", form, where, step)


@blueprint.get("/zone")
@door.needs(SETTINGS_EDIT)
def zone() -> ResponseReturnValue:
    """The organisation's time zone, proposed by its country."""
    where = situation()
    form = ZoneForm(formdata=None, zone=where.organisation["zone"] if where.done["zone"] else _proposed(where))
    return page("zone", "zone", situation=where, form=form)


def _proposed(where: Situation) -> str:
    with sessions.services().database.read() as view:
        for each in countries.every(view, "sms"):
            if each.iso == where.organisation["region"] and each.shipped and each.shipped.get("zones"):
                return str(each.shipped["zones"][0])
    return str(where.organisation["zone"])


@blueprint.post("/zone")
@door.needs(SETTINGS_EDIT)
def save_zone() -> ResponseReturnValue:
    """Keep it."""
    where, form = situation(), ZoneForm()
    if not form.validate():
        return page("zone", "zone", situation=where, form=form), HTTPStatus.UNPROCESSABLE_ENTITY
    now = sessions.services().clock.now_ms()
    return _done("zone", form, where, lambda tx: setup_steps.set_zone(tx, who(tx), form.zone.data.strip(), now))


@blueprint.get("/modem")
@door.needs(SETTINGS_EDIT)
def modem() -> ResponseReturnValue:
    """What is plugged in; finds more while it is open."""
    cards = _cards()
    return page("modem", "modem", situation=situation(), cards=cards, etag=etag(cards))


@blueprint.get("/modem/live")
@door.needs(SETTINGS_EDIT, fragment=True)
def modem_live() -> ResponseReturnValue:
    """The modems alone."""
    return fragment(_cards())


def _cards() -> str:
    services = sessions.services()
    with services.database.read() as view:
        modems = lists_pages.modems(view)
    return render_template("modems/_cards.html", modems=modems, now=services.clock.now_ms(), linked=False)


@blueprint.get("/pin")
@door.needs(SETTINGS_EDIT)
def pin() -> ResponseReturnValue:
    """The PIN of a locked card, with the tries that are left; nothing to do where none is locked."""
    return _pin_page(PinForm(formdata=None))


@blueprint.get("/pin/live")
@door.needs(SETTINGS_EDIT, fragment=True)
def pin_live() -> ResponseReturnValue:
    """How the cards are, alone."""
    return fragment(_cards_of_pins(situation()))


@blueprint.post("/pin/<modem_id>")
@door.needs(MODEMS_OPERATE)
def try_pin(modem_id: str) -> ResponseReturnValue:
    """Take a PIN: it is tried once."""
    situation()
    form = PinForm()
    if not form.validate():
        return _pin_page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    try:
        keep_pin(modem_id, form.pin.data)
    except Refused as refused:
        form.wrong(refused)
        return _pin_page(form), refused.status
    return here("pin")


def _pin_page(form: PinForm) -> str:
    where = situation()
    cards = _cards_of_pins(where)
    locked = where.locked[0] if where.locked else None
    with sessions.services().database.read() as view:
        against = None if locked is None else pins.may_be_given(view, locked)
    action = None if locked is None else url_for("setup.try_pin", modem_id=locked["id"])
    return page(
        "pin", "pin", situation=where, form=form, cards=cards, etag=etag(cards), modem=locked, against=against, pin_action=action
    )


def _cards_of_pins(where: Situation) -> str:
    with sessions.services().database.read() as view:
        against = {modem["id"]: pins.may_be_given(view, modem) for modem in where.modems}
    return render_template("setup/_cards_of_pins.html", situation=where, against=against)


@blueprint.get("/sender")
@door.needs(SETTINGS_EDIT)
def sender() -> ResponseReturnValue:
    """The number of the card that is ready."""
    where = situation()
    form = _sender_form(where)
    return page("sender", "sender", situation=where, form=form)


def _sender_form(where: Situation) -> SenderForm:
    known = where.senders[0]["number"] if where.senders else ""
    form = SenderForm(number=known) if request.method == "POST" else SenderForm(formdata=None, number=known)
    form.modem.choices = [(row["id"], f"{row['name']} ({row['operator'] or row['iccid']})") for row in where.ready]
    return form


@blueprint.post("/sender")
@door.needs(SETTINGS_EDIT)
def save_sender() -> ResponseReturnValue:
    """Keep it."""
    where = situation()
    form = _sender_form(where)
    if not form.validate():
        return page("sender", "sender", situation=where, form=form), HTTPStatus.UNPROCESSABLE_ENTITY
    now, box = sessions.services().clock.now_ms(), current_app.extensions["ringpost.secrets"]
    return _done(
        "sender",
        form,
        where,
        lambda tx: setup_steps.put_sender(tx, who(tx), box, form.modem.data, form.number.data, now),
    )


def _done(name: str, form: PageForm, where: Situation, step: Any, **values: Any) -> ResponseReturnValue:
    """Do a step and go on, or show its form again with what was wrong."""
    services = sessions.services()
    try:
        services.database.transact(step)
    except Refused as refused:
        form.wrong(refused)
        return page(name, name, situation=where, form=form, **values), refused.status
    services.ring()
    return forward(name)
