"""One interview: how it stands, another time or place, calling it off, and its reminders (S55, S56)."""

from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict
from wtforms import HiddenField, IntegerField, SelectField, TextAreaField  # type: ignore[import-untyped]
from wtforms.fields.choices import SelectChoice  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length, NumberRange, Optional  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import interview_acts
from gateway.flows.interview_acts import Told
from gateway.flows.interviews import Created, Move
from gateway.flows.rehearsal import Foretold, foretell
from gateway.flows.reminders import NewReminder
from gateway.rules.permissions import MESSAGES_VIEW
from gateway.store.database import Row, Transaction, View
from web import sessions
from web.pages import door, refusals, stale
from web.pages.candidates import common, words
from web.pages.candidates.common import blueprint
from web.pages.candidates.interviews import FIELDS, ArrangeForm, fill_choices, options, ticked
from web.pages.forms import PageForm
from web.pages.language import N_, _, ngettext
from web.pages.words import zone_of

_DURATION = {"weeks": "P{}W", "days": "P{}D", "hours": "PT{}H", "minutes": "PT{}M"}
_WHERE = "/<ref>/interviews/<interview_id>"


class MoveForm(ArrangeForm):
    """What is to change; `shown` is what stood there when the form was opened."""

    shown = HiddenField()


class ReminderForm(PageForm):
    """How long before, and in which words."""

    amount = IntegerField(
        N_("How long before"), [InputRequired(N_("Enter a number.")), NumberRange(1, 9999, N_("Enter a number above zero."))]
    )
    unit = SelectField(N_("Unit"), choices=[], default="days")
    template_id = SelectField(N_("Template"), [Optional()], choices=[], validate_choice=False)
    text = TextAreaField(N_("A text of your own, instead of a template"), [Length(max=1000)])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unit.choices = words.choices(words.UNITS.items())


LABELS = {
    "date": N_("Day"),
    "time": N_("Time"),
    "minutes": N_("Minutes"),
    "tz": N_("Time zone"),
    "location": N_("Place"),
}


def _standing(row: Row) -> dict[str, Any]:
    """What the form of a move is filled with, under its own names."""
    start = None if row["starts_at"] is None else datetime.fromtimestamp(row["starts_at"] / 1000, zone_of(row["zone"]))
    length = None if row["ends_at"] is None or start is None else (row["ends_at"] - row["starts_at"]) // 60_000
    fields = {"tz": row["zone"], "location": row["location"]}
    if row["type"] != "scheduled":
        return fields
    clock = {"date": None, "time": None} if start is None else {"date": f"{start:%Y-%m-%d}", "time": f"{start:%H:%M}"}
    return {**clock, "minutes": None if length is None else str(length), **fields}


@blueprint.get(_WHERE)
@door.needs(MESSAGES_VIEW)
def one(ref: str, interview_id: str) -> ResponseReturnValue:
    """The interview; `like` fills the reminder's form with one that was there before."""
    return _page(ref, interview_id)


def _page(
    ref: str,
    interview_id: str,
    *,
    form: MoveForm | None = None,
    reminder: ReminderForm | None = None,
    foretold: Foretold | None = None,
    error: str | None = None,
    opened: str = "",
) -> str:
    services = sessions.services()
    now = services.clock.now_ms()
    with services.database.read() as view:
        seen = common.meet(view, ref)
        told, here = interview_acts.show(view, seen, interview_id, now)
        offer = options(view, here, told.row["type"], now)
        form = form or _form_of(told)
        fill_choices(form, offer, "interview_invite")
        if request.method == "GET":
            form.template_id.data = ""
        untold = SelectChoice("", _("Do not tell, or a text of my own"))
        form.template_id.choices = [untold, *form.template_id.choices[:-1]]
        reminder = reminder or _like(told)
        _fill_reminder(reminder, offer)
        shown = common.page(
            view,
            "one_interview",
            seen,
            "interviews",
            told=told,
            here=here,
            form=form,
            reminder=reminder,
            foretold=foretold,
            error=error,
            opened=opened,
            offer=offer,
            free=_others(view, told, now),
            ticked=ticked() if request.method == "POST" else [slot["ref"] for slot in told.slots],
        )
    return shown()


