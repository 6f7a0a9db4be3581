"""The audit as a whole: is its chain unbroken, and its pruning, which leaves a signed anchor of the last removed hash."""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.store import seal
from gateway.store.database import GENESIS, Transaction, View


@dataclass(frozen=True, slots=True)
class Finding:
    """What a walk along the chains found: rows that hold, and the first link that does not."""

    audit_rows: int
    event_rows: int
    anchored_at: int | None
    broken: seal.BrokenLink | None
    chain: str = "audit"


def anchor_key(token_key: bytes) -> bytes:
    """The key that signs anchors, made from the box's own secret for this one use."""
    return hmac.new(token_key, b"ringpost audit anchor", hashlib.sha256).digest()


def _signature(key: bytes, position: int, link: str, pruned_at: int) -> str:
    return hmac.new(key, f"{position}|{link}|{pruned_at}".encode(), hashlib.sha256).hexdigest()


def verify(view: View, key: bytes) -> Finding:
    """What `walk` finds in the end."""
    *_, found = walk(view, key)
    assert isinstance(found, Finding)
    return found


def walk(view: View, key: bytes) -> Iterator[float | Finding]:
    """Walk the audit from its anchor (or its first row) and the outbox's positions.

    Tells the share that is walked, from 0 to 1, now and then, and what was found in the end: the first broken link, if any.
    """
    anchor = view.one("SELECT * FROM audit_anchor ORDER BY position DESC LIMIT 1")
    position, link = (0, GENESIS) if anchor is None else (int(anchor["position"]), str(anchor["hash"]))
    rows = int(view.value("SELECT COUNT(*) AS n FROM audit WHERE position IS NOT NULL") or 0)
    events = int(view.value("SELECT COUNT(*) AS n FROM event WHERE position IS NOT NULL") or 0)
    broken: seal.BrokenLink | None = None
    if anchor is not None and not hmac.compare_digest(
        anchor["signature"], _signature(key, position, link, int(anchor["pruned_at"]))
    ):
        broken = seal.BrokenLink(position, f"the anchor of row {position} is not one that this box signed")
    for step in () if broken else seal.walk(view, position=position, link=link):
        if isinstance(step, seal.BrokenLink):
            broken = step
        else:
            yield (step - position) / max(rows, 1)
    if broken is not None:
        yield Finding(rows, events, position or None, broken)
    else:
        yield Finding(rows, events, position or None, _event_gap(view), "events")


def _event_gap(view: View) -> seal.BrokenLink | None:
    """Positions of the outbox run from 1 without a gap."""
    row = view.one("SELECT COUNT(*) AS n, MAX(position) AS last FROM event WHERE position IS NOT NULL")
    assert row is not None
    if not row["n"] or row["n"] == row["last"]:
        return None
    gap = view.value(
        "SELECT MIN(e.position) + 1 AS gap FROM event e WHERE e.position < ?"
        " AND NOT EXISTS (SELECT 1 FROM event n WHERE n.position = e.position + 1)",
        row["last"],
    )
    first = view.value("SELECT MIN(position) AS first FROM event")
    missing = 1 if first != 1 else int(gap)
    return seal.BrokenLink(missing, f"event {missing} is missing")


def prune(tx: Transaction, key: bytes, before: int, now: int) -> int:
    """Remove audit rows older than `before` from the front of the chain; how many. The newest row always stays.

    The anchor holds position and hash of the last one removed, signed, so that the rest still verifies.
    """
    newest = tx.value("SELECT MAX(position) AS last FROM audit")
    kept = tx.value("SELECT MIN(position) AS first FROM audit WHERE at >= ?", before)
    last = min(int(newest or 0) - 1, int(newest or 0) if kept is None else int(kept) - 1)
    row = tx.one("SELECT position, hash FROM audit WHERE position = ?", last)
    if row is None:
        return 0
    tx.execute("DELETE FROM audit_anchor")
    tx.execute(
        "INSERT INTO audit_anchor (position, hash, pruned_at, signature) VALUES (?, ?, ?, ?)",
        last,
        row["hash"],
        now,
        _signature(key, last, row["hash"], now),
    )
    gone = tx.execute("DELETE FROM audit WHERE position <= ?", last)
    tx.execute(
        "DELETE FROM audit_private WHERE NOT EXISTS (SELECT 1 FROM audit a WHERE a.subject = audit_private.subject"
        " AND a.private_mac = audit_private.mac)"
    )
    tx.execute("DELETE FROM subject_salt WHERE NOT EXISTS (SELECT 1 FROM audit_private p WHERE p.subject = subject_salt.subject)")
    return gone
