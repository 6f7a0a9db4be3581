"""The send gates of requirements §0, in their fixed order: each looks at facts loaded once and passes, holds or refuses.

Pure, so that accept, preview, batch and explain give the same verdict. Gates before these (key, JSON, schema, unknown
references) belong to the web and to loading the facts; the credit reserve, which follows them, is a guarded update in the flow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refused
from gateway.rules import rights, whatsapp
from gateway.rules.consent import LOCKED_OFF, Status
from gateway.rules.lifecycle import Hold
from gateway.rules.permissions import QUIET_HOURS_OVERRIDE
from gateway.rules.rights import Standing

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
    consent_row: Row | None = None
    pends: bool = False
    """The consent was granted in single opt-in, but this new thread needs START (S40)."""
    is_paused: bool = False
    """The candidate seems to have asked for no more messages, in words of their own; a colleague must look first."""
    rights: frozenset[str] = frozenset()
    """The user's permissions in this case."""
    is_kind_allowed: bool = True
    """The organisation's own kind × channel matrix (S9)."""
    rejection: str | None = None
    """The phrase of the rejection list that the text holds, unless the recruiter has confirmed that it is none."""
    sender_is_down: bool = False
    """The sender's modem is away and nobody may stand in: the message waits for it."""
    stands_in_for: str | None = None
    """The sticky sender whose place this one takes while its modem is away."""
    is_set_up: bool = True
    """The set-up's checklist is done."""
    urgent: bool = False
    """The recruiter asks for any hour."""
    last_inbound_at: int | None = None
    """When the candidate last wrote on WhatsApp (S43)."""
    now: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """A hold: accepted and paid for, but not before something happens."""

    reason: Hold
    not_before: int | None = None


Verdict = Wait | None
Gate = Callable[[Facts], Verdict]


def user_may_send(facts: Facts) -> Verdict:
    """S49, term by term: account, permission (S3), Communications tab, hiring team or role scope, seat (S46)."""
    who = Standing(bool(facts.user["active"]), facts.rights, facts.on_team, bool(facts.user["seat"]))
    refused = rights.refusal(who)
    if refused is not None:
        raise refused
    return None


def user_may_override(facts: Facts) -> Verdict:
    """Requirements §3.4: any hour is a right of its own."""
    if facts.urgent and QUIET_HOURS_OVERRIDE not in facts.rights:
        raise Refused(
            "permission_denied",
            403,
            f"This user lacks the right {QUIET_HOURS_OVERRIDE}; an administrator can grant it.",
            field="urgent",
            facts={"right": QUIET_HOURS_OVERRIDE},
        )
    return None


def box_is_set_up(facts: Facts) -> Verdict:
    """S29: nothing leaves before sender, country, opt-in, its texts and the sender's identity are there."""
    if not facts.is_set_up:
        raise Refused("not_set_up", 409, "This box is still being set up: sending is off until the checklist at /setup is done.")
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
    """S9: rejections never go by SMS; other kinds as the organisation has set."""
    if facts.kind in LOCKED_OFF.get(facts.channel, frozenset()) or not facts.is_kind_allowed:
        raise Refused(
            "kind_not_allowed_on_channel",
            422,
            f"Messages of kind {facts.kind} do not go by {facts.channel} here.",
            field="kind",
        )
    return None


def text_is_no_rejection(facts: Facts) -> Verdict:
    """S9: a rejection under another kind is still one; the recruiter may say that it is not, and the audit keeps it."""
    if facts.rejection is not None:
        raise Refused(
            "looks_like_rejection",
            409,
            f'"{facts.rejection}" reads like a rejection, which never goes by {facts.channel}. '
            "If it is none, send it again with confirm_not_rejection.",
            field="text",
            facts={"phrase": facts.rejection},
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
    """S44: in a double opt-in country nothing leaves before START but the invitation to send it, and its one reminder."""
    if facts.consent != Status.PENDING or facts.kind in ("consent_optin", "consent_reminder"):
        return None
    return Wait(Hold.PENDING_OPT_IN)


def thread_is_open(facts: Facts) -> Verdict:
    """§3.3: a thread is paused while nobody has looked at what may have been a STOP."""
    return Wait(Hold.THREAD_PAUSED) if facts.is_paused else None


def sender_exists(facts: Facts) -> Verdict:
    """S21: a SIM whose number may write to this country."""
    if facts.sender is None:
        if facts.country is not None and facts.country["no_sender"] == "hold":
            return Wait(Hold.NO_MODEM)
        iso = facts.candidate["country"]
        raise Refused("no_sender_for_country", 409, f"No SIM of this box may write to {iso}.", facts={"country": iso})
    return None


def whatsapp_window_is_open(facts: Facts) -> Verdict:
    """S43: a free text only within 24 hours of the candidate's own message."""
    if facts.channel == "whatsapp":
        whatsapp.check(facts.last_inbound_at, None, facts.now)
    return None


GATES: tuple[Gate, ...] = (
    user_may_send,
    user_may_override,
    box_is_set_up,
    channel_is_enabled,
    number_is_mobile,
    country_is_enabled,
    sender_exists,
    kind_suits_channel,
    text_is_no_rejection,
    number_is_not_suppressed,
    consent_is_live,
    opt_in_is_complete,
    thread_is_open,
    whatsapp_window_is_open,
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
    thread_is_open,
)
"""Looked at again in the claim transaction, the last act before `sending` (rights were decided at accept, S3)."""
