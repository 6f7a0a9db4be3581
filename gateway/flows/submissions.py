"""A submission: what an ATS asks for, whether it makes sense, to whom and what it refers, and the text that it becomes.

Nothing here decides whether the message may go: that is accept's. The text is rendered and cut once, here; preview, price, ledger
and sending use the same parts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refused
from gateway.flows import templates
from gateway.flows.facts import find_case, find_user, organisation
from gateway.flows.hours import links_are_forbidden
from gateway.rules.countries import has_link
from gateway.rules.kinds import CHANNELS, KINDS
from gateway.rules.lifecycle import LANES
from gateway.rules.merge_fields import compile_template
from gateway.rules.texts import is_text
from gateway.store.database import Row, View
from modem.segments import Piece, TooManyParts, split, transliterate

LATEST = 4_102_444_800_000
"""The year 2100: no time that a caller names lies beyond."""
MOST_PARTS = 4
TEXT_LIMIT = 39_015
"""255 parts of 153 septets: beyond that no cutting is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What an ATS asks for; times in ms UTC. `actor` is who called (a key or a user), `user` the acting recruiter."""

    organisation_id: str
    actor: str
    user: str
    candidate_ref: str
    channel: str
    kind: str
    case_ref: str | None = None
    pool_ref: str | None = None
    text: str | None = None
    template_id: str | None = None
    template_name: str | None = None
    """A template by name: the nearest up the tree from the case's unit, in the best language there is."""
    transliterate: bool = False
    """Write what GSM-7 lacks in letters that it has; never done unasked."""
    data: Mapping[str, Any] | None = None
    send_at: int | None = None
    valid_until: int | None = None
    priority: str | None = None
    urgent: bool = False
    reason: str | None = None
    client_ref: str | None = None
    confirm_not_rejection: bool = False
    batch: bool = False
    merge: Mapping[str, Any] | None = None
    """Values that only the box knows (interview_link …); with them a text, too, is read as a template."""
    suffix: str = ""
    """What the box adds below the text: the numbered slots of an invitation."""


@dataclass(frozen=True, slots=True)
class Read:
    """A submission that makes sense, and the rows that it names; `template` is None for a text of its own."""

    asked: Submission
    org: Row
    user: Row
    case: Row | None
    template: Row | None

    @property
    def kind(self) -> str:
        """The template's kind, where there is one."""
        return self.asked.kind if self.template is None else str(self.template["kind"])

    @property
    def lane(self) -> int:
        """As asked for; else batches wait behind the rest, and interviews go first."""
        if self.asked.priority is not None:
            return LANES[self.asked.priority]
        if self.asked.batch:
            return LANES["bulk"]
        return LANES["critical"] if self.kind.startswith("interview_") else LANES["normal"]


def read(view: View, asked: Submission, now: int) -> Read:
    """Check what was asked for and find what it names. Raises Refused, 422 or 404."""
    _check_schema(asked, now)
    org = organisation(view, asked.organisation_id)
    user = find_user(view, org["id"], asked.user)
    case = None if asked.case_ref is None else find_case(view, org["id"], asked.case_ref)
    return Read(asked, org, user, case, _template(view, asked, user, case))


def check_urgent(draft: Read) -> None:
    """Any hour is for interviews only, and says why (requirements §3.4)."""
    if not draft.asked.urgent:
        return
    if not draft.kind.startswith("interview_"):
        text = "Only messages about an interview may be urgent."
        raise Refused("urgent_not_allowed", 422, text, field="urgent", facts={"kind": draft.kind})
    if not (draft.asked.reason or "").strip():
        raise Refused("reason_missing", 422, "An urgent message needs a reason.", field="reason")


def render(draft: Read, candidate: Row) -> str:
    """The text as the candidate will read it. Raises Refused where the template's fields are not all there."""
    asked, template, case = draft.asked, draft.template, draft.case
    plain = (asked.text or "").replace("\r\n", "\n").replace("\r", "\n")
    if template is None and asked.merge is None:
        return _spelled(asked, plain)
    if template is not None:
        templates.check_values(template, asked.data)
    known: dict[str, Any] = {
        "candidate": {"first_name": candidate["first_name"], "last_name": candidate["last_name"]},
        "user": {"name": draft.user["name"]},
        "company": draft.org["name"],
    }
    if case is not None:
        known["case"] = {"title": case["title"], "ref": case["ref"]}
        known["purpose"] = case["title"]
    body = plain if template is None else template["body"]
    text = compile_template(body).render({**(asked.data or {}), **(asked.merge or {}), **known})
    if not text.strip():
        raise Refused("text_empty", 422, "The template gives an empty text for these data.", field="template_id")
    return _spelled(asked, text + asked.suffix)


