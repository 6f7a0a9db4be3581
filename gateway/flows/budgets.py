"""Counting what each SIM card carries, and holding what would break its budgets (requirements §3.5).

One row per card; counted when a message is claimed, in that transaction, so that what may have left is always counted.
"""

from collections.abc import Mapping
from typing import Any

from gateway.flows.facts import organisation
from gateway.rules import budgets
from gateway.rules.budgets import Full, Tally
from gateway.store.database import Row, Transaction, View

_COLUMNS = ("minute", "hour", "day", "month")


def tally(view: View, sender: Row, now: int) -> Tally:
    """What the sender's card has carried in the periods that run now."""
    row = None
    if sender["iccid"] is not None:
        row = view.one("SELECT * FROM sim_budget WHERE iccid = ?", sender["iccid"])
    return budgets.current(row, now, _zone(view, sender))


def full(view: View, sender: Row, recipient: str, parts: int, now: int) -> Full | None:
    """The budget that a message would break now; None when it fits."""
    limits = budgets.limits_of(sender)
    if not limits or sender["iccid"] is None:
        return None
    now_used = tally(view, sender, now)
    is_new = "recipients" in limits and not _is_known(view, sender["iccid"], now_used.month_from, recipient)
    return budgets.full(limits, now_used, parts, is_new, _zone(view, sender))


def count(tx: Transaction, sender: Row, recipient: str | None, parts: int, now: int) -> None:
    """A message is about to leave: count it, and tell when 80 % or all of a budget is used."""
    iccid = sender["iccid"]
    if iccid is None:
        return
    limits = budgets.limits_of(sender)
    before = tally(tx, sender, now)
    used = {name: before.used[name] + parts for name in _COLUMNS}
    new = 0
    if recipient is not None:  # a number itself is never kept here
        sql = "INSERT INTO sim_recipient (iccid, month_from, recipient) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        new = tx.execute(sql, iccid, before.month_from, recipient)
    used["recipients"] = before.used["recipients"] + new
    free_at = before.minute_from + budgets.MINUTE_MS if used["minute"] >= limits.get("minute", used["minute"] + 1) else 0
    values = [value for name in _COLUMNS for value in (before.starts()[name], used[name])] + [used["recipients"], free_at]
    columns = [column for name in _COLUMNS for column in (f"{name}_from", f"{name}_used")] + ["recipients_used", "free_at"]
    tx.execute(
        f"INSERT INTO sim_budget (iccid, {', '.join(columns)}) VALUES (?{', ?' * len(columns)})"
        " ON CONFLICT (iccid) DO UPDATE SET " + ", ".join(f"{column} = excluded.{column}" for column in columns),
        iccid,
        *values,
    )
    for period, percent in budgets.crossed(limits, before, used):
        data = {"sender_id": sender["id"], "period": period, "percent": percent, "used": used[period], "limit": limits[period]}
        tx.audit(now, "gateway", "sender.budget", sender["id"], data)
        tx.event(now, sender["organisation_id"], "sender.budget", sender["id"], data)


def free_at(view: View, sender_ids: tuple[str, ...]) -> int:
    """From when on the minute of these senders' card has room again; 0 where it has."""
    found = 0
    for sender_id in sender_ids:
        value = view.value("SELECT b.free_at FROM sender s JOIN sim_budget b ON b.iccid = s.iccid WHERE s.id = ?", sender_id)
        found = max(found, value or 0)
    return found


def shown(view: View, sender: Row, now: int) -> dict[str, dict[str, Any]]:
    """Every budget with what is used of it, for people; `limit` is null where there is none."""
    limits, used = budgets.limits_of(sender), tally(view, sender, now).used
    return {
        name: {"used": used[name], "limit": limits.get(name), "state": _state(used[name], limits.get(name))}
        for name in budgets.PERIODS
    }


def _state(used: int, limit: int | None) -> str:
    if limit is None:
        return "unlimited"
    return "full" if used >= limit else "warning" if used >= limit * budgets.WARN_AT else "ok"


def _is_known(view: View, iccid: str, month_from: int, recipient: str) -> bool:
    return (
        view.one(
            "SELECT 1 AS yes FROM sim_recipient WHERE iccid = ? AND month_from = ? AND recipient = ?",
            iccid,
            month_from,
            recipient,
        )
        is not None
    )


def _zone(view: View, sender: Mapping[str, Any]) -> str:
    return str(organisation(view, sender["organisation_id"])["zone"])
