"""What waits for a person: possible STOPs to look at, erasures and legal holds, and how long what is kept."""

from http import HTTPStatus
from typing import Any

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.errors import Refused
from gateway.flows import erase as erasing
from gateway.flows import pleas
from gateway.flows import retention as keeping
from gateway.rules.permissions import COMPLIANCE_EDIT, COMPLIANCE_VIEW, ERASE, MESSAGES_VIEW_ALL, SETTINGS_EDIT
from gateway.rules.retention import LIMITS
from gateway.store import lists_compliance
from web import sessions
from web.pages import door, refusals, stale
from web.pages.compliance import words
from web.pages.compliance.desk import blueprint, frame, moment_of
from web.pages.compliance.forms import EraseForm, HoldForm
from web.pages.language import N_, _

PAGE = 50


@blueprint.get("/tasks")
@door.needs(MESSAGES_VIEW_ALL)
def tasks() -> ResponseReturnValue:
    """What a colleague has to look at, such as a message that may have been a STOP."""
    state, after = request.args.get("state", "open"), request.args.get("after") or None
    if state not in ("open", "done"):
        abort(HTTPStatus.BAD_REQUEST)
    with sessions.services().database.read() as view:
        rows = pleas.tasks(view, door.viewer().organisation_id, state, after, PAGE)
    named = {"open": N_("To be done"), "done": N_("Done")}
    return render_template(
        "compliance/tasks.html",
        tab="tasks",
        rows=rows[:PAGE],
        older=rows[PAGE - 1]["id"] if len(rows) > PAGE else None,
        after=after,
        chosen=state,
        chips_of={name: (_(word), url_for("compliance.tasks", state=name)) for name, word in named.items()},
        task_words=words.TASKS,
        overdue={row["id"] for row in rows if row["due_at"] < sessions.services().clock.now_ms()},
        **frame(),
    )


@blueprint.post("/tasks/<task_id>")
@door.needs(COMPLIANCE_EDIT)
def settle(task_id: str) -> ResponseReturnValue:
    """Say what it was: an opt-out, or the conversation goes on."""
    services, viewer = sessions.services(), door.viewer()
    outcome, note = request.form.get("outcome", ""), request.form.get("note", "").replace("\x00", "")[:1000]
    now = services.clock.now_ms()
    services.database.transact(
        lambda tx: pleas.settle_task(tx, viewer.organisation_id, task_id, outcome, note, viewer.actor, now)
    )
    opted_out = N_("The candidate counts as opted out: nothing more will be sent.")
    door.notice(opted_out if outcome == "opt_out" else N_("The conversation goes on."))
    return redirect(url_for("compliance.tasks"), HTTPStatus.SEE_OTHER)


# --- erasure and legal holds -----------------------------------------------------------------------------------------


@blueprint.get("/forgetting")
@door.needs(ERASE)
def forgetting() -> ResponseReturnValue:
    """Erasures that wait, those done, and whose data a hold keeps."""
    return _forgetting()


@blueprint.post("/forgetting/erase")
@door.needs(ERASE)
def erase() -> ResponseReturnValue:
    """Erase a candidate; what is on the air makes it wait."""
    form, services, viewer = EraseForm(), sessions.services(), door.viewer()
    if not form.validate():
        return _forgetting(erase=form), HTTPStatus.UNPROCESSABLE_ENTITY
    now, ref, reason, asked = services.clock.now_ms(), form.ref.data, form.reason.data, moment_of(form.requested_on.data)
    try:
        done = services.database.transact(
            lambda tx: erasing.erase(tx, viewer.organisation_id, ref, reason, asked, viewer.actor, now)
        )
    except Refused as refused:
        refusals.put(form, refused, words.REFUSALS, {"candidate_ref": "ref", "requested_at": "requested_on"})
        return _forgetting(erase=form), HTTPStatus.UNPROCESSABLE_ENTITY
    if done.state == "done":
        services.database.truncate_log()
        door.notice(N_("Erased: texts, names and numbers are gone."))
    else:
        door.notice(N_("The erasure waits for a message that is on the air; the box finishes it by itself."), "warning")
    return redirect(url_for("compliance.forgetting"), HTTPStatus.SEE_OTHER)


