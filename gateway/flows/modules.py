"""The e-mail side of the consent pane, kept by the ATS and only shown here (S36); and the versions behind a consent."""

from collections.abc import Mapping
from typing import Any

from gateway.flows.consents import MODULES
from gateway.flows.facts import find_candidate
from gateway.flows.locks import open_candidate
from gateway.store.database import Row, Transaction, View, compact


def push(
    tx: Transaction,
    organisation_id: str,
    candidate_ref: str,
    module: str,
    status: str,
    source: str,
    evidence: Mapping[str, Any],
    actor: str,
    now: int,
) -> Row:
    """What the ATS says of one of its own modules; the row as it stands.

    Raises Refused `candidate_not_found`, `candidate_erasing`.
    """
    assert module in MODULES
    candidate = open_candidate(tx, organisation_id, candidate_ref)
    tx.execute(
        "INSERT INTO module_consent (candidate_id, module, status, source, actor, evidence, since_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (candidate_id, module) DO UPDATE SET status = excluded.status, source = excluded.source,"
        " actor = excluded.actor, evidence = excluded.evidence, since_at = excluded.since_at",
        candidate["id"],
        module,
        status,
        source,
        actor,
        compact(dict(evidence)),
        now,
    )
    tx.audit(now, actor, "consent.import", candidate["id"], {"module": module, "to": status})
    row = tx.one("SELECT * FROM module_consent WHERE candidate_id = ? AND module = ?", candidate["id"], module)
    assert row is not None
    return row


def of(view: View, organisation_id: str, candidate_ref: str) -> dict[str, Row]:
    """What the ATS has told of a candidate's modules, by module."""
    candidate = find_candidate(view, organisation_id, candidate_ref)
    rows = view.all("SELECT * FROM module_consent WHERE candidate_id = ?", candidate["id"])
    return {row["module"]: row for row in rows}


def history(tx: Transaction, organisation_id: str, candidate_ref: str, channel: str, actor: str, now: int) -> list[Row]:
    """Every version of a candidate's consents on a channel, newest first. Looking at evidence is audited."""
    candidate = find_candidate(tx, organisation_id, candidate_ref)
    rows = tx.all(
        "SELECT * FROM consent WHERE candidate_id = ? AND channel = ? ORDER BY recorded_at DESC, version DESC LIMIT 500",
        candidate["id"],
        channel,
    )
    tx.audit(now, actor, "consent.view", candidate["id"], {"channel": channel, "versions": len(rows)})
    return rows
