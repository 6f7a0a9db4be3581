"""The texts that the box sends by itself, the words it obeys, and which kind may go by which channel (S39, S42)."""

from http import HTTPStatus
from typing import Any

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.errors import Refused
from gateway.flows import compliance as flows
from gateway.flows import kinds as kind_rules
from gateway.flows.template_desk import plain_lines
from gateway.rules.kinds import CHANNELS, KINDS
from gateway.rules.permissions import COMPLIANCE_EDIT, COMPLIANCE_VIEW
from gateway.rules.wordings import FIELDS, NEEDED
from gateway.rules.wordings import KINDS as TEXT_KINDS
from gateway.store.database import Transaction
from web import sessions
from web.pages import door, refusals, stale
from web.pages.compliance import words
from web.pages.compliance.desk import blueprint, frame, who
from web.pages.compliance.forms import KeywordForm, TextForm, TimesForm
from web.pages.language import N_
from web.pages.templates import words as template_words

NUMBERS = ("reminder_hours", "expiry_days", "grant_days", "contact")
TIMES_LABELS = {
    "reminder_hours": N_("Remind after hours"),
    "expiry_days": N_("Give up after days"),
    "grant_days": N_("A silent consent ends after days"),
    "contact": N_("Contact told by HELP"),
}


@blueprint.get("/texts")
@door.needs(COMPLIANCE_VIEW)
def texts() -> ResponseReturnValue:
    """Every text by kind and language, and what is missing."""
    return _texts(None)


@blueprint.post("/publish")
@door.needs(COMPLIANCE_EDIT)
def publish() -> ResponseReturnValue:
    """Declare the texts complete; 422 with the gaps while there are some (S42)."""
    services, viewer = sessions.services(), door.viewer()
    now, accept = services.clock.now_ms(), request.form.get("accept_shipped") == "y"
    try:
        services.database.transact(lambda tx: flows.publish(tx, viewer.organisation_id, accept, viewer.actor, now))
    except Refused as refused:
        return _texts(None, refused.facts.get("gaps")), HTTPStatus.UNPROCESSABLE_ENTITY
    door.notice(N_("The texts are complete: every active country has one in each language of an open job."))
    return redirect(url_for("compliance.texts"), HTTPStatus.SEE_OTHER)


@blueprint.post("/times")
@door.needs(COMPLIANCE_EDIT)
def times() -> ResponseReturnValue:
    """Change the times of the double opt-in, and the contact that HELP tells."""
    form, services, viewer = TimesForm(), sessions.services(), door.viewer()
    if not form.validate():
        return _texts(form), HTTPStatus.UNPROCESSABLE_ENTITY
    wanted = {name: form[name].data or "" for name in NUMBERS}
    now = services.clock.now_ms()

    def step(tx: Transaction) -> None:
        stale.check(flows.settings(tx, viewer.organisation_id), request.form.get("shown"))
        flows.put_settings(tx, viewer.organisation_id, wanted, viewer.actor, now)

    try:
        services.database.transact(step)
    except stale.Stale as found:
        here = url_for("compliance.texts")
        return stale.page(found, wanted, TIMES_LABELS, action=url_for("compliance.times"), back=here)
    except Refused as refused:
        refusals.put(form, refused, words.REFUSALS, {})
        return _texts(form), HTTPStatus.UNPROCESSABLE_ENTITY
    door.notice(N_("Saved."))
    return redirect(url_for("compliance.texts"), HTTPStatus.SEE_OTHER)


def _texts(form: TimesForm | None, gaps: Any = None) -> str:
    organisation_id = door.viewer().organisation_id
    with sessions.services().database.read() as view:
        rows = flows.texts(view, organisation_id)
        found = flows.gaps(view, organisation_id) if gaps is None else gaps
        settings = flows.settings(view, organisation_id)
    by_kind = {kind: [row for row in rows if row["kind"] == kind] for kind in TEXT_KINDS}
    return render_template(
        "compliance/texts.html",
        tab="texts",
        by_kind=by_kind,
        text_words=words.TEXTS,
        gaps=found,
        only_proposals=bool(found) and all(gap["shipped"] for gap in found),
        refused=gaps is not None,
        form=form or TimesForm(formdata=None, data=settings),
        shown=stale.fingerprint(settings),
        **frame(),
    )


