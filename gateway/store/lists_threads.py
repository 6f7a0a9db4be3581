"""Threads as lists show them, and the messages of both ways in one row shape: the inbox and the candidate's page see the same.

Lists go by keyset, newest first: `after` is the public id of the last row of the page before, never an offset. Each gives up to
`limit + 1` rows; the one too many says that there is more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refused
from gateway.rules.threads import UNASSIGNED
from gateway.store import lists_people
from gateway.store.database import Row, View

THREAD_STATES = ("active", "inactive", "closed")
_MOST_FOUND = 200
"""So many candidates a search looks at; who types more letters finds the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which threads; None leaves a question open. `reader` is a user's id, whose read marks count."""

    reader: str | None = None
    assignee: str | None = None
    """A user's id, or an empty text for what nobody has."""
    unread: bool | None = None
    state: str | None = None
    awaiting: bool | None = None
    unassigned: bool | None = None
    """Only (or never) what belongs to no case and no pool."""
    candidate_id: str | None = None
    case_id: str | None = None
    search: str | None = None
    """The beginning of a candidate's first or last name or of their reference."""


@dataclass(frozen=True, slots=True)
class Within:
    """What the reader may see: their teams' threads in these units, all in those, and whether also pools and strangers."""

    user_id: str
    team_units: Sequence[str]
    role_units: Sequence[str]
    without_case: bool
    everything: bool = False
    """Whether that is all there is, so that nothing needs to be asked of a thread."""


_THREAD = (
    "SELECT t.*, c.ref AS candidate_ref, c.first_name, c.last_name, k.ref AS case_ref, k.title AS case_title,"
    " a.email AS assignee, a.name AS assignee_name, w.email AS author, s.number AS sender, o.name AS company,"
    " COALESCE(r.place, 0) AS seen FROM thread t JOIN organisation o ON o.id = t.organisation_id"
    " LEFT JOIN candidate c ON c.id = t.candidate_id LEFT JOIN hiring_case k ON k.id = t.case_id"
    " LEFT JOIN app_user a ON a.id = t.assignee_id"
    " LEFT JOIN app_user w ON w.id = t.author_id LEFT JOIN sender s ON s.id = t.sender_id"
    " LEFT JOIN read_mark r ON r.thread_id = t.id AND r.user_id = ?"
)


def threads(view: View, organisation_id: str, wanted: Wanted, within: Within | None, after: str | None, limit: int) -> list[Row]:
    """Threads, the one with the newest traffic first; `within` limits them to what a user may read."""
    where, values = _wanted(view, organisation_id, wanted, after)
    mine, allows = allowed(within)
    walks: list[str] = []
    walked: list[Any] = []
    for place in _places(wanted):
        walk = f"{_PLAIN} WHERE {place}{mine}{where} ORDER BY t.last_at DESC, t.id DESC LIMIT ?"
        walks.append(f"SELECT * FROM ({walk}) AS s{len(walks)}")
        walked += [wanted.reader, organisation_id, *allows, *values, limit + 1]
    newest = view.all(f"{' UNION ALL '.join(walks)} ORDER BY last_at DESC, id DESC LIMIT ?", *walked, limit + 1)
    marks = ", ".join("?" * len(newest)) or "NULL"
    rows = view.all(f"{_THREAD} WHERE t.id IN ({marks})", wanted.reader, *(row["id"] for row in newest))
    shown = {row["id"]: row for row in rows}
    return [shown[row["id"]] for row in newest]


_PLAIN = "SELECT t.id, t.last_at FROM thread t LEFT JOIN read_mark r ON r.thread_id = t.id AND r.user_id = ?"
"""Choosing looks at no more than it must; what is shown besides is read for those that were chosen."""


def _places(wanted: Wanted) -> Sequence[str]:
    """The stretches of an index that hold them, in order: of each state, unless a narrower index serves."""
    if wanted.candidate_id or wanted.case_id or wanted.assignee or wanted.search is not None:
        return ("t.organisation_id || '' = ?",)  # hidden from SQLite's planner, which would take the organisation's index
    if wanted.awaiting or wanted.unassigned:  # these have partial indexes of their own
        return ("t.organisation_id = ?",)
    return [f"t.organisation_id = ? AND t.state = '{state}'" for state in THREAD_STATES if wanted.state in (None, state)] or [
        "t.id = ?"
    ]


