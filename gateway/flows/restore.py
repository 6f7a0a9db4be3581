"""After a restore: nothing is sent until STOPs and erasures since the backup are read again and a person has looked at the queue.

A backup is the past: it knows neither the STOP that came after it nor that a message of its queue has left meanwhile. `mark` is
for whoever restores; the gateway applies the lists kept outside the database (`apply_lists`); a person says what becomes of the
queue (`confirm`). Until then the claim gives out nothing; accepting, receiving and STOP go on.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.clock import rfc3339
from gateway.errors import Refused
from gateway.flows import erase
from gateway.flows.endings import locked_message, move
from gateway.flows.facts import kept
from gateway.flows.stops import suppress_again
from gateway.rules.lifecycle import State
from gateway.store.database import Transaction, View, compact

SETTING = "restore.pending"
CHOICES = ("send", "cancel")


def pending(view: View) -> dict[str, Any] | None:
    """What a restore still waits for; None in ordinary times."""
    row = kept(view, ("setting", SETTING), "SELECT value FROM setting WHERE name = ?", SETTING)
    return None if row is None else dict(json.loads(row["value"]))


def holds(view: View) -> bool:
    """Whether nothing may be sent now, because a restore has not been confirmed."""
    return pending(view) is not None


def mark(tx: Transaction, backup_at: int, actor: str, now: int) -> None:
    """This database has just been restored from a backup of that time: sending is off until it is confirmed."""
    _keep(tx, {"backup_at": backup_at, "restored_at": now, "lists_read_at": None})
    tx.audit(now, actor, "restore", "setting", {"backup_at": backup_at})


def apply_lists(tx: Transaction, stops: Iterable[Mapping[str, Any]], erasures: Iterable[Mapping[str, Any]], now: int) -> None:
    """Do again what was said since the backup: the last word per number and channel counts."""
    told = pending(tx)
    if told is None:
        return
    last: dict[tuple[str, str], Mapping[str, Any]] = {}
    for line in stops:
        last[(str(line["number"]), str(line["channel"]))] = line
    added = sum(
        suppress_again(tx, number, channel, int(line["at"]), now)
        for (number, channel), line in last.items()
        if line["act"] == "stop"
    )
    tx.flush()
    erased = sum(erase.again(tx, line, now) for line in erasures)
    _keep(tx, {**told, "lists_read_at": now, "stops": added, "erased": erased})
    tx.audit(now, "gateway", "restore.lists", "setting", {"stops": added, "erased": erased})


def queue(view: View) -> list[str]:
    """Messages that were accepted before the backup and wait: some of them may have left since."""
    told = pending(view)
    if told is None:
        return []
    rows = view.all(
        "SELECT id FROM message WHERE state IN ('held', 'queued') AND accepted_at <= ? ORDER BY accepted_at, id",
        told["backup_at"],
    )
    return [row["id"] for row in rows]


def confirm(tx: Transaction, choice: str, actor: str, now: int) -> int:
    """Let the box send again; the queue of the backup is sent or cancelled. How many messages that was.

    Raises Refused `no_restore`, `unknown_choice`, `lists_not_read`.
    """
    told = pending(tx)
    if told is None:
        raise Refused("no_restore", 409, "No restore waits for a confirmation.")
    if choice not in CHOICES:
        raise Refused("unknown_choice", 422, f"queue must be one of {', '.join(CHOICES)}.", field="queue")
    if told["lists_read_at"] is None:
        raise Refused("lists_not_read", 409, "The gateway has not read the STOPs since the backup yet: start it, then confirm.")
    waiting = queue(tx)
    if choice == "cancel":
        for message_id in waiting:
            message = locked_message(tx, message_id)
            if message["state"] in (State.HELD, State.QUEUED):
                move(tx, message, State.CANCELLED, now, actor, error="restored")
    tx.execute("DELETE FROM setting WHERE name = ?", SETTING)
    tx.memo.clear()
    tx.audit(now, actor, "restore.confirm", "setting", {"queue": choice, "messages": len(waiting)})
    tx.wake = True
    return len(waiting)


def shown(view: View) -> dict[str, Any]:
    """How far a restore is, for people."""
    told = pending(view)
    if told is None:
        return {"state": "none"}
    times = {name: rfc3339(told[name]) if told.get(name) else None for name in ("backup_at", "restored_at", "lists_read_at")}
    state = "lists_not_read" if told["lists_read_at"] is None else "confirm_queue"
    return {"state": state, **times, "stops": told.get("stops"), "erased": told.get("erased"), "queue": queue(view)}


def _keep(tx: Transaction, value: Mapping[str, Any]) -> None:
    tx.execute(
        "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        SETTING,
        compact(dict(value)),
    )
    tx.memo.clear()
