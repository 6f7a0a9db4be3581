"""The list of countries, what the set-up still lacks, and all rules in one file for counsel (S28–S30, S57)."""

import json
from http import HTTPStatus
from typing import Any

from flask import Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.clock import rfc3339
from gateway.errors import Refused
from gateway.flows import compliance as texts
from gateway.flows import countries
from gateway.flows.facts import organisation
from gateway.rules.permissions import COMPLIANCE_EDIT, COMPLIANCE_VIEW
from gateway.rules.spreadsheets import csv_text
from gateway.store.database import Transaction, View
from web import sessions
from web.pages import door, refusals
from web.pages.compliance import words
from web.pages.compliance.desk import blueprint, frame, who
from web.pages.compliance.forms import CodeForm
from web.pages.language import N_, _
from web.pages.territories import country_name

CHANNELS = ("sms", "whatsapp")
FILTERS = ("all", "open", "active", "review")
_TIMES = ("requested_at", "eta", "activated_at", "checked_at", "opens_at")
_COLUMNS = (
    *("iso", "channel", "name", "state", "opt_in", "windows", "zones"),
    *("source", "note", "owner", "checked_at", "review_due"),
)


@blueprint.get("")
@door.needs(COMPLIANCE_VIEW)
def index() -> ResponseReturnValue:
    """Every country that the box knows."""
    return _index(CodeForm(formdata=None))


@blueprint.post("/find")
@door.needs(COMPLIANCE_VIEW)
def find() -> ResponseReturnValue:
    """Lead to a country by its code; one that may mean several is asked back (S30)."""
    form = CodeForm()
    if not form.validate():
        return _index(form), HTTPStatus.UNPROCESSABLE_ENTITY
    try:
        with sessions.services().database.read() as view:
            country = countries.find(view, form.iso.data.strip(), channel_of())
    except Refused as refused:
        refusals.put(form, refused, words.REFUSALS, {})
        return _index(form, refused.facts.get("candidates", ())), HTTPStatus.UNPROCESSABLE_ENTITY
    return redirect(url_for("compliance.country", iso=country.iso, channel=country.channel), HTTPStatus.SEE_OTHER)


@blueprint.post("/finish")
@door.needs(COMPLIANCE_EDIT)
def finish() -> ResponseReturnValue:
    """Say that the set-up is complete; 422 with every gap while there is one (S29)."""
    services = sessions.services()
    now = services.clock.now_ms()
    try:
        services.database.transact(lambda tx: countries.finish_setup(tx, who(tx), now))
    except Refused as refused:
        return _index(CodeForm(formdata=None), unfinished=refused.code), HTTPStatus.UNPROCESSABLE_ENTITY
    door.notice(N_("The set-up is complete."))
    return redirect(url_for("compliance.index"), HTTPStatus.SEE_OTHER)


@blueprint.get("/countries.csv")
@door.needs(COMPLIANCE_VIEW)
def as_csv() -> ResponseReturnValue:
    """Every rule as a table."""
    rows = _exported(channel_of())
    cells = [{name: _cell(row[name]) for name in _COLUMNS} for row in rows]
    return _file(csv_text(_COLUMNS, cells), "text/csv; charset=utf-8", "countries.csv")


@blueprint.get("/countries.json")
@door.needs(COMPLIANCE_VIEW)
def for_counsel() -> ResponseReturnValue:
    """Every rule with its source, and every change ever made."""
    made_at = rfc3339(sessions.services().clock.now_ms())
    whole = {"made_at": made_at, "channel": channel_of(), "countries": _exported(channel_of(), history=True)}
    return _file(json.dumps(whole, ensure_ascii=False, indent=2), "application/json", "countries.json")


@blueprint.get("/responsibility")
@door.needs(COMPLIANCE_VIEW)
def responsibility() -> ResponseReturnValue:
    """Who is responsible for what: the box keeps rules, the employer knows the law (S57)."""
    with sessions.services().database.read() as view:
        shown = _all(view, "sms")
    overdue = [row for row in shown if row["review_due"] and row["state"] == "active"]
    return render_template("compliance/responsibility.html", tab="responsibility", overdue=overdue, **frame())


def channel_of() -> str:
    """The channel asked for; 400 for one that has no countries."""
    channel = request.values.get("channel", "sms")
    if channel not in CHANNELS:
        abort(HTTPStatus.BAD_REQUEST)
    return channel


def _index(form: CodeForm, candidates: Any = (), unfinished: str | None = None) -> str:
    channel, chosen = channel_of(), request.args.get("show", "open")
    if chosen not in FILTERS:
        abort(HTTPStatus.BAD_REQUEST)
    with sessions.services().database.read() as view:
        every = sorted(_all(view, channel), key=lambda row: country_name(row["iso"]))
        missing = countries.setup_gaps(view, door.viewer().organisation_id)
        holes = texts.gaps(view, door.viewer().organisation_id)
    picked = {
        "all": every,
        "open": [row for row in every if row["state"] != "off"],
        "active": [row for row in every if row["state"] == "active"],
        "review": [row for row in every if row["review_due"]],
    }
    named = {"all": N_("All"), "open": N_("Begun"), "active": N_("Active"), "review": N_("To be reviewed")}
    return render_template(
        "compliance/index.html",
        tab="countries",
        form=form,
        candidates=candidates,
        rows=picked[chosen],
        chosen=chosen,
        chips_of={name: (_(named[name]), url_for("compliance.index", show=name, channel=channel)) for name in FILTERS},
        channel=channel,
        channel_chips={
            name: (_(word), url_for("compliance.index", show=chosen, channel=name))
            for name, word in (("sms", N_("SMS")), ("whatsapp", N_("WhatsApp")))
        },
        overdue=[row for row in every if row["review_due"] and row["state"] == "active"],
        missing=[_told(gap) for gap in missing],
        holes=holes,
        unfinished=unfinished,
        states=words.STATES,
        opt_in_words=words.OPT_IN,
        **frame(),
    )


def _told(gap: dict[str, str]) -> dict[str, Any]:
    """A gap of the set-up in words, and where it is filled."""
    if "kind" in gap:
        where = url_for("compliance.text", kind=gap["kind"], language=gap["language"])
    elif gap["what"] == "sender":
        where = url_for("compliance.senders")
    elif gap["what"] == "identity":
        where = None
    else:
        where = url_for("compliance.index", show="all")
    return {"words": words.gap_told(gap), "where": where}


def _all(view: View, channel: str) -> list[dict[str, Any]]:
    zone, now = organisation(view, door.viewer().organisation_id)["zone"], sessions.services().clock.now_ms()
    return [countries.shown(view, country, zone, now) for country in countries.every(view, channel)]


def _exported(channel: str, *, history: bool = False) -> list[dict[str, Any]]:
    """Rules as they leave the house; that they did is audited."""
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()

    def step(tx: Transaction) -> list[dict[str, Any]]:
        rows = [{**row, **{name: _moment(row[name]) for name in _TIMES}} for row in _all(tx, channel)]
        for row in rows if history else ():
            entries = countries.history(tx, countries.find(tx, row["iso"], channel))
            row["history"] = [
                {"at": rfc3339(each["at"]), "actor": each["actor"], "action": each["action"], **json.loads(each["data"])}
                for each in entries
            ]
        tx.audit(now, viewer.actor, "export.run", viewer.organisation_id, {"what": "countries", "rows": len(rows)})
        return rows

    return services.database.transact(step)


def _moment(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def _file(text: str, kind: str, name: str) -> Response:
    response = Response(text, content_type=kind)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
