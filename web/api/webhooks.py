"""Webhooks: endpoints, what was delivered to them, dead letters sent again, a test."""

import json
from typing import Annotated, Any, Literal

from flask import Response, g
from pydantic import Field

from gateway.flows import endpoints as flows
from gateway.flows.endpoints import EVENT_TYPES
from gateway.rules.permissions import WEBHOOKS_EDIT
from gateway.store import lists_web
from gateway.store.database import Row, Transaction
from web.answers import answer, nothing
from web.api.acting import As, By, allowed
from web.api.messages import moment
from web.api.resource import Resource, listed
from web.guards import Call
from web.idempotency import Done, once
from web.inputs import Moment, Page, Query, Ref

webhooks = Resource("webhooks", "Webhooks")

Events = Annotated[
    list[Annotated[str, Field(json_schema_extra={"enum": ["*", *EVENT_TYPES]})]], Field(min_length=1, max_length=32)
]
Url = Annotated[str, Field(max_length=2048, description="http:// or https://")]


class NewEndpoint(By):
    """Where to send events, and which. Without `secret` one is made."""

    url: Url
    events: Events = Field(default_factory=lambda: ["*"])
    secret: Annotated[str | None, Field(max_length=200, description="`whsec_` and base64 of 24 to 64 bytes.")] = None


class Change(By):
    """What to change; a field left out stays as it is."""

    url: Url | None = None
    events: Events | None = None
    active: bool | None = None


class Rotation(By):
    """A new secret. The old one signs beside it for 24 hours, unless `overlap` is false."""

    secret: Annotated[str | None, Field(max_length=200)] = None
    overlap: bool = True


class Again(By):
    """Which dead letters to send again: those named, those of a time, or, with neither, all."""

    deliveries: Annotated[list[Ref] | None, Field(max_length=1_000)] = None
    since: Moment | None = None
    until: Moment | None = None


class ById(Query):
    """The id of an endpoint."""

    id: Ref


class Wanted(Page):
    """Which deliveries."""

    state: Literal["waiting", "delivered", "dead"] | None = None


@webhooks.ask("/webhooks", scope="webhooks:read")
def find(call: Call) -> Response:
    """Every endpoint."""
    with call.database.read() as view:
        rows = lists_web.endpoints(view, call.organisation_id)
    return answer(200, {"data": [shown_endpoint(row) for row in rows]})


@webhooks.act("POST", "/webhooks", scope="webhooks:write")
def create(call: Call, body: NewEndpoint) -> Response:
    """Add an endpoint. Its `secret` is shown in this answer only."""

    def act(tx: Transaction) -> Done:
        row, secret = flows.create_endpoint(
            tx,
            call.organisation_id,
            body.url,
            body.events,
            allowed(tx, call, body.user, WEBHOOKS_EDIT),
            call.now,
            seal_key=call.secrets.seal,
            secret=body.secret,
        )
        return Done(201, {**shown_endpoint(row), "secret": secret}, secret=True)

    return once(call, g.body, act)


@webhooks.ask("/webhooks/<id>", scope="webhooks:read")
def show(call: Call, path: ById) -> Response:
    """One endpoint."""
    with call.database.read() as view:
        return answer(200, shown_endpoint(flows.get_endpoint(view, call.organisation_id, path.id)))


@webhooks.act("PATCH", "/webhooks/<id>", scope="webhooks:write")
def change(call: Call, path: ById, body: Change) -> Response:
    """Change an endpoint, or switch it off or on."""

    def act(tx: Transaction) -> dict[str, Any]:
        actor = allowed(tx, call, body.user, WEBHOOKS_EDIT)
        row = flows.update_endpoint(
            tx, call.organisation_id, path.id, actor, call.now, url=body.url, events=body.events, active=body.active
        )
        return shown_endpoint(row)

    return answer(200, call.database.transact(act))


@webhooks.act("DELETE", "/webhooks/<id>", scope="webhooks:write")
def remove(call: Call, path: ById, query: As) -> Response:
    """Remove an endpoint with all that waits for it."""

    def act(tx: Transaction) -> None:
        flows.delete_endpoint(tx, call.organisation_id, path.id, allowed(tx, call, query.user, WEBHOOKS_EDIT), call.now)

    call.database.transact(act)
    return nothing()


@webhooks.act("POST", "/webhooks/<id>/secret", scope="webhooks:write")
def rotate(call: Call, path: ById, body: Rotation) -> Response:
    """Give an endpoint a new secret, shown in this answer only."""

    def act(tx: Transaction) -> Done:
        secret = flows.rotate_secret(
            tx,
            call.organisation_id,
            path.id,
            allowed(tx, call, body.user, WEBHOOKS_EDIT),
            call.now,
            seal_key=call.secrets.seal,
            secret=body.secret,
            overlap_ms=flows.OVERLAP_MS if body.overlap else 0,
        )
        return Done(200, {"id": path.id, "secret": secret}, secret=True)

    return once(call, g.body, act)


@webhooks.act("POST", "/webhooks/<id>/test", scope="webhooks:write")
def test(call: Call, path: ById, body: By) -> Response:
    """Send a `webhook.test` event to this endpoint; its delivery then shows what became of it."""

    def act(tx: Transaction) -> Done:
        actor = allowed(tx, call, body.user, WEBHOOKS_EDIT)
        return Done(202, {"event_id": flows.send_test(tx, call.organisation_id, path.id, actor, call.now)})

    return once(call, g.body, act)


@webhooks.ask("/webhooks/<id>/deliveries", scope="webhooks:read")
def delivered(call: Call, path: ById, query: Wanted) -> Response:
    """An endpoint's deliveries, newest first; `state=dead` are those given up after 72 hours."""
    with call.database.read() as view:
        flows.get_endpoint(view, call.organisation_id, path.id)
        rows = lists_web.deliveries(view, path.id, query.state, query.after, query.limit)
    return listed([shown_delivery(row) for row in rows], query.limit)


@webhooks.act("POST", "/webhooks/<id>/replay", scope="webhooks:write")
def again(call: Call, path: ById, body: Again) -> Response:
    """Send dead letters again, under their old event ids."""

    def act(tx: Transaction) -> Done:
        count = flows.replay(
            tx,
            call.organisation_id,
            path.id,
            allowed(tx, call, body.user, WEBHOOKS_EDIT),
            call.now,
            delivery_ids=body.deliveries,
            since=body.since,
            until=body.until,
        )
        return Done(202, {"replayed": count})

    return once(call, g.body, act)


def shown_endpoint(row: Row) -> dict[str, Any]:
    """An endpoint as the API shows it; never its secret."""
    return {
        "id": row["id"],
        "url": row["url"],
        "events": json.loads(row["events"]),
        "active": bool(row["active"]),
        "failing_since": moment(row["failing_since"]),
        "paused_until": moment(row["paused_until"]),
        "old_secret_until": moment(row["old_secret_until"]),
        "created_at": moment(row["created_at"]),
    }


def shown_delivery(row: Row) -> dict[str, Any]:
    """A delivery as the API shows it."""
    return {
        "id": row["id"],
        "event_id": row["event_id"],
        "type": row["type"],
        "event_at": moment(row["event_at"]),
        "state": row["state"],
        "attempts": row["attempts"],
        "next_at": moment(row["next_at"]) if row["state"] == "waiting" else None,
        "done_at": moment(row["done_at"]),
        "answer": row["answer"],
    }
