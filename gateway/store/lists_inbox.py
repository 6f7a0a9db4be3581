"""The inbox as people see it: conversations with what was said last, unread counts, and what surrounds one conversation.

A page looks through a bounded number of conversations, newest first, and says from where to look further: whatever filter or
search is chosen, it costs the same with a thousand conversations as with a million.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.rules.threads import STATES, UNASSIGNED
from gateway.store.database import Row, View
from gateway.store.lists_threads import Within, of_ids, thread_not_found

LOOK: Final = 500
"""So many conversations a filter or a search looks through for one page."""
COUNTED: Final = 200
"""Unread ones are counted among so many newest."""
MOST_UNREAD: Final = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which conversations: `show` is `all`, `mine`, `unassigned`, `awaiting` or `unread`; `words` are searched for."""

    reader: str
    show: str = "all"
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A conversation in the list, with the last word of either side."""

    id: str
    candidate: str
    address: str
    case_title: str | None
    pool_ref: str | None
    is_unassigned: bool
    state: str
    unread: int
    awaiting_since: int | None
    assignee: str | None
    is_mine: bool
    last_at: int
    text: str
    is_inbound: bool
    message_state: str | None
    intent: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of conversations; `older` is where to go on, `looked` how many were looked through for it."""

    lines: list[Line]
    older: str | None
    looked: int


def conversations(view: View, organisation_id: str, asked: Asked, within: Within, after: str | None, limit: int = 50) -> Listing:
    """Conversations the reader may see, the one with the newest traffic first. Raises Refused for an unknown `after`."""
    narrow = asked.show in ("mine", "unread") or bool(asked.words)
    found = _light(view, organisation_id, asked, within, after, LOOK if narrow else limit + 1)
    chosen = [row for row in found if _fits(row, asked)][: limit + 1]
    page, more = chosen[:limit], len(chosen) > limit
    older = page[-1]["id"] if more else None
    if not more and narrow and len(found) == LOOK:
        older = found[-1]["id"]
    return Listing(_lines(view, [row["id"] for row in page], asked.reader), older, len(found))


def unread(view: View, organisation_id: str, reader: str, within: Within) -> int:
    """How many of the newest conversations hold something the reader has not read; at most MOST_UNREAD + 1."""
    found = _light(view, organisation_id, Asked(reader=reader), within, None, COUNTED)
    return min(len([row for row in found if row["heard"] > row["seen"]]), MOST_UNREAD + 1)


def _light(view: View, organisation_id: str, asked: Asked, within: Within, after: str | None, most: int) -> list[Row]:
    """The newest conversations with as little of each as choosing needs.

    Each share is read along an index that has its newest first, so that the size of the whole does not matter: the reader's own
    cases one after the other, everything else along the organisation's. (Nothing of a case is in the unassigned inbox.)
    """
    where, values = "", list[Any]()
    if after is not None:
        last = view.value("SELECT last_at FROM thread WHERE id = ? AND organisation_id = ?", after, organisation_id)
        if last is None:
            raise thread_not_found("after")
        where, values = " AND (t.last_at, t.id) < (?, ?)", [last, after]
    ask = _Question(view, asked, where, values, most)
    found: list[Row] = []
    if asked.show == "unassigned":
        if within.without_case:
            found += ask.along(organisation_id, f"t.case_id IS NULL AND t.context = '{UNASSIGNED}' AND t.state <> 'closed'")
        return found
    waits = "t.awaiting_since IS NOT NULL AND " if asked.show == "awaiting" else ""
    if within.without_case:
        found += ask.along(organisation_id, f"{waits}t.case_id IS NULL")
    if within.role_units:
        share = waits + _in_units(within.role_units)
        for state in (None,) if waits else STATES:  # the index of all conversations has them by state
            only = "" if state is None else f"t.state = '{state}' AND "
            found += ask.along(organisation_id, only + share, *within.role_units)
    team = [unit for unit in within.team_units if unit not in within.role_units]
    if team and waits:
        member = "EXISTS (SELECT 1 FROM case_member m WHERE m.case_id = t.case_id AND m.user_id = ?)"
        found += ask.along(organisation_id, f"{waits}{member} AND {_in_units(team)}", within.user_id, *team)
    elif team:
        found += ask.of_cases(organisation_id, within.user_id, team)
    return sorted(found, key=_newest, reverse=True)[:most]


def _in_units(units: Sequence[str]) -> str:
    """Of cases in these units; spelled so that no planner begins with the cases and sorts all that hangs on them."""
    return f"COALESCE(k.unit_id, '') IN ({', '.join('?' * len(units))})"


def _newest(row: Row) -> tuple[int, str]:
    return row["last_at"], row["id"]


