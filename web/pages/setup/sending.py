"""Towards the first message: country and texts, a test message with its report, credits, API key, backup, and the end."""

from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import IntegerField, StringField, TelField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length, NumberRange  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import countries, setting_up, setup_steps
from gateway.flows.setup_steps import Situation
from gateway.rules.permissions import SETTINGS_EDIT
from gateway.store.database import Transaction
from web import sessions
from web.pages import door, refusals
from web.pages.compliance import words as compliance
from web.pages.forms import PageForm
from web.pages.language import N_, _, language_name
from web.pages.modems.overview import etag, fragment
from web.pages.setup.box import country_names
from web.pages.setup.frame import NAMES, blueprint, forward, here, page, situation, who

ITEMS = {
    "law_read": N_("I have read the rules shown here and, where in doubt, taken them to counsel."),
    "sim_terms": N_("The contract of the SIM card allows this use; a copy is filed with its expiry."),
    "opt_in_texts": N_("The texts above are right in every language of the country."),
    "budgets": N_("The budgets of the SIM card fit its contract."),
    "operator_consent": N_("The operator has agreed in writing, or a registered upstream provider sends."),
}


class TestForm(PageForm):
    """Where the test message goes."""

    number = TelField(
        N_("Your own mobile number"),
        [InputRequired(N_("Enter the number of a telephone that you have at hand.")), Length(max=30)],
        render_kw={"autocomplete": "tel"},
    )


class CreditsForm(PageForm):
    """Credits to begin with."""

    amount = IntegerField(
        N_("Credits to begin with"),
        [
            InputRequired(N_("Enter a whole number.")),
            NumberRange(min=1, max=1_000_000_000, message=N_("Enter a whole number above 0.")),
        ],
        description=N_("One credit is one part of a text to most countries. More can be granted at any time."),
        render_kw={"inputmode": "numeric"},
    )


class KeyForm(PageForm):
    """What a key is called."""

    name = StringField(
        N_("Name of the key"),
        [InputRequired(N_("Give the key a name.")), Length(max=100)],
        description=N_("After the system that will use it."),
        render_kw={"autocomplete": "off"},
    )


# --- country and texts -----------------------------------------------------------------------------------------------


@blueprint.get("/country")
@door.needs(SETTINGS_EDIT)
def country() -> ResponseReturnValue:
    """The country to begin with, its rules, its texts, its checklist."""
    return _country_page(situation(), {}, None)


def _country_page(where: Situation, typed: dict[str, str], refused: Refused | None, *, sent: bool = False) -> str:
    known = dict(country_names())
    asked = request.values.get("iso") or (where.country.iso if where.country else where.organisation["region"] or "")
    iso = asked if asked in known else ""
    services, viewer = sessions.services(), door.viewer()
    found: dict[str, Any] = {}
    if iso:
        with services.database.read() as view:
            each = countries.find(view, iso, "sms")
            rows = setup_steps.texts(view, viewer.organisation_id, each)
            shown = countries.shown(view, each, where.organisation["zone"], services.clock.now_ms())
        texts = {
            language: {**row, "body": typed.get(language, row["body"]), "name": language_name(language)}
            for language, row in rows.items()
        }
        hours = {
            day: _("nothing leaves") if span in ("", "hold") else span.replace("-", "–")
            for day, span in (shown["windows"] or {}).items()
        }
        ticked = request.form.getlist("checklist") if sent else [item for item, yes in shown["checklist"].items() if yes]
        items = {item: _(ITEMS.get(item, text)) for item, text in setup_steps.checklist(each).items()}
        found = {"windows": hours, "texts": texts, "shown": shown, "items": items, "ticked": ticked}
    return page(
        "country",
        "country",
        situation=where,
        iso=iso,
        names=country_names(),
        refused=refused,
        problem=refused and refusals.told(refused, compliance.REFUSALS),
        **found,
    )


@blueprint.post("/country")
@door.needs(SETTINGS_EDIT)
def save_country() -> ResponseReturnValue:
    """Keep texts and checklist; the country is then tested."""
    where, services = situation(), sessions.services()
    typed = {name.removeprefix("text_"): value for name, value in request.form.items() if name.startswith("text_")}
    ticked, iso = request.form.getlist("checklist"), request.form.get("iso", "")
    now = services.clock.now_ms()

    def step(tx: Transaction) -> None:
        setup_steps.prepare_country(tx, who(tx), iso, typed, ticked, now)

    try:
        services.database.transact(step)
    except Refused as refused:
        return _country_page(where, typed, refused, sent=True), refused.status
    return forward("country")


# --- the test message ------------------------------------------------------------------------------------------------


@blueprint.get("/test")
@door.needs(SETTINGS_EDIT)
def test() -> ResponseReturnValue:
    """Send a test message, and watch what becomes of it."""
    return _test_page(TestForm(formdata=None))


def _test_page(form: TestForm) -> str:
    where = situation()
    report = _report(where)
    name = (where.country.shipped or {}).get("name", where.country.iso) if where.country is not None else ""
    return page("test", "test", situation=where, form=form, report=report, etag=etag(report), country=name)


@blueprint.get("/test/live")
@door.needs(SETTINGS_EDIT, fragment=True)
def test_live() -> ResponseReturnValue:
    """What became of it, alone."""
    return fragment(_report(situation()))


def _report(where: Situation) -> str:
    return render_template("setup/_report.html", test=where.test, situation=where)