def _wanted(view: View, organisation_id: str, wanted: Wanted, after: str | None) -> tuple[str, list[Any]]:
    where, values = [""], []
    for sql, value in (
        ("t.state = ?" if wanted.candidate_id or wanted.awaiting or wanted.unassigned else "t.state || '' = ?", wanted.state),
        ("t.candidate_id = ?", wanted.candidate_id),
        ("t.case_id = ?", wanted.case_id),
    ):
        if value is not None:
            where.append(sql)
            values.append(value)
    if wanted.assignee == "":
        where.append("t.assignee_id IS NULL")
    elif wanted.assignee is not None:
        where.append("t.assignee_id = ?")
        values.append(wanted.assignee)
    if wanted.unread is not None:
        where.append(f"t.heard {'>' if wanted.unread else '<='} COALESCE(r.place, 0)")
    if wanted.awaiting is not None:
        where.append(f"t.awaiting_since IS {'NOT ' if wanted.awaiting else ''}NULL")
    if wanted.unassigned is not None:
        where.append(f"t.context {'=' if wanted.unassigned else '<>'} '{UNASSIGNED}'")
    if wanted.unassigned:
        where.append("t.case_id IS NULL")  # follows, and lets a partial index serve
    if wanted.search is not None:
        people = [row["id"] for row in lists_people.candidates(view, organisation_id, search=wanted.search, limit=_MOST_FOUND)]
        where.append(f"t.candidate_id IN ({', '.join('?' * len(people)) or 'NULL'})")
        values += people
    if after is not None:
        last = view.value("SELECT last_at FROM thread WHERE id = ? AND organisation_id = ?", after, organisation_id)
        if last is None:
            raise thread_not_found("after")
        where.append("(t.last_at, t.id) < (?, ?)")
        values += [last, after]
    return " AND ".join(where), values


def allowed(within: Within | None) -> tuple[str, list[Any]]:
    """What a user may read: their teams' cases in some units, all cases of others, and perhaps what belongs to no case."""
    if within is None or within.everything:
        return "", []
    shares: list[str] = []
    values: list[Any] = []
    if within.team_units:
        team = ", ".join("?" * len(within.team_units))
        own = "SELECT m.case_id FROM case_member m JOIN hiring_case k ON k.id = m.case_id"
        own = f"{own} WHERE m.user_id = ? AND k.unit_id IN ({team})"
        shares.append(f"t.case_id || '' IN ({own})")
        values += [within.user_id, *within.team_units]
    if within.role_units:
        shares.append(
            f"t.case_id || '' IN (SELECT id FROM hiring_case WHERE unit_id IN ({', '.join('?' * len(within.role_units))}))"
        )
        values += within.role_units
    if within.without_case:
        shares.append("t.case_id IS NULL")
    return f" AND ({' OR '.join(shares) or '1 = 0'})", values


def of_ids(view: View, thread_ids: Sequence[str], reader: str | None) -> dict[str, Row]:
    """Threads by their ids."""
    if not thread_ids:
        return {}
    marks = ", ".join("?" * len(thread_ids))
    return {row["id"]: row for row in view.all(f"{_THREAD} WHERE t.id IN ({marks})", reader, *thread_ids)}


def thread(view: View, organisation_id: str, thread_id: str, reader: str | None) -> Row:
    """One thread. Raises Refused `thread_not_found`."""
    row = view.one(f"{_THREAD} WHERE t.id = ? AND t.organisation_id = ?", reader, thread_id, organisation_id)
    if row is None:
        raise thread_not_found("id")
    return row


def thread_not_found(field: str) -> Refused:
    """The refusal for an id that no thread of this organisation has."""
    return Refused("thread_not_found", 404, "No thread with this id.", field=field)


def candidates_of(view: View, threads: Sequence[Row]) -> dict[str, Row]:
    """The candidates' own rows, by id."""
    wanted = sorted({row["candidate_id"] for row in threads if row["candidate_id"] is not None})
    if not wanted:
        return {}
    rows = view.all(f"SELECT * FROM candidate WHERE id IN ({', '.join('?' * len(wanted))})", *wanted)
    return {row["id"]: row for row in rows}


# --- messages both ways ----------------------------------------------------------------------------------------------

