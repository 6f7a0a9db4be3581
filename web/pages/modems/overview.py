"""All modems, and one of them: signal, facts, budgets, its PIN, taking it out of use, its log; kept fresh while open."""

import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import PasswordField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import budgets, modem_commands, pins
from gateway.rules.permissions import MODEMS_OPERATE, MODEMS_VIEW
from gateway.store import lists_modems, lists_pages, lists_web
from gateway.store.database import Row, Transaction, View
from web import sessions
from web.pages import door
from web.pages.forms import PageForm
from web.pages.language import N_, _
from web.pages.modems import curve, phrases

blueprint = door.pages("modems", __name__, "/admin/modems")

SPANS: Mapping[str, tuple[str, int, int]] = {
    "24h": (N_("24 hours"), 600_000, 144),
    "7d": (N_("7 days"), 3_600_000, 168),
}
"""How far back the curve goes: the word, the length of a stretch, how many there are."""
BUDGETS = {
    "minute": N_("This minute"),
    "hour": N_("This hour"),
    "day": N_("Today"),
    "month": N_("This month"),
    "recipients": N_("Different people this month"),
}


class PinForm(PageForm):
    """The PIN of a SIM card."""

    pin = PasswordField(
        N_("PIN of the SIM card"),
        [InputRequired(N_("Enter the PIN."))],
        render_kw={"inputmode": "numeric", "autocomplete": "off", "maxlength": "8"},
    )


# --- all of them -----------------------------------------------------------------------------------------------------


@blueprint.get("")
@door.needs(MODEMS_VIEW)
def index() -> ResponseReturnValue:
    """All modems."""
    cards = _cards()
    return render_template("modems/index.html", cards=cards, etag=etag(cards))


@blueprint.get("/live")
@door.needs(MODEMS_VIEW, fragment=True)
def live() -> ResponseReturnValue:
    """The same cards alone, or 304 where nothing has changed: what live.js asks for every three seconds."""
    return fragment(_cards())


def _cards() -> str:
    services = sessions.services()
    with services.database.read() as view:
        modems = lists_pages.modems(view)
    return render_template("modems/_cards.html", modems=modems, now=services.clock.now_ms())


def etag(html: str) -> str:
    """The tag of a live region."""
    return hashlib.sha256(html.encode()).hexdigest()[:32]


def fragment(html: str) -> Response:
    """A live region alone, or 304 where it has not changed."""
    response = Response(html, content_type="text/html; charset=utf-8")
    response.set_etag(etag(html))
    response.make_conditional(request)
    return response


# --- one -------------------------------------------------------------------------------------------------------------


def find(view: View, modem_id: str) -> Row:
    """The modem of an address; 404 where there is none."""
    try:
        return lists_web.modem(view, modem_id)
    except Refused:
        abort(HTTPStatus.NOT_FOUND)


def tabs(modem_id: str) -> dict[str, tuple[str, str]]:
    """The tabs of a modem that the viewer may open."""
    found = {"overview": (_("Overview"), url_for("modems.show", modem_id=modem_id))}
    if door.viewer().may(MODEMS_OPERATE):
        found |= {
            "tests": (_("Tests"), url_for("modems.tests", modem_id=modem_id)),
            "ussd": (_("USSD"), url_for("modems.ussd", modem_id=modem_id)),
            "console": (_("Console"), url_for("modems.console", modem_id=modem_id)),
        }
    return {**found, "log": (_("Log"), url_for("modems.log", modem_id=modem_id))}


@blueprint.get("/<modem_id>")
@door.needs(MODEMS_VIEW)
def show(modem_id: str) -> ResponseReturnValue:
    """One modem."""
    return _page(modem_id, PinForm(formdata=None))


def _page(modem_id: str, form: PinForm) -> str:
    chosen = request.args.get("span", "24h")
    if chosen not in SPANS:
        abort(HTTPStatus.BAD_REQUEST)
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()
    _word, slot_ms, count = SPANS[chosen]
    with services.database.read() as view:
        modem = find(view, modem_id)
        slots = lists_modems.curve(view, modem_id, until=now, slot_ms=slot_ms, slots=count)
        against = pins.may_be_given(view, modem)
        waiting = lists_modems.waiting(view, lists_modems.sender_of(view, modem, viewer.organisation_id))
    state = _state(modem_id)
    return render_template(
        "modems/show.html",
        modem=modem,
        tabs=tabs(modem_id),
        state=state,
        etag=etag(state),
        spans={name: (_(word), url_for("modems.show", modem_id=modem_id, span=name)) for name, (word, *_x) in SPANS.items()},
        span=chosen,
        slots=slots,
        hours=[slot for slot in slots[:: 6 if chosen == "24h" else 12] if slot.dbm is not None],
        curve=curve.draw([slot.dbm for slot in slots]),
        waiting=waiting,
        form=form,
        against=against,
        may_operate=viewer.may(MODEMS_OPERATE),
    )


