"""The tab Interviews: what was arranged, and inviting (S10, S51, S53), with a rehearsal of the message before it is sent."""

import hashlib
import secrets
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from flask import abort, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict
from wtforms import (  # type: ignore[import-untyped]
    DateField,
    FieldList,
    Form,
    FormField,
    HiddenField,
    IntegerField,
    SelectField,
    StringField,
    TextAreaField,
    TimeField,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length, NumberRange, Optional  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import interview_acts, interview_options
from gateway.flows.case_desk import Seen
from gateway.flows.interviews import Created, NewInterview
from gateway.flows.rehearsal import Foretold, foretell
from gateway.rules.interviews import MOST_SLOTS, TYPES, Slot
from gateway.rules.permissions import MESSAGES_VIEW, QUIET_HOURS_OVERRIDE
from gateway.store import ids
from gateway.store.database import Transaction, View
from web import sessions
from web.pages import door, refusals
from web.pages.candidates import common, words
from web.pages.candidates.common import blueprint
from web.pages.forms import PageForm
from web.pages.language import N_, _
from web.pages.places import ZoneField
from web.pages.words import zone_of

FIELDS = {"slots": "", "starts_at": "time", "ends_at": "minutes", "tz": "tz", "template_id": "template_id", "text": "text"}
"""The flows' names for what the forms ask."""
URGENT = {"": N_("Keep them"), "yes": N_("Urgent: write now, whatever the hour")}
_ROWS = 3


class SlotForm(Form):  # type: ignore[misc]
    """One time to choose; a row without a day is left out."""

    date = DateField(N_("Day"), [Optional()])
    time = TimeField(N_("Time"), [Optional()])
    minutes = IntegerField(N_("Minutes"), [Optional(), NumberRange(5, 600)], default=30)
    capacity = IntegerField(N_("Places"), [Optional(), NumberRange(1, 1000)], default=1)


class ArrangeForm(PageForm):
    """When, where, and what the candidate is told: of an invitation and of a move alike."""

    case = HiddenField()
    date = DateField(N_("Day"), [Optional()])
    time = TimeField(N_("Time"), [Optional()])
    minutes = IntegerField(N_("Minutes"), [Optional(), NumberRange(5, 600, N_("Between 5 and 600 minutes."))], default=45)
    tz = ZoneField(N_("Time zone"), [InputRequired(N_("Enter a time zone.")), Length(max=60)])
    location = StringField(N_("Place"), [Length(max=200)], description=N_("An address, a room, or the link of a video call."))
    slots = FieldList(FormField(SlotForm), min_entries=_ROWS, max_entries=MOST_SLOTS)
    template_id = SelectField(N_("Template"), [Optional()], choices=[], validate_choice=False)
    text = TextAreaField(N_("A text of your own, instead of a template"), [Length(max=2000)])

    def starts_at(self) -> int | None:
        """The start in ms UTC, as far as it was filled in."""
        return moment(self.date.data, self.time.data, self.tz.data)

    def ends_at(self) -> int | None:
        """The end, so many minutes later."""
        start = self.starts_at()
        return None if start is None or not self.minutes.data else start + self.minutes.data * 60_000

    def slots_wanted(self, view: View, case_id: str, now: int) -> tuple[Slot, ...]:
        """The rows that were filled in, and the case's own times that were ticked."""
        fresh = []
        for row in self.slots.entries:
            start = moment(row.date.data, row.time.data, self.tz.data)
            if start is not None:
                end = start + (row.minutes.data or 30) * 60_000
                fresh.append(Slot(ids.new("slot"), start, end, row.capacity.data or 1))
        return (*interview_acts.kept_slots(view, case_id, ticked(), now), *fresh)

    def told(self) -> dict[str, Any]:
        """The template or text; none of both where nothing was chosen."""
        return {"template_id": self.template_id.data or None, "text": self.text.data.strip() or None if self.text.data else None}


class InviteForm(ArrangeForm):
    """An invitation. `once` makes a double click one invitation."""

    type = HiddenField()
    once = HiddenField()
    channel = SelectField(N_("Channel"), choices=[], validate_choice=False)
    urgent = SelectField(N_("Quiet hours"), choices=[], default="", validate_choice=False)
    reason = StringField(N_("Why it is urgent"), [Length(max=300)])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.urgent.choices = words.choices(URGENT.items())


def ticked() -> list[str]:
    """The case's own times that were ticked."""
    return [name.removeprefix("known-") for name in request.form if name.startswith("known-")]


def moment(day: Any, clock: Any, zone: str | None) -> int | None:
    """A day and a time in a zone as ms UTC."""
    if day is None or clock is None:
        return None
    return round(datetime.combine(day, clock, tzinfo=zone_of(zone or "UTC")).timestamp() * 1000)


@blueprint.get("/<ref>/interviews")
@door.needs(MESSAGES_VIEW)
def interviews(ref: str) -> ResponseReturnValue:
    """The interviews, and the form of an invitation."""
    kind = request.args.get("type", "scheduled")
    if kind not in TYPES:
        abort(HTTPStatus.BAD_REQUEST)
    services, viewer = sessions.services(), door.viewer()
    tomorrow = datetime.fromtimestamp(services.clock.now_ms() / 1000, zone_of(viewer.zone)).date() + timedelta(days=1)
    start = MultiDict({"date": tomorrow.isoformat(), "time": "10:00", "minutes": "45", "tz": viewer.zone, "type": kind})
    form = InviteForm(formdata=start)
    form.once.data = secrets.token_urlsafe(12)
    return _tab(ref, form, kind)


def _tab(ref: str, form: InviteForm, kind: str, *, foretold: Foretold | None = None, error: str | None = None) -> str:
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()
    with services.database.read() as view:
        seen = common.meet(view, ref)
        offer = options(view, seen, kind, now)
        fill_choices(form, offer, "interview_invite")
        form.channel.choices = words.choices((name, words.CHANNELS[name]) for name, each in offer.items() if each["available"])
        form.case.data = None if seen.case is None else seen.case["ref"]
        shown = common.page(
            view,
            "interviews",
            seen,
            "interviews",
            rows=interview_acts.interviews_of(view, seen),
            form=form,
            kind=kind,
            types={name: (_(word), common.address("interviews", seen, type=name)) for name, word in words.TYPES.items()},
            offer=offer,
            free=[] if seen.case is None else interview_acts.free_slots(view, seen.case["id"], now),
            ticked=ticked(),
            foretold=foretold,
            error=error,
            may_override=viewer.may(QUIET_HOURS_OVERRIDE),
        )
    return shown()


def options(view: View, seen: Seen, kind: str, now: int) -> dict[str, Any]:
    """Channels with their templates, as far as they are switched on (S50, S51); nothing without a case."""
    if seen.case is None or not seen.may_send:
        return {}
    found = interview_options.options(
        view, seen.user["organisation_id"], seen.case["ref"], kind, seen.user["id"], seen.candidate["ref"], now
    )
    channels: dict[str, Any] = found["channels"]
    return {name: each for name, each in channels.items() if each["reason"] != "channel_disabled"}


def fill_choices(form: ArrangeForm, offer: dict[str, Any], kind: str) -> None:
    """The templates of a kind, and “a text of my own”."""
    found = [(each["id"], each["name"]) for channel in offer.values() for each in channel["kinds"][kind]["templates"]]
    form.template_id.choices = [*(SelectChoice(*each) for each in found), SelectChoice("", _("A text of my own"))]
    if form.template_id.data is None and found and not form.text.data:
        form.template_id.data = found[0][0]


@blueprint.context_processor
def _samples() -> dict[str, Any]:
    """How the templates of a kind read, whatever their channel."""
    return {"samples_of": lambda offer, kind: [row for each in offer.values() for row in each["kinds"][kind]["templates"]]}


@blueprint.post("/<ref>/interviews")
@door.needs(MESSAGES_VIEW)
def invite(ref: str) -> ResponseReturnValue:
    """Invite, or look first at what the candidate would get."""
    form = InviteForm()
    kind = form.type.data or "scheduled"
    if kind not in TYPES:
        abort(HTTPStatus.BAD_REQUEST)
    if request.form.get("act") == "more":
        for _row in range(_ROWS):
            form.slots.append_entry()
        return _tab(ref, form, kind)
    if not form.validate():
        return _tab(ref, form, kind), HTTPStatus.UNPROCESSABLE_ENTITY
    services = sessions.services()
    now = services.clock.now_ms()
    rehearse = request.form.get("act") == "preview"

    def step(tx: Transaction) -> tuple[Created | None, Foretold | None, str]:
        seen = common.meet(tx, ref)
        new = _wanted(tx, seen, form, kind, now)
        if rehearse:
            told = foretell(tx, lambda: interview_acts.invite(tx, seen, new, common.interview_desk(), now).message)
            return None, told, ""
        made = interview_acts.invite(tx, seen, new, common.interview_desk(), now)
        return made, None, common.address("one", seen, interview_id=made.interview_id)

    try:
        made, foretold, where = services.database.transact(step)
    except Refused as refused:
        if refused.status == HTTPStatus.FORBIDDEN:
            raise
        error = refusals.put(form, refused, words.REFUSALS, FIELDS)
        return _tab(ref, form, kind, error=error), refused.status
    if made is None:
        return _tab(ref, form, kind, foretold=foretold)
    hold = None if made.message is None else made.message.hold_reason
    door.notice(_("The invitation is on its way.") if hold is None else _("The invitation is made.") + " " + _(words.HOLDS[hold]))
    return redirect(where, HTTPStatus.SEE_OTHER)


def _once(token: str | None) -> str | None:
    """The name of this very form: sent again it is the same invitation; gone back to and changed, another one."""
    if not token:
        return None
    said = sorted((name, value) for name, value in request.form.items() if name not in ("csrf_token", "act"))
    return f"page:{token[:40]}:{hashlib.sha256(repr(said).encode()).hexdigest()[:12]}"


def _wanted(view: View, seen: Seen, form: InviteForm, kind: str, now: int) -> NewInterview:
    is_one_time = kind == "scheduled"
    viewer = door.viewer()
    return NewInterview(
        organisation_id=viewer.organisation_id,
        actor=viewer.actor,
        user=viewer.user_id,
        candidate_ref=seen.candidate["ref"],
        case_ref="" if seen.case is None else seen.case["ref"],
        type=kind,
        channel=form.channel.data or "sms",
        tz=form.tz.data.strip(),
        starts_at=form.starts_at() if is_one_time else None,
        ends_at=form.ends_at() if is_one_time else None,
        slots=() if is_one_time or seen.case is None else form.slots_wanted(view, seen.case["id"], now),
        location=(form.location.data or "").strip(),
        client_ref=_once(form.once.data),
        urgent=form.urgent.data == "yes",
        reason=form.reason.data or None,
        **form.told(),
    )