def cut(view: View, draft: Read, text: str, candidate: Row) -> tuple[Piece, ...]:
    """The text's parts. Raises Refused `too_long`, and `link_not_allowed` where a country takes no links from a SIM card."""
    if links_are_forbidden(view, candidate["country"], draft.asked.channel) and has_link(text):
        raise Refused(
            "link_not_allowed",
            422,
            f"Texts from a SIM card to {candidate['country']} may hold no links; let the candidate answer with digits.",
            field="text",
            facts={"country": candidate["country"]},
        )
    most = MOST_PARTS if draft.template is None else draft.template["max_parts"]
    try:
        return split(text, max_parts=most)
    except TooManyParts as error:
        raise Refused(
            "too_long",
            422,
            f"The text needs {error.needed} parts; this kind of message may have {most}.",
            field="text",
            facts={"segments": error.needed, "max": most},
        ) from error


def _spelled(asked: Submission, text: str) -> str:
    """The text, in letters of GSM-7 where that was asked for."""
    return transliterate(text) if asked.transliterate else text


def _template(view: View, asked: Submission, user: Row, case: Row | None) -> Row | None:
    template = None
    if asked.template_name is not None:
        unit_id = user["unit_id"] if case is None else case["unit_id"]
        language = None if case is None else case["language"]
        template = templates.nearest(view, asked.organisation_id, unit_id, asked.template_name, asked.channel, language)
    elif asked.template_id is not None:
        template = view.one(
            "SELECT t.* FROM template t JOIN organisation o ON o.id = t.unit_id"
            " WHERE t.id = ? AND o.root_id = ? AND t.archived_at IS NULL",
            asked.template_id,
            asked.organisation_id,
        )
        if template is None:
            raise Refused("template_not_found", 404, "No template with this id.", field="template_id")
        if template["channel"] != asked.channel:
            text = f"This is a template for {template['channel']}."
            raise Refused("template_of_other_channel", 422, text, field="template_id")
    if template is not None and template["kind"] not in KINDS:
        raise Refused("unknown_kind", 422, f"A user cannot send a {template['kind']}.", field="template_id")
    return template


def _check_schema(asked: Submission, now: int) -> None:
    _check_characters(asked)
    if asked.channel not in CHANNELS:
        raise Refused("unknown_channel", 422, f"Channel must be one of {', '.join(CHANNELS)}.", field="channel")
    if asked.kind not in KINDS:
        raise Refused("unknown_kind", 422, f"Kind must be one of {', '.join(KINDS)}.", field="kind")
    templated = asked.template_id is not None or asked.template_name is not None
    if not templated and not (asked.text or "").strip():
        raise Refused("text_empty", 422, "A message needs a text or a template_id.", field="text")
    if templated and asked.text is not None:
        raise Refused("text_and_template", 422, "Give either text or template_id, not both.", field="text")
    if asked.template_id is not None and asked.template_name is not None:
        raise Refused("template_twice", 422, "Give either template_id or template_name, not both.", field="template_name")
    if asked.text is not None and len(asked.text) > TEXT_LIMIT:
        raise Refused("too_long", 422, f"The text is longer than any message can be ({TEXT_LIMIT} characters).", field="text")
    if asked.priority is not None and asked.priority not in LANES:
        raise Refused("unknown_priority", 422, f"Priority must be one of {', '.join(LANES)}.", field="priority")
    if asked.case_ref is not None and asked.pool_ref is not None:
        raise Refused("case_and_pool", 422, "Give either case_ref or pool_ref, not both.", field="pool_ref")
    if asked.case_ref is None and asked.pool_ref is None:
        raise Refused(
            "context_missing",
            422,
            "A message belongs to a case (case_ref) or a prospect pool (pool_ref).",
            field="case_ref",
        )
    for field in ("send_at", "valid_until"):
        if (getattr(asked, field) or 0) > LATEST:
            raise Refused("time_out_of_range", 422, f"{field} lies beyond the year 2099.", field=field)
    if asked.valid_until is not None and asked.valid_until <= max(now, asked.send_at or now):
        raise Refused("valid_until_past", 422, "valid_until must lie after now and after send_at.", field="valid_until")


def _check_characters(asked: Submission) -> None:
    """NUL and halves of surrogate pairs are no text: no phone shows them, and no store keeps them."""
    names = ("user", "candidate_ref", "case_ref", "pool_ref", "channel", "kind", "text", "template_id", "template_name")
    for field in (*names, "client_ref"):
        value = getattr(asked, field)
        if value is not None and not is_text(value):
            raise Refused("invalid_characters", 422, f"{field} holds characters that are no text.", field=field)