@blueprint.get("/<modem_id>/live")
@door.needs(MODEMS_VIEW, fragment=True)
def state(modem_id: str) -> ResponseReturnValue:
    """How one modem is, alone."""
    return fragment(_state(modem_id))


def _state(modem_id: str) -> str:
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()
    with services.database.read() as view:
        modem = find(view, modem_id)
        sender = lists_modems.sender_of(view, modem, viewer.organisation_id)
        used = {} if sender is None else budgets.shown(view, sender, now)
        beat = modem["heartbeat_at"]
    return render_template(
        "modems/_state.html",
        modem=modem,
        stale=beat is None or now - beat > lists_pages.STALE_MS,
        sender=sender,
        budgets={name: (BUDGETS[name], row) for name, row in used.items() if row["limit"] is not None},
        lacks_budgets=sender is not None and not any(row["limit"] is not None for row in used.values()),
        locked=pins.is_locked(modem),
    )


@blueprint.post("/<modem_id>/<any(park, unpark, reset):verb>")
@door.needs(MODEMS_OPERATE)
def act(modem_id: str, verb: str) -> ResponseReturnValue:
    """Take a modem out of use, put it back, or initialise it again."""
    give(modem_id, verb, {})
    said = {
        "park": N_("It is being taken out of use: nothing more leaves through it, what arrives is still received."),
        "unpark": N_("It is being put back into use."),
        "reset": N_("It is being initialised again; that takes some seconds."),
    }
    door.notice(said[verb])
    return redirect(url_for("modems.show", modem_id=modem_id), HTTPStatus.SEE_OTHER)


def give(modem_id: str, verb: str, args: Mapping[str, Any]) -> None:
    """Give a command, as the viewer. Raises Refused."""
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()

    def step(tx: Transaction) -> None:
        modem_commands.give(tx, find(tx, modem_id), verb, args, viewer.actor, now)

    services.database.transact(step)
    services.ring()


@blueprint.post("/<modem_id>/pin")
@door.needs(MODEMS_OPERATE)
def pin(modem_id: str) -> ResponseReturnValue:
    """Take the PIN of the SIM card in this modem."""
    form = PinForm()
    if not form.validate():
        return _page(modem_id, form), HTTPStatus.UNPROCESSABLE_ENTITY
    try:
        keep_pin(modem_id, form.pin.data)
    except Refused as refused:
        form.wrong(refused)
        return _page(modem_id, form), refused.status
    door.notice(N_("The PIN is being tried, once. That takes some seconds."))
    return redirect(url_for("modems.show", modem_id=modem_id), HTTPStatus.SEE_OTHER)


def keep_pin(modem_id: str, typed: str) -> None:
    """Hand a PIN over to the gateway, sealed. Raises Refused."""
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()
    services.database.transact(lambda tx: pins.give(tx, find(tx, modem_id), typed.strip(), viewer.actor, now))
    services.ring()


@blueprint.get("/<modem_id>/log")
@door.needs(MODEMS_VIEW)
def log(modem_id: str) -> ResponseReturnValue:
    """What happened to it, newest first."""
    given = request.args.get("before", "")
    if given and not (given.isascii() and given.isdigit() and len(given) <= 18):
        abort(HTTPStatus.BAD_REQUEST)
    with sessions.services().database.read() as view:
        modem = find(view, modem_id)
        lines = lists_modems.log(view, modem_id, before=int(given) if given else None)
    more = lines[50:]
    return render_template(
        "modems/log.html",
        modem=modem,
        tabs=tabs(modem_id),
        lines=[(line, phrases.logged(line)) for line in lines[:50]],
        newest=url_for("modems.log", modem_id=modem_id) if given else None,
        older=url_for("modems.log", modem_id=modem_id, before=lines[49].serial) if more else None,
    )
