"""What a scheduling screen offers (S51): channels, templates by kind and language, and how each would read and cost."""

import json
from typing import Any

from gateway.errors import Refused
from gateway.flows import templates
from gateway.flows.accept import preview
from gateway.flows.facts import find_case
from gateway.flows.submissions import Submission
from gateway.rules.interviews import TYPES
from gateway.store.database import View

CHANNELS = ("sms", "whatsapp")
KINDS = ("interview_invite", "interview_reminder")


def options(
    view: View, organisation_id: str, case_ref: str, kind: str, user: str | None, candidate_ref: str | None, now: int
) -> dict[str, Any]:
    """Channels with their templates. With user and candidate each channel also says whether it may be used, and why not.

    Raises Refused `interview_type_not_supported`, `case_not_found`, `user_not_found`, `candidate_not_found`.
    """
    if kind not in TYPES:
        raise Refused("interview_type_not_supported", 422, f"type must be one of {', '.join(TYPES)}.", field="type")
    case = find_case(view, organisation_id, case_ref)
    return {
        "case_ref": case_ref,
        "type": kind,
        "language": case["language"],
        "channels": {
            channel: {
                **_openness(view, organisation_id, case_ref, user, candidate_ref, channel, now),
                "kinds": {each: _templates(view, organisation_id, case, channel, each) for each in KINDS},
            }
            for channel in CHANNELS
        },
    }


def _openness(
    view: View, organisation_id: str, case_ref: str, user: str | None, candidate_ref: str | None, channel: str, now: int
) -> dict[str, Any]:
    if user is None or candidate_ref is None:
        closed = channel != "sms"
        return {"available": not closed, "reason": "channel_disabled" if closed else None}
    trial = Submission(
        organisation_id=organisation_id,
        actor=user,
        user=user,
        candidate_ref=candidate_ref,
        case_ref=case_ref,
        channel=channel,
        kind="interview_invite",
        text=".",
    )
    refused = preview(view, trial, now).refused
    return {"available": refused is None, "reason": None if refused is None else refused.code}


def _templates(view: View, organisation_id: str, case: Any, channel: str, kind: str) -> dict[str, Any]:
    rows = templates.choices(view, organisation_id, case["unit_id"], channel, kind, case["language"])
    shown = [_shown(view, organisation_id, row) for row in rows]
    return {"templates": shown, "reason": None if shown else "no_template_for_language"}


def _shown(view: View, organisation_id: str, row: dict[str, Any]) -> dict[str, Any]:
    declared = json.loads(row["fields"])
    seen = templates.inspect(view, organisation_id, row["body"], row["kind"], row["channel"], row["max_parts"], declared)
    return {
        "id": row["id"],
        "name": row["name"],
        "language": row["language"],
        "found_by": row["found_by"],
        "preview": {"text": seen.sample, "encoding": seen.ordinary.alphabet, "parts": seen.ordinary.parts},
        "longest_parts": seen.longest.parts,
    }
