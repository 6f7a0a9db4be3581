"""Credits: grant +, reserve −, refund +, settle 0. The balance is the sum of the ledger, and never below zero.

Each step updates the balance row under a guard and writes its ledger row in the same transaction. A message's reserve ends in
exactly one settle (with the charged credits) and, for parts that never reached the network, one refund.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.clock import rfc3339
from gateway.errors import Refused
from gateway.rules.texts import as_text
from gateway.store.database import Row, Transaction, View


@dataclass(frozen=True, slots=True)
class Balance:
    """Credits that may be spent, and credits set aside for messages on their way."""

    available: int
    reserved: int


def month_of(now: int) -> str:
    """The accounting month of a moment, `2026-11`, in UTC."""
    return datetime.fromtimestamp(now / 1000, UTC).strftime("%Y-%m")


def balance(view: View, organisation_id: str) -> Balance:
    """The balance of a main organisation; zero before the first grant."""
    row = view.one("SELECT available, reserved FROM balance WHERE organisation_id = ?", organisation_id)
    return Balance(0, 0) if row is None else Balance(row["available"], row["reserved"])


def grant(tx: Transaction, organisation_id: str, amount: int, reference: str, reason: str, actor: str, now: int) -> Balance:
    """Add credits, once per reference.

    Raises Refused `invalid_amount` (not a positive whole number) or `duplicate_reference`.
    """
    if isinstance(amount, bool) or not isinstance(amount, int) or not 0 < amount <= 1_000_000_000:
        raise Refused("invalid_amount", 422, "Credits are granted in whole numbers from 1 to 1,000,000,000.", field="amount")
    reference = reference.strip()
    if not reference or len(reference) > 200 or not reference.isprintable():
        raise Refused("invalid_reference", 422, "A grant needs a reference, for instance an order number.", field="reference")
    tx.execute(
        "INSERT INTO balance (organisation_id, available, reserved) VALUES (?, 0, 0) ON CONFLICT (organisation_id) DO NOTHING",
        organisation_id,
    )
    tx.execute("UPDATE balance SET available = available + ? WHERE organisation_id = ?", amount, organisation_id)
    if tx.one("SELECT 1 AS yes FROM ledger WHERE organisation_id = ? AND reference = ?", organisation_id, reference) is not None:
        raise Refused("duplicate_reference", 409, "A grant with this reference was already made.", field="reference")
    _entry(tx, organisation_id, "grant", amount, actor, now, reference=reference)
    tx.flush()  # the unique reference must speak now, not at the commit
    tx.audit(
        now,
        actor,
        "credits.grant",
        organisation_id,
        {"amount": amount, "reference": reference},
        private=as_text(reason)[:1000] or None,
    )
    return balance(tx, organisation_id)


def reserve(tx: Transaction, organisation_id: str, message_id: str, credits: int, actor: str, now: int) -> None:
    """Set credits aside for a message. Raises Refused `insufficient_credits`, which never tells the balance."""
    taken = tx.execute(
        "UPDATE balance SET available = available - ?, reserved = reserved + ? WHERE organisation_id = ? AND available >= ?",
        credits,
        credits,
        organisation_id,
        credits,
    )
    if not taken and credits > 0:
        raise Refused(
            "insufficient_credits",
            402,
            "There are not enough credits. Ask a colleague who manages credits (Organisation, Credits) to top up.",
            facts={"needed": credits},
        )
    _entry(tx, organisation_id, "reserve", -credits, actor, now, message_id=message_id)


def settle(tx: Transaction, message: Row, sent_parts: int, now: int) -> int:
    """End a message's reserve: parts the network took are charged, the others refunded. The credits refunded.

    Once per message: the caller guards with `settled_at IS NULL`.
    """
    organisation_id, message_id = message["organisation_id"], message["id"]
    if message["credits"] == 0:
        return 0
    charged = message["price"] * sent_parts
    refunded: int = message["credits"] - charged
    tx.execute(
        "UPDATE balance SET available = available + ?, reserved = reserved - ? WHERE organisation_id = ?",
        refunded,
        message["credits"],
        organisation_id,
    )
    month = message["month"]
    if charged:
        _entry(tx, organisation_id, "settle", 0, "gateway", now, message_id=message_id, charged=charged, month=month)
    if refunded:
        _entry(tx, organisation_id, "refund", refunded, "gateway", now, message_id=message_id, month=month)
    return refunded


def _entry(
    tx: Transaction,
    organisation_id: str,
    kind: str,
    amount: int,
    actor: str,
    now: int,
    *,
    message_id: str | None = None,
    reference: str | None = None,
    charged: int = 0,
    month: str | None = None,
) -> None:
    tx.insert(
        "ledger",
        organisation_id=organisation_id,
        kind=kind,
        amount=amount,
        charged=charged,
        message_id=message_id,
        reference=reference,
        actor=actor,
        month=month or month_of(now),
        at=now,
    )


def verify(view: View) -> list[dict[str, Any]]:
    """Balances that differ from the sum of their ledger; empty when the books are right."""
    rows = view.all(
        "SELECT b.organisation_id, b.available, b.reserved, COALESCE(SUM(l.amount), 0) AS ledger_sum,"
        " COALESCE(SUM(CASE WHEN l.kind = 'reserve' THEN -l.amount WHEN l.kind = 'refund' THEN -l.amount"
        " WHEN l.kind = 'settle' THEN -l.charged ELSE 0 END), 0) AS ledger_reserved"
        " FROM balance b LEFT JOIN ledger l ON l.organisation_id = b.organisation_id"
        " GROUP BY b.organisation_id, b.available, b.reserved"
    )
    return [dict(row) for row in rows if row["available"] != row["ledger_sum"] or row["reserved"] != row["ledger_reserved"]]


def describe(entry: Row) -> dict[str, Any]:
    """A ledger row as the API shows it."""
    return {
        "id": entry["id"],
        "kind": entry["kind"],
        "amount": entry["amount"],
        "charged": entry["charged"],
        "message_id": entry["message_id"],
        "reference": entry["reference"],
        "month": entry["month"],
        "at": rfc3339(entry["at"]),
    }
