"""Which sender a message gets (S21, design.md §3.6), and what its country says about texts.

Sticky sender of the thread → local number → designated international → refuse or hold, by the country's policy.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.rules.routing import choose
from gateway.store.database import Row, Transaction, View


@dataclass(frozen=True, slots=True)
class Choice:
    """The sender, None where none may write there; whether its modem is away; and the sticky one it stands in for."""

    sender: Row | None
    is_down: bool = False
    instead_of: str | None = None


def pick(view: View, senders: list[Row], candidate: Row, country: Row | None) -> Choice:
    """The sender for a candidate. With one sender only there is nothing to choose, and a modem that is away is waited for."""
    iso = candidate["country"] or ""
    if country is not None and country["international"] == "deny":
        senders = [sender for sender in senders if iso in json.loads(sender["countries"])]
    if len(senders) < 2:
        return Choice(choose(senders, iso, candidate["id"], None))
    sticky = _sticky(view, candidate["id"])
    chosen = choose(senders, iso, candidate["id"], sticky)
    if chosen is None or is_up(view, chosen):
        return Choice(chosen)
    may_switch = country is not None and country["sticky_down"] == "switch"
    if may_switch or chosen["id"] != sticky:
        standing = choose([sender for sender in senders if is_up(view, sender)], iso, candidate["id"], None)
        if standing is not None:
            return Choice(standing, instead_of=chosen["id"] if chosen["id"] == sticky else None)
    return Choice(chosen, is_down=True)


def is_up(view: View, sender: Mapping[str, Any]) -> bool:
    """Whether a modem with the sender's card is ready to send."""
    if sender["iccid"] is None:
        return False
    sql = "SELECT 1 AS yes FROM modem WHERE iccid = ? AND state = 'ready' AND parked = 0"
    return view.one(sql, sender["iccid"]) is not None


def _sticky(view: View, candidate_id: str) -> str | None:
    value: str | None = view.value(
        "SELECT sender_id FROM message WHERE candidate_id = ? AND sender_id IS NOT NULL ORDER BY seq DESC LIMIT 1", candidate_id
    )
    return value


def note_switch(tx: Transaction, message_id: str, before: str | None, after: str, actor: str, now: int) -> None:
    """Another number writes to a candidate than before: the audit says so."""
    tx.audit(now, actor, "message.override", message_id, {"sender_from": before, "sender_to": after})
