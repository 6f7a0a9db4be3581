"""The composer's form: what somebody has typed (`Asked`), and all that is shown of it (`Form`)."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import quote

from flask import url_for

from gateway.errors import Refused
from gateway.flows import writing
from gateway.flows.accept import preview
from gateway.flows.channels import Openness
from gateway.flows.sign_in import Viewer
from gateway.flows.submissions import Submission
from gateway.flows.writing import Choice, Desk
from gateway.rules.permissions import CREDITS_VIEW
from gateway.store.database import View
from web.pages import door, words
from web.pages.composer import told
from web.pages.composer.seen import Seen, seen_of
from web.pages.language import _

ONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_VALUE = "value:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the person has typed and chosen, as it came."""

    text: str = ""
    channel: str = ""
    kind: str = ""
    template_id: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    plain: bool = False
    send_at: str = ""
    urgent: bool = False
    reason: str = ""
    not_rejection: bool = False
    once: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to look at yet."""
        return not self.template_id and not self.text.strip()


@dataclass(frozen=True, slots=True)
class Closed:
    """A channel that cannot be used now: why, and what to do."""

    channel: str
    why: str
    what: str
    code: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why it would not be sent: at which field, in words, and the code."""

    field: str
    words: str
    code: str
    is_mild: bool = False
    """Something still to fill in, rather than something wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Everything that composer/_form.html shows."""

    candidate_ref: str
    candidate: str
    case_ref: str
    case_title: str
    pool_ref: str
    back: str
    consent_path: str
    asked: Asked
    open_channels: tuple[str, ...]
    closed: tuple[Closed, ...]
    by_ats: bool
    kinds: tuple[str, ...]
    templates: tuple[Choice, ...]
    template: Choice | None
    may_override: bool
    zone: str
    earliest: str
    trouble: Trouble | None = None
    seen: Seen | None = None

    @property
    def is_open(self) -> bool:
        """Whether anything can be sent from here now."""
        return bool(self.open_channels)


def form_for(
    view: View,
    viewer: Viewer,
    candidate_ref: str,
    case_ref: str | None,
    now: int,
    *,
    pool_ref: str | None = None,
    back: str = "",
    asked: Asked | None = None,
) -> Form:
    """An empty composer, or one with what was typed. Raises Refused: 404 for unknown references, 403 for no reader."""
    desk = writing.desk_for(view, viewer.organisation_id, viewer.user_id, candidate_ref, case_ref, pool_ref, now)
    form = _form(desk, viewer, candidate_ref, case_ref, pool_ref, back, asked or Asked(), now)
    if any(each.code == "insufficient_credits" for each in form.closed):
        why, what = _no_credits(view, viewer)
        closed = (replace(each, why=why, what=what) if each.code == "insufficient_credits" else each for each in form.closed)
        return replace(form, closed=tuple(closed))
    return form


def _form(
    desk: Desk, viewer: Viewer, candidate_ref: str, case_ref: str | None, pool_ref: str | None, back: str, asked: Asked, now: int
) -> Form:
    nowhere = case_ref is None and pool_ref is None
    usable = () if nowhere else desk.open_channels
    channel = asked.channel if asked.channel in usable else (usable[0] if usable else "sms")
    kind = asked.kind if asked.kind in desk.kinds else (desk.kinds[0] if desk.kinds else "contact")
    template = next((each for each in desk.templates if each.id == asked.template_id), None)
    person = desk.candidate
    return Form(
        candidate_ref=candidate_ref,
        candidate=f"{person['first_name']} {person['last_name']}".strip() or candidate_ref,
        case_ref=case_ref or "",
        case_title="" if desk.case is None else desk.case["title"],
        pool_ref=pool_ref or "",
        back=door.path_within(back) or "",
        consent_path=url_for("candidates.consent", ref=candidate_ref, case=case_ref),
        asked=replace(asked, channel=channel, kind=kind, once=asked.once or secrets.token_urlsafe(18)),
        open_channels=usable,
        closed=_closed(desk.channels, nowhere),
        by_ats=any(each.use == "email" for each in desk.channels),
        kinds=desk.kinds,
        templates=desk.templates,
        template=template,
        may_override=desk.may_override,
        zone=viewer.zone,
        earliest=_local(now, viewer.zone),
    )


