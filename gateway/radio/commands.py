"""Live acts on a modem, asked for by rows in `command`; run between messages, never while a part is on the air."""

import json
import logging
from typing import Any

from gateway.clock import Clock
from gateway.flows import modem_commands
from gateway.radio import self_test
from gateway.store.database import Database, Row, Transaction, compact
from modem.driver import Modem
from modem.errors import ModemError, PortLost

log = logging.getLogger(__name__)


def run_waiting(database: Database, clock: Clock, gateway: str, name: str, modem: Modem) -> bool:
    """Run the oldest waiting command for this modem; True when there was one."""
    now = clock.now_ms()
    with database.read() as view:
        row = view.one(
            "SELECT * FROM command WHERE gateway = ? AND modem = ? AND state = 'waiting' ORDER BY id LIMIT 1", gateway, name
        )
    if row is None:
        return False
    if row["expires_at"] <= now:
        _end(database, row["id"], "expired", {"error": "nobody could run it in time"}, clock.now_ms())
        return True
    if row["verb"] not in ("park", "unpark") and _is_submitting(database, gateway, name):
        # between messages nothing is on the air, but a part of an earlier life may still wait for its report (design.md §4)
        _end(database, row["id"], "failed", {"error": "a message may still be leaving"}, clock.now_ms())
        return True
    if not _begin(database, row["id"]):
        return True
    if row["verb"] in ("park", "unpark"):
        _park(database, gateway, name, row, clock.now_ms())
        return True
    try:
        if row["verb"] == "test":
            result = self_test.run(modem, lambda so_far: _tell(database, row["id"], so_far))
        else:
            result = _VERBS[row["verb"]](modem, json.loads(row["args"]))
    except PortLost as error:
        _end(database, row["id"], "failed", {"error": str(error)}, clock.now_ms())
        raise
    except (ModemError, KeyError, ValueError) as error:
        _end(database, row["id"], "failed", {"error": str(error)}, clock.now_ms())
        return True
    _end(database, row["id"], "done", result, clock.now_ms())
    return True


def _begin(database: Database, command_id: str) -> bool:
    sql = "UPDATE command SET state = 'running' WHERE id = ? AND state = 'waiting'"
    return bool(database.transact(lambda tx: tx.execute(sql, command_id)))


def _end(database: Database, command_id: str, state: str, result: dict[str, Any], now: int) -> None:
    def step(tx: Transaction) -> None:
        tx.execute("UPDATE command SET state = ?, result = ? WHERE id = ?", state, compact(result), command_id)
        tx.audit(now, "gateway", f"command.{state}", command_id)

    database.transact(step)


def _tell(database: Database, command_id: str, so_far: dict[str, Any]) -> None:
    """How far a long command has come, for whoever watches."""
    sql = "UPDATE command SET result = ? WHERE id = ? AND state = 'running'"
    database.transact(lambda tx: tx.execute(sql, compact(so_far), command_id))


def _is_submitting(database: Database, gateway: str, name: str) -> bool:
    with database.read() as view:
        return modem_commands.is_submitting(view, gateway, name)


def _park(database: Database, gateway: str, name: str, row: Row, now: int) -> None:
    """A parked modem sends nothing and still receives."""

    def step(tx: Transaction) -> None:
        parked = int(row["verb"] == "park")
        tx.execute("UPDATE modem SET parked = ? WHERE gateway = ? AND name = ?", parked, gateway, name)
        tx.execute("UPDATE command SET state = 'done', result = ? WHERE id = ?", compact({"parked": bool(parked)}), row["id"])
        tx.audit(now, row["actor"], f"modem.{row['verb']}", row["id"])

    database.transact(step)


def _query(modem: Modem, args: dict[str, Any]) -> dict[str, Any]:
    return {"lines": list(modem.query(str(args["command"])))}


def _ussd(modem: Modem, args: dict[str, Any]) -> dict[str, Any]:
    answer = modem.ussd(str(args["code"]))
    return {"text": answer.text, "status": answer.status}


def _reset(modem: Modem, _args: dict[str, Any]) -> dict[str, Any]:
    """Initialise again; a deeper reset belongs to the recovery ladder."""
    modem.start()
    return {"initialised": True}


_VERBS = {"query": _query, "ussd": _ussd, "reset": _reset}
VERBS = (*_VERBS, "test", "park", "unpark")
