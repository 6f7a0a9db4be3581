"""The inbox as people see it: conversations with what was said last, unread counts, and what surrounds one conversation.

A page looks through a bounded number of conversations, newest first, and says from where to look further: whatever filter or
search is chosen, it costs the same with a thousand conversations as with a million.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.rules.threads import STATES, UNASSIGNED
from gateway.store.database import Row, View
from gateway.store.lists_threads import Within, allowed, of_ids, thread_not_found

LOOK: Final = 500
"""So many conversations a filter or a search looks through for one page."""
_PIECE: Final = 100
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
    found = _newest(view, organisation_id, asked.show, within, after, LOOK if narrow else limit + 1)
    chosen = _fitting(view, organisation_id, found, asked, limit + 1) if narrow else found
    page, more = chosen[:limit], len(chosen) > limit
    older = page[-1] if more else None
    if not more and narrow and len(found) == LOOK:
        older = found[-1]
    return Listing(_lines(view, organisation_id, page, asked.reader), older, len(found))


def unread(view: View, organisation_id: str, reader: str, within: Within) -> int:
    """How many of the newest conversations hold something the reader has not read; at most MOST_UNREAD + 1."""
    found = _newest(view, organisation_id, "all", within, None, COUNTED)
    marks = ", ".join("?" * len(found)) or "NULL"
    number = view.value(
        "SELECT COUNT(*) AS n FROM thread t LEFT JOIN read_mark r ON r.thread_id = t.id AND r.user_id = ?"
        f" WHERE t.id IN ({marks}) AND t.organisation_id || '' = ? AND t.heard > COALESCE(r.place, 0)",
        reader,
        *found,
        organisation_id,
    )
    return min(int(number), MOST_UNREAD + 1)


def _newest(view: View, organisation_id: str, show: str, within: Within, after: str | None, most: int) -> list[str]:
    """The ids of the newest conversations of a reader, read from indexes alone: their size is of no matter.

    What awaits an answer is few, and so is what belongs to nobody: each is an index of its own. Who reads everything reads along
    the organisation's; anybody else, in their cases and in what belongs to no case. (Nothing of a case is unassigned.)
    """
    where, values = "", list[Any]()
    if after is not None:
        last = view.value("SELECT last_at FROM thread WHERE id = ? AND organisation_id = ?", after, organisation_id)
        if last is None:
            raise thread_not_found("after")
        where, values = " AND (t.last_at, t.id) < (?, ?)", [last, after]
    found: list[Row] = []

    def along(stretch: str, *more: Any) -> None:
        sql = f"SELECT t.id, t.last_at FROM thread t WHERE {stretch}{where} ORDER BY t.last_at DESC, t.id DESC LIMIT ?"
        found.extend(view.all(sql, *more, *values, most))

    if show == "unassigned":
        if within.without_case:
            nobodys = f"t.case_id IS NULL AND t.context = '{UNASSIGNED}' AND t.state <> 'closed'"
            along(f"t.organisation_id = ? AND {nobodys}", organisation_id)
    elif show == "awaiting":
        share, theirs = allowed(within)
        along(f"t.organisation_id = ? AND t.awaiting_since IS NOT NULL{share}", organisation_id, *theirs)
    elif within.everything:
        for state in STATES:  # the index of all conversations has them by state
            along(f"t.organisation_id = ? AND t.state = '{state}'", organisation_id)
    else:
        if within.without_case:
            along("t.organisation_id = ? AND t.case_id IS NULL", organisation_id)
        cases = _busiest(view, organisation_id, within, where, values, most)
        if cases:
            along(f"t.case_id IN ({', '.join('?' * len(cases))})", *cases)
    return [row["id"] for row in sorted(found, key=_by_time, reverse=True)[:most]]


def _fitting(view: View, organisation_id: str, thread_ids: Sequence[str], asked: Asked, most: int) -> list[str]:
    """The first `most` of these that fit, looked through piece by piece: often the first piece has enough."""
    chosen: list[str] = []
    for start in range(0, len(thread_ids), _PIECE):
        piece = thread_ids[start : start + _PIECE]
        known = _details(view, organisation_id, piece, asked)
        chosen += [each for each in piece if each in known and _fits(known[each], asked)]
        if len(chosen) >= most:
            break
    return chosen[:most]


def _by_time(row: Row) -> tuple[int, str]:
    return row["last_at"], row["id"]


def _busiest(view: View, organisation_id: str, within: Within, where: str, values: Sequence[Any], most: int) -> list[str]:
    """The reader's cases that the newest `most` conversations (before a cursor) can be of: each holds one that no other beats."""
    head = f"(SELECT t.last_at FROM thread t WHERE t.case_id = k.id{where} ORDER BY t.last_at DESC LIMIT 1)"
    heads: list[Row] = []
    if within.role_units:
        heads += view.all(
            f"SELECT k.id, {head} AS newest FROM hiring_case k"
            f" WHERE k.organisation_id = ? AND k.unit_id IN ({', '.join('?' * len(within.role_units))})",
            *values,
            organisation_id,
            *within.role_units,
        )
    team = [unit for unit in within.team_units if unit not in within.role_units]
    if team:
        heads += view.all(
            f"SELECT k.id, {head} AS newest FROM case_member m JOIN hiring_case k ON k.id = m.case_id"
            f" WHERE m.user_id = ? AND k.organisation_id = ? AND k.unit_id IN ({', '.join('?' * len(team))})",
            *values,
            within.user_id,
            organisation_id,
            *team,
        )
    newest = sorted((row["newest"] for row in heads if row["newest"] is not None), reverse=True)[:most]
    return [row["id"] for row in heads if row["newest"] is not None and row["newest"] >= newest[-1]]


def _details(view: View, organisation_id: str, thread_ids: Sequence[str], asked: Asked) -> dict[str, Row]:
    """As little of each as choosing needs, by id."""
    names, joins = "", ""
    if asked.words:
        names = ", c.first_name, c.last_name, c.ref AS candidate_ref, c.phone, k.ref AS case_ref, k.title AS case_title"
        joins = " LEFT JOIN hiring_case k ON k.id = t.case_id LEFT JOIN candidate c ON c.id = t.candidate_id"
    rows = view.all(
        "SELECT t.id, t.heard, t.assignee_id, t.author_id, t.address, t.pool_ref, COALESCE(r.place, 0) AS seen"
        f"{names} FROM thread t{joins} LEFT JOIN read_mark r ON r.thread_id = t.id AND r.user_id = ?"
        f" WHERE t.id IN ({', '.join('?' * len(thread_ids)) or 'NULL'}) AND t.organisation_id || '' = ?",
        asked.reader,
        *thread_ids,
        organisation_id,
    )
    return {row["id"]: row for row in rows}


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


def _lines(view: View, organisation_id: str, ids: Sequence[str], reader: str) -> list[Line]:
    rows = {each: row for each, row in of_ids(view, ids, reader).items() if row["organisation_id"] == organisation_id}
    heard, said = _last_heard(view, ids), _last_said(view, rows.values())
    found = []
    for each in (each for each in ids if each in rows):
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
