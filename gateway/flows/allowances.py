"""Monthly allowances: how much of the credits a unit, with everything below it, may spend in a month.

An unused rest is carried over up to a limit. A month's row is opened with the first message that needs it and counts what the
ledger says; a late refund goes back to the month in which the message was accepted, and on into the months after it.
"""

from typing import Any

from gateway.errors import Refused
from gateway.flows.asking import whom_to_ask
from gateway.flows.facts import kept_all, path_of, tree
from gateway.rules.credits import carried, month_of, months_between
from gateway.rules.permissions import SETTINGS_EDIT
from gateway.store.database import Row, Transaction, View

MOST = 1_000_000_000


def of_organisation(view: View, organisation_id: str) -> dict[str, Row]:
    """Every allowance by unit."""
    rows = kept_all(
        view,
        ("allowances", organisation_id),
        "SELECT * FROM allowance WHERE organisation_id = ? ORDER BY unit_id",
        organisation_id,
    )
    return {row["unit_id"]: row for row in rows}


def _above(view: View, organisation_id: str, unit_id: str | None) -> list[Row]:
    known = of_organisation(view, organisation_id)
    if not known or unit_id is None:
        return []
    return [known[unit] for unit in sorted(path_of(view, organisation_id, unit_id)) if unit in known]


def take(tx: Transaction, organisation_id: str, unit_id: str | None, credits: int, month: str) -> None:
    """Count credits against the allowance of a unit and of all above it. Raises Refused `allowance_exceeded`."""
    for allowance in _above(tx, organisation_id, unit_id):
        _open(tx, allowance, month)
        taken = tx.execute(
            "UPDATE allowance_month SET used = used + ? WHERE unit_id = ? AND month = ? AND monthly + carried - used >= ?",
            credits,
            allowance["unit_id"],
            month,
            credits,
        )
        if not taken and credits > 0:
            ask, words = whom_to_ask(tx, organisation_id, SETTINGS_EDIT)
            ref = tree(tx, organisation_id)[allowance["unit_id"]]["ref"]
            text = f"The allowance of {ref} for {month} does not reach. {words}"
            raise Refused("allowance_exceeded", 402, text, facts={"needed": credits, "unit": ref, "month": month, "ask": ask})


def give_back(tx: Transaction, organisation_id: str, unit_id: str | None, credits: int, month: str) -> None:
    """A refund goes back to the month in which the message was accepted."""
    for allowance in _above(tx, organisation_id, unit_id):
        given = tx.execute(
            "UPDATE allowance_month SET used = CASE WHEN used < ? THEN 0 ELSE used - ? END WHERE unit_id = ? AND month = ?",
            credits,
            credits,
            allowance["unit_id"],
            month,
        )
        if given:
            _carry_on(tx, allowance, month)


def _open(tx: Transaction, allowance: Row, month: str) -> None:
    unit_id = allowance["unit_id"]
    if tx.one("SELECT 1 AS yes FROM allowance_month WHERE unit_id = ? AND month = ?", unit_id, month) is not None:
        return
    tx.flush()  # what this transaction has reserved already stands in the ledger
    brought = _brought(tx, allowance, month)
    used = _spent(tx, allowance["organisation_id"], unit_id, month)
    tx.execute(
        "INSERT INTO allowance_month (unit_id, month, monthly, carried, used) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (unit_id, month) DO NOTHING",
        unit_id,
        month,
        allowance["monthly"],
        brought,
        used,
    )


def _brought(view: View, allowance: Row, month: str) -> int:
    before = view.one(
        "SELECT * FROM allowance_month WHERE unit_id = ? AND month < ? ORDER BY month DESC LIMIT 1", allowance["unit_id"], month
    )
    if before is None:
        return 0
    return carried(dict(before), allowance["carry_over"], months_between(before["month"], month), allowance["monthly"])


def _carry_on(tx: Transaction, allowance: Row, month: str) -> None:
    later = tx.all(
        "SELECT month FROM allowance_month WHERE unit_id = ? AND month > ? ORDER BY month", allowance["unit_id"], month
    )
    for row in later:
        tx.execute(
            "UPDATE allowance_month SET carried = ? WHERE unit_id = ? AND month = ?",
            _brought(tx, allowance, row["month"]),
            allowance["unit_id"],
            row["month"],
        )


