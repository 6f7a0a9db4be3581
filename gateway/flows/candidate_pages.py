"""What the pages of a candidate show, gathered: the head of every tab, and the conversations one may read."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import Refused
from gateway.flows import case_desk, consent_desk, thread_readers
from gateway.flows.case_desk import Seen
from gateway.flows.consents import ConsentState
from gateway.store import lists_candidates, lists_threads
from gateway.store.database import Row, Transaction, View
from gateway.store.lists_threads import Entry

_ON_PAGE = 30


@dataclass(frozen=True, slots=True)
class Head:
    """Name, consent to SMS, the cases one may switch to, and whether an erasure is under way."""

    name: str
    consent: ConsentState
    cases: Sequence[Row]
    erasure: Row | None
    is_paused: bool


@dataclass(frozen=True, slots=True)
class Correspondence:
    """A page of what was written both ways; `older` is the key of the next. `cases` maps a conversation to its case's title."""

    entries: Sequence[Entry]
    older: str | None
    cases: dict[str, str]
    unread: frozenset[str]
    """Ids of what came in and this person has not read."""
    hidden: bool
    """There is more in cases that this person does not see."""


def head(view: View, seen: Seen, now: int) -> Head:
    """The head of every tab."""
    candidate = seen.candidate
    found = [case for case in lists_candidates.cases_of(view, candidate["id"]) if case_desk.sees(view, seen.user, case)]
    if seen.case is not None and all(case["id"] != seen.case["id"] for case in found):
        found = [seen.case, *found]
    return Head(
        name=f"{candidate['first_name']} {candidate['last_name']}".strip() or candidate["ref"],
        consent=consent_desk.badge(view, candidate, now),
        cases=found,
        erasure=lists_candidates.erasure_of(view, candidate["id"]),
        is_paused=bool(lists_candidates.pauses(view, candidate["id"])),
    )


def correspondence(view: View, seen: Seen, only_case: bool, after: str | None) -> Correspondence:
    """What was written with the candidate, in the very rows of the inbox, as far as this person may read it."""
    rows = lists_candidates.threads_of(view, seen.candidate["id"], seen.user["id"])
    mine = [row for row in rows if case_desk.sees(view, seen.user, thread_readers.case_of(view, row))]
    hidden = len(mine) < len(rows)
    if only_case and seen.case is not None:
        mine = [row for row in mine if row["case_id"] == seen.case["id"]]
    everything = seen.sees_all and not only_case
    listed = None if everything else [row["id"] for row in mine]
    entries = lists_threads.of_candidate(view, seen.candidate["id"], listed, seen.user["id"], after, _ON_PAGE)
    more = entries[_ON_PAGE - 1].row["id"] if len(entries) > _ON_PAGE else None
    unread = frozenset(each.row["id"] for each in entries if each.is_inbound and each.row["place"] > each.row["seen"])
    titles = {row["id"]: row["case_title"] or row["pool_ref"] or "" for row in mine}
    return Correspondence(entries[:_ON_PAGE], more, titles, unread, hidden)


def mark_read(tx: Transaction, seen: Seen, now: int) -> int:
    """Note that this person has read every conversation with the candidate that they may read; how many had news."""
    rows = lists_candidates.threads_of(tx, seen.candidate["id"], seen.user["id"])
    news = [row for row in rows if row["heard"] > row["seen"] and case_desk.sees(tx, seen.user, thread_readers.case_of(tx, row))]
    done = 0
    for row in news:
        try:
            thread_readers.mark_read(tx, seen.candidate["organisation_id"], row["id"], seen.user["id"], None, now)
            done += 1
        except Refused:  # who sees everything by office, without being of the team, has no read marks
            continue
    return done
