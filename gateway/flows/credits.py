"""Credits: grant +, reserve −, refund +, settle 0. The balance is the sum of the ledger, and never below zero.

Each step updates the balance row under a guard and writes its ledger row in the same transaction. A message's reserve ends in
exactly one settle (with the parts taken and the charged credits) and, for parts that never reached the network, one refund.
Answers to STOP, START and HELP come from the system reserve: price 0, never blocked, settled at 0 in the same ledger.
"""

from dataclasses import dataclass
from typing import Any

from gateway.clock import rfc3339
from gateway.errors import Refused
from gateway.flows import allowances, thresholds, usage_days
from gateway.flows.asking import whom_to_ask
from gateway.flows.facts import find_user, rights_of
from gateway.rules.credits import ARMED, crossed, month_of
from gateway.rules.permissions import CREDITS_GRANT, CREDITS_VIEW
from gateway.rules.texts import as_text
from gateway.store import ids
from gateway.store.database import Row, Transaction, View

MOST = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Balance:
    """Credits that may be spent, and credits set aside for messages on their way."""

    available: int
    reserved: int


def balance(view: View, organisation_id: str) -> Balance:
    """The balance of a main organisation; zero before the first grant."""
    row = view.one("SELECT available, reserved FROM balance WHERE organisation_id = ?", organisation_id)
    return Balance(0, 0) if row is None else Balance(row["available"], row["reserved"])


def grant(tx: Transaction, organisation_id: str, amount: int, reference: str, reason: str, actor: str, now: int) -> Balance:
    """Add credits, once per reference.

    Raises Refused `invalid_amount` (not a positive whole number) or `duplicate_reference`.
    """
    reference = _check_grant(amount, reference)
    tx.execute(
        "INSERT INTO balance (organisation_id, available, reserved) VALUES (?, 0, 0) ON CONFLICT (organisation_id) DO NOTHING",
        organisation_id,
    )
    tx.execute(
        "UPDATE balance SET available = available + ?, full_at = available + ?, told = ? WHERE organisation_id = ?",
        amount,
        amount,
        ARMED,
        organisation_id,
    )
    _check_reference(tx, organisation_id, reference)
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


def _check_grant(amount: int, reference: str) -> str:
    if isinstance(amount, bool) or not isinstance(amount, int) or not 0 < amount <= MOST:
        raise Refused("invalid_amount", 422, "Credits are granted in whole numbers from 1 to 1,000,000,000.", field="amount")
    reference = reference.strip()
    if not reference or len(reference) > 200 or not reference.isprintable():
        raise Refused("invalid_reference", 422, "A grant needs a reference, for instance an order number.", field="reference")
    return reference


def _check_reference(tx: Transaction, organisation_id: str, reference: str) -> None:
    booked = "SELECT 1 AS yes FROM ledger WHERE organisation_id = ? AND reference = ?"
    if tx.one(booked, organisation_id, reference) is not None:
        raise Refused("duplicate_reference", 409, "A grant with this reference was already made.", field="reference")
    waiting = "SELECT 1 AS yes FROM grant_request WHERE organisation_id = ? AND reference = ? AND state = 'waiting'"
    if tx.one(waiting, organisation_id, reference) is not None:
        raise Refused("duplicate_reference", 409, "A grant with this reference waits for its second approver.", field="reference")


# --- a second pair of eyes -------------------------------------------------------------------------------------------


def needs_two(view: View, organisation_id: str) -> bool:
    """Whether a grant needs a second approver here."""
    return bool(view.value("SELECT two_approvers FROM balance WHERE organisation_id = ?", organisation_id))


def set_two_approvers(tx: Transaction, organisation_id: str, wanted: bool, actor: str, now: int) -> None:
    """Ask for a second approver from now on, or no longer."""
    if needs_two(tx, organisation_id) != wanted:
        tx.execute("UPDATE balance SET two_approvers = ? WHERE organisation_id = ?", int(wanted), organisation_id)
        tx.audit(now, actor, "config.change", organisation_id, {"setting": "two_approvers", "to": wanted})


