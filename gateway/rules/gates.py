"""The send gates of requirements §0, in their fixed order: each looks at facts loaded once and passes, holds or refuses.

Pure, so that accept, preview, batch and explain give the same verdict. Gates before these (key, JSON, schema, unknown
references) belong to the web and to loading the facts; the credit reserve, which follows them, is a guarded update in the flow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refused
from gateway.rules.consent import LOCKED_OFF, Status
from gateway.rules.lifecycle import Hold
from gateway.rules.permissions import SEND_SMS, may

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the gates look at, read in the transaction that decides."""

    channel: str
    kind: str
    user: Row
    on_team: bool
    sms_enabled: bool
    candidate: Row
    country: Row | None
    suppressed: bool
    consent: str
    sender: Row | None


@dataclass(frozen=True, slots=True)
class Wait:
    """A hold: accepted and paid for, but not before something happens."""

    reason: Hold
    not_before: int | None = None


Verdict = Wait | None
Gate = Callable[[Facts], Verdict]


def user_is_active(facts: Facts) -> Verdict:
    """The acting recruiter's account must be active."""
    if not facts.user["active"]:
        raise Refused(
            "user_inactive",
            403,
            "This user's account is switched off; an administrator can switch it on.",
            field="user",
        )
    return None


def user_has_permission(facts: Facts) -> Verdict:
    """S3: the right "Recruitment - SMS" in the category "Candidate Management"."""
    if not may(facts.user["roles"], SEND_SMS):
        raise Refused(
            "permission_denied",
            403,
            "This user lacks the right candidate_management.recruitment_sms; an administrator can grant it.",
            field="user",
        )
    return None


def user_is_on_team(facts: Facts) -> Verdict:
    """S49: a member of the case's hiring team."""
    if not facts.on_team:
        raise Refused("not_on_hiring_team", 403, "This user is not on the hiring team of this case.", field="user")
    return None


def user_has_seat(facts: Facts) -> Verdict:
    """S46: only seat holders send."""
    if not facts.user["seat"]:
        raise Refused("seat_required", 403, "This user has no messaging seat; an administrator can give one.", field="user")
    return None


def channel_is_enabled(facts: Facts) -> Verdict:
    """S8: never a silent switch to another channel."""
    if facts.channel == "email":
        raise Refused(
            "channel_disabled",
            409,
            "E-mail is sent by the applicant tracking system.",
            field="channel",
            facts={"use": "email"},
        )
    if facts.channel != "sms" or not facts.sms_enabled:
        raise Refused("channel_disabled", 409, f"The channel {facts.channel} is switched off here.", field="channel")
    return None


def number_is_mobile(facts: Facts) -> Verdict:
    """S2: the number comes from the candidate's record and must be able to receive SMS."""
    state = facts.candidate["phone_state"]
    if state == "ok":
        return None
    code, text = {
        "missing": ("number_missing", "The candidate has no phone number; send it with PUT /candidates/{ref}."),
        "not_mobile": ("not_mobile", "The candidate's number is not a mobile number."),
    }.get(state, ("invalid_number", "The candidate's number cannot be read; send it in international form (+46…)."))
    raise Refused(code, 422, text, field="candidate_ref")


def country_is_enabled(facts: Facts) -> Verdict:
    """S20: countries are closed until they are commissioned."""
    if facts.country is None or facts.country["state"] != "active":
        iso = facts.candidate["country"]
        raise Refused(
            "country_disabled",
            409,
            f"Sending to {iso} is not switched on.",
            field="candidate_ref",
            facts={"country": iso},
        )
    return None


def kind_suits_channel(facts: Facts) -> Verdict:
    """S9: rejections never go by SMS."""
    if facts.kind in LOCKED_OFF.get(facts.channel, frozenset()):
        raise Refused(
            "kind_not_allowed_on_channel",
            422,
            f"Messages of kind {facts.kind} never go by {facts.channel}.",
            field="kind",
        )
    return None


def number_is_not_suppressed(facts: Facts) -> Verdict:
    """A STOP binds every candidate with that number; only START from that number undoes it."""
    if facts.suppressed:
        raise Refused(
            "opted_out",
            409,
            "The candidate has opted out of this channel. Only START, sent from their number, undoes it.",
            field="candidate_ref",
        )
    return None


def consent_is_live(facts: Facts) -> Verdict:
    """S37: consent is needed everywhere, whatever the country's opt-in mode."""
    if facts.consent not in (Status.GRANTED, Status.PENDING):
        if facts.consent == Status.REVOKED:
            raise Refused("opted_out", 409, "The candidate has withdrawn consent for this channel.", field="candidate_ref")
        raise Refused(
            "consent_required",
            409,
            f"The candidate has not consented to {facts.channel}; send the consent with PUT /candidates/{{ref}}/consents.",
            field="candidate_ref",
            facts={"channel": facts.channel, "status": facts.consent},
        )
    return None


def opt_in_is_complete(facts: Facts) -> Verdict:
    """S44: in a double opt-in country nothing leaves before START."""
    return Wait(Hold.PENDING_OPT_IN) if facts.consent == Status.PENDING else None


def sender_exists(facts: Facts) -> Verdict:
    """S21: a SIM whose number may write to this country."""
    if facts.sender is None:
        iso = facts.candidate["country"]
        raise Refused("no_sender_for_country", 409, f"No SIM of this box may write to {iso}.", facts={"country": iso})
    return None


GATES: tuple[Gate, ...] = (
    user_is_active,
    user_has_permission,
    user_is_on_team,
    user_has_seat,
    channel_is_enabled,
    number_is_mobile,
    country_is_enabled,
    sender_exists,
    kind_suits_channel,
    number_is_not_suppressed,
    consent_is_live,
    opt_in_is_complete,
)


def judge(facts: Facts) -> Verdict:
    """Run every gate in order. Raises Refused at the first that objects; else the first hold, or None to go at once."""
    held: Verdict = None
    for gate in GATES:
        verdict = gate(facts)
        held = held or verdict
    return held


RELEASE_GATES: tuple[Gate, ...] = (
    channel_is_enabled,
    number_is_mobile,
    country_is_enabled,
    number_is_not_suppressed,
    consent_is_live,
    opt_in_is_complete,
)
"""Looked at again in the claim transaction, the last act before `sending` (rights were decided at accept, S3)."""