def _spent(view: View, organisation_id: str, unit_id: str, month: str) -> int:
    """What the ledger has reserved and not refunded for a unit and everything below it in a month."""
    units = [each for each in tree(view, organisation_id) if unit_id in path_of(view, organisation_id, each)]
    marks = ", ".join("?" * len(units))
    return int(
        view.value(
            "SELECT COALESCE(SUM(-amount), 0) AS spent FROM ledger WHERE organisation_id = ? AND month = ?"
            f" AND kind IN ('reserve', 'refund') AND unit_id IN ({marks})",
            organisation_id,
            month,
            *units,
        )
        or 0
    )


def put(
    tx: Transaction, organisation_id: str, unit: Row, monthly: int, carry_over: int, zone: str, actor: str, now: int
) -> dict[str, Any]:
    """Set a unit's allowance; it counts from this month on. Raises Refused `invalid_amount`."""
    for name, value in (("monthly", monthly), ("carry_over", carry_over)):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
            raise Refused("invalid_amount", 422, "An allowance is a whole number from 0 to 1,000,000,000.", field=name)
    before = of_organisation(tx, organisation_id).get(unit["id"])
    tx.execute(
        "INSERT INTO allowance (unit_id, organisation_id, monthly, carry_over, updated_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (unit_id) DO UPDATE SET monthly = excluded.monthly, carry_over = excluded.carry_over,"
        " updated_at = excluded.updated_at",
        unit["id"],
        organisation_id,
        monthly,
        carry_over,
        now,
    )
    month = month_of(now, zone)
    tx.execute("UPDATE allowance_month SET monthly = ? WHERE unit_id = ? AND month = ?", monthly, unit["id"], month)
    tx.memo.clear()
    _open(tx, of_organisation(tx, organisation_id)[unit["id"]], month)
    old = None if before is None else {"monthly": before["monthly"], "carry_over": before["carry_over"]}
    told = {"setting": "allowance", "before": old, "after": {"monthly": monthly, "carry_over": carry_over}}
    tx.audit(now, actor, "config.change", unit["id"], told)
    return standing(tx, organisation_id, unit, zone, now)


def remove(tx: Transaction, organisation_id: str, unit: Row, actor: str, now: int) -> None:
    """Let a unit spend without a limit of its own. Raises Refused `allowance_not_found`."""
    if not tx.execute("DELETE FROM allowance WHERE unit_id = ? AND organisation_id = ?", unit["id"], organisation_id):
        raise Refused("allowance_not_found", 404, "This unit has no allowance.", field="unit")
    tx.execute("DELETE FROM allowance_month WHERE unit_id = ?", unit["id"])
    tx.memo.clear()
    tx.audit(now, actor, "config.change", unit["id"], {"setting": "allowance", "after": None})


def standing(view: View, organisation_id: str, unit: Row, zone: str, now: int) -> dict[str, Any]:
    """A unit's allowance this month. Raises Refused `allowance_not_found`."""
    allowance = of_organisation(view, organisation_id).get(unit["id"])
    if allowance is None:
        raise Refused("allowance_not_found", 404, "This unit has no allowance.", field="unit")
    month = month_of(now, zone)
    row = view.one("SELECT * FROM allowance_month WHERE unit_id = ? AND month = ?", unit["id"], month)
    brought = _brought(view, allowance, month) if row is None else row["carried"]
    used = _spent(view, organisation_id, unit["id"], month) if row is None else row["used"]
    monthly = allowance["monthly"]
    return {
        "unit": unit["ref"],
        "monthly": monthly,
        "carry_over": allowance["carry_over"],
        "month": month,
        "carried": brought,
        "used": used,
        "left": max(0, monthly + brought - used),
    }


def all_standing(view: View, organisation_id: str, zone: str, now: int) -> list[dict[str, Any]]:
    """Every unit's allowance this month."""
    nodes = tree(view, organisation_id)
    return [standing(view, organisation_id, nodes[unit], zone, now) for unit in of_organisation(view, organisation_id)]
