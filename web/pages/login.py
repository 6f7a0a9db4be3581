"""Signing in and out."""

from http import HTTPStatus

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import EmailField, PasswordField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length  # type: ignore[import-untyped]

from gateway.flows import sign_in
from gateway.flows.sign_in import SignedIn
from web import sessions
from web.pages import door
from web.pages.forms import PageForm

blueprint = door.pages("login", __name__, "/admin")


class LoginForm(PageForm):
    """E-mail address and password."""

    email = EmailField(
        "E-mail",
        [InputRequired("Enter your e-mail address."), Length(max=254, message="Enter at most 254 characters.")],
        render_kw={"autocomplete": "username", "autofocus": True},
    )
    password = PasswordField("Password", [InputRequired("Enter your password.")], render_kw={"autocomplete": "current-password"})


@blueprint.get("/login")
@door.anyone
def show() -> ResponseReturnValue:
    """The login form."""
    if sessions.viewer() is not None:
        return redirect(_destination())
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
    if not isinstance(outcome, SignedIn):
        return _turned_away(form, outcome.retry_at)
    response = redirect(_destination(), HTTPStatus.SEE_OTHER)
    sessions.start(response, outcome.token)  # type: ignore[arg-type]
    return response


@blueprint.post("/logout")
@door.signed_in
def leave() -> ResponseReturnValue:
    """End this session."""
    services = sessions.services()
    viewer, now = door.viewer(), services.clock.now_ms()
    services.database.transact(lambda tx: sign_in.sign_out(tx, viewer, now))
    response = redirect(url_for("login.show"), HTTPStatus.SEE_OTHER)
    sessions.end(response)  # type: ignore[arg-type]
    door.notice("You have signed out.")
    return response


def _destination() -> str:
    return door.path_within(request.args.get("next")) or url_for("home.index")


def _form(form: LoginForm, problem: str | None = None, minutes: int = 0) -> str:
    return render_template("login/show.html", form=form, problem=problem, minutes=minutes)


def _turned_away(form: LoginForm, retry_at: int | None) -> ResponseReturnValue:
    if retry_at is None:
        return _form(form, "wrong"), HTTPStatus.FORBIDDEN
    seconds = max(1, -(-(retry_at - sessions.services().clock.now_ms()) // 1000))
    page = _form(form, "locked", -(-seconds // 60))
    return page, HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": str(seconds)}
