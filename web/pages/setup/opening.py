"""Opening the wizard: the one-time code from the console, and the first account."""

from http import HTTPStatus
from typing import Any

from flask import redirect, session, url_for
from flask.typing import ResponseReturnValue
from wtforms import EmailField, PasswordField, SelectField, StringField  # type: ignore[import-untyped]
from wtforms.validators import EqualTo, InputRequired, Length, ValidationError  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import setting_up, sign_in
from gateway.flows.sign_in import TurnedAway
from web import sessions
from web.pages import door
from web.pages.account import WEAK
from web.pages.forms import PageForm
from web.pages.language import LANGUAGES, N_, _, chosen, ngettext
from web.pages.setup.frame import HOLDER, blueprint, here, page


class CodeForm(PageForm):
    """The one-time code."""

    code = StringField(
        N_("Code"),
        [InputRequired(N_("Type the code that the box has printed.")), Length(max=40, message=N_("The code is shorter."))],
        description=N_("Twelve letters and digits, such as ABCD-2345-EFGH. Capitals and dashes do not matter."),
        render_kw={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false", "autofocus": True},
    )


class AccountForm(PageForm):
    """The first account."""

    name = StringField(
        N_("Your name"), [InputRequired(N_("Enter your name.")), Length(max=200)], render_kw={"autocomplete": "name"}
    )
    email = EmailField(
        N_("E-mail"), [InputRequired(N_("Enter your e-mail address.")), Length(max=254)], render_kw={"autocomplete": "username"}
    )
    language = SelectField(N_("Language of the pages"))
    password = PasswordField(
        N_("Password"),
        [InputRequired(N_("Enter a password."))],
        description=WEAK["short"],
        render_kw={"autocomplete": "new-password"},
    )
    again = PasswordField(
        N_("Password again"),
        [InputRequired(N_("Enter the password again.")), EqualTo("password", N_("The two passwords differ."))],
        render_kw={"autocomplete": "new-password"},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.language.choices = list(LANGUAGES.items())

    def validate_password(self, field: Any) -> None:
        """Long enough, and not the address."""
        weakness = sign_in.weakness(field.data, self.email.data or "")
        if weakness is not None:
            raise ValidationError(WEAK[weakness])


def _is_fresh() -> bool:
    with sessions.services().database.read() as view:
        return setting_up.is_fresh(view)


def _is_holder() -> bool:
    services = sessions.services()
    with services.database.read() as view:
        return setting_up.is_holder(view, session.get(HOLDER, ""), services.clock.now_ms())


def _away() -> ResponseReturnValue:
    return redirect(url_for("setup.index"), HTTPStatus.SEE_OTHER)


@blueprint.get("/code")
@door.anyone
def code() -> ResponseReturnValue:
    """Where the code is typed."""
    if not _is_fresh():
        return _away()
    return here("account") if _is_holder() else page("code", "code", form=CodeForm(formdata=None))


@blueprint.post("/code")
@door.anyone
def unlock() -> ResponseReturnValue:
    """Take the code."""
    form, services, address = CodeForm(), sessions.services(), sessions.address()
    if not form.validate():
        return page("code", "code", form=form), HTTPStatus.UNPROCESSABLE_ENTITY
    now = services.clock.now_ms()
    try:
        outcome = services.database.transact(lambda tx: setting_up.unlock(tx, form.code.data, address, now))
    except Refused:
        return _away()
    if isinstance(outcome, TurnedAway):
        return _wrong(form, outcome, now)
    session[HOLDER] = outcome
    return here("account")


def _wrong(form: CodeForm, outcome: TurnedAway, now: int) -> ResponseReturnValue:
    if outcome.retry_at is None:
        form.say("code", _("This is not the code, or it has run out."))
        return page("code", "code", form=form), HTTPStatus.FORBIDDEN
    seconds = max(1, -(-(outcome.retry_at - now) // 1000))
    said = ngettext(
        "Too many wrong codes. Try again in one minute.",
        "Too many wrong codes. Try again in %(count)s minutes.",
        -(-seconds // 60),
    )
    form.say("code", said)
    return page("code", "code", form=form), HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": str(seconds)}


@blueprint.get("/account")
@door.anyone
def account() -> ResponseReturnValue:
    """Where the first account is made."""
    if not _is_fresh():
        return _away()
    if not _is_holder():
        return here("code")
    return page("account", "account", form=AccountForm(formdata=None, language=chosen()))


@blueprint.post("/account")
@door.anyone
def make() -> ResponseReturnValue:
    """Make the first account, and sign it in."""
    form, services, address = AccountForm(), sessions.services(), sessions.address()
    if not _is_holder():
        return here("code")
    if not form.validate():
        return page("account", "account", form=form), HTTPStatus.UNPROCESSABLE_ENTITY
    password_hash, token = sign_in.hash_password(form.password.data), session.get(HOLDER, "")
    now = services.clock.now_ms()
    try:
        made = services.database.transact(
            lambda tx: setting_up.make_admin(
                tx,
                token,
                name=form.name.data.strip(),
                email=form.email.data,
                password_hash=password_hash,
                language=form.language.data,
                address=address,
                now=now,
            )
        )
    except Refused as refused:
        form.wrong(refused, "email")
        return page("account", "account", form=form), refused.status
    response = redirect(url_for("setup.index"), HTTPStatus.SEE_OTHER)
    sessions.start(response, made.token)  # type: ignore[arg-type]
    return response
