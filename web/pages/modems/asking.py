"""Asking: the network by USSD, and the modem itself at a console that takes questions only (design.md §7)."""

from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import StringField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import modem_commands
from gateway.rules.permissions import MODEMS_OPERATE
from gateway.store import lists_modems
from web import sessions
from web.pages import door
from web.pages.forms import PageForm
from web.pages.language import N_
from web.pages.modems import phrases
from web.pages.modems.overview import blueprint, etag, find, fragment, give, tabs

_TYPED = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}


class UssdForm(PageForm):
    """A code for the network."""

    code = StringField(
        N_("Code"),
        [InputRequired(N_("Enter a code such as *100#.")), Length(max=80)],
        description=N_("Such as *100# for the balance of a prepaid card; the operator's pages name them."),
        render_kw={**_TYPED, "inputmode": "tel"},
    )


class QueryForm(PageForm):
    """A question to the modem."""

    command = StringField(
        N_("Question"),
        [InputRequired(N_("Enter a question such as AT+CSQ or AT+COPS?.")), Length(max=80)],
        render_kw={**_TYPED, "list": "questions"},
    )


@blueprint.get("/<modem_id>/ussd")
@door.needs(MODEMS_OPERATE)
def ussd(modem_id: str) -> ResponseReturnValue:
    """Codes that were asked, with the network's answers."""
    return _page(modem_id, "ussd", UssdForm(formdata=None))


@blueprint.post("/<modem_id>/ussd")
@door.needs(MODEMS_OPERATE)
def ask_network(modem_id: str) -> ResponseReturnValue:
    """Ask the network."""
    form = UssdForm()
    return _ask(modem_id, "ussd", form, {"code": (form.code.data or "").strip()})


@blueprint.get("/<modem_id>/console")
@door.needs(MODEMS_OPERATE)
def console(modem_id: str) -> ResponseReturnValue:
    """The console with its transcript."""
    return _page(modem_id, "console", QueryForm(formdata=None))


@blueprint.post("/<modem_id>/console")
@door.needs(MODEMS_OPERATE)
def ask_modem(modem_id: str) -> ResponseReturnValue:
    """Ask the modem."""
    form = QueryForm()
    return _ask(modem_id, "console", form, {"command": (form.command.data or "").strip()})


@blueprint.get("/<modem_id>/<any(ussd, console):where>/live")
@door.needs(MODEMS_OPERATE, fragment=True)
def answers(modem_id: str, where: str) -> ResponseReturnValue:
    """What was asked and answered, alone."""
    return fragment(_transcript(modem_id, where))


def _ask(modem_id: str, where: str, form: PageForm, args: dict[str, Any]) -> ResponseReturnValue:
    if not form.validate():
        return _page(modem_id, where, form), HTTPStatus.UNPROCESSABLE_ENTITY
    try:
        give(modem_id, "ussd" if where == "ussd" else "query", args)
    except Refused as refused:
        form.wrong(refused)
        return _page(modem_id, where, form), refused.status
    return redirect(url_for(f"modems.{where}", modem_id=modem_id), HTTPStatus.SEE_OTHER)


def _page(modem_id: str, where: str, form: PageForm) -> str:
    with sessions.services().database.read() as view:
        modem = find(view, modem_id)
    transcript = _transcript(modem_id, where)
    return render_template(
        f"modems/{where}.html",
        modem=modem,
        tabs=tabs(modem_id),
        form=form,
        transcript=transcript,
        etag=etag(transcript),
        questions=sorted(modem_commands.questions(modem)),
    )


def _transcript(modem_id: str, where: str) -> str:
    services = sessions.services()
    now = services.clock.now_ms()
    with services.database.read() as view:
        modem = find(view, modem_id)
        asked = lists_modems.commands(view, modem, ("ussd" if where == "ussd" else "query",), now)
    told = [(command, phrases.asked(command), phrases.went_wrong(command)) for command in asked]
    return render_template("modems/_transcript.html", where=where, told=told)