@blueprint.get("/texts/<kind>/<language>")
@door.needs(COMPLIANCE_VIEW)
def text(kind: str, language: str) -> ResponseReturnValue:
    """One text: the organisation's own beside the shipped one."""
    return _text(kind, language, None)


@blueprint.post("/texts/<kind>/<language>")
@door.needs(COMPLIANCE_EDIT)
def put_text(kind: str, language: str) -> ResponseReturnValue:
    """Write a text of one's own."""
    form, services, viewer = TextForm(), sessions.services(), door.viewer()
    if not form.validate():
        return _text(kind, language, form), HTTPStatus.UNPROCESSABLE_ENTITY
    body, now = plain_lines(form.body.data), services.clock.now_ms()

    def step(tx: Transaction) -> None:
        rows = flows.texts(tx, viewer.organisation_id)
        stale.check(_values(rows, kind, language), request.form.get("shown"))
        flows.put_text(tx, viewer.organisation_id, kind, language, body, viewer.actor, now)

    try:
        services.database.transact(step)
    except stale.Stale as found:
        here = url_for("compliance.text", kind=kind, language=language)
        return stale.page(found, {"body": body}, {"body": N_("Text")}, action=here, back=here)
    except Refused as refused:
        if refused.field != "body":
            raise
        refusals.put(form, refused, words.REFUSALS, {})
        return _text(kind, language, form), HTTPStatus.UNPROCESSABLE_ENTITY
    door.notice(N_("The text is saved."))
    return redirect(url_for("compliance.texts"), HTTPStatus.SEE_OTHER)


@blueprint.post("/texts/<kind>/<language>/drop")
@door.needs(COMPLIANCE_EDIT)
def drop_text(kind: str, language: str) -> ResponseReturnValue:
    """Back to the shipped text."""
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()
    services.database.transact(lambda tx: flows.drop_text(tx, viewer.organisation_id, kind, language, viewer.actor, now))
    door.notice(N_("The shipped text is used again."))
    return redirect(url_for("compliance.texts"), HTTPStatus.SEE_OTHER)


@blueprint.post("/texts")
@door.needs(COMPLIANCE_EDIT)
def add_text() -> ResponseReturnValue:
    """Lead to the form of a text in a language that has none yet."""
    kind, language = request.form.get("kind", ""), request.form.get("language", "").strip()
    if kind not in TEXT_KINDS or not language or len(language) > 12 or not language.replace("-", "").isalnum():
        abort(HTTPStatus.BAD_REQUEST)
    return redirect(url_for("compliance.text", kind=kind, language=language), HTTPStatus.SEE_OTHER)


def _values(rows: list[dict[str, Any]], kind: str, language: str) -> dict[str, Any]:
    row = next((each for each in rows if (each["kind"], each["language"]) == (kind, language)), None)
    return {"body": "" if row is None else row["body"]}


def _text(kind: str, language: str, form: TextForm | None) -> str:
    if kind not in TEXT_KINDS:
        abort(HTTPStatus.NOT_FOUND)
    with sessions.services().database.read() as view:
        rows = flows.texts(view, door.viewer().organisation_id)
    values = _values(rows, kind, language)
    row = next((each for each in rows if (each["kind"], each["language"]) == (kind, language)), None)
    return render_template(
        "compliance/text.html",
        tab="texts",
        kind=kind,
        language_of=language,
        row=row,
        word=words.TEXTS[kind],
        form=form or TextForm(formdata=None, data=values),
        shown=stale.fingerprint(values),
        fields=sorted(FIELDS[kind]),
        needed=sorted(NEEDED.get(kind, ())),
        **frame(),
    )


# --- the words that the box obeys ------------------------------------------------------------------------------------


@blueprint.get("/keywords")
@door.needs(COMPLIANCE_VIEW)
def keywords() -> ResponseReturnValue:
    """STOP, START and HELP in every language, shipped and added."""
    return _keywords(KeywordForm(formdata=None))


