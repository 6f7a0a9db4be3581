"""Who of the office sees which cases and candidates, and may act there: the terms of S49, asked for pages.

A person reads what is written in a case while they are on its team, while a role of theirs reaches it, or while they may see
every message of the unit. Acting on interviews and consents takes what sending takes.
"""

from dataclasses import dataclass

from gateway.errors import Refused
from gateway.flows import thread_readers
from gateway.flows.facts import find_candidate, find_case, find_user, rights_in, rights_of, tree
from gateway.flows.rights import standing
from gateway.rules.numbers import mask
from gateway.rules.permissions import ALL_CASES, COMMUNICATIONS, COMPLIANCE_EDIT, MESSAGES_VIEW_ALL, SEND_SMS
from gateway.rules.rights import TO_READ, TO_SEND, refusal
from gateway.store.database import Row, View


@dataclass(frozen=True, slots=True)
class CaseReach:
    """Whose cases one sees: those of one's teams in `team_units`, every one of `role_units`, and what belongs to no case."""

    user_id: str
    team_units: tuple[str, ...]
    role_units: tuple[str, ...]
    without_case: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A candidate as one person meets them: `case` is what is done there, `why_not` the first term of sending that is missing."""

    user: Row
    candidate: Row
    case: Row | None
    why_not: Refused | None
    phone: str | None
    """The number, masked for who neither writes nor supervises."""
    may_consent: bool
    """May ask for a consent, record one on paper, and write down a withdrawal."""
    sees_all: bool
    """Supervises: sees what belongs to no conversation as well."""

    @property
    def may_send(self) -> bool:
        """Whether this person may write to the candidate in this case."""
        return self.case is not None and self.why_not is None


def reach(view: View, user: Row) -> CaseReach:
    """The cases a user sees."""
    team, role = [], []
    for unit in tree(view, user["organisation_id"]):
        held = rights_of(view, user, unit)
        if MESSAGES_VIEW_ALL in held or {COMMUNICATIONS, ALL_CASES} <= held:
            role.append(unit)
        if COMMUNICATIONS in rights_of(view, user, unit, on_team=True):
            team.append(unit)
    return CaseReach(user["id"], tuple(team), tuple(role), sees(view, user, None))


def sees(view: View, user: Row, case: Row | None) -> bool:
    """Whether this user may read what was written in a case (or, without one, to pools and strangers)."""
    return bool(user["active"]) and (
        MESSAGES_VIEW_ALL in rights_in(view, user, case) or refusal(standing(view, user, case), TO_READ) is None
    )


def seen_case(view: View, user: Row, case_ref: str) -> Row:
    """A case that this user sees. Raises Refused `case_not_found` also for one they do not: its name is nobody's business."""
    case = find_case(view, user["organisation_id"], case_ref)
    if not sees(view, user, case):
        raise Refused("case_not_found", 404, "No case with this reference.", field="case_ref")
    return case


def meet(view: View, organisation_id: str, user_id: str, candidate_ref: str, case_ref: str | None) -> Seen:
    """A candidate, in a case where one is named. Raises Refused `candidate_not_found` or `case_not_found`."""
    user = find_user(view, organisation_id, user_id)
    candidate = find_candidate(view, organisation_id, candidate_ref)
    case = None if case_ref is None else seen_case(view, user, case_ref)
    held = rights_in(view, user, case)
    if case is None and MESSAGES_VIEW_ALL not in held:
        try:
            thread_readers.require_candidate_reader(view, user, candidate["id"])
        except Refused as refused:
            raise Refused("candidate_not_found", 404, "No candidate with this reference.", field="candidate_ref") from refused
    plainly = bool({SEND_SMS, MESSAGES_VIEW_ALL} & held)
    phone = candidate["phone"] or candidate["phone_raw"] or None
    return Seen(
        user=user,
        candidate=candidate,
        case=case,
        why_not=refusal(standing(view, user, case), TO_SEND),
        phone=phone if plainly or phone is None else mask(phone),
        may_consent=bool({SEND_SMS, COMPLIANCE_EDIT} & held),
        sees_all=MESSAGES_VIEW_ALL in rights_in(view, user, None),
    )


def number_for(view: View, organisation_id: str, user_id: str, case_ref: str | None, number: str) -> str:
    """A number as this person may see it."""
    user = find_user(view, organisation_id, user_id)
    case = None if case_ref is None else find_case(view, organisation_id, case_ref)
    return number if {SEND_SMS, MESSAGES_VIEW_ALL} & rights_in(view, user, case) else mask(number)


def require_sender(seen: Seen) -> None:
    """Raises Refused with the first term of S49 that is missing; `case_not_chosen` where no case was chosen."""
    if seen.case is None:
        raise Refused("case_not_chosen", 422, "Choose the case that this belongs to.", field="case")
    if seen.why_not is not None:
        raise seen.why_not


def require_consenter(seen: Seen) -> None:
    """Raises Refused `permission_denied` unless this person may deal with consents here."""
    if not seen.may_consent:
        text = "Only who may write to the candidate, or looks after compliance, can do this."
        raise Refused("permission_denied", 403, text, field="user")
