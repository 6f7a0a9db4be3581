"""The second step of signing in: an authenticator app and recovery codes; and taking it from somebody who lost their phone."""

import io
from http import HTTPStatus
from typing import Any

import segno
from flask import current_app, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from wtforms import HiddenField, PasswordField, StringField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import facts, second_step
from gateway.flows.rights import acting
from gateway.flows.second_step import Proposal
from gateway.flows.sign_in import TurnedAway
from gateway.rules.permissions import USERS_EDIT
from web import sessions
from web.pages import door
from web.pages.account.desk import blueprint, turned_away, typed_again
from web.pages.forms import PageForm
from web.pages.language import N_

CODE = {"inputmode": "numeric", "autocomplete": "one-time-code", "spellcheck": "false"}


class CodeForm(PageForm):
    """The first code that the app shows."""

    ticket = HiddenField()
    code = StringField(
        N_("Code from the app"),
        [InputRequired(N_("Enter the six digits that the app shows.")), Length(max=20, message=N_("A code has six digits."))],
        render_kw=CODE,
    )


def _password(field_id: str) -> PasswordField:
    asked = [InputRequired(N_("Enter your password."))]
    return PasswordField(N_("Your password"), asked, id=field_id, render_kw={"autocomplete": "current-password"})


class AgainForm(PageForm):
    """One's password once more, before fresh codes are made."""

    password = _password("codes-password")


class OffForm(PageForm):
    """One's password once more, before codes are asked for no more."""

    password = _password("off-password")


@blueprint.get("/second-step")
@door.signed_in
def second() -> ResponseReturnValue:
    """Where it stands; a picture to scan where it is off."""
    return _page()


@blueprint.post("/second-step")
@door.signed_in
def switch_on() -> ResponseReturnValue:
    """Take the app's first code, and show the recovery codes, once."""
    form, services, viewer = CodeForm(), sessions.services(), door.viewer()
    now = services.clock.now_ms()
    try:
        proposal = second_step.again(_seal(), viewer, form.ticket.data or "", now)
        if not form.validate():
            return _page(code=form, proposal=proposal), HTTPStatus.UNPROCESSABLE_ENTITY
        codes = services.database.transact(
            lambda tx: second_step.switch_on(tx, _seal(), viewer, form.ticket.data, form.code.data, now)
        )
    except Refused as refused:
        form.wrong(refused, "code")
        fresh = None if refused.code == "proposal_over" else proposal
        return _page(code=form, proposal=fresh), refused.status
    return render_template("account/codes.html", codes=codes, fresh=False)


@blueprint.post("/second-step/codes")
@door.signed_in
def codes() -> ResponseReturnValue:
    """Ten fresh recovery codes, shown once."""
    return _after_password("codes")


@blueprint.post("/second-step/off")
@door.signed_in
def switch_off() -> ResponseReturnValue:
    """Ask for no more codes."""
    return _after_password("off")


def _after_password(wanted: str) -> ResponseReturnValue:
    form = AgainForm() if wanted == "codes" else OffForm()
    services, viewer = sessions.services(), door.viewer()
    if not form.validate():
        return _page(**{wanted: form}), HTTPStatus.UNPROCESSABLE_ENTITY
    account, right, address = typed_again(form.password.data)
    now = services.clock.now_ms()
    flow = second_step.fresh_codes if wanted == "codes" else second_step.switch_off
    outcome: Any = services.database.transact(lambda tx: flow(tx, viewer, account, right, address, now))
    if isinstance(outcome, TurnedAway):
        status = turned_away(form, "password", outcome)
        return _page(**{wanted: form}), status
    if wanted == "codes":
        return render_template("account/codes.html", codes=outcome, fresh=True)
    door.notice(N_("No code is asked for any more when you sign in."))
    return redirect(url_for("account.index"), HTTPStatus.SEE_OTHER)


@blueprint.get("/people/<user_id>/second-step")
@door.needs(USERS_EDIT)
def of_somebody(user_id: str) -> ResponseReturnValue:
    """Somebody else's: whether they use it, and taking it away when their phone is lost."""
    viewer = door.viewer()
    with sessions.services().database.read() as view:
        person = facts.find_user(view, viewer.organisation_id, user_id)
        standing = second_step.standing(view, person["id"])
    return render_template("account/of_somebody.html", person=person, standing=standing)


@blueprint.post("/people/<user_id>/second-step")
@door.needs(USERS_EDIT)
def reset(user_id: str) -> ResponseReturnValue:
    """Take it away, and sign them out everywhere."""
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()
    services.database.transact(
        lambda tx: second_step.reset(tx, acting(tx, viewer.organisation_id, viewer.actor, viewer.user_id), user_id, now)
    )
    door.notice(N_("Their second step is off. They sign in with the password alone, and can set it up again."))
    return redirect(url_for("account.of_somebody", user_id=user_id), HTTPStatus.SEE_OTHER)


def _page(
    *,
    code: CodeForm | None = None,
    proposal: Proposal | None = None,
    codes: AgainForm | None = None,
    off: OffForm | None = None,
) -> str:
    services, viewer = sessions.services(), door.viewer()
    with services.database.read() as view:
        standing = second_step.standing(view, viewer.user_id)
    shown = proposal or second_step.propose(_seal(), viewer, services.clock.now_ms())
    form = code or CodeForm(formdata=None)
    form.ticket.data = shown.ticket
    return render_template(
        "account/second_step.html",
        standing=standing,
        proposal=shown,
        groups=[shown.secret[at : at + 4] for at in range(0, len(shown.secret), 4)],
        picture=None if standing.is_on else _picture(shown.address),
        code=form,
        codes=codes or AgainForm(formdata=None),
        off=off or OffForm(formdata=None),
    )


def _picture(address: str) -> Markup:
    """The QR code as an SVG inside the page, dark on light in every colour scheme: cameras want it so."""
    out = io.BytesIO()
    segno.make(address, error="m").save(
        out,
        kind="svg",
        xmldecl=False,
        svgns=False,
        omitsize=True,
        border=4,
        dark="#000",
        light="#fff",
        svgclass="qr",
        lineclass=None,
    )
    return Markup(out.getvalue().decode())  # noqa: S704  # made here, of squares


def _seal() -> bytes:
    seal: bytes = current_app.extensions["ringpost.secrets"].seal
    return seal
