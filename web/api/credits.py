"""Credits of the key's own organisation: balance, ledger, grants."""

from typing import Annotated

from flask import Response, g
from pydantic import Field

from gateway.flows.credits import balance, describe, grant
from gateway.store import lists_web
from gateway.store.database import Transaction
from web.answers import answer
from web.api.resource import Resource
from web.guards import Call
from web.idempotency import Done, once
from web.inputs import Input, Limit, Line, Query, Ref

credits = Resource("credits", "Credits")


class ByOrganisation(Query):
    """An organisation by id or ref, or `self`: the one the key belongs to."""

    id: Ref


class Entries(Query):
    """A page of the ledger, newest first; `after` is the id of the last entry of the page before."""

    after: Annotated[int | None, Field(ge=1, le=2**62)] = None
    limit: Limit = 50


class Grant(Input):
    """Credits to add, once per reference."""

    amount: Annotated[int, Field(ge=1, le=1_000_000_000)]
    reference: Ref
    reason: Line = ""


@credits.ask("/organisations/<id>/credits", scope="credits:read")
def show(call: Call, path: ByOrganisation) -> Response:
    """Credits that may be spent, and those set aside for messages on their way."""
    with call.database.read() as view:
        row = lists_web.own_organisation(view, call.organisation_id, path.id)
        now = balance(view, row["id"])
    return answer(200, {"organisation": row["ref"], "available": now.available, "reserved": now.reserved})


@credits.ask("/organisations/<id>/ledger", scope="credits:read")
def entries(call: Call, path: ByOrganisation, query: Entries) -> Response:
    """What moved the balance."""
    with call.database.read() as view:
        row = lists_web.own_organisation(view, call.organisation_id, path.id)
        rows = lists_web.ledger(view, row["id"], query.after, query.limit)
    page = [describe(entry) for entry in rows[: query.limit]]
    return answer(200, {"data": page, "next": page[-1]["id"] if len(rows) > query.limit else None})


@credits.act("POST", "/organisations/<id>/grants", scope="credits:write")
def add(call: Call, path: ByOrganisation, body: Grant) -> Response:
    """Grant credits. The same reference again is refused (409): an order is booked once."""

    def act(tx: Transaction) -> Done:
        row = lists_web.own_organisation(tx, call.organisation_id, path.id)
        now = grant(tx, row["id"], body.amount, body.reference, body.reason, call.actor, call.now)
        told = {"granted": body.amount, "reference": body.reference, "available": now.available, "reserved": now.reserved}
        return Done(201, {"organisation": row["ref"], **told})

    return once(call, g.body, act)
