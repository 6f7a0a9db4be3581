"""What the pages of compliance ask besides the flows: erasures, legal holds, the state of a test message."""

from dataclasses import dataclass

from gateway.store.database import Row, View

_MOST = 200


@dataclass(frozen=True, slots=True)
class Erased:
    """An erasure: for whom (their reference, as long as it is kept), who asked when, and whether it is done."""

    id: str
    ref: str | None
    by: str
    requested_at: int
    asked_at: int
    done_at: int | None
    held: bool


def erasures(view: View, organisation_id: str, *, waiting: bool, most: int = _MOST) -> list[Erased]:
    """Erasures that wait for what is on the air, or those that are done; newest first."""
    state = "waiting" if waiting else "done"
    rows = view.all(
        "SELECT e.*, c.ref, c.legal_hold, u.name FROM erasure e LEFT JOIN candidate c ON c.id = e.candidate_id"
        " LEFT JOIN app_user u ON e.actor = 'user:' || u.id"
        f" WHERE e.organisation_id = ? AND e.state = '{state}' ORDER BY e.id DESC LIMIT ?",
        organisation_id,
        most,
    )
    return [
        Erased(
            row["id"],
            row["ref"],
            row["name"] or row["actor"],
            row["requested_at"],
            row["asked_at"],
            row["done_at"],
            bool(row["legal_hold"]),
        )
        for row in rows
    ]


def holds(view: View, organisation_id: str) -> list[Row]:
    """Candidates whose data a legal hold keeps."""
    return view.all(
        "SELECT ref, first_name, last_name FROM candidate WHERE organisation_id = ? AND legal_hold = 1 ORDER BY ref LIMIT ?",
        organisation_id,
        _MOST,
    )


def message_state(view: View, message_id: str | None) -> Row | None:
    """State and error of a message such as a country's test."""
    if message_id is None:
        return None
    return view.one("SELECT state, error, accepted_at, done_at FROM message WHERE id = ?", message_id)


def names(view: View, organisation_id: str, actors: set[str]) -> dict[str, str]:
    """Names for actors such as `user:usr_…` and `key:key_…`."""
    found = {}
    for kind, table in (("user", "app_user"), ("key", "api_key")):
        ids = sorted(actor.partition(":")[2] for actor in actors if actor.startswith(f"{kind}:"))
        if ids:
            marks = ", ".join("?" * len(ids))
            sql = f"SELECT id, name FROM {table} WHERE organisation_id = ? AND id IN ({marks})"
            found.update({f"{kind}:{row['id']}": row["name"] for row in view.all(sql, organisation_id, *ids)})
    return found


def opt_ins(view: View, iso: str, channel: str) -> list[Row]:
    """How a country's opt-in mode was changed, the last change first."""
    return view.all("SELECT * FROM country_opt_in WHERE iso = ? AND channel = ? ORDER BY at DESC, id DESC LIMIT 50", iso, channel)