def ask_for_grant(
    tx: Transaction, organisation_id: str, amount: int, reference: str, reason: str, actor: str, now: int
) -> str | None:
    """Grant, or write down a grant that a second person must approve: its id. Raises what `grant` raises."""
    if not needs_two(tx, organisation_id):
        grant(tx, organisation_id, amount, reference, reason, actor, now)
        return None
    return ask_for_credits(tx, organisation_id, amount, reference, reason, actor, now)


def ask_for_credits(tx: Transaction, organisation_id: str, amount: int, reference: str, reason: str, actor: str, now: int) -> str:
    """Write down a grant that somebody else must approve: its id. Who may not grant asks the operator so (S15, S17).

    Raises what `grant` raises.
    """
    reference = _check_grant(amount, reference)
    _check_reference(tx, organisation_id, reference)
    request_id = ids.new("gnt")
    tx.insert(
        "grant_request",
        id=request_id,
        organisation_id=organisation_id,
        amount=amount,
        reference=reference,
        reason=as_text(reason)[:1000],
        state="waiting",
        asked_by=actor,
        asked_at=now,
    )
    tx.flush()
    tx.audit(now, actor, "credits.request", organisation_id, {"amount": amount, "reference": reference, "request": request_id})
    return request_id


def grant_request(view: View, organisation_id: str, request_id: str) -> Row:
    """A grant that was asked for. Raises Refused `grant_not_found`."""
    row = view.one("SELECT * FROM grant_request WHERE id = ? AND organisation_id = ?", request_id, organisation_id)
    if row is None:
        raise Refused("grant_not_found", 404, "No grant with this id waits here.", field="grant_id")
    return row


def decide(tx: Transaction, organisation_id: str, request_id: str, approve: bool, actor: str, now: int) -> Row:
    """Approve or refuse a waiting grant; its row afterwards.

    Where two must agree, a customer's wish has no approver yet: the first operator takes it over, and it waits for another.
    Raises Refused `grant_decided`, and `second_approver_required` where the one who asked approves.
    """
    row = grant_request(tx, organisation_id, request_id)
    if approve and row["asked_by"] == actor:
        raise Refused("second_approver_required", 403, "Whoever asked for a grant cannot approve it as well.", field="user")
    if approve and row["state"] == "waiting" and needs_two(tx, organisation_id) and not _may_grant(tx, organisation_id, row):
        tx.execute("UPDATE grant_request SET asked_by = ?, asked_at = ? WHERE id = ?", actor, now, request_id)
        told = {"amount": row["amount"], "reference": row["reference"], "request": request_id, "wished_by": row["asked_by"]}
        tx.audit(now, actor, "credits.request", organisation_id, told)
        return grant_request(tx, organisation_id, request_id)
    moved = tx.execute(
        "UPDATE grant_request SET state = ?, decided_by = ?, decided_at = ? WHERE id = ? AND state = 'waiting'",
        "granted" if approve else "refused",
        actor,
        now,
        request_id,
    )
    if not moved:
        raise Refused("grant_decided", 409, f"This grant is {row['state']} already.", field="grant_id")
    if approve:
        grant(tx, organisation_id, row["amount"], row["reference"], row["reason"], actor, now)
    else:
        tx.audit(now, actor, "credits.refuse", organisation_id, {"request": request_id, "reference": row["reference"]})
    return grant_request(tx, organisation_id, request_id)


def _may_grant(view: View, organisation_id: str, request: Row) -> bool:
    """Whether who asked for it may grant; keys and the command line have been let in by their own rights."""
    kind, _, name = request["asked_by"].partition(":")
    if kind != "user":
        return True
    return CREDITS_GRANT in rights_of(view, find_user(view, organisation_id, name), organisation_id)


# --- messages --------------------------------------------------------------------------------------------------------