def candidate_path(ref: str, case_ref: str | None) -> str:
    """The candidate's own page, where consent is asked for (design.md §7)."""
    path = f"{url_for('candidates.index')}/{quote(ref, safe='')}"
    return path if case_ref is None else f"{path}?case={quote(case_ref, safe='')}"


def _closed(channels: tuple[Openness, ...], nowhere: bool) -> tuple[Closed, ...]:
    """Every channel that is closed, in words; one that is switched off altogether only where there is no other."""
    codes = [(each.channel, each.reason or "") for each in channels if each.use is None and not each.available]
    if nowhere:
        codes = [("sms", "context_missing")]
    elif not any(each.use is None for each in channels):
        codes = [("sms", "channel_disabled")]
    found = []
    for channel, code in codes:
        why, what = told.CLOSED.get(code, (code.replace("_", " ").capitalize(), ""))
        found.append(Closed(channel, _(why), _(what) if what else "", code))
    return tuple(found)


def read_form(sent: Mapping[str, str]) -> Asked:
    """What a browser sent."""
    return Asked(
        text=sent.get("text", ""),
        channel=sent.get("channel", ""),
        kind=sent.get("kind", ""),
        template_id=sent.get("template_id", ""),
        values={name.removeprefix(_VALUE): value for name, value in sent.items() if name.startswith(_VALUE)},
        plain="plain" in sent,
        send_at=sent.get("send_at", "").strip(),
        urgent="urgent" in sent,
        reason=sent.get("reason", ""),
        not_rejection="confirm_not_rejection" in sent,
        once=sent.get("once", ""),
    )


def submission(form: Form, viewer: Viewer, now: int) -> Submission:
    """What the flow takes of the form. Raises Refused for a time that cannot be read or has passed."""
    asked = form.asked
    return Submission(
        organisation_id=viewer.organisation_id,
        actor=viewer.actor,
        user=viewer.user_id,
        candidate_ref=form.candidate_ref,
        case_ref=form.case_ref or None,
        pool_ref=form.pool_ref or None,
        channel=asked.channel if form.template is None else form.template.channel,
        kind=asked.kind if form.template is None else form.template.kind,
        text=None if asked.template_id else asked.text,
        template_id=asked.template_id or None,
        data=None if form.template is None else writing.data_of(form.template, asked.values),
        transliterate=asked.plain,
        send_at=writing.moment_of(asked.send_at, form.zone, now),
        urgent=asked.urgent,
        reason=asked.reason.strip() or None if asked.urgent else None,
        confirm_not_rejection=asked.not_rejection,
    )


def look(view: View, viewer: Viewer, form: Form, now: int) -> Form:
    """The form with what its message would become, and what stands against it."""
    if form.asked.is_empty or not form.is_open:
        return form
    try:
        found = preview(view, submission(form, viewer, now), now)
    except Refused as refused:
        told_so = with_trouble(view, viewer, form, refused)
        if told_so.trouble is None or refused.code != "merge_value_missing":
            return told_so
        return replace(told_so, trouble=replace(told_so.trouble, is_mild=True))
    seen = replace(form, seen=seen_of(found))
    return seen if found.refused is None else with_trouble(view, viewer, seen, found.refused)


def with_trouble(view: View, viewer: Viewer, form: Form, refused: Refused) -> Form:
    """The form with a refusal told at its field."""
    text = " ".join(_no_credits(view, viewer)) if refused.code == "insufficient_credits" else told.trouble(refused)
    place = (refused.field or "").partition("[")[0]
    return replace(form, trouble=Trouble(place or "text", text, refused.code))


def _no_credits(view: View, viewer: Viewer) -> tuple[str, str]:
    """What to say where the credits do not suffice: never the balance, but whom to ask (S15)."""
    why = _("There are not enough credits for this message.")
    if viewer.may(CREDITS_VIEW):
        return why, _("Top them up under Organisation → Credits.")
    names = ", ".join(writing.colleagues_for_credits(view, viewer.organisation_id))
    return why, _("Ask %(names)s.", names=names) if names else _("Ask an administrator of your organisation.")


def _local(at: int, zone: str) -> str:
    return datetime.fromtimestamp(at / 1000, words.zone_of(zone)).strftime("%Y-%m-%dT%H:%M")
