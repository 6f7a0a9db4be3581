"""Consent as a state machine: a table of requirements §3.2, and which purpose each kind of message needs.

Pure. A pair that is not in the table leaves the state as it is and is told as `refused`: an import can never overrule a STOP.
"""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The states of one consent (candidate, number, channel, purpose)."""

    NONE = "none"
    REQUESTED = "requested"
    PENDING = "pending_double_opt_in"
    GRANTED = "granted"
    REFUSED = "refused"
    REVOKED = "revoked"
    EXPIRED = "expired"


class Act(StrEnum):
    """What can happen to a consent."""

    REQUEST = "request"
    GRANT_SINGLE = "grant_single"
    GRANT_DOUBLE = "grant_double"
    REFUSE = "refuse"
    START = "start"
    STOP = "stop"
    EXPIRE = "expire"


TABLE: dict[tuple[Status, Act], Status] = {
    **{(s, Act.REQUEST): Status.REQUESTED for s in (Status.NONE, Status.REFUSED, Status.EXPIRED)},
    **{(s, Act.GRANT_SINGLE): Status.GRANTED for s in (Status.NONE, Status.REQUESTED, Status.REFUSED, Status.EXPIRED)},
    **{(s, Act.GRANT_DOUBLE): Status.PENDING for s in (Status.NONE, Status.REQUESTED, Status.REFUSED, Status.EXPIRED)},
    (Status.NONE, Act.REFUSE): Status.REFUSED,
    (Status.REQUESTED, Act.REFUSE): Status.REFUSED,
    (Status.PENDING, Act.REFUSE): Status.REFUSED,
    (Status.GRANTED, Act.REFUSE): Status.REVOKED,  # told by the ATS after a grant: a withdrawal
    (Status.PENDING, Act.START): Status.GRANTED,
    (Status.REVOKED, Act.START): Status.GRANTED,  # only where a web or application grant exists: the flow checks
    **{(s, Act.STOP): Status.REVOKED for s in (Status.REQUESTED, Status.PENDING, Status.GRANTED)},
    (Status.REQUESTED, Act.EXPIRE): Status.EXPIRED,
    (Status.PENDING, Act.EXPIRE): Status.EXPIRED,
    (Status.GRANTED, Act.EXPIRE): Status.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Step:
    """The answer of the table: the state after, and whether anything changed."""

    after: Status
    changed: bool


def step(before: str, act: Act) -> Step:
    """What `act` makes of a consent in state `before`."""
    state = Status(before)
    after = TABLE.get((state, act), state)
    return Step(after, after is not state)


PURPOSES = ("recruiting_process", "talent_pool", "job_alerts")
PURPOSE_OF_KIND: dict[str, str] = {
    "contact": "recruiting_process",
    "interview_invite": "recruiting_process",
    "interview_reminder": "recruiting_process",
    "offer_notice": "recruiting_process",
    "consent_optin": "recruiting_process",
    "consent_reminder": "recruiting_process",
    "identification": "recruiting_process",
    "talent_pool": "talent_pool",
    "job_alert": "job_alerts",
    "rejection": "recruiting_process",
}
"""Which consent a kind of message needs."""

LOCKED_OFF: dict[str, frozenset[str]] = {"sms": frozenset({"rejection"}), "whatsapp": frozenset({"rejection"})}
"""Kinds that a channel never carries, whatever a setting says (S9)."""

SOURCES = ("application", "email_link", "inbound_keyword", "paper", "ats_import")
GRANTING_SOURCES = frozenset({"application", "email_link", "paper", "ats_import"})
"""A START after a STOP restores a consent only where one of these once granted it."""