def reserve(
    tx: Transaction,
    organisation_id: str,
    message_id: str,
    credits: int,
    actor: str,
    now: int,
    *,
    month: str | None = None,
    unit_id: str | None = None,
) -> None:
    """Set credits aside for a message, from the balance and from the allowance of its unit, in the month fixed now.

    Raises Refused `insufficient_credits` or `allowance_exceeded`: they tell whom to ask, never the balance.
    """
    month = month or month_of(now)
    row = tx.one(
        "UPDATE balance SET available = available - ?, reserved = reserved + ? WHERE organisation_id = ? AND available >= ?"
        " RETURNING available, full_at, told",
        credits,
        credits,
        organisation_id,
        credits,
    )
    if row is None and credits > 0:
        ask, words = whom_to_ask(tx, organisation_id, CREDITS_VIEW)
        raise Refused(
            "insufficient_credits", 402, f"There are not enough credits. {words}", facts={"needed": credits, "ask": ask}
        )
    allowances.take(tx, organisation_id, unit_id, credits, month)
    _entry(tx, organisation_id, "reserve", -credits, actor, now, message_id=message_id, month=month, unit_id=unit_id)
    if row is not None:
        _warn(tx, organisation_id, row, now)


def _warn(tx: Transaction, organisation_id: str, balance: Row, now: int) -> None:
    """Tell that credits run low, once per threshold until the next grant."""
    percent = crossed(balance["available"], balance["full_at"], balance["told"], thresholds.of(tx, organisation_id))
    if percent is not None:
        tx.execute("UPDATE balance SET told = ? WHERE organisation_id = ?", percent, organisation_id)
        tx.audit(now, "gateway", "credits.threshold", organisation_id, {"percent": percent})
        tx.event(now, organisation_id, "credits.low", organisation_id, {"threshold_percent": percent, "at": rfc3339(now)})


def settle(tx: Transaction, message: Row, sent_parts: int, now: int) -> int:
    """End a message's reserve: parts the network took are charged, the others refunded. The credits refunded.

    Once per message: the caller guards with `settled_at IS NULL`.
    """
    organisation_id = message["organisation_id"]
    usage_days.changed(tx, organisation_id, now, now)
    charged = message["price"] * sent_parts
    refunded: int = message["credits"] - charged
    if message["credits"]:
        tx.execute(
            "UPDATE balance SET available = available + ?, reserved = reserved - ? WHERE organisation_id = ?",
            refunded,
            message["credits"],
            organisation_id,
        )
    spent = {name: message[name] for name in ("user_id", "case_id", "unit_id", "country")}
    spent.update(message_id=message["id"], month=message["month"])
    if sent_parts:
        _entry(tx, organisation_id, "settle", 0, "gateway", now, charged=charged, parts=sent_parts, **spent)
    if refunded:
        _entry(tx, organisation_id, "refund", refunded, "gateway", now, **spent)
        allowances.give_back(tx, organisation_id, message["unit_id"], refunded, message["month"])
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
    parts: int = 0,
    month: str | None = None,
    user_id: str | None = None,
    case_id: str | None = None,
    unit_id: str | None = None,
    country: str | None = None,
) -> None:
    tx.insert(
        "ledger",
        organisation_id=organisation_id,
        kind=kind,
        amount=amount,
        charged=charged,
        parts=parts,
        message_id=message_id,
        reference=reference,
        actor=actor,
        month=month or month_of(now),
        at=now,
        user_id=user_id,
        case_id=case_id,
        unit_id=unit_id,
        country=country,
    )


def verify(view: View) -> list[dict[str, Any]]:
    """Balances that differ from the sum of their ledger; empty when the books are right.

    What moved the balance and what was settled are in an index each, so that nothing is sorted or kept in memory.
    """
    of = "FROM ledger l WHERE l.organisation_id = b.organisation_id AND l.kind"
    rows = view.all(
        f"SELECT b.organisation_id, b.available, b.reserved, (SELECT COALESCE(SUM(l.amount), 0) {of} <> 'settle') AS ledger_sum,"
        f" (SELECT COALESCE(SUM(CASE WHEN l.kind = 'grant' THEN 0 ELSE -l.amount END), 0) {of} <> 'settle')"
        f" - (SELECT COALESCE(SUM(l.charged), 0) {of} = 'settle') AS ledger_reserved FROM balance b"
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
