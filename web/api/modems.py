"""Modems: what they report, and commands given to them as rows that their gateway picks up."""

import json
from typing import Annotated, Any, Literal

from flask import Response, g
from pydantic import Field

from gateway.flows import modem_commands
from gateway.rules.permissions import MODEMS_OPERATE
from gateway.store import lists_web
from gateway.store.database import Row, Transaction
from web.answers import answer
from web.api.acting import By, allowed
from web.api.messages import moment
from web.api.resource import Resource
from web.guards import Call
from web.idempotency import Done, once
from web.inputs import Query, Ref

modems = Resource("modems", "Modems")

STALE_MS = 45_000
"""Older than this, what is shown is history: the gateway writes every 10 s."""
DAY_MS = 86_400_000


class ById(Query):
    """The id of a modem."""

    id: Ref


class OneCommand(Query):
    """A modem and a command given to it."""

    id: Ref
    command_id: Ref


class Command(By):
    """Something to do with a modem, now or not at all."""

    verb: Literal["ussd", "test", "park", "unpark", "reset", "query"]
    args: dict[Annotated[str, Field(max_length=40)], str | int | bool] = Field(default_factory=dict)
    expires_in_s: Annotated[int, Field(ge=1, le=3600)] = 120


@modems.ask("/modems", scope="modems:read")
def find(call: Call) -> Response:
    """Every modem, with its SIM, signal and sender number; `stale` where its gateway has gone quiet."""
    with call.database.read() as view:
        rows = lists_web.modems(view)
    return answer(200, {"data": [shown_modem(row, call.now) for row in rows]})


@modems.ask("/modems/<id>", scope="modems:read")
def show(call: Call, path: ById) -> Response:
    """One modem, with its signal over the last 24 hours."""
    with call.database.read() as view:
        row = lists_web.modem(view, path.id)
        samples = lists_web.signal(view, path.id, call.now - DAY_MS)
    history = [{"at": moment(sample["at"]), "dbm": sample["dbm"]} for sample in samples]
    return answer(200, {**shown_modem(row, call.now), "signal": history})


@modems.act("POST", "/modems/<id>/commands", scope="modems:write")
def give(call: Call, path: ById, body: Command) -> Response:
    """Give a modem a command. 202 with an id: ask for it until its state is `done`, `failed` or `expired`.

    `query` takes questions only (`command`), `ussd` a `code` that asks; others are refused with 422, and 409 while a part leaves.
    """

    def act(tx: Transaction) -> Done:
        actor = allowed(tx, call, body.user, MODEMS_OPERATE)
        row = lists_web.modem(tx, path.id)
        given = modem_commands.give(tx, row, body.verb, body.args, actor, call.now, body.expires_in_s)
        return Done(202, shown_command(given, path.id, call.now))

    return once(call, g.body, act)


@modems.ask("/modems/<id>/commands/<command_id>", scope="modems:read")
def ask_again(call: Call, path: OneCommand) -> Response:
    """What became of a command."""
    with call.database.read() as view:
        row = lists_web.command(view, lists_web.modem(view, path.id), path.command_id)
    return answer(200, shown_command(row, path.id, call.now))


def shown_modem(row: Row, now: int) -> dict[str, Any]:
    """A modem as the API shows it."""
    beat = row["heartbeat_at"]
    return {
        "id": row["id"],
        "gateway": row["gateway"],
        "name": row["name"],
        "state": row["state"],
        "reason": row["reason"] or None,
        "parked": bool(row["parked"]),
        "stale": beat is None or now - beat > STALE_MS,
        "seen_at": moment(row["seen_at"]),
        "sent_at": moment(row["sent_at"]),
        "port": row["port"],
        "manufacturer": row["manufacturer"],
        "model": row["model"],
        "revision": row["revision"],
        "imei": row["imei"],
        "sim": {"iccid": row["iccid"], "imsi": row["imsi"], "smsc": row["smsc"]} if row["iccid"] else None,
        "sender": row["sender"],
        "countries": json.loads(row["sender_countries"]) if row["sender_countries"] else [],
        "operator": row["operator"],
        "registration": row["registration"],
        "technology": row["technology"],
        "signal_dbm": row["signal_dbm"],
        "storage": {"used": row["storage_used"], "total": row["storage_total"]},
    }


def shown_command(row: Row, modem_id: str, now: int) -> dict[str, Any]:
    """A command as the API shows it; one that nobody picked up in time has expired, whoever notes it."""
    late = row["state"] == "waiting" and row["expires_at"] <= now
    return {
        "id": row["id"],
        "modem": modem_id,
        "verb": row["verb"],
        "args": json.loads(row["args"]),
        "state": "expired" if late else row["state"],
        "result": _result(row["result"]),
        "created_at": moment(row["created_at"]),
        "expires_at": moment(row["expires_at"]),
    }


def _result(text: str | None) -> Any:
    """The gateway's result: JSON where it is, else the text."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
