"""What can be proved of a part whose outcome was never seen (design.md §4). Pure.

The SIM's own record EF_SMSS counts only where trust was earned; a status report may prove the part sent later; without proof the
part becomes `unknown`. Never is a part sent again on anything less than proof that it did not leave.
"""

from dataclasses import dataclass
from enum import StrEnum

TRUST_AFTER = 3
"""EF_SMSS must have equalled the +CMGS reference after each of this many submissions."""
REPORT_WAIT_S = 120.0
"""How long a status report may take to prove a part sent before the part is marked unknown."""
SILENCE_MIN_S, SILENCE_MAX_S = 10.0, 180.0


class Verdict(StrEnum):
    """What the evidence says."""

    NEVER_LEFT = "never_left"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The facts about one part on the air: from its row (baseline, trusted, imei, iccid) and from the modem now."""

    baseline: int | None
    trusted: bool
    same_stick_and_card: bool
    restarted: bool | None
    reference_now: int | None


def weigh(evidence: Evidence) -> Verdict:
    """NEVER_LEFT only when a trusted EF_SMSS of the same IMEI and ICCID stands unmoved and the modem did not restart."""
    proof = (
        evidence.trusted
        and evidence.same_stick_and_card
        and evidence.restarted is False
        and evidence.baseline is not None
        and evidence.reference_now == evidence.baseline
    )
    return Verdict.NEVER_LEFT if proof else Verdict.OPEN


def moved_to(evidence: Evidence) -> int | None:
    """The TP-MR that a status report would have to carry: where EF_SMSS moved to. None when it does not tell."""
    if evidence.reference_now is None or evidence.reference_now == evidence.baseline or not evidence.same_stick_and_card:
        return None
    return evidence.reference_now


def silence_s(slowest_ms: int) -> float:
    """How long a modem must have been silent before the first byte is written to it."""
    return min(max(4 * slowest_ms / 1000, SILENCE_MIN_S), SILENCE_MAX_S)


def streak_after(streak: int, reference: int | None, tp_mr: int) -> int:
    """The run of submissions after which EF_SMSS equalled the +CMGS reference; one mismatch ends it."""
    return min(streak + 1, TRUST_AFTER) if reference == tp_mr else 0
