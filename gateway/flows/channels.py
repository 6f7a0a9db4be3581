"""On which channels a user may write to a candidate now (S5, S50): the very gates of accept, asked without sending anything.

A channel that is switched off is not listed at all. E-mail is the applicant tracking system's: `use` says so, and whether it can
be sent is not for this box to say.
"""

from dataclasses import dataclass

from gateway.errors import Refused
from gateway.flows.accept import preview
from gateway.flows.facts import find_candidate, last_inbound, standing_facts
from gateway.flows.submissions import Submission
from gateway.rules import whatsapp
from gateway.rules.gates import channel_is_enabled
from gateway.rules.kinds import CHANNELS
from gateway.store.database import Row, View

_WINDOWED = "whatsapp"


@dataclass(frozen=True, slots=True)
class Openness:
    """One channel: `reason` is the code of the gate that objects, `hold` what a message would wait for."""

    channel: str
    available: bool
    reason: str | None = None
    use: str | None = None
    hold: str | None = None
    window_expires_at: int | None = None


def channels_for(
    view: View, organisation_id: str, actor: str, user: str, candidate_ref: str, case_ref: str | None, now: int
) -> list[Openness]:
    """Every channel that is switched on. Raises Refused for an unknown user, candidate or case."""
    candidate = find_candidate(view, organisation_id, candidate_ref)
    found = [
        _openness(
            view,
            Submission(
                organisation_id=organisation_id,
                actor=actor,
                user=user,
                candidate_ref=candidate_ref,
                case_ref=case_ref,
                pool_ref=None if case_ref is not None else "-",
                channel=channel,
                kind="contact",
                text=".",
            ),
            candidate,
            now,
        )
        for channel in CHANNELS
    ]
    return [each for each in found if each is not None]


def window_of(view: View, candidate: Row, channel: str) -> int | None:
    """Until when a free text may be sent on a channel that has a window (S43); None for others, and before the first message."""
    return whatsapp.closes_at(last_inbound(view, candidate)) if channel == _WINDOWED else None


def _openness(view: View, trial: Submission, candidate: Row, now: int) -> Openness | None:
    seen = preview(view, trial, now)
    refused: Refused | None = seen.refused
    if trial.channel == "email":
        return Openness("email", True, use="email")
    window = window_of(view, candidate, trial.channel)
    if refused is None:
        return Openness(trial.channel, True, hold=None if seen.hold is None else seen.hold.reason, window_expires_at=window)
    if refused.code == "channel_disabled" or _is_off(view, trial, candidate):
        return None
    return Openness(trial.channel, False, reason=refused.code, window_expires_at=window)


def _is_off(view: View, trial: Submission, candidate: Row) -> bool:
    """Whether the channel is switched off, whatever an earlier gate said of the person."""
    message = {"organisation_id": trial.organisation_id, "channel": trial.channel, "kind": trial.kind, "purpose": None}
    try:
        channel_is_enabled(standing_facts(view, message, candidate))
    except Refused:
        return True
    return False
