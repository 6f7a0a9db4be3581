"""One's own account: language and zone, notices by e-mail, the password, and where one is signed in."""

from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import PasswordField, SelectField  # type: ignore[import-untyped]
from wtforms.validators import EqualTo, InputRequired, Length, ValidationError  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import notices, second_step, sign_in
from gateway.flows.sign_in import TurnedAway
from web import sessions
from web.pages import door
from web.pages.forms import PageForm
from web.pages.language import LANGUAGES, N_, _, ngettext
from web.pages.places import ZoneField

blueprint = door.pages("account", __name__, "/admin/account")

LIKE_THE_OFFICE = N_("As the organisation")
WISHES = {
    "off": N_("No mail"),
    "at_once": N_("A mail at once"),
    "daily": N_("One mail a day, in the morning"),
}

WEAK = {
    "short": N_("Use at least 12 characters; four or five words do well."),
    "long": N_("Use at most 200 characters."),
    "email": N_("Do not use your e-mail address."),
    "plain": N_("Use more different characters."),
}


class PasswordForm(PageForm):
    """The current password, and a new one twice."""

    current = PasswordField(
        N_("Current password"),
        [InputRequired(N_("Enter your current password."))],
        render_kw={"autocomplete": "current-password"},
    )
    fresh = PasswordField(
        N_("New password"),
        [InputRequired(N_("Enter a new password."))],
        description=WEAK["short"],
        render_kw={"autocomplete": "new-password"},
    )
    again = PasswordField(
        N_("New password again"),
        [InputRequired(N_("Enter the new password again.")), EqualTo("fresh", N_("The two new passwords differ."))],
        render_kw={"autocomplete": "new-password"},
    )

    def validate_fresh(self, field: Any) -> None:
        """Long enough, and not one's own address."""
        weakness = sign_in.weakness(field.data, door.viewer().email)
        if weakness is not None:
            raise ValidationError(WEAK[weakness])


