"""Webhooks: where events are told, what became of each, a test, and dead letters sent again."""

import hashlib
import json
from http import HTTPStatus
from typing import Any, Final

from flask import Response, abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import SelectMultipleField, StringField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import endpoints as flows
from gateway.flows.endpoints import EVENT_TYPES
from gateway.rules.permissions import WEBHOOKS_EDIT
from gateway.store import lists_web, lists_webhooks
from gateway.store.database import Row, Transaction, View
from web import sessions
from web.pages import door, once, refusals, stale
from web.pages.forms import PageForm
from web.pages.language import N_, _, ngettext
from web.pages.words import Word

blueprint = door.pages("webhooks", __name__, "/admin/webhooks")

PAGE = 50
STATES: Final = {
    "waiting": Word(N_("On its way"), "wait"),
    "delivered": Word(N_("Delivered"), "good"),
    "dead": Word(N_("Given up"), "bad"),
}
FILTERS: Final = {"": N_("All"), "waiting": N_("On their way"), "delivered": N_("Delivered"), "dead": N_("Given up")}
EVENTS: Final = {
    "*": N_("Everything, also what later versions bring"),
    "message.state": N_("A message changes its state"),
    "message.received": N_("A candidate writes"),
    "call.missed": N_("A candidate calls"),
    "consent.changed": N_("A consent changes"),
    "interview.responded": N_("A candidate answers an invitation"),
    "interview.no_slots": N_("No time of an interview is left"),
    "interview.reminder_skipped": N_("A reminder was left out"),
    "credits.low": N_("Credits run low"),
    "modem.state": N_("A modem changes its state"),
    "compliance.review_due": N_("A country's rule is to be reviewed"),
    "sender.budget": N_("A SIM card's budget runs out"),
    "webhook.test": N_("Test"),
}
LABELS: Final = {"url": N_("Address"), "events": N_("Events")}
REFUSALS: Final = {
    "unknown_event": N_("Choose at least one kind of event."),
}


