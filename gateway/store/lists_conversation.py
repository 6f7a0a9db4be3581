"""Around one conversation: missed calls, who could look after it, where a stranger's belongs, what is to be decided."""

from dataclasses import dataclass
from typing import Final

from gateway.store.database import Row, View
from gateway.store.lists_threads import Within

_CALLS: Final = 200


@dataclass(frozen=True, slots=True)
class Call:
    """A missed call."""

    id: str
    address: str
    at: int


def calls(view: View, thread: Row, since: int | None) -> list[Call]:
    """Missed calls of the candidate of a thread, that belong to it or to none, from `since` on."""
    if thread["candidate_id"] is None:
        return []
    rows = view.all(
        "SELECT id, address, at FROM missed_call WHERE candidate_id = ? AND at >= ? AND COALESCE(thread_id, ?) = ?"
        " ORDER BY at DESC LIMIT ?",
        thread["candidate_id"],
        since or 0,
        thread["id"],
        thread["id"],
        _CALLS,
    )
    return [Call(row["id"], row["address"], row["at"]) for row in rows]


def strangers_calls(view: View, organisation_id: str, most: int = 10) -> list[Call]:
    """The newest missed calls from numbers that no candidate has."""
    rows = view.all("SELECT id, organisation_id, candidate_id, address, at FROM missed_call ORDER BY id DESC LIMIT ?", _CALLS)
    own = [row for row in rows if row["organisation_id"] == organisation_id and row["candidate_id"] is None]
    return [Call(row["id"], row["address"], row["at"]) for row in own[:most]]


def colleagues(view: View, organisation_id: str, case_id: str | None) -> list[Row]:
    """Who could look after a conversation: the hiring team of its case; without one, everybody."""
    if case_id is not None:
        return view.all(
            "SELECT u.id, u.name, u.email FROM case_member m JOIN app_user u ON u.id = m.user_id"
            " WHERE m.case_id = ? AND u.active = 1 ORDER BY u.name, u.id",
            case_id,
        )
    return view.all(
        "SELECT id, name, email FROM app_user WHERE organisation_id = ? AND active = 1 AND roles <> '[]' ORDER BY name, id"
        " LIMIT 200",
        organisation_id,
    )


def open_cases(view: View, organisation_id: str, within: Within) -> list[Row]:
    """Open cases a reader may connect a conversation to, the newest first."""
    found: dict[str, Row] = {}
    if within.team_units:
        for row in view.all(
            "SELECT k.id, k.ref, k.title FROM case_member m JOIN hiring_case k ON k.id = m.case_id WHERE m.user_id = ?"
            f" AND k.closed_at IS NULL AND k.unit_id IN ({', '.join('?' * len(within.team_units))}) ORDER BY k.id DESC LIMIT 200",
            within.user_id,
            *within.team_units,
        ):
            found[row["id"]] = row
    if within.role_units:
        for row in view.all(
            "SELECT k.id, k.ref, k.title FROM hiring_case k WHERE k.organisation_id = ? AND k.closed_at IS NULL"
            f" AND k.unit_id IN ({', '.join('?' * len(within.role_units))}) ORDER BY k.id DESC LIMIT 200",
            organisation_id,
            *within.role_units,
        ):
            found[row["id"]] = row
    return sorted(found.values(), key=lambda row: str(row["title"]).casefold())


def owners(view: View, organisation_id: str, thread_id: str) -> list[Row]:
    """Candidates who have the number of a stranger's conversation by now."""
    return view.all(
        "SELECT DISTINCT c.ref, c.first_name, c.last_name FROM received i JOIN candidate c ON c.phone_hash = i.phone_hash"
        " WHERE i.thread_id = ? AND c.organisation_id = ? AND c.erased_at IS NULL ORDER BY c.ref LIMIT 20",
        thread_id,
        organisation_id,
    )


def open_task(view: View, organisation_id: str, candidate_id: str | None) -> Row | None:
    """What a colleague must decide before this candidate is written to again."""
    if candidate_id is None:
        return None
    return view.one(
        "SELECT t.id, t.due_at, r.text AS said FROM task t LEFT JOIN received r ON r.id = t.received_id"
        " WHERE t.organisation_id = ? AND t.state = 'open' AND t.candidate_id = ? ORDER BY t.due_at LIMIT 1",
        organisation_id,
        candidate_id,
    )