_OUT = (
    "SELECT m.*, m.accepted_at AS at, c.ref AS candidate_ref, k.ref AS case_ref, u.email AS user_email, u.name AS user_name,"
    " s.number AS sender, o.name AS company FROM message m JOIN organisation o ON o.id = m.organisation_id"
    " LEFT JOIN candidate c ON c.id = m.candidate_id LEFT JOIN hiring_case k ON k.id = m.case_id"
    " LEFT JOIN app_user u ON u.id = m.user_id LEFT JOIN sender s ON s.id = m.sender_id"
)
_IN = (
    "SELECT i.*, i.received_at AS at, c.ref AS candidate_ref, k.ref AS case_ref, t.pool_ref, t.channel, s.number AS sender,"
    " COALESCE(r.place, 0) AS seen FROM received i LEFT JOIN thread t ON t.id = i.thread_id"
    " LEFT JOIN candidate c ON c.id = i.candidate_id LEFT JOIN hiring_case k ON k.id = t.case_id"
    " LEFT JOIN sender s ON s.id = i.sender_id LEFT JOIN read_mark r ON r.thread_id = i.thread_id AND r.user_id = ?"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One message: `row` is of `message` with its text (`out`), or of `received` (`in`)."""

    is_inbound: bool
    row: Row
    text: str


def of_thread(view: View, thread: Row, reader: str | None, after: str | None, limit: int) -> list[Entry]:
    """The messages of one thread both ways, newest first."""
    if thread["candidate_id"] is None:
        out, values = "m.candidate_id IS NULL AND m.thread_id = ?", [thread["id"]]
    else:
        out, values = "m.candidate_id = ? AND m.thread_id = ?", [thread["candidate_id"], thread["id"]]
    return _entries(view, out, values, "i.thread_id = ?", [thread["id"]], reader, after, limit)


def of_candidate(
    view: View,
    candidate_id: str,
    threads: Sequence[str] | None,
    reader: str | None,
    after: str | None,
    limit: int,
) -> list[Entry]:
    """What was written with a candidate both ways, newest first; `threads` limits it to these."""
    out, values, come = "m.candidate_id = ?", [candidate_id], "i.candidate_id = ?"
    if threads is not None:
        marks = ", ".join("?" * len(threads)) or "''"
        out, come, values = f"{out} AND m.thread_id IN ({marks})", f"{come} AND i.thread_id IN ({marks})", [*values, *threads]
    return _entries(view, out, values, come, values, reader, after, limit)


def _entries(
    view: View,
    out: str,
    out_values: Sequence[Any],
    come: str,
    come_values: Sequence[Any],
    reader: str | None,
    after: str | None,
    limit: int,
) -> list[Entry]:
    before_out = before_in = ""
    cursor: tuple[Any, ...] = ()
    if after is not None:
        cursor = (_at(view, after), after)
        before_out, before_in = " AND (m.accepted_at, m.id) < (?, ?)", " AND (i.received_at, i.id) < (?, ?)"
    sent = view.all(
        f"{_OUT} WHERE {out}{before_out} ORDER BY m.accepted_at DESC, m.id DESC LIMIT ?", *out_values, *cursor, limit + 1
    )
    heard = view.all(
        f"{_IN} WHERE {come}{before_in} ORDER BY i.received_at DESC, i.id DESC LIMIT ?",
        reader,
        *come_values,
        *cursor,
        limit + 1,
    )
    both = [(row["at"], row["id"], False, row) for row in sent] + [(row["at"], row["id"], True, row) for row in heard]
    page = sorted(both, key=lambda each: each[:2], reverse=True)[: limit + 1]
    texts = _texts(view, [key for _, key, is_inbound, _ in page if not is_inbound])
    return [Entry(is_inbound, row, row["text"] if is_inbound else texts.get(key, "")) for _, key, is_inbound, row in page]


def _at(view: View, entry_id: str) -> int:
    table, column = ("received", "received_at") if entry_id.startswith("inb_") else ("message", "accepted_at")
    at = view.value(f"SELECT {column} FROM {table} WHERE id = ?", entry_id)
    if at is None:
        raise Refused("message_not_found", 404, "No message with this id.", field="after")
    return int(at)


def _texts(view: View, message_ids: Sequence[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    if message_ids:
        marks = ", ".join("?" * len(message_ids))
        for part in view.all(
            f"SELECT message_id, text FROM part WHERE message_id IN ({marks}) ORDER BY message_id, number", *message_ids
        ):
            texts[part["message_id"]] = texts.get(part["message_id"], "") + part["text"]
    return texts
