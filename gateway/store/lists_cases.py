"""Cases as the pages list them: newest first by key, with their team, and the candidates one has been in touch with there."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.store.database import Row, View
from gateway.store.lists_people import containing

_MOST = 999
"""So far conversations are counted; a page says “more than” beyond."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which cases somebody sees: those of their teams in these units, and all of those."""

    user_id: str
    team_units: Sequence[str]
    role_units: Sequence[str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cases of those: only one's own teams', closed or open ones, with these letters in title or reference."""

    mine: bool = True
    closed: bool = False
    search: str = ""


def cases(view: View, organisation_id: str, reach: Reach, wanted: Wanted, after: str | None, limit: int) -> list[Row]:
    """Cases, the newest first; one more than `limit` where there are more."""
    team, role = ", ".join("?" * len(reach.team_units)) or "''", ", ".join("?" * len(reach.role_units)) or "''"
    own = "EXISTS (SELECT 1 FROM case_member m WHERE m.case_id = k.id AND m.user_id = ?)"
    where = [
        "k.organisation_id = ?",
        f"(({own} AND k.unit_id IN ({team})) OR k.unit_id IN ({role}))",
        f"k.closed_at IS {'NOT ' if wanted.closed else ''}NULL",
    ]
    values: list[object] = [organisation_id, reach.user_id, *reach.team_units, *reach.role_units]
    if wanted.mine:
        where.append(own)
        values.append(reach.user_id)
    if wanted.search:
        fits, tries = containing(("k.title", "k.ref"), wanted.search)
        where.append(fits)
        values += tries
    if after is not None:
        where.append("k.id < ?")
        values.append(after)
    return view.all(
        "SELECT k.id, k.ref, k.title, k.language, k.closed_at, u.name AS unit,"
        " (SELECT COUNT(*) FROM case_member m WHERE m.case_id = k.id) AS team,"
        f" (SELECT COUNT(*) FROM (SELECT 1 FROM thread t WHERE t.case_id = k.id LIMIT {_MOST + 1}) counted) AS conversations,"
        " (SELECT MAX(t.last_at) FROM thread t WHERE t.case_id = k.id) AS last_at,"
        " (SELECT COUNT(*) FROM (SELECT 1 FROM thread t LEFT JOIN read_mark r ON r.thread_id = t.id AND r.user_id = ?"
        "  WHERE t.case_id = k.id AND t.heard > COALESCE(r.place, 0) LIMIT 100) counted) AS unread"
        f" FROM hiring_case k JOIN organisation u ON u.id = k.unit_id WHERE {' AND '.join(where)} ORDER BY k.id DESC LIMIT ?",
        reach.user_id,
        *values,
        limit + 1,
    )


def unit_of(view: View, case: Row) -> str:
    """The name of the unit that owns a case."""
    return str(view.value("SELECT name FROM organisation WHERE id = ?", case["unit_id"]))


def team(view: View, case_id: str) -> list[Row]:
    """The hiring team of a case, as whole user rows."""
    return view.all(
        "SELECT u.* FROM case_member m JOIN app_user u ON u.id = m.user_id WHERE m.case_id = ? ORDER BY u.name, u.id", case_id
    )


def candidates(view: View, case_id: str, reader: str, after: tuple[int, str] | None, limit: int) -> list[Row]:
    """Whom one has been in touch with in a case, the newest traffic first: candidate, unread, `last_at`."""
    having, values = "", []
    if after is not None:
        having, values = " HAVING MAX(t.last_at) < ? OR (MAX(t.last_at) = ? AND t.candidate_id < ?)", [after[0], *after]
    found = view.all(
        "SELECT t.candidate_id, MAX(t.last_at) AS last_at,"
        " SUM(CASE WHEN t.heard > COALESCE(r.place, 0) THEN t.heard - COALESCE(r.place, 0) ELSE 0 END) AS unread"
        " FROM thread t LEFT JOIN read_mark r ON r.thread_id = t.id AND r.user_id = ?"
        f" WHERE t.case_id = ? AND t.candidate_id IS NOT NULL GROUP BY t.candidate_id{having}"
        " ORDER BY last_at DESC, t.candidate_id DESC LIMIT ?",
        reader,
        case_id,
        *values,
        limit + 1,
    )
    marks = ", ".join("?" * len(found)) or "''"
    people = view.all(
        f"SELECT * FROM candidate WHERE id IN ({marks}) AND erased_at IS NULL", *[row["candidate_id"] for row in found]
    )
    known = {row["id"]: row for row in people}
    return [{**dict(known[row["candidate_id"]]), **dict(row)} for row in found if row["candidate_id"] in known]


def asked_only(view: View, case_id: str, limit: int = 50) -> list[Row]:
    """Candidates asked for consent in a case, and not written to in it yet."""
    return view.all(
        "SELECT DISTINCT c.* FROM consent_request q JOIN candidate c ON c.id = q.candidate_id"
        " WHERE q.state = 'live' AND q.case_id = ? AND c.erased_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM thread t WHERE t.case_id = q.case_id AND t.candidate_id = c.id) ORDER BY c.id LIMIT ?",
        case_id,
        limit,
    )


def threads_between(view: View, case_id: str, candidate_id: str) -> list[str]:
    """The conversations with a candidate in a case, by id."""
    rows = view.all("SELECT id FROM thread WHERE candidate_id = ? AND case_id = ? ORDER BY last_at DESC", candidate_id, case_id)
    return [row["id"] for row in rows]


def interview_states(view: View, case_id: str) -> dict[str, Row]:
    """The newest interview that is not called off, by candidate."""
    rows = view.all(
        "SELECT id, candidate_id, state, starts_at, zone FROM interview WHERE case_id = ?"
        " AND state IN ('invited', 'confirmed', 'declined') ORDER BY id",
        case_id,
    )
    return {row["candidate_id"]: row for row in rows}


def candidate_by_ref(view: View, organisation_id: str, ref: str) -> Row | None:
    """A candidate by reference, or None."""
    return view.one("SELECT * FROM candidate WHERE organisation_id = ? AND ref = ? AND erased_at IS NULL", organisation_id, ref)


def candidates_by_phone(view: View, organisation_id: str, phone_hash: str) -> list[Row]:
    """Everybody with this number."""
    return view.all(
        "SELECT * FROM candidate WHERE phone_hash = ? AND organisation_id = ? AND erased_at IS NULL ORDER BY id LIMIT 20",
        phone_hash,
        organisation_id,
    )
