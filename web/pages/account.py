"""One's own account: the password, and where one is signed in."""

from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import PasswordField  # type: ignore[import-untyped]
from wtforms.validators import EqualTo, InputRequired, ValidationError  # type: ignore[import-untyped]

from gateway.flows import sign_in
from gateway.flows.sign_in import PASSWORD_LEAST, PASSWORD_MOST, TurnedAway
from web import sessions
from web.pages import door
from web.pages.forms import PageForm

blueprint = door.pages("account", __name__, "/admin/account")

WEAK = {
    "short": f"Use at least {PASSWORD_LEAST} characters; four or five words do well.",
    "long": f"Use at most {PASSWORD_MOST} characters.",
    "email": "Do not use your e-mail address.",
    "plain": "Use more different characters.",
}


class PasswordForm(PageForm):
    """The current password, and a new one twice."""

    current = PasswordField(
        "Current password",
        [InputRequired("Enter your current password.")],
        render_kw={"autocomplete": "current-password"},
    )
    fresh = PasswordField(
        "New password",
        [InputRequired("Enter a new password.")],
        description=WEAK["short"],
        render_kw={"autocomplete": "new-password"},
    )
    again = PasswordField(
        "New password again",
        [InputRequired("Enter the new password again."), EqualTo("fresh", "The two new passwords differ.")],
        render_kw={"autocomplete": "new-password"},
    )

    def validate_fresh(self, field: Any) -> None:
        """Long enough, and not one's own address."""
        weakness = sign_in.weakness(field.data, door.viewer().email)
        if weakness is not None:
            raise ValidationError(WEAK[weakness])


@blueprint.get("")
@door.signed_in
def index() -> ResponseReturnValue:
    """The account page."""
    return _page(PasswordForm())


@blueprint.post("/password")
@door.signed_in
def password() -> ResponseReturnValue:
    """Change the password; every other session ends."""
    form = PasswordForm()
    if not form.validate():
        return _page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    services, viewer, address = sessions.services(), door.viewer(), sessions.address()
    with services.database.read() as view:
        account = sign_in.account_of(view, viewer, address, services.clock.now_ms())
    right = account.retry_at is None and sign_in.matches(account.user, form.current.data)
    password_hash = sign_in.hash_password(form.fresh.data) if right else ""
    now = services.clock.now_ms()
    outcome = services.database.transact(
        lambda tx: sign_in.change_password(tx, viewer, account, right, password_hash, address, now)
    )
    if isinstance(outcome, TurnedAway):
        locked = "Too many wrong attempts. Wait some minutes and try again."
        form.current.errors = [locked if outcome.retry_at else "This is not your current password."]
        return _page(form), HTTPStatus.TOO_MANY_REQUESTS if outcome.retry_at else HTTPStatus.UNPROCESSABLE_ENTITY
    door.notice(f"Your password has changed. {_ended(outcome)}")
    return redirect(url_for("account.index"), HTTPStatus.SEE_OTHER)


@blueprint.post("/sessions")
@door.signed_in
def revoke() -> ResponseReturnValue:
    """End every other session."""
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()
    ended = services.database.transact(lambda tx: sign_in.sign_out_others(tx, viewer, now))
    door.notice(_ended(ended))
    return redirect(url_for("account.index"), HTTPStatus.SEE_OTHER)


def _ended(count: int) -> str:
    if count == 0:
        return "You were not signed in anywhere else."
    return "One other session was ended." if count == 1 else f"{count} other sessions were ended."


def _page(form: PasswordForm) -> str:
    services, viewer = sessions.services(), door.viewer()
    with services.database.read() as view:
        live = sign_in.sessions_of(view, viewer.user_id, services.clock.now_ms())
    return render_template("account/index.html", form=form, sessions=live)
