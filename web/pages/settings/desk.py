"""The first page of the settings: how the box is, the organisation's own, channels, mail, notices, clock, backup, version."""

from http import HTTPStatus
from typing import Any, Final

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import SelectField, StringField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length, Optional  # type: ignore[import-untyped]

import gateway
from gateway.errors import Refused
from gateway.flows import box_state, clock_trust, notices, people, restore
from gateway.flows.rights import acting, find_unit
from gateway.rules.permissions import SETTINGS_EDIT
from gateway.store import lists_settings
from gateway.store.database import Transaction, View
from web import sessions
from web.pages import door, refusals, stale
from web.pages.forms import PageForm
from web.pages.language import N_, _
from web.pages.places import CountryField, LanguageField, ZoneField
from web.pages.settings import words

blueprint = door.pages("settings", __name__, "/admin/settings")

LABELS: Final = {
    "name": N_("Name"),
    "zone": N_("Time zone"),
    "language": N_("Language"),
    "region": N_("Country of the office"),
    "sms_enabled": N_("SMS"),
}


class OrganisationForm(PageForm):
    """What the organisation is called, where it is, and whether it writes by SMS at all (S50)."""

    name = StringField(
        N_("Name"),
        [InputRequired(N_("Write the name.")), Length(max=200, message=N_("At most 200 characters."))],
        description=N_("Candidates read it in every introduction."),
    )
    zone = ZoneField(
        N_("Time zone"), [InputRequired(N_("Name a time zone."))], description=N_("Pages and reports show times in it.")
    )
    language = LanguageField(N_("Language"), description=N_("Of these pages, and of what the box writes where a job has none."))
    region = CountryField(
        N_("Country of the office"),
        [Optional()],
        description=N_("Numbers without a country code are read as numbers of this country."),
    )
    sms_enabled = SelectField(
        N_("SMS"), description=N_("Switched off, every SMS is refused and recruiters are offered e-mail only.")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sms_enabled.choices = [("1", _("switched on")), ("0", _("switched off"))]


@blueprint.get("")
@door.needs(SETTINGS_EDIT)
def index() -> ResponseReturnValue:
    """All of it."""
    return _page(None)


@blueprint.post("/organisation")
@door.needs(SETTINGS_EDIT)
def organisation() -> ResponseReturnValue:
    """Change what belongs to the organisation."""
    services, viewer = sessions.services(), door.viewer()
    with services.database.read() as view:
        form = OrganisationForm(data=_values(view))
    if not form.validate():
        return _page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    wanted = {name: form[name].data for name in LABELS}
    values = {**wanted, "sms_enabled": wanted["sms_enabled"] == "1", "region": wanted["region"] or None}
    now = services.clock.now_ms()

    def step(tx: Transaction) -> None:
        stale.check(_values(tx), request.form.get("shown"))
        by = acting(tx, viewer.organisation_id, viewer.actor, viewer.user_id)
        people.change_unit(tx, by, find_unit(tx, viewer.organisation_id, "self"), values, now)

    try:
        services.database.transact(step)
    except stale.Stale as found:
        here = url_for("settings.index")
        action = url_for("settings.organisation")
        return stale.page(found, wanted, LABELS, action=action, back=here, words=stale.choices(form))
    except Refused as refused:
        refusals.put(form, refused, words.REFUSALS, {})
        return _page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    door.notice(N_("The organisation's settings are saved."))
    return redirect(url_for("settings.index"), HTTPStatus.SEE_OTHER)


@blueprint.post("/notices")
@door.needs(SETTINGS_EDIT)
def notice() -> ResponseReturnValue:
    """Whether one gets a mail when candidates reply; never with what they wrote."""
    services, viewer = sessions.services(), door.viewer()
    wish, now = request.form.get("replies", ""), services.clock.now_ms()
    services.database.transact(lambda tx: notices.wish(tx, viewer.organisation_id, viewer.user_id, wish, viewer.actor, now))
    door.notice(N_("Saved."))
    return redirect(url_for("settings.index"), HTTPStatus.SEE_OTHER)


@blueprint.post("/clock")
@door.needs(SETTINGS_EDIT)
def clock() -> ResponseReturnValue:
    """Say that the time is right: what waited for that goes on."""
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()
    services.database.transact(lambda tx: clock_trust.confirm(tx, viewer.actor, now))
    door.notice(N_("The clock is trusted again; what waited for it goes on."))
    return redirect(url_for("settings.index"), HTTPStatus.SEE_OTHER)


@blueprint.post("/restore")
@door.needs(SETTINGS_EDIT)
def confirm_restore() -> ResponseReturnValue:
    """Let the box send again after a restore; the queue of the backup goes or is cancelled."""
    services, viewer = sessions.services(), door.viewer()
    choice, now = request.form.get("queue", ""), services.clock.now_ms()
    if choice not in restore.CHOICES:
        abort(HTTPStatus.BAD_REQUEST)
    services.database.transact(lambda tx: restore.confirm(tx, choice, viewer.actor, now))
    door.notice(N_("The box sends again."))
    return redirect(url_for("settings.index"), HTTPStatus.SEE_OTHER)


def _values(view: View) -> dict[str, str]:
    row = lists_settings.organisation(view, door.viewer().organisation_id)
    return {name: "" if row[name] is None else str(row[name]) for name in LABELS}


def _page(form: OrganisationForm | None) -> str:
    services, viewer = sessions.services(), door.viewer()
    config, now = services.config, services.clock.now_ms()
    with services.database.read() as view:
        values = _values(view)
        box = box_state.look(view, now)
        wish = notices.wish_of(view, viewer.user_id)
    return render_template(
        "settings/index.html",
        form=form or OrganisationForm(formdata=None, data=values),
        shown=stale.fingerprint(values),
        box=box,
        queue=len(box.restore.get("queue", [])),
        wish=wish,
        notice_words=words.NOTICES,
        version=gateway.__version__,
        now=now,
        smtp=config.smtp,
        whatsapp=config.whatsapp is not None,
        backup=config.backup,
        sms_on=values["sms_enabled"] == "1",
        kept_in=config.gateway.database_shown,
        name=config.gateway.name,
        url=config.web.url,
        tls=config.web.tls.mode,
    )
