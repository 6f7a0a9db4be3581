"""At which percents of a balance `credits.low` is told: each organisation's own. Nothing left is always told (S16)."""

import json
from collections.abc import Sequence

from gateway.errors import Refused
from gateway.flows.facts import kept
from gateway.rules.credits import THRESHOLDS
from gateway.store.database import Transaction, View, compact

MOST = 5
"""So many warnings, the last one at zero included."""


def _name(organisation_id: str) -> str:
    return f"credits.thresholds.{organisation_id}"


def of(view: View, organisation_id: str) -> tuple[int, ...]:
    """The percents, highest first, zero last."""
    row = kept(view, ("thresholds", organisation_id), "SELECT value FROM setting WHERE name = ?", _name(organisation_id))
    return THRESHOLDS if row is None else tuple(json.loads(row["value"]))


def put(tx: Transaction, organisation_id: str, wanted: Sequence[int], actor: str, now: int) -> tuple[int, ...]:
    """Set them; they count from the next message on. Raises Refused `invalid_threshold`."""
    percents = tuple(sorted({*wanted, 0}, reverse=True))
    if len(percents) > MOST or any(not 0 <= percent <= 95 for percent in percents):
        text = f"Warn at up to {MOST - 1} whole percents from 1 to 95."
        raise Refused("invalid_threshold", 422, text, field="thresholds")
    before = of(tx, organisation_id)
    if percents != before:
        tx.execute(
            "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            _name(organisation_id),
            compact(percents),
        )
        tx.memo.clear()
        told = {"setting": "credits.thresholds", "before": list(before), "after": list(percents)}
        tx.audit(now, actor, "config.change", organisation_id, told)
    return percents
