"""Which text the box sends by itself: an organisation's own, or the shipped one, in the language that fits (S41)."""

from gateway.flows.facts import kept_all
from gateway.rules.wordings import Wording, choose, languages_tried
from gateway.store.database import Row, Transaction, View


def wording(view: View, organisation_id: str, kind: str, *languages: str | None) -> Wording:
    """The text of a kind in the first of these languages (or its base, or English) that has one."""
    rows = kept_all(
        view,
        ("wording", organisation_id, kind),
        "SELECT language, body, version FROM wording WHERE organisation_id = ? AND kind = ?",
        organisation_id,
        kind,
    )
    own = {row["language"]: (row["body"], f"own-{row['version']}") for row in rows}
    return choose(kind, own, languages_tried(*languages))


def job_languages(org: Row, case: Row | None) -> tuple[str | None, str]:
    """In which languages to write to a candidate: the job advertisement's, then the organisation's; never the number's."""
    return (None if case is None else case["language"], org["language"])


def contact_of(view: View, organisation_id: str) -> str:
    """How to reach the employer, with a blank before it; empty where nobody has said."""
    found = view.value("SELECT value FROM setting WHERE name = ?", f"compliance.contact:{organisation_id}")
    return f" {found}." if found else ""


def setting(view: View, organisation_id: str, name: str, default: int) -> int:
    """A number of the compliance settings."""
    found = view.value("SELECT value FROM setting WHERE name = ?", f"compliance.{name}:{organisation_id}")
    return default if found is None else int(found)


def put_setting(tx: Transaction, name: str, value: str) -> None:
    """Keep a setting under its whole name."""
    tx.execute(
        "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value
    )
