"""The kind × channel matrix and the phrases of a rejection, as an organisation has set them (S9)."""

import json
from collections.abc import Mapping
from typing import Any

from gateway.errors import Refused
from gateway.flows.facts import kept_all
from gateway.flows.rights import Acting
from gateway.rules.kinds import Cell, check_cell, factory_phrases, looks_like_rejection, matrix, plain
from gateway.rules.permissions import COMPLIANCE_EDIT
from gateway.store.database import Transaction, View, compact
from gateway.store.setup import check_language

MOST_PHRASES = 200


def kinds_of(view: View, organisation_id: str) -> list[Cell]:
    """The whole matrix."""
    return matrix(view.all("SELECT kind, channel, allowed FROM kind_rule WHERE organisation_id = ?", organisation_id))


def set_kind(tx: Transaction, by: Acting, kind: str, channel: str, allowed: bool, now: int) -> bool:
    """Open or close one cell; whether that changed anything. Raises Refused, also for opening a locked one."""
    by.require(tx, COMPLIANCE_EDIT)
    check_cell(kind, channel, allowed)
    before = next(cell for cell in kinds_of(tx, by.organisation_id) if (cell.kind, cell.channel) == (kind, channel))
    if before.allowed == allowed:
        return False
    tx.execute(
        "INSERT INTO kind_rule (organisation_id, kind, channel, allowed, updated_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (organisation_id, kind, channel) DO UPDATE"
        " SET allowed = excluded.allowed, updated_at = excluded.updated_at",
        by.organisation_id,
        kind,
        channel,
        int(allowed),
        now,
    )
    data = {"kind": kind, "channel": channel, "allowed": [before.allowed, allowed], **by.told}
    tx.audit(now, by.actor, "config.change", f"kind:{kind}/{channel}", data)
    tx.memo.clear()
    return True


def own_phrases(view: View, organisation_id: str) -> dict[str, tuple[str, ...]]:
    """The organisation's own phrases, by language."""
    rows = kept_all(
        view,
        ("phrases", organisation_id),
        "SELECT language, phrases FROM rejection_phrases WHERE organisation_id = ?",
        organisation_id,
    )
    return {row["language"]: tuple(json.loads(row["phrases"])) for row in rows}


def phrases_of(view: View, organisation_id: str) -> dict[str, dict[str, Any]]:
    """Every language's phrases, and whether they are the shipped ones."""
    own = own_phrases(view, organisation_id)
    shipped = factory_phrases()
    return {
        language: {"phrases": list(own.get(language, shipped.get(language, ()))), "shipped": language not in own}
        for language in sorted({*own, *shipped})
    }


def set_phrases(tx: Transaction, by: Acting, language: str, phrases: list[str] | None, now: int) -> None:
    """Replace a language's phrases; None brings the shipped ones back. Raises Refused."""
    by.require(tx, COMPLIANCE_EDIT)
    check_language(language)
    tx.execute("DELETE FROM rejection_phrases WHERE organisation_id = ? AND language = ?", by.organisation_id, language)
    if phrases is not None:
        if len(phrases) > MOST_PHRASES or any(not plain(phrase) or len(phrase) > 200 for phrase in phrases):
            text = f"At most {MOST_PHRASES} phrases of 1 to 200 characters, each with a word in it."
            raise Refused("invalid_phrases", 422, text, field="phrases")
        tx.execute(
            "INSERT INTO rejection_phrases (organisation_id, language, phrases, updated_at) VALUES (?, ?, ?, ?)",
            by.organisation_id,
            language,
            compact(phrases),
            now,
        )
    data = {"language": language, "phrases": None if phrases is None else len(phrases), **by.told}
    tx.audit(now, by.actor, "config.change", f"phrases:rejection/{language}", data)
    tx.memo.clear()


def rejection_in(view: View, organisation_id: str, text: str | None, data: Mapping[str, Any] | None) -> str | None:
    """The phrase of a rejection in what somebody wrote: free text, or the values filled into a template."""
    written = " ".join([text or "", *_strings(data or {})])
    return looks_like_rejection(written, own_phrases(view, organisation_id)) if written.strip() else None


def _strings(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for inner in value.values() for text in _strings(inner)]
    return [value] if isinstance(value, str) else []
