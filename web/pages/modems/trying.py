"""Trying a modem: its self test, step by step, and a test message to a telephone of the staff, with its report."""

from http import HTTPStatus

from flask import current_app, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import StringField, TelField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import modem_commands, test_messages
from gateway.flows.rights import acting
from gateway.rules.permissions import MODEMS_OPERATE
from gateway.store import lists_modems
from gateway.store.database import Transaction
from web import sessions
from web.pages import door
from web.pages.forms import PageForm
from web.pages.language import N_, _
from web.pages.modems import phrases
from web.pages.modems.overview import blueprint, etag, find, fragment, give, tabs


class NumberForm(PageForm):
    """Where a test message goes."""

    number = TelField(
        N_("Your mobile number"),
        [InputRequired(N_("Enter the number of a telephone that you have at hand.")), Length(max=30)],
        description=N_("In international form, such as +46 70 123 45 67."),
        render_kw={"autocomplete": "tel", "list": "staff"},
    )


class ConfirmForm(PageForm):
    """The code that came with the first test message."""

    code = StringField(
        N_("Code from the test message"),
        [InputRequired(N_("Enter the six digits from the message.")), Length(max=20)],
        render_kw={"inputmode": "numeric", "autocomplete": "one-time-code"},
    )


@blueprint.get("/<modem_id>/tests")
@door.needs(MODEMS_OPERATE)
def tests(modem_id: str) -> ResponseReturnValue:
    """The self test, test messages, and how the last ones went."""
    return _page(modem_id)


@blueprint.get("/<modem_id>/tests/<any(self, sent):part>/live")
@door.needs(MODEMS_OPERATE, fragment=True)
def tests_live(modem_id: str, part: str) -> ResponseReturnValue:
    """How the last self test, or the last test messages went, alone."""
    return fragment(_self_test(modem_id) if part == "self" else _sent(modem_id))


@blueprint.post("/<modem_id>/tests/self")
@door.needs(MODEMS_OPERATE)
def self_test(modem_id: str) -> ResponseReturnValue:
    """Start a self test, unless one waits or runs."""
    services = sessions.services()
    with services.database.read() as view:
        running = modem_commands.is_waiting(view, find(view, modem_id), "test", services.clock.now_ms())
    if running:
        door.notice(N_("A self test is running already."), "warning")
    else:
        give(modem_id, "test", {})
    return redirect(url_for("modems.tests", modem_id=modem_id), HTTPStatus.SEE_OTHER)


@blueprint.post("/<modem_id>/tests/message")
@door.needs(MODEMS_OPERATE)
def test_message(modem_id: str) -> ResponseReturnValue:
    """Send a test message."""
    form, services, viewer = NumberForm(), sessions.services(), door.viewer()
    if not form.validate():
        return _page(modem_id, number=form), HTTPStatus.UNPROCESSABLE_ENTITY
    now, phone_key = services.clock.now_ms(), current_app.extensions["ringpost.secrets"].phone

    def step(tx: Transaction) -> None:
        who = acting(tx, viewer.organisation_id, viewer.actor, viewer.user_id)
        test_messages.send(tx, who, find(tx, modem_id), form.number.data, phone_key, now)

    try:
        services.database.transact(step)
    except Refused as refused:
        form.wrong(refused)
        return _page(modem_id, number=form), refused.status
    services.ring()
    door.notice(N_("The test message is on its way. Watch it below."))
    return redirect(url_for("modems.tests", modem_id=modem_id), HTTPStatus.SEE_OTHER)


@blueprint.post("/<modem_id>/tests/<staff_id>/code")
@door.needs(MODEMS_OPERATE)
def confirm(modem_id: str, staff_id: str) -> ResponseReturnValue:
    """Take the code that came with a test message."""
    form, services, viewer = ConfirmForm(), sessions.services(), door.viewer()
    if not form.validate():
        return _page(modem_id, code=form), HTTPStatus.UNPROCESSABLE_ENTITY
    now = services.clock.now_ms()

    def step(tx: Transaction) -> bool:
        who = acting(tx, viewer.organisation_id, viewer.actor, viewer.user_id)
        return test_messages.confirm(tx, who, staff_id, form.code.data, now)

    try:
        right = services.database.transact(step)
    except Refused as refused:
        form.wrong(refused)
        return _page(modem_id, code=form), refused.status
    if not right:
        form.say("code", _("This is not the code of the newest test message to that number."))
        return _page(modem_id, code=form), HTTPStatus.UNPROCESSABLE_ENTITY
    door.notice(N_("The number is confirmed: test messages to it need no code any more."))
    return redirect(url_for("modems.tests", modem_id=modem_id), HTTPStatus.SEE_OTHER)


def _page(modem_id: str, *, number: NumberForm | None = None, code: ConfirmForm | None = None) -> str:
    services, viewer = sessions.services(), door.viewer()
    with services.database.read() as view:
        modem = find(view, modem_id)
        staff = test_messages.numbers(view, viewer.organisation_id)
        sender = lists_modems.sender_of(view, modem, viewer.organisation_id)
        sent = lists_modems.trials(view, modem_id, viewer.organisation_id)
    parts = {"self": _self_test(modem_id), "sent": _sent(modem_id)}
    return render_template(
        "modems/tests.html",
        modem=modem,
        tabs=tabs(modem_id),
        parts=parts,
        etags={name: etag(part) for name, part in parts.items()},
        staff=staff,
        sender=sender,
        form=number or NumberForm(formdata=None),
        code=code or ConfirmForm(formdata=None),
        unconfirmed=next((test for test in sent if test.wants_code), None),
    )


def _self_test(modem_id: str) -> str:
    services = sessions.services()
    now = services.clock.now_ms()
    with services.database.read() as view:
        runs = lists_modems.commands(view, find(view, modem_id), ("test",), now, limit=1)
    run = runs[0] if runs else None
    steps = [] if run is None else list(run.result.get("steps", ()))
    return render_template(
        "modems/_self_test.html",
        run=run,
        steps=steps,
        word=None if run is None else phrases.test_over(steps) if run.state == "done" else phrases.asked(run),
        wrong="" if run is None else phrases.went_wrong(run),
        names=phrases.STEPS,
        results=phrases.RESULTS,
        help=phrases.HELP,
    )


def _sent(modem_id: str) -> str:
    with sessions.services().database.read() as view:
        sent = lists_modems.trials(view, find(view, modem_id)["id"], door.viewer().organisation_id, limit=5)
    return render_template("modems/_sent_tests.html", sent=sent)
