"""API keys: who may call, for what, from where; made here, shown once, revoked here."""

import json
from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import IntegerField, SelectMultipleField, StringField, TextAreaField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, NumberRange, Optional  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import api_keys
from gateway.flows.rights import Acting, acting
from gateway.rules.permissions import SETTINGS_EDIT
from gateway.store import setup
from gateway.store.database import View
from web import sessions
from web.pages import door, once, refusals
from web.pages.forms import PageForm
from web.pages.language import N_, _
from web.pages.settings import words
from web.pages.settings.desk import blueprint


class KeyForm(PageForm):
    """What a key is called, what it may do, and from where."""

    name = StringField(N_("Name"), [InputRequired(N_("Give it a name."))], description=N_("The program that uses it."))
    scopes = SelectMultipleField(N_("What it may do"))
    allow = TextAreaField(
        N_("Networks it may be used from"),
        [],
        description=N_("One a line, such as 192.168.1.0/24. Empty: from anywhere."),
        render_kw={"rows": 2, "spellcheck": "false"},
    )
    per_minute = IntegerField(
        N_("Requests a minute at most"),
        [Optional(), NumberRange(0, 1_000_000, N_("Write a number from 0 to 1000000."))],
        description=N_("Empty or 0: no bound."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scopes.choices = [(scope, scope) for scope in _offered()]


@blueprint.get("/keys")
@door.needs(SETTINGS_EDIT)
def keys() -> ResponseReturnValue:
    """Every key, the revoked ones too; a fresh one with its secret, once."""
    with sessions.services().database.read() as view:
        rows = setup.keys_of(view, door.viewer().organisation_id)
    shown = [{**dict(row), "scopes": json.loads(row["scopes"]), "allow": json.loads(row["allow"])} for row in rows]
    return render_template(
        "settings/keys.html",
        live=[row for row in shown if row["revoked_at"] is None],
        revoked=[row for row in shown if row["revoked_at"] is not None][::-1][:50],
        secret=once.take("key"),
        may=_may,
    )


@blueprint.get("/keys/new")
@door.needs(SETTINGS_EDIT)
def new_key() -> ResponseReturnValue:
    """A form with what an applicant tracking system needs."""
    return _form(KeyForm(formdata=None, data={"scopes": list(api_keys.FIRST)}))


@blueprint.post("/keys/new")
@door.needs(SETTINGS_EDIT)
def create_key() -> ResponseReturnValue:
    """Make a key; its secret is shown on the next page, once."""
    form, services = KeyForm(), sessions.services()
    if not form.validate():
        return _form(form), HTTPStatus.UNPROCESSABLE_ENTITY
    now, networks = services.clock.now_ms(), (form.allow.data or "").replace(",", " ").split()
    try:
        _row, secret = services.database.transact(
            lambda tx: api_keys.create(
                tx, _who(tx), form.name.data.strip(), form.scopes.data, networks, form.per_minute.data or 0, now
            )
        )
    except Refused as refused:
        refusals.put(form, refused, words.REFUSALS, {"scope": "scopes"})
        return _form(form), HTTPStatus.UNPROCESSABLE_ENTITY
    once.keep("key", secret)
    return redirect(url_for("settings.keys"), HTTPStatus.SEE_OTHER)


@blueprint.post("/keys/<key_id>/revoke")
@door.needs(SETTINGS_EDIT)
def revoke_key(key_id: str) -> ResponseReturnValue:
    """Make a key worthless at once."""
    services = sessions.services()
    now = services.clock.now_ms()
    services.database.transact(lambda tx: api_keys.revoke(tx, _who(tx), key_id, now))
    door.notice(N_("The key is revoked: it opens nothing any more."))
    return redirect(url_for("settings.keys"), HTTPStatus.SEE_OTHER)


def _who(view: View) -> Acting:
    viewer = door.viewer()
    return acting(view, viewer.organisation_id, viewer.actor, viewer.user_id)


def _offered() -> list[str]:
    with sessions.services().database.read() as view:
        return api_keys.offered(view, _who(view))


def _may(scopes: list[str]) -> list[str]:
    """Scopes in words, one line for each area."""
    areas: dict[str, list[str]] = {}
    for scope in scopes:
        area, _colon, act = scope.partition(":")
        areas.setdefault(area, []).append(_("everything") if act == "*" else _(words.ACTS.get(act, act)))
    return [
        f"{_(words.AREAS.get(area, area))}: {', '.join(acts)}" if area != "*" else _("everything") for area, acts in areas.items()
    ]


def _form(form: KeyForm) -> str:
    areas: dict[str, list[str]] = {}
    for scope in _offered():
        areas.setdefault(scope.partition(":")[0], []).append(scope)
    return render_template("settings/new_key.html", form=form, areas=areas, area_words=words.AREAS, act_words=words.ACTS)
