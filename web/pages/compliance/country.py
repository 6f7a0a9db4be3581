"""One country: its commissioning, opt-in mode, quiet hours, and the rule with whoever looks after it."""

from collections.abc import Callable
from datetime import date
from http import HTTPStatus
from typing import Any

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.errors import Refused
from gateway.flows import compliance as texts
from gateway.flows import countries
from gateway.flows.compliance import Acknowledgement
from gateway.flows.facts import organisation
from gateway.rules.countries import STATES
from gateway.rules.permissions import COMPLIANCE_EDIT, COMPLIANCE_VIEW, COUNTRIES_ACTIVATE
from gateway.store import lists_compliance
from gateway.store.database import Transaction, View
from web import sessions
from web.pages import door, refusals, stale
from web.pages.compliance import forms, words
from web.pages.compliance.countries import channel_of
from web.pages.compliance.desk import blueprint, day_of, frame, moment_of, who
from web.pages.language import N_

HOURS_LABELS = {
    "mode": N_("Messages leave"),
    "weekdays": N_("Monday to Friday"),
    "saturday": N_("Saturday"),
    "sunday": N_("Sunday"),
    "holidays": N_("Holidays"),
}
RULE_LABELS = {
    "owner": N_("Who looks after it"),
    "source": N_("Source of the rule"),
    "checked_at": N_("Last checked on"),
    "lead_time_days": N_("Lead time in days"),
    "price": N_("Credits per part"),
    **{name: label for name, (label, _options) in words.POLICIES.items()},
}


@blueprint.get("/countries/<iso>")
@door.needs(COMPLIANCE_VIEW)
def country(iso: str) -> ResponseReturnValue:
    """The whole of it on one page."""
    return _page(iso)


@blueprint.post("/countries/<iso>/state")
@door.needs(COMPLIANCE_VIEW)
def move(iso: str) -> ResponseReturnValue:
    """One step of the commissioning; the flow knows whose hand it needs (S28)."""
    target = request.form.get("state", "")
    if target not in STATES:
        abort(HTTPStatus.BAD_REQUEST)
    changes: dict[str, Any] = {"state": target}
    return _done(
        iso, lambda tx, now: countries.change(tx, who(tx), iso, channel_of(), changes, now), N_("Done."), "commissioning"
    )


@blueprint.post("/countries/<iso>/checklist")
@door.needs(COMPLIANCE_EDIT)
def tick(iso: str) -> ResponseReturnValue:
    """What of the paper work is done."""

    def step(tx: Transaction, now: int) -> None:
        items = _shown(tx, iso)["checklist"]
        ticked = {item: item in request.form.getlist("item") for item in items}
        countries.change(tx, who(tx), iso, channel_of(), {"checklist": ticked}, now)

    return _done(iso, step, N_("The checklist is saved."), "commissioning")


@blueprint.post("/countries/<iso>/test")
@door.needs(COUNTRIES_ACTIVATE)
def test(iso: str) -> ResponseReturnValue:
    """Send the test message that is the evidence."""
    form = forms.TrialForm()
    if not form.validate():
        return _page(iso, trial=form), HTTPStatus.UNPROCESSABLE_ENTITY
    number = form.number.data

    def step(tx: Transaction, now: int) -> None:
        countries.send_test(tx, who(tx), iso, channel_of(), number, now)

    return _done(iso, step, N_("The test message is on its way."), "commissioning", trial=form)


@blueprint.post("/countries/<iso>/opt-in")
@door.needs(COMPLIANCE_EDIT)
def opt_in(iso: str) -> ResponseReturnValue:
    """Change how new conversations begin; "single" with the acknowledgement (S40, S42)."""
    form = forms.OptInForm()
    if not form.validate():
        return _page(iso, opt_in=form), HTTPStatus.UNPROCESSABLE_ENTITY
    day = form.date.data
    given = Acknowledgement(
        text=form.acknowledgement.data or "",
        name=form.name.data or "",
        reference=form.reference.data or "",
        advised_on="" if day is None else day.isoformat(),
    )
    mode, reason = form.opt_in.data, form.reason.data or ""
    acknowledged = given if mode == "single" else None

    def step(tx: Transaction, now: int) -> None:
        code = countries.find(tx, iso, channel_of()).iso
        texts.set_opt_in(tx, code, channel_of(), mode, acknowledged, reason, door.viewer().actor, now)

    return _done(iso, step, N_("Saved. It holds for new conversations; what pends or was granted stays."), "opt-in", opt_in=form)


@blueprint.post("/countries/<iso>/hours")
@door.needs(COMPLIANCE_EDIT)
def hours(iso: str) -> ResponseReturnValue:
    """Set the windows; what quiet hours hold is looked at again."""
    form = forms.HoursForm()
    if not form.validate():
        return _page(iso, hours=form), HTTPStatus.UNPROCESSABLE_ENTITY
    wanted = {"mode": form.mode.data, **{name: form[name].data or "" for name in HOURS_LABELS if name != "mode"}}

    def step(tx: Transaction, now: int) -> None:
        stale.check(_hours_of(_shown(tx, iso)), request.form.get("shown"))
        countries.change(tx, who(tx), iso, channel_of(), {"hours": form.hours()}, now)

    back = {"wanted": wanted, "labels": HOURS_LABELS, "action": "compliance.hours"}
    return _done(iso, step, N_("The windows are saved."), "hours", back=back, hours=form)


