"""What the pages of cases show, gathered: cases one sees, and one case with its team and candidates."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import Refused
from gateway.flows import case_desk, consents
from gateway.flows.candidates import phone_hash
from gateway.flows.consents import ConsentState
from gateway.flows.facts import find_user
from gateway.flows.rights import standing
from gateway.rules.numbers import normalise
from gateway.rules.permissions import COMPLIANCE_EDIT, SEND_SMS
from gateway.rules.rights import TO_READ, TO_SEND, refusal
from gateway.store import lists_cases, lists_threads
from gateway.store.database import Row, View
from gateway.store.lists_cases import Reach, Wanted
from gateway.store.lists_threads import Entry

SHARES = ("mine", "all", "closed")
_ON_PAGE = 50
_PEOPLE = 30


@dataclass(frozen=True, slots=True)
class Overview:
    """A page of cases; `older` is the key of the next. `sees_more`: there are cases beyond one's own teams'."""

    lines: Sequence[Row]
    older: str | None
    sees_more: bool


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody of the hiring team; `why_not` is the first thing that keeps them from writing."""

    name: str
    email: str
    active: bool
    writes: bool
    why_not: str | None


@dataclass(frozen=True, slots=True)
class Contact:
    """A candidate in a case: how it stands with consent, the last word either way, the interview."""

    ref: str
    name: str
    unread: int
    consent: ConsentState
    last: Entry | None
    interview: Row | None


@dataclass(frozen=True, slots=True)
class CasePage:
    """One case; `older` is the key of the next page of contacts."""

    case: Row
    unit: str
    team: Sequence[Colleague]
    contacts: Sequence[Contact]
    older: str | None
    may_send: bool
    why_not: str | None
    may_consent: bool


def overview(view: View, organisation_id: str, user_id: str, share: str, search: str, after: str | None) -> Overview:
    """Cases one sees: "mine" and "all" are open ones."""
    reach = case_desk.reach(view, find_user(view, organisation_id, user_id))
    seen = Reach(reach.user_id, reach.team_units, reach.role_units)
    wanted = Wanted(mine=share == "mine", closed=share == "closed", search=search)
    rows = lists_cases.cases(view, organisation_id, seen, wanted, after, _ON_PAGE)
    older = rows[_ON_PAGE - 1]["id"] if len(rows) > _ON_PAGE else None
    return Overview(rows[:_ON_PAGE], older, bool(reach.role_units))


def case_page(
    view: View, organisation_id: str, user_id: str, ref: str, after: tuple[int, str] | None, now: int
) -> CasePage | None:
    """One case; None where there is none, or it is not this person's to see."""
    user = find_user(view, organisation_id, user_id)
    case = _seen(view, user, ref)
    if case is None:
        return None
    rows = lists_cases.candidates(view, case["id"], user_id, after, _PEOPLE)
    older = None if len(rows) <= _PEOPLE else f"{rows[_PEOPLE - 1]['last_at']}-{rows[_PEOPLE - 1]['candidate_id']}"
    shown = rows[:_PEOPLE]
    if after is None:
        shown = [*lists_cases.asked_only(view, case["id"]), *shown]
    interviews = lists_cases.interview_states(view, case["id"])
    here = standing(view, user, case)
    missing = refusal(here, TO_SEND)
    return CasePage(
        case=case,
        unit=lists_cases.unit_of(view, case),
        team=[_colleague(view, each, case) for each in lists_cases.team(view, case["id"])],
        contacts=[_contact(view, case, each, user_id, interviews.get(each["id"]), now) for each in shown],
        older=older,
        may_send=missing is None,
        why_not=None if missing is None else missing.code,
        may_consent=bool({SEND_SMS, COMPLIANCE_EDIT} & here.rights),
    )


def _seen(view: View, user: Row, ref: str) -> Row | None:
    try:
        return case_desk.seen_case(view, user, ref)
    except Refused:
        return None


def _colleague(view: View, user: Row, case: Row) -> Colleague:
    here = standing(view, user, case)
    missing = refusal(here, TO_READ) or refusal(here, TO_SEND)
    return Colleague(
        user["name"], user["email"], bool(user["active"]), missing is None, None if missing is None else missing.code
    )


def _contact(view: View, case: Row, row: Row, reader: str, interview: Row | None, now: int) -> Contact:
    threads = lists_cases.threads_between(view, case["id"], row["id"])
    entries = lists_threads.of_candidate(view, row["id"], threads, reader, None, 1) if threads else []
    return Contact(
        ref=row["ref"],
        name=f"{row['first_name']} {row['last_name']}".strip() or row["ref"],
        unread=int(dict(row).get("unread") or 0),
        consent=consents.state_of(view, row, "sms", "recruiting_process", now),
        last=entries[0] if entries else None,
        interview=interview,
    )


def find_people(view: View, organisation_id: str, user_id: str, case_ref: str, asked: str, phone_key: bytes) -> list[Row] | None:
    """Candidates with this reference or number, for who sees the case; None for who does not. At most a few."""
    user = find_user(view, organisation_id, user_id)
    if _seen(view, user, case_ref) is None:
        return None
    by_ref = lists_cases.candidate_by_ref(view, organisation_id, asked)
    if by_ref is not None:
        return [by_ref]
    region = view.value("SELECT region FROM organisation WHERE id = ?", organisation_id)
    number = normalise(asked, region)
    if number.state != "ok" or number.e164 is None:
        return []
    return lists_cases.candidates_by_phone(view, organisation_id, phone_hash(phone_key, number.e164))
