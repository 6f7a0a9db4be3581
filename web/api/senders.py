"""Senders: the numbers that write, their countries, pacing and budgets."""

import json
from typing import Annotated, Any

from flask import Response
from pydantic import Field

from gateway.flows import budgets, senders
from gateway.flows.facts import senders_of
from gateway.flows.sender_choice import is_up
from gateway.rules.permissions import SETTINGS_EDIT
from gateway.store.database import Row, Transaction, View
from web.answers import answer
from web.api.acting import By, who
from web.api.countries import Iso
from web.api.resource import Resource
from web.guards import Call
from web.inputs import Input, Query, Ref

numbers = Resource("senders", "Senders")

Limit = Annotated[int | None, Field(ge=0, le=10_000_000, description="null: the factory's limit.")]
Seconds = Annotated[float | int, Field(ge=0, le=3600)]


class ById(Query):
    """A sender by id or number."""

    id: Ref


class Pacing(Input):
    """The least time between two messages, and how much chance adds at most."""

    gap_seconds: Seconds | None = None
    jitter_seconds: Seconds | None = None


class Budgets(Input):
    """Most messages per minute, hour, day and month, and most different recipients in a month."""

    minute: Limit = None
    hour: Limit = None
    day: Limit = None
    month: Limit = None
    recipients: Limit = None


class Changes(By):
    """What is to change; what is left out stays."""

    countries: list[Iso] | None = None
    international: bool | None = None
    active: bool | None = None
    pacing: Pacing | None = None
    budgets: Budgets | None = None


@numbers.ask("/senders", scope="modems:read")
def find(call: Call) -> Response:
    """Every sender with what its card has carried."""
    with call.database.read() as view:
        return answer(200, {"data": [_shown(view, row, call.now) for row in senders_of(view, call.organisation_id)]})


@numbers.ask("/senders/<id>", scope="modems:read")
def show(call: Call, path: ById) -> Response:
    """One sender."""
    with call.database.read() as view:
        return answer(200, _shown(view, senders.find_sender(view, call.organisation_id, path.id), call.now))


@numbers.act("PATCH", "/senders/<id>", scope="modems:write")
def change(call: Call, path: ById, body: Changes) -> Response:
    """Change a sender's countries, pacing or budgets."""
    changes: dict[str, Any] = {
        name: getattr(body, name) for name in ("countries", "international", "active") if getattr(body, name) is not None
    }
    if body.pacing is not None:
        given = {"gap_ms": body.pacing.gap_seconds, "jitter_ms": body.pacing.jitter_seconds}
        changes |= {name: round(seconds * 1000) for name, seconds in given.items() if seconds is not None}
    if body.budgets is not None:
        changes["budgets"] = {name: getattr(body.budgets, name) for name in body.budgets.model_fields_set}

    def act(tx: Transaction) -> dict[str, Any]:
        by = who(tx, call, body.user)
        by.require(tx, SETTINGS_EDIT)
        row = senders.change_sender(tx, call.organisation_id, path.id, changes, by.told, by.actor, call.now)
        return _shown(tx, row, call.now)

    return answer(200, call.database.transact(act))


def _shown(view: View, row: Row, now: int) -> dict[str, Any]:
    return {
        "id": row["id"],
        "number": row["number"],
        "iccid": row["iccid"],
        "countries": json.loads(row["countries"]),
        "international": bool(row["international"]),
        "active": bool(row["active"]),
        "modem_ready": is_up(view, row),
        "pacing": {"gap_seconds": row["gap_ms"] / 1000, "jitter_seconds": _jitter(row) / 1000},
        "budgets": budgets.shown(view, row, now),
    }


def _jitter(row: Row) -> int:
    return int(row["gap_ms"] // 4 if row["jitter_ms"] is None else row["jitter_ms"])