@dataclass(frozen=True, slots=True)
class _Question:
    """Rows of threads for choosing, at most `most` of any share, from the cursor in `where` on."""

    view: View
    asked: Asked
    where: str
    values: list[Any]
    most: int

    def along(self, organisation_id: str, share: str, *more: Any) -> list[Row]:
        """Along the organisation's conversations."""
        return self._rows(f"t.organisation_id = ? AND {share}", organisation_id, *more)

    def of_cases(self, organisation_id: str, user_id: str, units: Sequence[str]) -> list[Row]:
        """Of the cases of a user's teams: the case with the newest traffic first, until no other can add anything newer."""
        heads = self.view.all(
            "SELECT k.id, (SELECT t.last_at FROM thread t WHERE t.case_id = k.id ORDER BY t.last_at DESC LIMIT 1) AS newest"
            " FROM case_member m JOIN hiring_case k ON k.id = m.case_id WHERE m.user_id = ? AND k.organisation_id = ?"
            f" AND k.unit_id IN ({', '.join('?' * len(units))})",
            user_id,
            organisation_id,
            *units,
        )
        found: list[Row] = []
        for head in sorted((row for row in heads if row["newest"] is not None), key=lambda row: -row["newest"]):
            if len(found) == self.most and found[-1]["last_at"] > head["newest"]:
                break
            found = sorted(
                [*found, *self._rows("t.case_id = ? AND t.organisation_id || '' = ?", head["id"], organisation_id)],
                key=_newest,
                reverse=True,
            )[: self.most]
        return found

    def _rows(self, share: str, *values: Any) -> list[Row]:
        words = bool(self.asked.words)
        names = ", c.first_name, c.last_name, c.ref AS candidate_ref, c.phone, k.ref AS case_ref, k.title AS case_title"
        return self.view.all(
            "SELECT t.id, t.last_at, t.heard, t.assignee_id, t.author_id, t.address, t.pool_ref, COALESCE(r.place, 0) AS seen"
            f"{names if words else ''} FROM thread t LEFT JOIN hiring_case k ON k.id = t.case_id"
            f"{' LEFT JOIN candidate c ON c.id = t.candidate_id' if words else ''}"
            " LEFT JOIN read_mark r ON r.thread_id = t.id AND r.user_id = ?"
            f" WHERE {share}{self.where} ORDER BY t.last_at DESC, t.id DESC LIMIT ?",
            self.asked.reader,
            *values,
            *self.values,
            self.most,
        )


def _fits(row: Row, asked: Asked) -> bool:
    if asked.show == "mine" and (row["assignee_id"] or row["author_id"]) != asked.reader:
        return False
    if asked.show == "unread" and row["heard"] <= row["seen"]:
        return False
    if not asked.words:
        return True
    columns = ("first_name", "last_name", "candidate_ref", "phone", "address", "case_ref", "case_title", "pool_ref")
    text = " ".join(str(row[column] or "") for column in columns).casefold()
    return all(word in text for word in asked.words)


def searched(words: str) -> tuple[str, ...]:
    """What was typed into the search, as words to find; a number may be typed with blanks and dashes."""
    plain = words.casefold().strip()[:100]
    digits = plain.translate({ord(sign): None for sign in " -()/"})
    if digits.lstrip("+").isdecimal():
        return (digits.lstrip("+").lstrip("0"),) if digits.lstrip("+0") else ()
    return tuple(plain.split())


def _lines(view: View, ids: Sequence[str], reader: str) -> list[Line]:
    rows = of_ids(view, ids, reader)
    heard, said = _last_heard(view, ids), _last_said(view, [rows[each] for each in ids if each in rows])
    found = []
    for each in ids:
        row, came, went = rows[each], heard.get(each), said.get(each)
        inbound = came is not None and (went is None or came["at"] >= went["at"])
        last = came if inbound else went
        found.append(
            Line(
                id=each,
                candidate=f"{row['first_name'] or ''} {row['last_name'] or ''}".strip() or row["candidate_ref"] or "",
                address=row["address"],
                case_title=row["case_title"],
                pool_ref=row["pool_ref"],
                is_unassigned=row["context"] == UNASSIGNED,
                state=row["state"],
                unread=max(0, row["heard"] - row["seen"]),
                awaiting_since=row["awaiting_since"],
                assignee=row["assignee_name"],
                is_mine=row["assignee_id"] == reader,
                last_at=row["last_at"],
                text="" if last is None else last["text"] or "",
                is_inbound=inbound,
                message_state=None if inbound or went is None else went["state"],
                intent=came["intent"] if inbound and came is not None else None,
            )
        )
    return found


def _last_heard(view: View, ids: Sequence[str]) -> dict[str, Row]:
    """The newest inbound message of each of these threads."""
    if not ids:
        return {}
    rows = view.all(
        "SELECT i.thread_id, i.text, i.intent, i.received_at AS at FROM received i WHERE i.id IN (SELECT"
        " (SELECT n.id FROM received n WHERE n.thread_id = t.id ORDER BY n.received_at DESC, n.id DESC LIMIT 1)"
        f" FROM thread t WHERE t.id IN ({', '.join('?' * len(ids))}))",
        *ids,
    )
    return {row["thread_id"]: row for row in rows}


def _last_said(view: View, threads: Iterable[Row]) -> dict[str, Row]:
    """The newest outbound message of each of these threads."""
    ids = [row["id"] for row in threads if row["candidate_id"] is not None]
    if not ids:
        return {}
    rows = view.all(
        "SELECT m.thread_id, m.state, m.accepted_at AS at, p.text FROM message m"
        " LEFT JOIN part p ON p.message_id = m.id AND p.number = 1 WHERE m.id IN (SELECT (SELECT n.id FROM message n"
        " WHERE n.candidate_id = t.candidate_id AND n.thread_id = t.id ORDER BY n.seq DESC LIMIT 1)"
        f" FROM thread t WHERE t.id IN ({', '.join('?' * len(ids))}))",
        *ids,
    )
    return {row["thread_id"]: row for row in rows}