@blueprint.post("/test")
@door.needs(SETTINGS_EDIT)
def send_test() -> ResponseReturnValue:
    """Send it."""
    situation()
    form, services = TestForm(), sessions.services()
    if not form.validate():
        return _test_page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    now = services.clock.now_ms()
    try:
        services.database.transact(lambda tx: setup_steps.send_test(tx, who(tx), form.number.data, now))
    except Refused as refused:
        form.wrong(refused, words=compliance.REFUSALS)
        return _test_page(form), refused.status
    services.ring()
    return here("test")


@blueprint.post("/test/activate")
@door.needs(SETTINGS_EDIT)
def activate() -> ResponseReturnValue:
    """The test message has arrived: open the country."""
    situation()
    services, form = sessions.services(), TestForm(formdata=None)
    now = services.clock.now_ms()
    try:
        services.database.transact(lambda tx: setup_steps.activate(tx, who(tx), now))
    except Refused as refused:
        form.wrong(refused, words=compliance.REFUSALS)
        return _test_page(form), refused.status
    return forward("test")


# --- credits, key, backup --------------------------------------------------------------------------------------------


@blueprint.get("/credits")
@door.needs(SETTINGS_EDIT)
def credits() -> ResponseReturnValue:
    """Credits to begin with."""
    return page("credits", "credits", situation=situation(), form=CreditsForm(formdata=None, amount=1000))


@blueprint.post("/credits")
@door.needs(SETTINGS_EDIT)
def grant() -> ResponseReturnValue:
    """Grant them, once."""
    where, form, services = situation(), CreditsForm(), sessions.services()
    if not form.validate():
        return page("credits", "credits", situation=where, form=form), HTTPStatus.UNPROCESSABLE_ENTITY
    now = services.clock.now_ms()
    try:
        services.database.transact(lambda tx: setup_steps.first_credits(tx, who(tx), form.amount.data, now))
    except Refused as refused:
        form.wrong(refused)
        return page("credits", "credits", situation=where, form=form), refused.status
    return forward("credits")


@blueprint.get("/key")
@door.needs(SETTINGS_EDIT)
def key() -> ResponseReturnValue:
    """A key for the applicant tracking system."""
    return page("key", "key", situation=situation(), form=KeyForm(formdata=None, name=N_("ATS")), secret=None)


@blueprint.post("/key")
@door.needs(SETTINGS_EDIT)
def make_key() -> ResponseReturnValue:
    """Make it, and show it this one time."""
    where, form, services = situation(), KeyForm(), sessions.services()
    if not form.validate():
        return page("key", "key", situation=where, form=form, secret=None), HTTPStatus.UNPROCESSABLE_ENTITY
    now = services.clock.now_ms()
    try:
        secret = services.database.transact(lambda tx: setup_steps.first_key(tx, who(tx), form.name.data, now))
    except Refused as refused:
        form.wrong(refused)
        return page("key", "key", situation=where, form=form, secret=None), refused.status
    trusted = "" if services.config.web.tls.mode != "auto" else " --insecure"
    curl = f"curl -sS{trusted} {request.host_url}api/v1/organisations/self/credits -H 'Authorization: Bearer {secret}'"
    return page("key", "key", situation=situation(), form=form, secret=secret, curl=curl, insecure=bool(trusted))


@blueprint.get("/backup")
@door.needs(SETTINGS_EDIT)
def backup() -> ResponseReturnValue:
    """What must be kept elsewhere."""
    return _backup_page(None)


def _backup_page(problem: str | None) -> str:
    config = sessions.services().config
    return page(
        "backup",
        "backup",
        situation=situation(),
        state_dir=config.gateway.state_dir,
        place=config.gateway.database_shown,
        target=None if config.backup is None else config.backup.target,
        problem=problem,
    )


@blueprint.post("/<any(credits, key):step>/later")
@door.needs(SETTINGS_EDIT)
def later(step: str) -> ResponseReturnValue:
    """Not now: the step counts as looked at."""
    return _noted(step)


@blueprint.post("/backup")
@door.needs(SETTINGS_EDIT)
def save_backup() -> ResponseReturnValue:
    """Somebody takes care of it."""
    if request.form.get("understood") != "yes":
        return _backup_page(_("Tick this once you know who keeps the copies, and where.")), HTTPStatus.UNPROCESSABLE_ENTITY
    return _noted("backup")


def _noted(step: str) -> ResponseReturnValue:
    situation()
    services = sessions.services()
    now = services.clock.now_ms()
    services.database.transact(lambda tx: setting_up.note(tx, who(tx), step, now))
    return forward(step)


# --- the end ---------------------------------------------------------------------------------------------------------


@blueprint.get("/finish")
@door.needs(SETTINGS_EDIT)
def finish() -> ResponseReturnValue:
    """The checklist."""
    return _finish_page(None)


def _finish_page(refused: Refused | None) -> str:
    where = situation()
    gaps = [] if refused is None else [compliance.gap_told(gap) for gap in refused.facts.get("gaps", ())]
    return page("finish", "finish", situation=where, names=NAMES, refused=refused, gaps=gaps, addresses=_addresses())


def _addresses() -> dict[str, str]:
    return {step: url_for(f"setup.{step}") for step in setup_steps.STEPS}


@blueprint.post("/finish")
@door.needs(SETTINGS_EDIT)
def end() -> ResponseReturnValue:
    """Everything is there: messages may leave."""
    situation()
    services = sessions.services()
    now = services.clock.now_ms()
    try:
        services.database.transact(lambda tx: setup_steps.finish(tx, who(tx), now))
    except Refused as refused:
        return _finish_page(refused), refused.status
    services.ring()
    return redirect(url_for("setup.done"), HTTPStatus.SEE_OTHER)


@blueprint.get("/done")
@door.needs(SETTINGS_EDIT)
def done() -> ResponseReturnValue:
    """What to do next."""
    return render_template("setup/done.html")
