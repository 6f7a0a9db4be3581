"""One person: add, edit, switch off and on, a link to a new password, and forgetting somebody who has left (S46)."""

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import BooleanField, EmailField, HiddenField, SelectField, StringField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import people
from gateway.flows.facts import find_user
from gateway.flows.people import Change
from gateway.flows.people_gone import forget_user
from gateway.flows.reach import sources
from gateway.flows.rights import Acting
from gateway.rules.permissions import PERMISSIONS, ROLES, SEATS_LICENSE, USERS_EDIT, USERS_VIEW
from gateway.store import lists_users, setup
from gateway.store.database import Transaction, View
from gateway.store.lists_users import PersonLine
from web import sessions
from web.pages import door, refusals, stale
from web.pages.asker import who
from web.pages.forms import PageForm
from web.pages.language import N_, _
from web.pages.users.desk import blueprint, may_edit, meet, units
from web.pages.users.words import COLUMN_WORDS, GIFT, REFUSED, TERM_WORDS, by_category, role_word

LABELS: Final = {name: COLUMN_WORDS[name] for name in ("name", "unit", "roles", "seat")}


OPERATORS: Final = ROLES["operator"]


class PersonForm(PageForm):
    """What can be changed of a person; roles and single rights come as ticked boxes beside it."""

    shown = HiddenField()
    name = StringField(N_("Name"), [InputRequired(N_("Enter a name.")), Length(max=200)], render_kw={"autocomplete": "off"})
    unit = SelectField(N_("Unit"), description=N_("Their roles hold in this unit and below it."))
    seat = BooleanField(N_("Messaging seat"), description=N_("Only who holds a seat can send messages."))

    @property
    def roles(self) -> list[str]:
        """What is ticked, or typed with blanks between (the page that shows both versions sends it so)."""
        return sorted({word for words in request.form.getlist("roles") for word in words.split()})

    @property
    def has_seat(self) -> bool:
        """Whether the seat is ticked; that page sends it in words."""
        return bool(self.seat.data) and request.form.get("seat") != "no"


class NewPersonForm(PersonForm):
    """Somebody new."""

    email = EmailField(
        N_("E-mail"),
        [InputRequired(N_("Enter their e-mail address.")), Length(max=254)],
        description=N_("They sign in with it."),
        render_kw={"autocomplete": "off"},
    )


@blueprint.get("/new")
@door.needs(USERS_EDIT)
def new() -> ResponseReturnValue:
    """The form for somebody new."""
    return _new(NewPersonForm(formdata=None), ["recruiter"])


@blueprint.post("/new")
@door.needs(USERS_EDIT)
def create() -> ResponseReturnValue:
    """Add a person; the next page makes their password link."""
    form, services = NewPersonForm(), sessions.services()
    _choose_units(form)
    if not form.validate():
        return _new(form, form.roles), HTTPStatus.UNPROCESSABLE_ENTITY
    now = services.clock.now_ms()
    wanted = Change(name=form.name.data, roles=form.roles, seat=form.has_seat, unit=form.unit.data)
    try:
        made = services.database.transact(lambda tx: people.create(tx, who(tx), form.email.data, wanted, now)["id"])
    except Refused as refused:
        problem = _told(form, refused)
        return _new(form, form.roles, problem), refused.status
    door.notice(_("%(name)s was added. Now make a link with which they choose their password.", name=form.name.data))
    return redirect(url_for("users.show", user_id=made), HTTPStatus.SEE_OTHER)


@blueprint.get("/<user_id>")
@door.needs(USERS_VIEW)
def show(user_id: str) -> ResponseReturnValue:
    """A person: what may be changed, and what they may do and why."""
    return page(user_id)


@blueprint.post("/<user_id>")
@door.needs(USERS_EDIT)
def save(user_id: str) -> ResponseReturnValue:
    """Change a person, unless somebody was faster."""
    form, services = PersonForm(), sessions.services()
    _choose_units(form)
    if not form.validate():
        return page(user_id, form), HTTPStatus.UNPROCESSABLE_ENTITY
    now = services.clock.now_ms()
    wanted = {
        "name": form.name.data.strip(),
        "unit": form.unit.data,
        "roles": " ".join(form.roles),
        "seat": "yes" if form.has_seat else "no",
    }

    def step(tx: Transaction) -> None:
        by = who(tx)
        meet(tx, by, user_id)
        stale.check(lists_users.settings(tx, user_id), form.shown.data)
        changed = Change(name=wanted["name"], roles=form.roles, seat=form.has_seat, unit=wanted["unit"])
        people.change(tx, by, user_id, changed, None, now)

    here = url_for("users.show", user_id=user_id)
    try:
        services.database.transact(step)
    except stale.Stale as found:
        action = url_for("users.save", user_id=user_id)
        return stale.page(found, wanted, LABELS, action=action, back=here, words=_words_of(form, found.now, wanted))
    except Refused as refused:
        problem = _told(form, refused)
        return page(user_id, form, problem=problem), refused.status
    door.notice(N_("Saved."))
    return redirect(here, HTTPStatus.SEE_OTHER)