@blueprint.post("/forgetting/hold")
@door.needs(ERASE)
def hold() -> ResponseReturnValue:
    """Set or lift a legal hold."""
    form, services, viewer = HoldForm(), sessions.services(), door.viewer()
    on = request.form.get("on") == "y"
    if not form.validate():
        return _forgetting(hold=form), HTTPStatus.UNPROCESSABLE_ENTITY
    now, ref, reason = services.clock.now_ms(), form.ref.data, form.reason.data
    try:
        changed = services.database.transact(
            lambda tx: erasing.set_hold(tx, viewer.organisation_id, ref, on, reason, viewer.actor, now)
        )
    except Refused as refused:
        refusals.put(form, refused, words.REFUSALS, {"candidate_ref": "ref"})
        return _forgetting(hold=form), HTTPStatus.UNPROCESSABLE_ENTITY
    said = N_("The legal hold is set: nothing of this candidate is removed.") if on else N_("The legal hold is lifted.")
    door.notice(said if changed else N_("That was so already."))
    return redirect(url_for("compliance.forgetting"), HTTPStatus.SEE_OTHER)


def _forgetting(erase: EraseForm | None = None, hold: HoldForm | None = None) -> str:
    organisation_id = door.viewer().organisation_id
    with sessions.services().database.read() as view:
        return render_template(
            "compliance/forgetting.html",
            tab="forgetting",
            erase=erase or EraseForm(formdata=None),
            hold=hold or HoldForm(formdata=None),
            waiting=lists_compliance.erasures(view, organisation_id, waiting=True),
            done=lists_compliance.erasures(view, organisation_id, waiting=False, most=PAGE),
            holds=lists_compliance.holds(view, organisation_id),
            **frame(),
        )


# --- how long what is kept -------------------------------------------------------------------------------------------


@blueprint.get("/retention")
@door.needs(COMPLIANCE_VIEW)
def retention() -> ResponseReturnValue:
    """How long what is kept."""
    return _retention({}, {})


@blueprint.post("/retention")
@door.needs(SETTINGS_EDIT)
def set_retention() -> ResponseReturnValue:
    """Change the periods; the next daily run obeys."""
    services, viewer = sessions.services(), door.viewer()
    given = {name: request.form.get(name, "").strip() for name in LIMITS}
    wanted = {name: int(text) for name, text in given.items() if text.isascii() and text.isdigit() and len(text) < 9}
    wrong = {name: _("Write a whole number.") for name in LIMITS if name not in wanted}
    now = services.clock.now_ms()

    def step(tx: Any) -> None:
        stale.check(keeping.policy(tx), request.form.get("shown"))
        keeping.change(tx, wanted, viewer.actor, now)

    try:
        if not wrong:
            services.database.transact(step)
    except stale.Stale as found:
        labels = {name: word for name, (word, _unit) in words.PERIODS.items()}
        here = url_for("compliance.retention")
        return stale.page(found, wanted, labels, action=here, back=here)
    except Refused as refused:
        least, most = LIMITS.get(refused.field or "", (0, 0))
        wrong = {refused.field or "": _("Write a number from %(least)s to %(most)s.", least=least, most=most)}
    if wrong:
        return _retention(given, wrong), HTTPStatus.UNPROCESSABLE_ENTITY
    door.notice(N_("Saved. The next daily run obeys."))
    return redirect(url_for("compliance.retention"), HTTPStatus.SEE_OTHER)


def _retention(given: dict[str, str], wrong: dict[str, str]) -> str:
    with sessions.services().database.read() as view:
        policy, last = keeping.policy(view), keeping.last_run(view)
    return render_template(
        "compliance/retention.html",
        tab="retention",
        policy={**policy, **given},
        limits=LIMITS,
        wrong=wrong,
        periods=words.PERIODS,
        last=last,
        shown=stale.fingerprint(policy),
        may_set=door.viewer().may(SETTINGS_EDIT),
        **frame(),
    )
