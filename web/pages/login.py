"""Signing in, by one step or two, and out."""

from http import HTTPStatus

from flask import current_app, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from wtforms import EmailField, PasswordField, StringField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length  # type: ignore[import-untyped]

from gateway.flows import second_step, setting_up, sign_in
from gateway.flows.sign_in import HalfWay, SignedIn, TurnedAway
from web import sessions
from web.pages import door
from web.pages.forms import PageForm
from web.pages.language import N_, _

blueprint = door.pages("login", __name__, "/admin")

HALF_WAY = "half_way"
"""Where the form cookie keeps the token between the two steps."""


class LoginForm(PageForm):
    """E-mail address and password."""

    email = EmailField(
        N_("E-mail"),
        [InputRequired(N_("Enter your e-mail address.")), Length(max=254, message=N_("Enter at most 254 characters."))],
        render_kw={"autocomplete": "username", "autofocus": True},
    )
    password = PasswordField(
        N_("Password"), [InputRequired(N_("Enter your password."))], render_kw={"autocomplete": "current-password"}
    )


class CodeForm(PageForm):
    """The code of the second step."""

    code = StringField(
        N_("Code from your phone"),
        [InputRequired(N_("Enter the code that your app shows.")), Length(max=40, message=N_("A code is shorter."))],
        render_kw={"autocomplete": "one-time-code", "spellcheck": "false", "autofocus": True},
    )


@blueprint.get("/login")
@door.anyone
def show() -> ResponseReturnValue:
    """The login form; on a fresh box, where nobody can sign in, the set-up."""
    if sessions.viewer() is not None:
        return redirect(_destination())
    with sessions.services().database.read() as view:
        if setting_up.is_fresh(view):
            return redirect(url_for("setup.index"))
    return _form(LoginForm())


@blueprint.post("/login")
@door.anyone
def enter() -> ResponseReturnValue:
    """Check an e-mail address and password; the same answer for wrong, unknown and switched off."""
    form = LoginForm()
    if not form.validate():
        return _form(form), HTTPStatus.UNPROCESSABLE_ENTITY
    email, password = form.email.data, form.password.data
    services, address = sessions.services(), sessions.address()
    with services.database.read() as view:
        account = sign_in.look_up(view, email, address, services.clock.now_ms())
    if account.retry_at is not None:
        return _turned_away(form, account.retry_at)
    right = sign_in.matches(account.user, password)
    now = services.clock.now_ms()
    outcome = services.database.transact(lambda tx: sign_in.settle(tx, account, right, address, now))
    if isinstance(outcome, HalfWay):
        session[HALF_WAY] = outcome.token
        return redirect(url_for("login.second", next=request.args.get("next")), HTTPStatus.SEE_OTHER)
    if not isinstance(outcome, SignedIn):
        return _turned_away(form, outcome.retry_at)
    return _admitted(outcome)


def _admitted(outcome: SignedIn) -> ResponseReturnValue:
    response = redirect(_destination(), HTTPStatus.SEE_OTHER)
    sessions.start(response, outcome.token)  # type: ignore[arg-type]
    return response


@blueprint.get("/login/code")
@door.anyone
def second() -> ResponseReturnValue:
    """The form of the second step."""
    with sessions.services().database.read() as view:
        found = second_step.holder(view, session.get(HALF_WAY, ""), sessions.address(), sessions.services().clock.now_ms())
    return _start_again() if found is None else _code(CodeForm())


@blueprint.post("/login/code")
@door.anyone
def check() -> ResponseReturnValue:
    """Take a code of the app, or a recovery code."""
    form, services, token, address = CodeForm(), sessions.services(), session.get(HALF_WAY, ""), sessions.address()
    if not form.validate():
        return _code(form), HTTPStatus.UNPROCESSABLE_ENTITY
    now, seal = services.clock.now_ms(), current_app.extensions["ringpost.secrets"].seal
    outcome = services.database.transact(lambda tx: second_step.finish(tx, seal, token, form.code.data, address, now))
    if outcome is None:
        return _start_again()
    if isinstance(outcome, TurnedAway):
        if outcome.retry_at is None:
            form.say("code", _("This code is wrong, too old or used already. Wait for the next one."))
            return _code(form), HTTPStatus.FORBIDDEN
        seconds, minutes = _left(outcome.retry_at)
        return _code(form, "locked", minutes), HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": str(seconds)}
    return _admitted(outcome)


def _start_again() -> ResponseReturnValue:
    session.pop(HALF_WAY, None)
    door.notice(N_("That took too long. Sign in with your password again."), "warning")
    return redirect(url_for("login.show", next=request.args.get("next")), HTTPStatus.SEE_OTHER)


def _code(form: CodeForm, problem: str | None = None, minutes: int = 0) -> str:
    return render_template("login/code.html", form=form, problem=problem, minutes=minutes)


@blueprint.post("/logout")
@door.signed_in
def leave() -> ResponseReturnValue:
    """End this session."""
    services = sessions.services()
    viewer, now = door.viewer(), services.clock.now_ms()
    services.database.transact(lambda tx: sign_in.sign_out(tx, viewer, now))
    response = redirect(url_for("login.show"), HTTPStatus.SEE_OTHER)
    sessions.end(response)  # type: ignore[arg-type]
    door.notice(N_("You have signed out."))
    return response


def _destination() -> str:
    return door.path_within(request.args.get("next")) or url_for("home.index")


def _form(form: LoginForm, problem: str | None = None, minutes: int = 0) -> str:
    return render_template("login/show.html", form=form, problem=problem, minutes=minutes)


def _turned_away(form: LoginForm, retry_at: int | None) -> ResponseReturnValue:
    if retry_at is None:
        return _form(form, "wrong"), HTTPStatus.FORBIDDEN
    seconds, minutes = _left(retry_at)
    return _form(form, "locked", minutes), HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": str(seconds)}


def _left(retry_at: int) -> tuple[int, int]:
    """How long a lockout lasts still, in seconds and in whole minutes."""
    seconds = max(1, -(-(retry_at - sessions.services().clock.now_ms()) // 1000))
    return seconds, -(-seconds // 60)