@blueprint.post("/<user_id>/active")
@door.needs(USERS_EDIT)
def activate(user_id: str) -> ResponseReturnValue:
    """Switch an account off (signed out everywhere at once) or on."""
    services, choice = sessions.services(), request.form.get("active")
    if choice not in ("yes", "no"):
        abort(HTTPStatus.BAD_REQUEST)
    now = services.clock.now_ms()

    def step(tx: Transaction) -> None:
        by = who(tx)
        meet(tx, by, user_id)
        people.change(tx, by, user_id, Change(active=choice == "yes"), None, now)

    try:
        services.database.transact(step)
    except Refused as refused:
        return page(user_id, problem=_words(refused)), refused.status
    door.notice(
        N_("The account is switched on.") if choice == "yes" else N_("The account is switched off, and signed out everywhere.")
    )
    return redirect(url_for("users.show", user_id=user_id), HTTPStatus.SEE_OTHER)


@blueprint.post("/<user_id>/link")
@door.needs(USERS_EDIT)
def link(user_id: str) -> ResponseReturnValue:
    """Make a link to a new password. It is shown on this answer alone and stored nowhere, so nothing is redirected to."""
    services = sessions.services()
    now = services.clock.now_ms()

    def step(tx: Transaction) -> tuple[PersonLine, str, int]:
        by = who(tx)
        person = meet(tx, by, user_id)
        token, until = people.password_link(tx, by, user_id, now)
        return person, token, until

    try:
        person, token, until = services.database.transact(step)
    except Refused as refused:
        return page(user_id, problem=_words(refused)), refused.status
    url = f"{services.config.web.url.rstrip('/')}/admin/password/{token}"
    return render_template("users/link.html", person=person, url=url, until=until)


@blueprint.post("/<user_id>/forget")
@door.needs(USERS_EDIT)
def forget(user_id: str) -> ResponseReturnValue:
    """Forget somebody who has left: reports and messages name a pseudonym from then on."""
    services = sessions.services()
    now = services.clock.now_ms()

    def step(tx: Transaction) -> None:
        by = who(tx)
        meet(tx, by, user_id)
        forget_user(tx, by, user_id, now)

    try:
        services.database.transact(step)
    except Refused as refused:
        return page(user_id, problem=_words(refused)), refused.status
    door.notice(N_("Forgotten: name, address, password and rights are gone; what they sent stays under a pseudonym."))
    return redirect(url_for("users.index"), HTTPStatus.SEE_OTHER)


def _told(form: PageForm, refused: Refused) -> str | None:
    """The refusal at its field, or in words above the form."""
    if refused.code == "permission_denied":
        return _(GIFT) if refused.facts.get("permission") in OPERATORS else refusals.told(refused)
    return refusals.put(form, refused, REFUSED, {"id": "name"})


def _words_of(form: PersonForm, *versions: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What the stale form calls its values."""
    told = {"yes": _("yes"), "no": _("no")}
    roles = {each["roles"]: ", ".join(_(role_word(role)) for role in each["roles"].split()) for each in versions}
    return {**stale.choices(form), "roles": roles, "seat": told}


def _words(refused: Refused) -> str:
    """A refusal of something that is no form."""
    if refused.code == "permission_denied":
        return _(GIFT)
    return refusals.told(refused, REFUSED)


def _choose_units(form: PersonForm) -> None:
    with sessions.services().database.read() as view:
        form.unit.choices = units(view, who(view))


def _new(form: NewPersonForm, ticked: list[str], problem: str | None = None) -> str:
    with sessions.services().database.read() as view:
        by = who(view)
        form.unit.choices = units(view, by)
        draw = partial(
            render_template,
            "users/new.html",
            form=form,
            ticked=ticked,
            problem=problem,
            roles=list(ROLES),
            rights=by_category(),
            seats=setup.seats(view, by.organisation_id),
        )
    return draw()


def page(user_id: str, form: PersonForm | None = None, *, problem: str | None = None, **more: Any) -> str:
    """A person's page; with a form that was wrong, as it was typed."""
    with sessions.services().database.read() as view:
        by = who(view)
        person = meet(view, by, user_id)
        now = lists_users.settings(view, user_id)
        editable = may_edit(view, by, person)
        ticked = person.roles
        if form is None:
            form = PersonForm(formdata=None, data={**now, "seat": person.seat, "shown": stale.fingerprint(now)})
        else:
            ticked = form.roles
        form.unit.choices = units(view, by)
        draw = partial(
            render_template,
            "users/show.html",
            person=person,
            form=form if editable else None,
            ticked=ticked,
            problem=problem,
            roles=list(ROLES),
            rights=by_category(),
            unknown=[word for word in ticked if word not in ROLES and word not in PERMISSIONS],
            seats=setup.seats(view, by.organisation_id),
            waiting=setup.waiting_of(view, user_id),
            may_license=door.viewer().may(SEATS_LICENSE),
            is_me=user_id == door.viewer().user_id,
            held=sources(view, find_user(view, by.organisation_id, user_id)),
            all_units=units(view, by),
            grants=lists_users.single_grants(view, by.organisation_id, user_id=user_id),
            **_explained(view, by, user_id),
            **more,
        )
    return draw()


def _explained(view: View, by: Acting, user_id: str) -> dict[str, Any]:
    """Whether they may send (in the case asked for), term by term."""
    asked = request.args.get("case", "").strip() or None
    try:
        found, unknown = people.effective(view, by.organisation_id, user_id, asked), False
    except Refused as refused:
        if refused.code != "case_not_found":
            raise
        found, unknown = people.effective(view, by.organisation_id, user_id, None), True
    return {
        "effective": found,
        "case": asked,
        "case_unknown": unknown,
        "cases": lists_users.cases_of(view, user_id),
        "terms": TERM_WORDS,
    }
