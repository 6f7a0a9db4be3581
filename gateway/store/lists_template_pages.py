"""What the pages of templates ask besides: candidates to try a text on, and who wrote which version."""

from dataclasses import dataclass

from gateway.store.database import Row, View


@dataclass(frozen=True, slots=True)
class Sample:
    """A thread whose candidate and case a template may be tried on."""

    id: str
    candidate_ref: str
    case_ref: str | None
    candidate: str
    case: str | None


def samples(view: View, organisation_id: str, member: str | None, most: int = 20) -> list[Sample]:
    """The candidates last written with; with `member`, only those of that person's hiring teams."""
    mine = "" if member is None else " AND t.case_id IN (SELECT case_id FROM case_member WHERE user_id = ?)"
    rows = view.all(
        "SELECT t.id, c.ref, c.first_name, c.last_name, k.ref AS case_ref, k.title FROM thread t"
        " JOIN candidate c ON c.id = t.candidate_id AND c.erased_at IS NULL LEFT JOIN hiring_case k ON k.id = t.case_id"
        f" WHERE t.organisation_id = ? AND t.candidate_id IS NOT NULL{mine} ORDER BY t.last_at DESC, t.id DESC LIMIT ?",
        organisation_id,
        *(() if member is None else (member,)),
        most,
    )
    return [Sample(row["id"], row["ref"], row["case_ref"], _name(row), row["title"]) for row in rows]


def authors(view: View, template_id: str) -> dict[str, str]:
    """Who wrote versions of this template: actor → name, where the actor is a person."""
    rows = view.all(
        "SELECT DISTINCT u.id, u.name FROM template_version v JOIN app_user u ON v.actor = 'user:' || u.id"
        " WHERE v.template_id = ?",
        template_id,
    )
    return {f"user:{row['id']}": row["name"] for row in rows}


def overridden_by(view: View, organisation_id: str, template: Row) -> list[Row]:
    """Nodes that have a template of the same name, channel and language themselves."""
    return view.all(
        "SELECT o.id, o.ref, o.name FROM template t JOIN organisation o ON o.id = t.unit_id WHERE o.root_id = ? AND t.name = ?"
        " AND t.channel = ? AND t.language = ? AND t.archived_at IS NULL AND t.id <> ? ORDER BY o.ref",
        organisation_id,
        template["name"],
        template["channel"],
        template["language"],
        template["id"],
    )


def _name(row: Row) -> str:
    return f"{row['first_name'] or ''} {row['last_name'] or ''}".strip() or str(row["ref"])
