"""The tab Consent status (S36): how it stands per channel and purpose, asking by a link, paper, withdrawal, evidence."""

from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any

from flask import abort, redirect, request
from flask.typing import ResponseReturnValue
from wtforms import DateField, HiddenField, SelectField, StringField, TextAreaField  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Length  # type: ignore[import-untyped]

from gateway.errors import Refused
from gateway.flows import case_desk, consent_desk, consent_requests, modules
from gateway.flows.case_desk import Seen
from gateway.flows.consent_requests import Asked
from gateway.flows.consents import CHANNELS, MODULES
from gateway.rules.consent import PURPOSES
from gateway.rules.permissions import COMPLIANCE_VIEW, MESSAGES_VIEW
from gateway.store.database import Row, Transaction
from web import sessions
from web.pages import door, refusals
from web.pages.candidates import common, words
from web.pages.candidates.common import blueprint
from web.pages.forms import PageForm
from web.pages.language import N_, _, ngettext
from web.pages.words import zone_of


class PaperForm(PageForm):
    """A consent that was signed on paper."""

    case = HiddenField()
    channel = SelectField(N_("Channel"), choices=words.choices((name, words.CHANNELS[name]) for name in CHANNELS))
    purpose = SelectField(N_("What for"), choices=[])
    signed_on = DateField(N_("Signed on"), [InputRequired(N_("Enter the day of the signature."))])
    wording_version = StringField(
        N_("Version of the form"),
        [InputRequired(N_("Enter the version or name of the form that was signed.")), Length(max=100)],
    )
    wording_text = TextAreaField(
        N_("Exact words that were signed"),
        [InputRequired(N_("Copy the words from the paper.")), Length(max=4000)],
        description=N_("They are kept as evidence, together with your name and the time."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.purpose.choices = words.choices(words.PURPOSES.items())


@blueprint.get("/<ref>/consent")
@door.needs(MESSAGES_VIEW)
def consent(ref: str) -> ResponseReturnValue:
    """The pane."""
    return _pane(ref, PaperForm(formdata=None))


def _pane(ref: str, form: PaperForm, error: str | None = None) -> str:
    services = sessions.services()
    with services.database.read() as view:
        seen = common.meet(view, ref)
        form.case.data = None if seen.case is None else seen.case["ref"]
        told: dict[str, Any] = {"form": form, "error": error, "modules": MODULES}
        told["may_see_evidence"] = seen.may_consent or door.viewer().may(COMPLIANCE_VIEW)
        pane = consent_desk.pane(view, seen, common.links(), services.clock.now_ms())
        shown = common.page(view, "consent", seen, "consent", pane=pane, **told)
    return shown()


@blueprint.post("/<ref>/consent-requests")
@door.needs(MESSAGES_VIEW)
def ask(ref: str) -> ResponseReturnValue:
    """Ask for consent by a link, from this pane, a case's list or the composer: the same act everywhere (S34, S35)."""
    services, viewer = sessions.services(), door.viewer()
    config, now = services.config, services.clock.now_ms()
    asked = Asked(
        candidate_ref=ref,
        channels=request.form.getlist("channels") or ["sms"],
        case_ref=common.case_ref(),
        purpose=request.form.get("purpose", PURPOSES[0]),
        user=viewer.user_id,
    )

    def step(tx: Transaction) -> tuple[consent_requests.Request, str]:
        seen = common.meet(tx, ref)
        make = partial(consent_requests.ask, links=common.links(), mails=config.smtp is not None, seal_key=common.secrets().seal)
        return make(tx, viewer.organisation_id, asked, viewer.actor, now), common.address("consent", seen)

    back = door.path_within(request.form.get("back"))
    try:
        made, pane = services.database.transact(step)
    except Refused as refused:
        if refused.status == HTTPStatus.CONFLICT and back is not None:
            door.notice(common.told(refused), "warning")
            return redirect(back, HTTPStatus.SEE_OTHER)
        if refused.status in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
            return _pane(ref, PaperForm(formdata=None), common.told(refused)), refused.status
        raise
    door.notice(_asked(made))
    return redirect(back or pane, HTTPStatus.SEE_OTHER)


def _asked(made: consent_requests.Request) -> str:
    if not made.is_new:
        return _("The candidate has been asked already; that request still waits for an answer.")
    if made.delivery == "email":
        return _("The candidate gets the link by e-mail.")
    return _(
        "The request is made. Its link stands under Consent status: hand it over by e-mail or in the tracking system, not by SMS."
    )


@blueprint.post("/<ref>/consent/paper")
@door.needs(MESSAGES_VIEW)
def paper(ref: str) -> ResponseReturnValue:
    """Record a consent that was signed on paper."""
    form = PaperForm()
    if not form.validate():
        return _pane(ref, form), HTTPStatus.UNPROCESSABLE_ENTITY
    services, viewer = sessions.services(), door.viewer()
    now, day = services.clock.now_ms(), form.signed_on.data
    signed_at = round(datetime(day.year, day.month, day.day, tzinfo=zone_of(viewer.zone)).timestamp() * 1000)

    def step(tx: Transaction) -> str:
        seen = common.meet(tx, ref)
        consent_desk.record_paper(
            tx,
            seen,
            form.channel.data,
            form.purpose.data,
            signed_at,
            form.wording_version.data,
            form.wording_text.data,
            viewer.actor,
            now,
        )
        return common.address("consent", seen)

    try:
        back = services.database.transact(step)
    except Refused as refused:
        if refused.status == HTTPStatus.FORBIDDEN:
            raise
        fields = {"evidence.captured_at": "signed_on", "evidence.wording_text": "wording_text"}
        return _pane(ref, form, refusals.put(form, refused, words.REFUSALS, fields)), refused.status
    door.notice(_("The consent is recorded with its evidence."))
    return redirect(back, HTTPStatus.SEE_OTHER)


@blueprint.post("/<ref>/consent/withdraw")
@door.needs(MESSAGES_VIEW)
def withdraw(ref: str) -> ResponseReturnValue:
    """The candidate told a colleague to stop: as wide as a STOP of their own."""
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()

    def step(tx: Transaction) -> tuple[int, str]:
        seen = common.meet(tx, ref)
        channel, how = request.form.get("channel", ""), request.form.get("how", "")
        return consent_desk.withdraw(tx, seen, channel, how, viewer.actor, now), common.address("consent", seen)

    try:
        count, back = services.database.transact(step)
    except Refused as refused:
        if refused.status == HTTPStatus.FORBIDDEN:
            raise
        return _pane(ref, PaperForm(formdata=None), common.told(refused)), refused.status
    said = _("The withdrawal is recorded.")
    if count:
        said += " " + ngettext("One waiting message was cancelled.", "%(count)s waiting messages were cancelled.", count)
    door.notice(said)
    return redirect(back, HTTPStatus.SEE_OTHER)


@blueprint.get("/<ref>/consent/<channel>")
@door.needs(MESSAGES_VIEW)
def evidence(ref: str, channel: str) -> ResponseReturnValue:
    """Every version with what proves it. Looking is audited, for the compliance office and who may write here."""
    if channel not in CHANNELS:
        abort(HTTPStatus.NOT_FOUND)
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()

    def step(tx: Transaction) -> tuple[Seen, list[Row]]:
        seen = common.meet(tx, ref)
        if not viewer.may(COMPLIANCE_VIEW):
            case_desk.require_consenter(seen)
        return seen, modules.history(tx, viewer.organisation_id, ref, channel, viewer.actor, now)

    seen, versions = services.database.transact(step)
    with services.database.read() as view:
        shown = common.page(view, "evidence", seen, "consent", versions=versions, channel=channel)
    return shown()