class LooksForm(PageForm):
    """Language and zone of the pages."""

    language = SelectField(N_("Language of the pages"), render_kw={"autocomplete": "language"})
    zone = ZoneField(
        N_("Time zone"),
        [Length(max=64, message=N_("This is not a time zone."))],
        description=N_("Type a city, such as Stockholm. Left empty, times are shown in the organisation's zone."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.language.choices = [("", _(LIKE_THE_OFFICE)), *LANGUAGES.items()]


class NoticesForm(PageForm):
    """Whether replies of candidates are told by e-mail."""

    replies = SelectField(N_("When a candidate replies"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.replies.choices = [(name, _(word)) for name, word in WISHES.items()]


@blueprint.get("")
@door.signed_in
def index() -> ResponseReturnValue:
    """The account page."""
    return _page()


@blueprint.post("/looks")
@door.signed_in
def looks() -> ResponseReturnValue:
    """Set language and zone of one's own pages."""
    form = LooksForm()
    if not form.validate():
        return _page(looks=form), HTTPStatus.UNPROCESSABLE_ENTITY
    services, viewer = sessions.services(), door.viewer()
    language, zone = form.language.data or None, (form.zone.data or "").strip() or None
    now = services.clock.now_ms()
    try:
        services.database.transact(lambda tx: sign_in.change_looks(tx, viewer, language, zone, now))
    except Refused as refused:
        form.wrong(refused)
        return _page(looks=form), HTTPStatus.UNPROCESSABLE_ENTITY
    door.forget_language()
    door.notice(N_("Saved."))
    return redirect(url_for("account.index"), HTTPStatus.SEE_OTHER)


@blueprint.post("/notices")
@door.signed_in
def wish() -> ResponseReturnValue:
    """Set whether replies are told by e-mail."""
    form = NoticesForm()
    if not form.validate():
        return _page(wishes=form), HTTPStatus.UNPROCESSABLE_ENTITY
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()
    services.database.transact(
        lambda tx: notices.wish(tx, viewer.organisation_id, viewer.user_id, form.replies.data, viewer.actor, now)
    )
    door.notice(N_("Saved."))
    return redirect(url_for("account.index"), HTTPStatus.SEE_OTHER)


@blueprint.post("/password")
@door.signed_in
def password() -> ResponseReturnValue:
    """Change the password; every other session ends."""
    form = PasswordForm()
    if not form.validate():
        return _page(password=form), HTTPStatus.UNPROCESSABLE_ENTITY
    account, right, address = typed_again(form.current.data)
    password_hash = sign_in.hash_password(form.fresh.data) if right else ""
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()
    outcome = services.database.transact(
        lambda tx: sign_in.change_password(tx, viewer, account, right, password_hash, address, now)
    )
    if isinstance(outcome, TurnedAway):
        return _page(password=form), turned_away(form, "current", outcome)
    door.notice(_("Your password has changed.") + " " + _ended(outcome))
    return redirect(url_for("account.index"), HTTPStatus.SEE_OTHER)


def typed_again(password: str) -> tuple[sign_in.Account, bool, str]:
    """The viewer's account, whether this is its password, and where from: to be settled by a flow, which throttles."""
    services, viewer, address = sessions.services(), door.viewer(), sessions.address()
    with services.database.read() as view:
        account = sign_in.account_of(view, viewer, address, services.clock.now_ms())
    return account, account.retry_at is None and sign_in.matches(account.user, password), address


def turned_away(form: PageForm, name: str, outcome: TurnedAway) -> HTTPStatus:
    """Say at the password's field that it was wrong, or that it is too late to try; the answer's status."""
    locked = _("Too many wrong attempts. Wait some minutes and try again.")
    form.say(name, locked if outcome.retry_at else _("This is not your current password."))
    return HTTPStatus.TOO_MANY_REQUESTS if outcome.retry_at else HTTPStatus.UNPROCESSABLE_ENTITY


@blueprint.post("/sessions")
@door.signed_in
def revoke() -> ResponseReturnValue:
    """End every other session."""
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()
    ended = services.database.transact(lambda tx: sign_in.sign_out_others(tx, viewer, now))
    door.notice(_ended(ended))
    return redirect(url_for("account.index"), HTTPStatus.SEE_OTHER)


@blueprint.post("/sessions/<name>/end")
@door.signed_in
def end(name: str) -> ResponseReturnValue:
    """End one session."""
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()
    ended = services.database.transact(lambda tx: sign_in.sign_out_one(tx, viewer, name, now))
    door.notice(
        N_("That session was ended.") if ended else N_("That session had ended already."), "success" if ended else "warning"
    )
    if ended and name == viewer.session:
        return redirect(url_for("login.show"), HTTPStatus.SEE_OTHER)
    return redirect(url_for("account.index"), HTTPStatus.SEE_OTHER)


def _ended(count: int) -> str:
    if count == 0:
        return _("You were not signed in anywhere else.")
    return ngettext("One other session was ended.", "%(count)s other sessions were ended.", count)


def _page(*, password: PasswordForm | None = None, looks: LooksForm | None = None, wishes: NoticesForm | None = None) -> str:
    services, viewer = sessions.services(), door.viewer()
    with services.database.read() as view:
        live = sign_in.sessions_of(view, viewer.user_id, services.clock.now_ms())
        own = sign_in.looks(view, viewer.user_id)
        standing = second_step.standing(view, viewer.user_id)
        replies = notices.wish_of(view, viewer.user_id)
    return render_template(
        "account/index.html",
        form=password or PasswordForm(formdata=None),
        looks=looks or LooksForm(formdata=None, language=own["language"] or "", zone=own["zone"] or ""),
        wishes=wishes or NoticesForm(formdata=None, replies=replies),
        mails=services.config.smtp is not None,
        sessions=live,
        standing=standing,
    )