class EndpointForm(PageForm):
    """Where to tell what."""

    url = StringField(
        N_("Address"),
        [InputRequired(N_("Write the address.")), Length(max=2048, message=N_("At most 2048 characters."))],
        description=N_("https:// or, inside your own network, http://"),
        render_kw={"type": "url", "autocapitalize": "none", "spellcheck": "false"},
    )
    events = SelectMultipleField(N_("Events"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.events.choices = [(name, _(EVENTS.get(name, name))) for name in ("*", *EVENT_TYPES)]


@blueprint.get("")
@door.needs(WEBHOOKS_EDIT)
def index() -> ResponseReturnValue:
    """Every endpoint and how it is."""
    with sessions.services().database.read() as view:
        rows = [lists_webhooks.endpoint(view, row) for row in lists_web.endpoints(view, door.viewer().organisation_id)]
    return render_template("webhooks/index.html", rows=rows, events_of=_events_of, event_words=EVENTS, states=STATES)


@blueprint.get("/new")
@door.needs(WEBHOOKS_EDIT)
def new() -> ResponseReturnValue:
    """An empty form."""
    return _form(EndpointForm(formdata=None, data={"events": ["*"]}), None)


@blueprint.post("/new")
@door.needs(WEBHOOKS_EDIT)
def create() -> ResponseReturnValue:
    """Add an endpoint; its secret is shown on the next page, once."""
    form, services, viewer = EndpointForm(), sessions.services(), door.viewer()
    if not form.validate():
        return _form(form, None), HTTPStatus.UNPROCESSABLE_ENTITY
    now, url, events = services.clock.now_ms(), form.url.data.strip(), form.events.data
    try:
        row, secret = services.database.transact(
            lambda tx: flows.create_endpoint(tx, viewer.organisation_id, url, events, viewer.actor, now, seal_key=_seal_key())
        )
    except Refused as refused:
        refusals.put(form, refused, REFUSALS, {})
        return _form(form, None), HTTPStatus.UNPROCESSABLE_ENTITY
    once.keep(row["id"], secret)
    door.notice(N_("The endpoint is added. It is told everything from now on."))
    return redirect(url_for("webhooks.show", endpoint_id=row["id"]), HTTPStatus.SEE_OTHER)


@blueprint.get("/<endpoint_id>")
@door.needs(WEBHOOKS_EDIT)
def show(endpoint_id: str) -> ResponseReturnValue:
    """One endpoint: how it is, a test's answer, a replay's progress, its deliveries."""
    asked, after = _asked(), request.args.get("after") or None
    with sessions.services().database.read() as view:
        row = flows.get_endpoint(view, door.viewer().organisation_id, endpoint_id)
        live = _live(view, row, asked, after)
        some_given_up = bool(lists_webhooks.deliveries(view, row["id"], "dead", None, 1))
    return render_template(
        "webhooks/show.html",
        endpoint=row,
        some_given_up=some_given_up,
        secret=once.take(endpoint_id),
        events=_events_of(row),
        event_words=EVENTS,
        live=live,
        etag=_etag(live),
        live_url=url_for("webhooks.live", endpoint_id=endpoint_id, after=after, **asked),
        after=after,
        chosen=asked["state"] or "",
        chips_of={
            name: (_(word), url_for("webhooks.show", endpoint_id=endpoint_id, state=name or None))
            for name, word in FILTERS.items()
        },
        now=sessions.services().clock.now_ms(),
    )


@blueprint.get("/<endpoint_id>/live")
@door.needs(WEBHOOKS_EDIT, fragment=True)
def live(endpoint_id: str) -> ResponseReturnValue:
    """The part that changes by itself, or 304: what live.js asks for every three seconds."""
    with sessions.services().database.read() as view:
        row = flows.get_endpoint(view, door.viewer().organisation_id, endpoint_id)
        text = _live(view, row, _asked(), request.args.get("after") or None)
    response = Response(text, content_type="text/html; charset=utf-8")
    response.set_etag(_etag(text))
    return response.make_conditional(request)


@blueprint.get("/<endpoint_id>/edit")
@door.needs(WEBHOOKS_EDIT)
def edit(endpoint_id: str) -> ResponseReturnValue:
    """The form of one endpoint."""
    with sessions.services().database.read() as view:
        row = flows.get_endpoint(view, door.viewer().organisation_id, endpoint_id)
    return _form(EndpointForm(formdata=None, data={"url": row["url"], "events": _events_of(row)}), row)


@blueprint.post("/<endpoint_id>/edit")
@door.needs(WEBHOOKS_EDIT)
def save(endpoint_id: str) -> ResponseReturnValue:
    """Change address or events."""
    form, services, viewer = EndpointForm(), sessions.services(), door.viewer()
    if request.form.get("events_shown"):  # sent again by the page of both versions, which knows one value a field
        form.events.data = request.form["events_shown"].split()
    with services.database.read() as view:
        row = flows.get_endpoint(view, viewer.organisation_id, endpoint_id)
    if not form.validate():
        return _form(form, row), HTTPStatus.UNPROCESSABLE_ENTITY
    now, url, events = services.clock.now_ms(), form.url.data.strip(), form.events.data

    def step(tx: Transaction) -> None:
        stale.check(_values(flows.get_endpoint(tx, viewer.organisation_id, endpoint_id)), request.form.get("shown"))
        flows.update_endpoint(tx, viewer.organisation_id, endpoint_id, viewer.actor, now, url=url, events=events)

    try:
        services.database.transact(step)
    except stale.Stale as found:
        wanted = {"url": url, "events": "\n".join(events), "events_shown": " ".join(events)}
        here = url_for("webhooks.edit", endpoint_id=endpoint_id)
        return stale.page(found, wanted, LABELS, action=here, back=here)
    except Refused as refused:
        refusals.put(form, refused, REFUSALS, {})
        return _form(form, row), HTTPStatus.UNPROCESSABLE_ENTITY
    return _back(endpoint_id, N_("The endpoint is saved."))


@blueprint.post("/<endpoint_id>/switch")
@door.needs(WEBHOOKS_EDIT)
def switch(endpoint_id: str) -> ResponseReturnValue:
    """Off: nothing is sent, everything is kept. On again: it gets what happened meanwhile."""
    on = request.form.get("on") == "y"
    _act(lambda tx, viewer, now: flows.update_endpoint(tx, viewer.organisation_id, endpoint_id, viewer.actor, now, active=on))
    return _back(
        endpoint_id, N_("It is switched on.") if on else N_("It is switched off. What happens meanwhile is kept for it.")
    )


@blueprint.post("/<endpoint_id>/rotate")
@door.needs(WEBHOOKS_EDIT)
def rotate(endpoint_id: str) -> ResponseReturnValue:
    """A new secret, shown once on the next page; the old one signs beside it for a day unless that is not wanted."""
    overlap = flows.OVERLAP_MS if request.form.get("overlap") == "y" else 0
    secret = _act(
        lambda tx, viewer, now: flows.rotate_secret(
            tx, viewer.organisation_id, endpoint_id, viewer.actor, now, seal_key=_seal_key(), overlap_ms=overlap
        )
    )
    once.keep(endpoint_id, secret)
    return _back(endpoint_id, N_("It has a new secret."))


@blueprint.post("/<endpoint_id>/delete")
@door.needs(WEBHOOKS_EDIT)
def delete(endpoint_id: str) -> ResponseReturnValue:
    """Remove an endpoint with all that waits for it."""
    _act(lambda tx, viewer, now: flows.delete_endpoint(tx, viewer.organisation_id, endpoint_id, viewer.actor, now))
    door.notice(N_("The endpoint is removed."))
    return redirect(url_for("webhooks.index"), HTTPStatus.SEE_OTHER)


@blueprint.post("/<endpoint_id>/test")
@door.needs(WEBHOOKS_EDIT)
def test(endpoint_id: str) -> ResponseReturnValue:
    """Send a test event; the next page shows what it was answered."""
    event_id = _act(lambda tx, viewer, now: flows.send_test(tx, viewer.organisation_id, endpoint_id, viewer.actor, now))
    return redirect(url_for("webhooks.show", endpoint_id=endpoint_id, test=event_id), HTTPStatus.SEE_OTHER)


@blueprint.post("/<endpoint_id>/replay")
@door.needs(WEBHOOKS_EDIT)
def replay(endpoint_id: str) -> ResponseReturnValue:
    """Send dead letters again, one or all; the next page shows how far that has come."""
    one = request.form.get("delivery")
    began_at = sessions.services().clock.now_ms()
    count = _act(
        lambda tx, viewer, now: flows.replay(
            tx, viewer.organisation_id, endpoint_id, viewer.actor, began_at, delivery_ids=[one] if one else None
        )
    )
    if not count:
        return _back(endpoint_id, N_("There was nothing to send again."))
    door.notice(ngettext("One is sent again.", "%(count)s are sent again.", count))
    return redirect(url_for("webhooks.show", endpoint_id=endpoint_id, replayed=count, began=began_at), HTTPStatus.SEE_OTHER)


# --- pieces ----------------------------------------------------------------------------------------------------------


def _act(do: Any) -> Any:
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()
    return services.database.transact(lambda tx: do(tx, viewer, now))


def _back(endpoint_id: str, said: str) -> ResponseReturnValue:
    door.notice(said)
    return redirect(url_for("webhooks.show", endpoint_id=endpoint_id), HTTPStatus.SEE_OTHER)


def _asked() -> dict[str, Any]:
    """What of the page's address decides what changes by itself; 400 for what is none of it."""
    state = request.args.get("state") or None
    numbers = {name: request.args.get(name) or None for name in ("replayed", "began")}
    wrong = any(text is not None and not (text.isascii() and text.isdigit() and len(text) < 16) for text in numbers.values())
    if wrong or (state or "") not in FILTERS or any(len(text) > 80 for text in request.args.values()):
        abort(HTTPStatus.BAD_REQUEST)
    return {"state": state, "test": request.args.get("test") or None, **numbers}


def _live(view: View, row: Row, asked: dict[str, Any], after: str | None) -> str:
    found = lists_webhooks.deliveries(view, row["id"], asked["state"], after, PAGE)
    progress = None
    if asked["replayed"] and asked["began"]:
        progress = lists_webhooks.replay(view, row["id"], int(asked["began"]), int(asked["replayed"]))
    return render_template(
        "webhooks/_live.html",
        endpoint=lists_webhooks.endpoint(view, row),
        rows=found[:PAGE],
        older=found[PAGE - 1]["event_id"] if len(found) > PAGE else None,
        after=after,
        state=asked["state"],
        test=asked["test"],
        tested=None if asked["test"] is None else lists_webhooks.delivery(view, row["id"], asked["test"]),
        progress=progress,
        states=STATES,
        event_words=EVENTS,
        most=lists_webhooks.MOST,
    )


def _etag(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _seal_key() -> bytes:
    found: bytes = current_app.extensions["ringpost.secrets"].seal
    return found


def _events_of(row: Row) -> list[str]:
    found: list[str] = json.loads(row["events"])
    return found


def _values(row: Row) -> dict[str, str]:
    return {"url": row["url"], "events": "\n".join(_events_of(row))}


def _form(form: EndpointForm, row: Row | None) -> str:
    return render_template(
        "webhooks/edit.html",
        form=form,
        endpoint=row,
        shown="" if row is None else stale.fingerprint(_values(row)),
        event_words={name: EVENTS.get(name, name) for name in ("*", *EVENT_TYPES)},
    )
