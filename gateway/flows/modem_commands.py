"""Live acts on a modem, asked for by a person or a key: what may be asked, and its row in the store (design.md §7).

The console asks plain questions only: `…?`, `…=?` and the list of the modem's profile; the driver refuses all else by itself.
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import Refused
from gateway.store import lists_web
from gateway.store.database import Row, Transaction, View
from modem import commands, profiles

FOR_S: Final = 120
"""So long a command waits for its modem; later it is of no use."""
NEED_THE_LINE: Final = ("query", "ussd", "test", "reset")


def give(tx: Transaction, modem: Row, verb: str, args: Mapping[str, Any], actor: str, now: int, for_s: int = FOR_S) -> Row:
    """Write a command for the gateway that owns this modem. Raises Refused `query_refused`, `ussd_refused`, `modem_busy`."""
    if verb == "query":
        _check_query(modem, str(args.get("command", "")))
    if verb == "ussd":
        _check_ussd(str(args.get("code", "")))
    if verb in NEED_THE_LINE and is_submitting(tx, modem["gateway"], modem["name"]):
        text = "A message is leaving through this modem right now. Try again in a moment."
        raise Refused("modem_busy", 409, text, field="command" if verb == "query" else "code" if verb == "ussd" else None)
    row = lists_web.give_command(tx, modem, verb, args, actor, now, now + for_s * 1000)
    if verb == "query":
        tx.audit(now, actor, "modem.query", modem["id"], {"command": row["id"], "asked": str(args["command"]).strip()})
    return row


def _check_query(modem: Row, text: str) -> None:
    if commands.query(text, questions(modem)) is None:
        told = "The console only asks: a command that ends in ? or =?, or one of the list. It changes nothing."
        raise Refused("query_refused", 422, told, field="command")


def _check_ussd(code: str) -> None:
    try:
        commands.ussd(code)
    except ValueError as error:
        changes = commands.changes_something(code)
        if changes:
            told = "This code would change the SIM card or its contract (PIN, forwarding, barring). Dial it in a phone."
        else:
            told = "A USSD code is made of digits, *, # and +, such as *100#."
        facts = {"why": "changes_the_card" if changes else "not_a_code"}
        raise Refused("ussd_refused", 422, told, field="code", facts=facts) from error


def questions(modem: Row) -> frozenset[str]:
    """What may be asked of this modem word for word, besides `?` and `=?`."""
    return profiles.choose(modem["manufacturer"], modem["model"], modem["revision"]).queries


def is_submitting(view: View, gateway: str, name: str) -> bool:
    """Whether a part may be leaving through this modem."""
    sql = "SELECT 1 AS yes FROM part WHERE gateway = ? AND modem = ? AND state = 'submitting' LIMIT 1"
    return view.one(sql, gateway, name) is not None


def is_waiting(view: View, modem: Row, verb: str, now: int) -> bool:
    """Whether such a command waits or runs already."""
    sql = (
        "SELECT 1 AS yes FROM command WHERE gateway = ? AND modem = ? AND state IN ('waiting', 'running') AND verb = ?"
        " AND expires_at > ? LIMIT 1"
    )
    return view.one(sql, modem["gateway"], modem["name"], verb, now) is not None