def _others(view: View, told: Told, now: int) -> list[Row]:
    """Times that may be offered: those of this interview, and free ones of its case."""
    mine = {slot["ref"] for slot in told.slots}
    free = interview_acts.free_slots(view, told.row["case_id"], now)
    return [*(slot for slot in told.slots if not told.has_begun), *(slot for slot in free if slot["ref"] not in mine)]


def _form_of(told: Told) -> MoveForm:
    values = _standing(told.row)
    form = MoveForm(formdata=MultiDict({name: value for name, value in values.items() if value is not None}))
    form.shown.data = stale.fingerprint(values)
    return form


def _like(told: Told) -> ReminderForm:
    """An empty form, or the timing and wording of an earlier reminder."""
    wanted = next((row for row in [*told.deleted, *told.reminders] if row["id"] == request.args.get("like")), None)
    form = ReminderForm(formdata=None)
    form.amount.data = 1
    if wanted is not None:
        form.amount.data, form.unit.data = words.lead(wanted["lead"])
        form.template_id.data, form.text.data = wanted["template_id"] or "", wanted["body"] or ""
    return form


def _fill_reminder(form: ReminderForm, offer: dict[str, Any]) -> None:
    found = [(row["id"], row["name"]) for each in offer.values() for row in each["kinds"]["interview_reminder"]["templates"]]
    form.template_id.choices = [*(SelectChoice(*each) for each in found), SelectChoice("", _("A text of my own"))]
    if form.template_id.data is None and found and not form.text.data:
        form.template_id.data = found[0][0]


@blueprint.post(f"{_WHERE}/move")
@door.needs(MESSAGES_VIEW)
def move(ref: str, interview_id: str) -> ResponseReturnValue:
    """Another time or place; told to the candidate where a template or text is given. 409 where somebody was faster."""
    form = MoveForm()
    if not form.validate():
        return _page(ref, interview_id, form=form, opened="move"), HTTPStatus.UNPROCESSABLE_ENTITY
    services = sessions.services()
    now = services.clock.now_ms()
    rehearse = request.form.get("act") == "preview"

    def step(tx: Transaction) -> tuple[Created | None, Foretold | None, str]:
        seen = common.meet(tx, ref)
        row, _here = interview_acts.place(tx, seen, interview_id)
        stale.check(_standing(row), form.shown.data)
        change = _change(tx, row, form, now)
        desk = common.interview_desk()
        if rehearse:
            return None, foretell(tx, lambda: interview_acts.move(tx, seen, interview_id, change, desk, now).message), ""
        made = interview_acts.move(tx, seen, interview_id, change, desk, now)
        return made, None, common.address("one", seen, interview_id=interview_id)

    try:
        made, foretold, where = services.database.transact(step)
    except stale.Stale as found:
        return _somebody_was_faster(ref, interview_id, found)
    except Refused as refused:
        if refused.status == HTTPStatus.FORBIDDEN:
            raise
        error = refusals.put(form, refused, words.REFUSALS, FIELDS)
        return _page(ref, interview_id, form=form, error=error, opened="move"), refused.status
    if made is None:
        quiet = None if foretold is not None else _("The candidate would not be told.")
        return _page(ref, interview_id, form=form, foretold=foretold, error=quiet, opened="move")
    told = _("The interview is changed, and the candidate is told.")
    door.notice(told if made.message is not None else _("The interview is changed. The candidate was not told."))
    return redirect(where, HTTPStatus.SEE_OTHER)


def _somebody_was_faster(ref: str, interview_id: str, found: stale.Stale) -> ResponseReturnValue:
    mine = {name: value for name, value in request.form.items() if name not in ("csrf_token", "shown", "act")}
    here = {"ref": ref, "interview_id": interview_id, "case": common.case_ref()}
    labels = {name: label for name, label in LABELS.items() if name in found.now}
    with sessions.services().database.read() as view:
        seen = common.meet(view, ref)
        action, back = (common.address(name, seen, interview_id=here["interview_id"]) for name in ("move", "one"))
    return stale.page(found, mine, labels, action=action, back=back)


