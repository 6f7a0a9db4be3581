"""A candidate's own data, to be handed out: JSON and CSV in one archive, behind a link that works once.

Only what is theirs: messages both ways, consents with their wording, requests, interviews, and what the audit tells of them.
Who of the staff did what is told as a role, never by name: no other person's data leaves with it.
"""

import hashlib
import io
import json
import secrets
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.clock import rfc3339
from gateway.errors import Refused
from gateway.flows.facts import find_candidate
from gateway.rules.spreadsheets import csv_text
from gateway.store import lists_export
from gateway.store.database import Row, Transaction, View

FOR_MS = 24 * 3_600_000
"""So long a link waits for its one use."""


def make_link(tx: Transaction, organisation_id: str, ref: str, actor: str, now: int) -> tuple[str, int]:
    """A token for one download, and when it expires. Raises Refused `candidate_not_found`."""
    candidate = find_candidate(tx, organisation_id, ref)
    token = secrets.token_urlsafe(32)
    tx.insert(
        "export_link",
        token_hash=_digest(token),
        organisation_id=organisation_id,
        candidate_id=candidate["id"],
        actor=actor,
        created_at=now,
        expires_at=now + FOR_MS,
    )
    tx.audit(now, actor, "export.run", candidate["id"], {"step": "link"})
    return token, now + FOR_MS


def find_link(view: View, token: str, now: int) -> Row:
    """A link that still works. Raises Refused `link_not_found`, `link_expired`, `link_used`."""
    row = view.one("SELECT * FROM export_link WHERE token_hash = ?", _digest(token))
    if row is None:
        raise Refused("link_not_found", 404, "There is no such link.")
    if row["used_at"] is not None:
        raise _is_used()
    if row["expires_at"] <= now:
        raise Refused("link_expired", 410, "This link has expired; ask for another one.")
    return row


def take(tx: Transaction, token: str, now: int) -> str:
    """Use a link up; the candidate's id. Raises what `find_link` raises."""
    row = find_link(tx, token, now)
    if not tx.execute("UPDATE export_link SET used_at = ? WHERE token_hash = ? AND used_at IS NULL", now, row["token_hash"]):
        raise _is_used()
    tx.audit(now, row["actor"], "export.run", row["candidate_id"], {"step": "downloaded"})
    return str(row["candidate_id"])


def _is_used() -> Refused:
    return Refused("link_used", 410, "This link has been used; ask for another one.")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def archive(view: View, candidate_id: str, now: int) -> bytes:
    """The archive: export.json with everything, and a CSV file of each list. Raises Refused `candidate_not_found`."""
    found = gather(view, candidate_id, now)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("export.json", json.dumps(found, ensure_ascii=False, indent=2))
        for name, rows in found.items():
            if isinstance(rows, list):
                file.writestr(f"{name}.csv", _csv(rows))
    return out.getvalue()


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    told = [{column: _cell(row.get(column)) for column in columns} for row in rows]
    return csv_text(columns, told)


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value


def gather(view: View, candidate_id: str, now: int) -> dict[str, Any]:
    """Everything that is the candidate's."""
    row = view.one("SELECT * FROM candidate WHERE id = ? AND erased_at IS NULL", candidate_id)
    if row is None:
        raise Refused("candidate_not_found", 404, "This candidate is not here any more.")
    candidate = {
        name: row[name] for name in ("id", "ref", "first_name", "last_name", "email", "phone_raw", "phone", "country", "language")
    }
    messages = lists_export.messages(view, candidate_id)
    return {
        "exported_at": rfc3339(now),
        "candidate": {**candidate, "created_at": rfc3339(row["created_at"]), "updated_at": rfc3339(row["updated_at"])},
        "messages": [_timed(each) for each in messages],
        "answers": [_timed(each) for each in lists_export.answers(view, candidate_id)],
        "consents": [_consent(each) for each in lists_export.consents(view, candidate_id)],
        "requests": [_timed(each) for each in lists_export.requests(view, candidate_id)],
        "interviews": [_timed(each) for each in lists_export.interviews(view, candidate_id)],
        "audit": [_audited(each) for each in lists_export.audit(view, candidate_id)],
    }


def _timed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: rfc3339(value) if name.endswith("_at") and value is not None else value for name, value in dict(row).items()}


def _consent(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = _timed(row)
    shown["actor"] = _role(shown["actor"])
    shown["evidence"] = json.loads(row["evidence"])
    return shown


def _audited(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**_timed(row), "actor": _role(row["actor"])}


def _role(actor: str) -> str:
    """`user:usr_…` → staff: what a person of the staff did is told, not who."""
    kind = actor.partition(":")[0]
    return {"user": "staff", "key": "application", "cli": "staff"}.get(kind, kind)