@blueprint.post("/keywords")
@door.needs(COMPLIANCE_EDIT)
def add_keyword() -> ResponseReturnValue:
    """Add a word."""
    form, services, viewer = KeywordForm(), sessions.services(), door.viewer()
    if not form.validate():
        return _keywords(form), HTTPStatus.UNPROCESSABLE_ENTITY
    word, kind, language = form.word.data, form.kind.data, (form.language.data or "").strip() or "*"
    now = services.clock.now_ms()
    try:
        services.database.transact(
            lambda tx: flows.add_keyword(tx, viewer.organisation_id, language, kind, word, viewer.actor, now)
        )
    except Refused as refused:
        refusals.put(form, refused, words.REFUSALS, {})
        return _keywords(form), HTTPStatus.UNPROCESSABLE_ENTITY
    door.notice(N_("The word is added, for every message from now on."))
    return redirect(url_for("compliance.keywords"), HTTPStatus.SEE_OTHER)


@blueprint.post("/keywords/<keyword_id>/remove")
@door.needs(COMPLIANCE_EDIT)
def remove_keyword(keyword_id: str) -> ResponseReturnValue:
    """Remove an added word; shipped ones stay."""
    services, viewer = sessions.services(), door.viewer()
    now = services.clock.now_ms()
    services.database.transact(lambda tx: flows.remove_keyword(tx, viewer.organisation_id, keyword_id, viewer.actor, now))
    door.notice(N_("The word is removed."))
    return redirect(url_for("compliance.keywords"), HTTPStatus.SEE_OTHER)


def _keywords(form: KeywordForm) -> str:
    with sessions.services().database.read() as view:
        found = flows.keywords(view, door.viewer().organisation_id)
    return render_template(
        "compliance/keywords.html", tab="keywords", form=form, keywords=found, keyword_words=words.KEYWORDS, **frame()
    )


# --- kinds and channels ----------------------------------------------------------------------------------------------


@blueprint.get("/kinds")
@door.needs(COMPLIANCE_VIEW)
def kinds() -> ResponseReturnValue:
    """Which kind may go by which channel, and by which phrases a rejection is recognised (S9)."""
    with sessions.services().database.read() as view:
        cells = {(cell.kind, cell.channel): cell for cell in kind_rules.kinds_of(view, door.viewer().organisation_id)}
        phrases = kind_rules.phrases_of(view, door.viewer().organisation_id)
    return render_template(
        "compliance/kinds.html",
        tab="kinds",
        cells=cells,
        kinds={kind: template_words.KINDS.get(kind, kind) for kind in KINDS},
        channels={channel: template_words.CHANNELS[channel] for channel in CHANNELS},
        phrases=phrases,
        **frame(),
    )


@blueprint.post("/kinds")
@door.needs(COMPLIANCE_EDIT)
def set_kind() -> ResponseReturnValue:
    """Open or close one cell; a rejection stays locked off for SMS and WhatsApp."""
    services = sessions.services()
    kind, channel, allowed = (request.form.get(name, "") for name in ("kind", "channel", "allowed"))
    now = services.clock.now_ms()
    services.database.transact(lambda tx: kind_rules.set_kind(tx, who(tx), kind, channel, allowed == "y", now))
    door.notice(N_("Saved."))
    return redirect(url_for("compliance.kinds"), HTTPStatus.SEE_OTHER)


@blueprint.post("/phrases/<language>")
@door.needs(COMPLIANCE_EDIT)
def set_phrases(language: str) -> ResponseReturnValue:
    """Replace the phrases of a language, one a line; without any the shipped ones come back."""
    services = sessions.services()
    lines = [line.strip() for line in request.form.get("phrases", "").replace("\x00", "").splitlines() if line.strip()]
    now = services.clock.now_ms()
    services.database.transact(lambda tx: kind_rules.set_phrases(tx, who(tx), language, lines or None, now))
    door.notice(N_("Saved."))
    return redirect(url_for("compliance.kinds"), HTTPStatus.SEE_OTHER)