def _change(view: View, row: Row, form: MoveForm, now: int) -> Move:
    is_one_time = row["type"] == "scheduled"
    slots = None
    if not is_one_time:
        wanted = form.slots_wanted(view, row["case_id"], now)
        offered = {slot.ref for slot in wanted}
        same = offered == {slot["ref"] for slot in interview_acts.slots_of(view, row["id"])}
        slots = None if same else wanted
    return Move(
        user=door.viewer().user_id,
        starts_at=form.starts_at() if is_one_time else None,
        ends_at=form.ends_at() if is_one_time else None,
        tz=form.tz.data.strip(),
        location=(form.location.data or "").strip(),
        slots=slots,
        **form.told(),
    )


@blueprint.post(f"{_WHERE}/cancel")
@door.needs(MESSAGES_VIEW)
def cancel(ref: str, interview_id: str) -> ResponseReturnValue:
    """Call the interview off, with its reminders and what has not left."""
    now = sessions.services().clock.now_ms()

    def step(tx: Transaction) -> tuple[int, str]:
        seen = common.meet(tx, ref)
        refunded = interview_acts.call_off(tx, seen, interview_id, now)
        return refunded, common.address("one", seen, interview_id=interview_id)

    try:
        refunded, back = sessions.services().database.transact(step)
    except Refused as refused:
        if refused.status == HTTPStatus.FORBIDDEN:
            raise
        return _page(ref, interview_id, error=common.told(refused)), HTTPStatus.CONFLICT
    door.notice(_("The interview is cancelled.") + _given_back(refunded))
    return redirect(back, HTTPStatus.SEE_OTHER)


@blueprint.post(f"{_WHERE}/reminders")
@door.needs(MESSAGES_VIEW)
def remind(ref: str, interview_id: str) -> ResponseReturnValue:
    """Plan a reminder, and say when it will really come."""
    form = ReminderForm()
    if not form.validate():
        return _page(ref, interview_id, reminder=form, opened="remind"), HTTPStatus.UNPROCESSABLE_ENTITY
    now = sessions.services().clock.now_ms()
    new = NewReminder(
        offset=_DURATION[form.unit.data].format(form.amount.data),
        user=door.viewer().user_id,
        template_id=form.template_id.data or None,
        text=(form.text.data or "").strip() or None,
    )

    def step(tx: Transaction) -> tuple[Row, str]:
        seen = common.meet(tx, ref)
        row = interview_acts.remind(tx, seen, interview_id, new, common.interview_desk(), now)
        return row, common.address("one", seen, interview_id=interview_id)

    try:
        row, back = sessions.services().database.transact(step)
    except Refused as refused:
        if refused.status == HTTPStatus.FORBIDDEN:
            raise
        error = refusals.put(form, refused, words.REFUSALS, {"offset": "amount"})
        return _page(ref, interview_id, reminder=form, error=error, opened="remind"), refused.status
    if row["state"] == "skipped":
        door.notice(
            _("This reminder will be left out:") + " " + _(words.SKIPPED.get(row["reason"], str(row["reason"]))), "warning"
        )
    else:
        door.notice(_("The reminder is planned."))
    return redirect(back + "#reminders", HTTPStatus.SEE_OTHER)


@blueprint.post(f"{_WHERE}/reminders/<reminder_id>/delete")
@door.needs(MESSAGES_VIEW)
def forget(ref: str, interview_id: str, reminder_id: str) -> ResponseReturnValue:
    """Take a reminder back, or say that it has left."""
    now = sessions.services().clock.now_ms()

    def step(tx: Transaction) -> tuple[int, str]:
        seen = common.meet(tx, ref)
        refunded = interview_acts.forget_reminder(tx, seen, interview_id, reminder_id, now)
        return refunded, common.address("one", seen, interview_id=interview_id)

    try:
        refunded, back = sessions.services().database.transact(step)
    except Refused as refused:
        if refused.status == HTTPStatus.FORBIDDEN:
            raise
        return _page(ref, interview_id, error=common.told(refused)), refused.status
    door.notice(_("The reminder is deleted.") + _given_back(refunded))
    return redirect(back + "#reminders", HTTPStatus.SEE_OTHER)


def _given_back(count: int) -> str:
    return "" if count == 0 else " " + ngettext("One credit was given back.", "%(count)s credits were given back.", count)