@blueprint.post("/countries/<iso>/rule")
@door.needs(COMPLIANCE_EDIT)
def rule(iso: str) -> ResponseReturnValue:
    """Who looks after the rule, when they last did, and what is decided about it (S57)."""
    form = forms.RuleForm()
    if not form.validate():
        return _page(iso, rule=form), HTTPStatus.UNPROCESSABLE_ENTITY
    wanted = {name: form[name].data for name in RULE_LABELS}

    def step(tx: Transaction, now: int) -> None:
        before = _rule_of(_shown(tx, iso))
        stale.check(before, request.form.get("shown"))
        changes = {name: value for name, value in wanted.items() if value != before[name]}
        if isinstance(changes.get("checked_at"), date):
            changes["checked_at"] = moment_of(changes["checked_at"])
        countries.change(tx, who(tx), iso, channel_of(), {k: v for k, v in changes.items() if v is not None}, now)

    back = {"wanted": wanted, "labels": RULE_LABELS, "action": "compliance.rule"}
    return _done(iso, step, N_("The rule is saved."), "rule", back=back, rule=form)


@blueprint.post("/countries/<iso>/holidays")
@door.needs(COMPLIANCE_EDIT)
def add_holiday(iso: str) -> ResponseReturnValue:
    """Add a day to the calendar."""
    form = forms.HolidayForm()
    if not form.validate():
        return _page(iso, holiday=form), HTTPStatus.UNPROCESSABLE_ENTITY
    day, name = form.day.data, form.holiday.data or ""
    return _done(
        iso, lambda tx, now: countries.add_holiday(tx, who(tx), iso, day, name, now), N_("Added."), "hours", holiday=form
    )


@blueprint.post("/countries/<iso>/holidays/<day>/drop")
@door.needs(COMPLIANCE_EDIT)
def drop_holiday(iso: str, day: str) -> ResponseReturnValue:
    """Take an added day back."""
    try:
        when = date.fromisoformat(day)
    except ValueError:
        abort(HTTPStatus.NOT_FOUND)
    return _done(iso, lambda tx, now: countries.drop_holiday(tx, who(tx), iso, when, now), N_("Taken back."), "hours")


# --- pieces ----------------------------------------------------------------------------------------------------------


def _done(
    iso: str,
    step: Callable[[Transaction, int], object],
    said: str,
    anchor: str,
    *,
    back: dict[str, Any] | None = None,
    **given: Any,
) -> ResponseReturnValue:
    """Do it and lead back, or show the page again with what was refused and what was typed."""
    services = sessions.services()
    now, channel = services.clock.now_ms(), channel_of()
    try:
        services.database.transact(lambda tx: step(tx, now))
    except stale.Stale as found:
        assert back is not None
        here = url_for("compliance.country", iso=iso, channel=channel)
        action = url_for(back["action"], iso=iso, channel=channel)
        wanted = {name: "" if value is None else value for name, value in back["wanted"].items()}
        called = {name: each for form in given.values() for name, each in stale.choices(form).items()}
        return stale.page(found, wanted, back["labels"], action=action, back=here, words=called)
    except Refused as refused:
        if refused.status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            raise
        form = next(iter(given.values()), None)
        problem = refusals.told(refused, words.REFUSALS)
        if form is not None:
            names = {"iso": "number", "hours": "weekdays", "acknowledgement": "acknowledgement"}
            problem = refusals.put(form, refused, words.REFUSALS, names) or ""
        return _page(iso, problem=problem, **given), refused.status
    door.notice(said)
    return redirect(url_for("compliance.country", iso=iso, channel=channel, _anchor=anchor), HTTPStatus.SEE_OTHER)


def _shown(view: View, iso: str) -> dict[str, Any]:
    zone = organisation(view, door.viewer().organisation_id)["zone"]
    now = sessions.services().clock.now_ms()
    return countries.shown(view, countries.find(view, iso, channel_of()), zone, now)


def _hours_of(shown: dict[str, Any]) -> dict[str, str]:
    """The windows as their form shows them."""
    windows = shown["windows"] or {}
    mode = "own" if isinstance(shown["hours"], dict) else shown["hours"]
    return {"mode": mode, **{name: windows.get(name, "") for name in HOURS_LABELS if name != "mode"}}


def _rule_of(shown: dict[str, Any]) -> dict[str, Any]:
    """The rule as its form shows it."""
    return {**{name: shown[name] for name in RULE_LABELS}, "checked_at": day_of(shown["checked_at"])}


def _page(iso: str, problem: str = "", **given: Any) -> str:
    viewer = door.viewer()
    with sessions.services().database.read() as view:
        shown = _shown(view, iso)
        history = lists_compliance.opt_ins(view, shown["iso"], shown["channel"])
        trial = lists_compliance.message_state(view, shown["test"]["message_id"])
        actors = lists_compliance.names(view, viewer.organisation_id, {each["actor"] for each in history})
    hours_now, rule_now = _hours_of(shown), _rule_of(shown)
    return render_template(
        "compliance/country.html",
        tab="countries",
        country=shown,
        history=history,
        actors=actors,
        trial_message=trial,
        problem=problem,
        opt_in=given.get("opt_in") or forms.OptInForm(formdata=None, data={"opt_in": shown["opt_in"]}),
        hours=given.get("hours") or forms.HoursForm(formdata=None, data=hours_now),
        rule=given.get("rule") or forms.RuleForm(formdata=None, data=rule_now),
        trial=given.get("trial") or forms.TrialForm(formdata=None),
        holiday=given.get("holiday") or forms.HolidayForm(formdata=None),
        shown_hours=stale.fingerprint(hours_now),
        shown_rule=stale.fingerprint(rule_now),
        may_activate=viewer.may(COUNTRIES_ACTIVATE),
        states=words.STATES,
        steps=words.STEPS,
        step=words.STEPS.index(shown["state"]) if shown["state"] in words.STEPS else len(words.STEPS) - 1,
        moves=words.MOVES,
        checklist_words=words.CHECKLIST,
        opt_in_words=words.OPT_IN,
        days=words.DAYS,
        policies=words.POLICIES,
        **frame(),
    )
