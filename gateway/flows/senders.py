"""Senders: what becomes of messages whose modem is away, and what an administrator sets (S21, design.md §3.6).

Another SIM may take a message only while none of its parts is out or unknown, and only where the country's policy says `switch`.
"""

import json
from collections.abc import Mapping
from typing import Any

from gateway.errors import Refused
from gateway.flows.endings import locked_message, message_row, move
from gateway.flows.escorting import bring
from gateway.flows.facts import country_of, organisation, senders_of
from gateway.flows.onward import queue_or_schedule
from gateway.flows.sender_choice import is_up, note_switch, pick
from gateway.rules.budgets import PERIODS
from gateway.rules.lifecycle import Hold, State
from gateway.store.database import Row, Transaction, View, compact

_MOST = 200
AWAY_MS = 120_000
"""A modem that is back within two minutes has not been away: nothing is moved to another number."""


# --- messages that wait for a modem -----------------------------------------------------------------------------------


def waiting(view: View, now: int) -> list[str]:
    """Messages that may leave now or by another way: held for a modem that is back, or stuck at one that is away."""
    held = view.all(
        "SELECT m.id FROM message m LEFT JOIN sender s ON s.id = m.sender_id WHERE m.state = 'held'"
        " AND m.hold_reason = 'no_modem' AND (m.sender_id IS NULL OR EXISTS"
        " (SELECT 1 FROM modem d WHERE d.iccid = s.iccid AND d.state = 'ready' AND d.parked = 0)) ORDER BY m.id LIMIT ?",
        _MOST,
    )
    found = [row["id"] for row in held]
    switching = view.all("SELECT iso, channel FROM country WHERE sticky_down = 'switch' AND state = 'active'")
    if not switching:
        return found
    for sender in view.all("SELECT * FROM sender WHERE active = 1"):
        seen = view.value("SELECT MAX(seen_at) FROM modem WHERE iccid = ?", sender["iccid"])
        if is_up(view, sender) or (seen is not None and now - seen < AWAY_MS):
            continue
        for country in switching:
            rows = view.all(
                "SELECT id FROM message WHERE sender_id = ? AND country = ? AND channel = ? AND (state = 'queued'"
                " OR (state = 'held' AND hold_reason = 'no_modem')) ORDER BY id LIMIT ?",
                sender["id"],
                country["iso"],
                country["channel"],
                _MOST,
            )
            found += [row["id"] for row in rows]
    return found


def move_on(tx: Transaction, message_id: str, now: int) -> None:
    """Let one of them go: by its own sender when that is back, by another where the policy allows and nothing of it is out."""
    message = locked_message(tx, message_id)
    if message["candidate_id"] is None or message["state"] not in (State.HELD, State.QUEUED):
        return
    if message["state"] == State.HELD and message["hold_reason"] != Hold.NO_MODEM:
        return
    candidate = tx.one("SELECT * FROM candidate WHERE id = ?", message["candidate_id"])
    assert candidate is not None
    country = country_of(tx, message["country"], message["channel"])
    own = None if message["sender_id"] is None else tx.one("SELECT * FROM sender WHERE id = ?", message["sender_id"])
    chosen = own
    if own is None or not is_up(tx, own):
        choice = pick(tx, senders_of(tx, message["organisation_id"]), candidate, country)
        allowed = own is None or (country is not None and country["sticky_down"] == "switch")
        if choice.sender is None or not allowed or _is_out(tx, message_id) or (own is not None and not is_up(tx, choice.sender)):
            return
        chosen = choice.sender
    assert chosen is not None
    if chosen["id"] != message["sender_id"]:
        try:
            with tx.savepoint():
                goes = bring(tx, message, candidate, chosen, now)
        except Refused:
            return  # no credits for it, say: the text waits on
        tx.execute("UPDATE message SET sender_id = ? WHERE id = ?", chosen["id"], message_id)
        note_switch(tx, message_id, message["sender_id"], chosen["id"], "gateway", now)
        if not goes:
            return
        message = message_row(tx, message_id)
    if message["state"] == State.HELD:
        queue_or_schedule(tx, message, now, "gateway", move)
    else:
        tx.wake = True


def _is_out(tx: Transaction, message_id: str) -> bool:
    """Whether a part is out, may be out, or has left."""
    return tx.one("SELECT 1 AS yes FROM part WHERE message_id = ? AND state <> 'ready'", message_id) is not None


# --- what an administrator sets ---------------------------------------------------------------------------------------


def find_sender(view: View, organisation_id: str, sender_id: str) -> Row:
    """A sender by id or number. Raises Refused `sender_not_found`."""
    column = "number" if sender_id.startswith("+") else "id"
    row = view.one(f"SELECT * FROM sender WHERE organisation_id = ? AND {column} = ?", organisation_id, sender_id)
    if row is None:
        raise Refused("sender_not_found", 404, "No sender with this id or number.", field="id")
    return row


def change_sender(
    tx: Transaction,
    organisation_id: str,
    sender_id: str,
    changes: Mapping[str, Any],
    told_by: Mapping[str, Any],
    actor: str,
    now: int,
) -> Row:
    """Set countries, international, active, gap, jitter or budgets of a sender. Raises Refused `sender_not_found`.

    A budget of None goes back to the factory's; those not named stay as they are.
    """
    before = find_sender(tx, organisation_id, sender_id)
    organisation(tx, organisation_id)
    values = dict(changes)
    if "countries" in values:
        values["countries"] = compact(sorted(set(values["countries"])))
    for flag in ("international", "active"):
        if flag in values:
            values[flag] = int(values[flag])
    if "budgets" in values:
        kept = {**json.loads(before["budgets"]), **values["budgets"]}
        values["budgets"] = compact({name: kept[name] for name in PERIODS if kept.get(name) is not None})
    changed = {name: value for name, value in values.items() if before[name] != value}
    if changed:
        sets = ", ".join(f"{name} = ?" for name in changed)
        tx.execute(f"UPDATE sender SET {sets}, updated_at = ? WHERE id = ?", *changed.values(), now, before["id"])
        told = {name: [before[name], value] for name, value in changed.items()}
        tx.audit(now, actor, "sender.update", before["id"], {**told, **told_by})
        if {"gap_ms", "budgets"} & set(changed) and before["iccid"] is not None:
            tx.execute("UPDATE sim_budget SET free_at = 0 WHERE iccid = ?", before["iccid"])
            tx.execute(
                "UPDATE message SET not_before = ? WHERE state = 'held' AND hold_reason = 'sim_budget' AND sender_id = ?",
                now,
                before["id"],
            )
        tx.memo.clear()
        tx.wake = True
    return find_sender(tx, organisation_id, before["id"])
