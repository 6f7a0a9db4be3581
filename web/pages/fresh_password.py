"""The page behind a link to a new password: whoever holds the link sets one, once (S46)."""

from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import PasswordField  # type: ignore[import-untyped]
from wtforms.validators import EqualTo, InputRequired  # type: ignore[import-untyped]

from gateway.flows import people, sign_in
from web import sessions
from web.pages import door
from web.pages.account import WEAK
from web.pages.forms import PageForm
from web.pages.language import N_

blueprint = door.pages("fresh_password", __name__, "/admin/password")


class FreshPasswordForm(PageForm):
    """A new password, twice."""

    fresh = PasswordField(
        N_("New password"),
        [InputRequired(N_("Enter a new password."))],
        description=WEAK["short"],
        render_kw={"autocomplete": "new-password", "autofocus": True},
    )
    again = PasswordField(
        N_("New password again"),
        [InputRequired(N_("Enter the new password again.")), EqualTo("fresh", N_("The two new passwords differ."))],
        render_kw={"autocomplete": "new-password"},
    )


@blueprint.get("/<token>")
@door.anyone
def show(token: str) -> ResponseReturnValue:
    """The form; looking at it uses nothing up."""
    return _page(FreshPasswordForm(), _holder(token))


@blueprint.post("/<token>")
@door.anyone
def save(token: str) -> ResponseReturnValue:
    """Set the password; every session of that person ends."""
    form, holder = FreshPasswordForm(), _holder(token)
    weakness = sign_in.weakness(form.fresh.data or "", holder["email"]) if form.validate() else ""
    if weakness:
        form.fresh.errors = [WEAK[weakness]]
    if weakness is not None:
        return _page(form, holder), HTTPStatus.UNPROCESSABLE_ENTITY
    password_hash = sign_in.hash_password(form.fresh.data)
    services = sessions.services()
    now = services.clock.now_ms()
    services.database.transact(lambda tx: people.use_link(tx, token, password_hash, now))
    door.notice(N_("Your password has changed. Sign in with it."))
    return redirect(url_for("login.show"), HTTPStatus.SEE_OTHER)


def _holder(token: str) -> Any:
    services = sessions.services()
    with services.database.read() as view:
        return people.link_holder(view, token, services.clock.now_ms())


def _page(form: FreshPasswordForm, holder: Any) -> str:
    return render_template("login/fresh_password.html", form=form, email=holder["email"])
