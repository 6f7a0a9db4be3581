"""Who holds a seat and when they last used it, moving one to somebody else, and the number of the licence (S48)."""

from functools import partial
from http import HTTPStatus
from typing import Final

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import EmailField, HiddenField, SelectField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length, NumberRange, Optional  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import people
from gateway.flows.people import SeatMoved
from gateway.flows.reach import reach
from gateway.rules.permissions import SEATS_LICENSE, USERS_EDIT, USERS_VIEW
from gateway.store import lists_users, setup
from gateway.store.database import Transaction, View
from web import sessions
from web.pages import door, refusals, stale
from web.pages.asker import who
from web.pages.forms import PageForm, WholeField
from web.pages.language import N_, _, ngettext
from web.pages.users.desk import blueprint
from web.pages.users.words import GIFT, REFUSED

DAY_MS: Final = 86_400_000
IDLE_DAYS: Final = {"": None, "30": 30, "90": 90}
MOST: Final = 200
"""So many names are offered to choose from; any address can be typed."""
LABELS: Final = {"total": N_("Seats of the licence")}


class MoveForm(PageForm):
    """From whom, to whom, and who takes over what waits."""

    giver = SelectField(N_("From"), [InputRequired(N_("Choose who gives the seat."))])
    taker = EmailField(
        N_("To"),
        [InputRequired(N_("Enter the e-mail address of who gets it.")), Length(max=254)],
        description=N_("Their e-mail address. They can send at once."),
        render_kw={"list": "takers", "autocomplete": "off"},
    )
    owner = EmailField(
        N_("Who takes over waiting messages"),
        [Optional(), Length(max=254)],
        description=N_("Empty: the same person. Else the e-mail address of somebody with a seat."),
        render_kw={"list": "holders-list", "autocomplete": "off"},
    )


class LicenceForm(PageForm):
    """How many seats there are."""

    shown = HiddenField()
    total = WholeField(
        LABELS["total"],
        [Optional(), NumberRange(0, 100_000, N_("Enter a whole number up to 100,000."))],
        description=N_("Empty: no limit."),
        render_kw={"inputmode": "numeric", "autocomplete": "off"},
    )


@blueprint.get("/seats")
@door.needs(USERS_VIEW, SEATS_LICENSE)
def seats() -> ResponseReturnValue:
    """The gauge, the holders, and what may be done."""
    return _page()


@blueprint.post("/seats/move")
@door.needs(USERS_EDIT)
def move() -> ResponseReturnValue:
    """Move a seat in one act."""
    form, services = MoveForm(), sessions.services()
    with services.database.read() as view:
        form.giver.choices = _givers(view)
    if not form.validate():
        return _page(move=form), HTTPStatus.UNPROCESSABLE_ENTITY
    now = services.clock.now_ms()

    def step(tx: Transaction) -> SeatMoved:
        wanted = (form.giver.data, form.taker.data.strip(), (form.owner.data or "").strip() or None)
        return people.move_seat(tx, who(tx), *wanted, now)

    try:
        moved = services.database.transact(step)
    except Refused as refused:
        return _again(refused, form, "taker"), refused.status
    told = _("%(taker)s has the seat of %(giver)s now.", taker=moved.taker["name"], giver=moved.giver["name"])
    if moved.scheduled:
        taken = ngettext("One waiting message", "%(count)s waiting messages", moved.scheduled)
        told += " " + _("%(messages)s went to %(name)s.", messages=taken, name=moved.owner["name"])
    door.notice(told)
    return redirect(url_for("users.seats"), HTTPStatus.SEE_OTHER)


@blueprint.post("/seats/licence")
@door.needs(SEATS_LICENSE)
def license_seats() -> ResponseReturnValue:
    """Set how many seats the licence has: the operator's to say."""
    form, services = LicenceForm(), sessions.services()
    if not form.validate():
        return _page(licence=form), HTTPStatus.UNPROCESSABLE_ENTITY
    wanted, now = {"total": form.total.data}, services.clock.now_ms()

    def step(tx: Transaction) -> None:
        by = who(tx)
        stale.check(_licence(tx, by.organisation_id), form.shown.data)
        people.set_seats(tx, by, wanted["total"], now)

    try:
        services.database.transact(step)
    except stale.Stale as found:
        action = url_for("users.license_seats")
        return stale.page(found, wanted, LABELS, action=action, back=url_for("users.seats"))
    except Refused as refused:
        if refused.code != "seat_limit":
            raise
        words = N_("%(want)s seats are in use: take some back first, or licence at least that many.")
        form.total.errors = [_(words, **refused.facts)]
        return _page(licence=form), refused.status
    door.notice(N_("The licence was saved."))
    return redirect(url_for("users.seats"), HTTPStatus.SEE_OTHER)


def _again(refused: Refused, form: MoveForm, field: str) -> str:
    if refused.code == "permission_denied":
        form[field].errors = [_(GIFT)]
        return _page(move=form)
    # both addresses are looked up by the same flow: tell it where the one stands that nobody has
    names = {"to": "taker", "id": "giver", "scheduled_to": "owner", "user": "owner" if form.owner.data else "taker"}
    problem = refusals.put(form, refused, REFUSED, names)
    return _page(move=form, problem=problem)


def _licence(view: View, organisation_id: str) -> dict[str, int | None]:
    return {"total": setup.seats(view, organisation_id)[0]}


def _givers(view: View) -> list[tuple[str, str]]:
    by = who(view)
    inside = reach(view, by, USERS_EDIT)
    page = lists_users.people(view, by.organisation_id, units=inside, seat=True, limit=10 * MOST)
    return [(line.id, line.name) for line in page.lines]


def _page(*, move: MoveForm | None = None, licence: LicenceForm | None = None, problem: str | None = None) -> str:
    services, asked = sessions.services(), request.args.get("idle", "")
    days = IDLE_DAYS.get(asked)
    with services.database.read() as view:
        by = who(view)
        inside = reach(view, by, USERS_VIEW)
        rights = by.rights(view, by.organisation_id) or frozenset()
        since = None if days is None else services.clock.now_ms() - days * DAY_MS
        holders = lists_users.people(
            view, by.organisation_id, units=inside, seat=True, idle_since=since, after=request.args.get("after")
        )
        all_holders = lists_users.people(view, by.organisation_id, units=inside, seat=True, active=True, limit=MOST).lines
        takers = lists_users.people(view, by.organisation_id, units=inside, seat=False, active=True, limit=MOST).lines
        givers = _givers(view)
        if move is None:
            move = MoveForm(formdata=None, data={"giver": request.args.get("from")})
        move.giver.choices = givers
        if licence is None:
            now = _licence(view, by.organisation_id)
            licence = LicenceForm(formdata=None, data={**now, "shown": stale.fingerprint(now)})
        draw = partial(
            render_template,
            "users/seats.html",
            problem=problem,
            seats=setup.seats(view, by.organisation_id),
            holders=holders,
            idle=asked if asked in IDLE_DAYS else "",
            after=request.args.get("after"),
            sees_people=bool(inside),
            takers=takers,
            all_holders=all_holders,
            move=move if givers and reach(view, by, USERS_EDIT) else None,
            licence=licence if SEATS_LICENSE in rights else None,
        )
    return draw()
