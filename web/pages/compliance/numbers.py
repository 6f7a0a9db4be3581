"""Senders: the numbers that write, in which countries, how fast, and what their SIM cards have carried."""

import json
import re
from http import HTTPStatus
from typing import Any

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.errors import Refused
from gateway.flows import budgets, senders
from gateway.flows.facts import senders_of
from gateway.flows.sender_choice import is_up
from gateway.rules.permissions import COMPLIANCE_VIEW, SETTINGS_EDIT
from gateway.store.database import Row, Transaction, View
from web import sessions
from web.pages import door, refusals, stale
from web.pages.compliance import words
from web.pages.compliance.desk import blueprint, frame
from web.pages.compliance.forms import SenderForm
from web.pages.language import N_, _

_CODES = re.compile(r"[A-Z]{2}")
LABELS = {
    "countries": N_("Countries it is local in"),
    "international": N_("Other countries"),
    "active": N_("In use"),
    "gap_seconds": N_("Seconds between two messages"),
    **words.BUDGETS,
}


@blueprint.get("/senders", endpoint="senders")
@door.needs(COMPLIANCE_VIEW)
def senders_list() -> ResponseReturnValue:
    """Every number with what its card has carried."""
    now = sessions.services().clock.now_ms()
    with sessions.services().database.read() as view:
        rows = [_shown(view, row, now) for row in senders_of(view, door.viewer().organisation_id)]
    may_set = door.viewer().may(SETTINGS_EDIT)
    return render_template(
        "compliance/senders.html", tab="senders", rows=rows, budget_words=words.BUDGETS, may_set=may_set, **frame()
    )


@blueprint.get("/senders/<sender_id>")
@door.needs(SETTINGS_EDIT)
def sender(sender_id: str) -> ResponseReturnValue:
    """The form of one number."""
    return _page(sender_id, None)


@blueprint.post("/senders/<sender_id>")
@door.needs(SETTINGS_EDIT)
def change_sender(sender_id: str) -> ResponseReturnValue:
    """Change a number's countries, pacing or budgets."""
    form, services, viewer = SenderForm(), sessions.services(), door.viewer()
    codes = [code for code in (form.countries.data or "").upper().replace(",", " ").split() if code]
    if form.validate() and not all(_CODES.fullmatch(code) for code in codes):
        form.countries.errors = [_("Write codes of two letters, such as SE, NO.")]
    if form.errors:
        return _page(sender_id, form), HTTPStatus.UNPROCESSABLE_ENTITY
    changes: dict[str, Any] = {
        "countries": codes,
        "international": form.international.data == "1",
        "active": form.active.data == "1",
        "gap_ms": round(form.gap_seconds.data * 1000),
        "budgets": {name: form[name].data for name in words.BUDGETS},
    }
    now = services.clock.now_ms()

    def step(tx: Transaction) -> None:
        stale.check(_values(senders.find_sender(tx, viewer.organisation_id, sender_id)), request.form.get("shown"))
        senders.change_sender(tx, viewer.organisation_id, sender_id, changes, {}, viewer.actor, now)

    try:
        services.database.transact(step)
    except stale.Stale as found:
        wanted = {name: "" if form[name].data is None else form[name].data for name in LABELS}
        here = url_for("compliance.sender", sender_id=sender_id)
        return stale.page(found, wanted, LABELS, action=here, back=here)
    except Refused as refused:
        refusals.put(form, refused, words.REFUSALS, {})
        return _page(sender_id, form), HTTPStatus.UNPROCESSABLE_ENTITY
    door.notice(N_("The number is saved."))
    return redirect(url_for("compliance.senders"), HTTPStatus.SEE_OTHER)


def _values(row: Row) -> dict[str, Any]:
    own = json.loads(row["budgets"])
    return {
        "countries": ", ".join(json.loads(row["countries"])),
        "international": str(row["international"]),
        "active": str(row["active"]),
        "gap_seconds": row["gap_ms"] / 1000,
        **{name: own.get(name) for name in words.BUDGETS},
    }


def _page(sender_id: str, form: SenderForm | None) -> str:
    with sessions.services().database.read() as view:
        row = senders.find_sender(view, door.viewer().organisation_id, sender_id)
    values = _values(row)
    return render_template(
        "compliance/sender.html",
        tab="senders",
        row=row,
        form=form or SenderForm(formdata=None, data=values),
        shown=stale.fingerprint(values),
        budget_names=list(words.BUDGETS),
        **frame(),
    )


def _shown(view: View, row: Row, now: int) -> dict[str, Any]:
    return {
        "id": row["id"],
        "number": row["number"],
        "iccid": row["iccid"],
        "countries": json.loads(row["countries"]),
        "international": bool(row["international"]),
        "active": bool(row["active"]),
        "is_up": is_up(view, row),
        "budgets": budgets.shown(view, row, now),
    }
