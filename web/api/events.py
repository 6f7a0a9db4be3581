"""Events for an ATS that cannot receive webhooks: a long poll over the outbox, in the order of all."""

import json
import threading
from typing import Annotated, Any

from flask import Response, current_app
from pydantic import Field, StringConstraints

from gateway.store import lists_web
from gateway.store.database import Row
from web.answers import answer
from web.api.messages import moment
from web.api.resource import Resource
from web.guards import Call
from web.inputs import Limit, Query

events = Resource("events", "Events")

LOOK_EVERY_S = 0.2
"""How soon a waiting poll sees a new event; a look costs one pragma while nothing has changed."""


class Wanted(Query):
    """From where on, which, and how long to wait for one."""

    after: Annotated[str | None, Field(description="The id of the last event seen; without it, from the first kept.")] = None
    types: Annotated[str | None, StringConstraints(max_length=500), Field(description="Comma-separated event types.")] = None
    limit: Limit = 100
    wait: Annotated[int, Field(ge=0, le=30, description="Seconds to wait when there is nothing yet.")] = 0


class Waiting:
    """Polls that wait hold a thread each: only so many at once, and all end when the server stops."""

    def __init__(self, most: int, stopping: threading.Event) -> None:
        self.stopping = stopping
        self._places = threading.BoundedSemaphore(max(1, most))

    def take(self) -> bool:
        """A place to wait in, if one is free; to be given back."""
        return self._places.acquire(blocking=False)

    def give_back(self) -> None:
        """Give the place back."""
        self._places.release()


@events.ask("/events", scope="events:read")
def follow(call: Call, query: Wanted) -> Response:
    """Events in order, oldest first. Send the id of the last one as `after` to go on; `wait` makes it a long poll."""
    kinds = [kind.strip() for kind in (query.types or "").split(",") if kind.strip()][:32]
    with call.database.read() as view:
        after = 0 if query.after is None else lists_web.position_of(view, call.organisation_id, query.after)
        rows = lists_web.events(view, call.organisation_id, after, kinds, query.limit)
    if not rows and query.wait:
        rows = _wait(call, after, kinds, query)
    return answer(200, {"data": [shown_event(row) for row in rows], "next": rows[-1]["id"] if rows else query.after})


def _wait(call: Call, after: int, kinds: list[str], query: Wanted) -> list[Row]:
    waiting: Waiting = current_app.extensions["ringpost.waiting"]
    if not waiting.take():
        return []  # every place is taken: an empty answer now, and the caller asks again
    try:
        clock = call.services.clock
        until = clock.monotonic() + query.wait
        seen: Any = object()
        while not waiting.stopping.wait(clock.real_seconds(LOOK_EVERY_S)) and clock.monotonic() < until:
            changes = call.database.changes()
            if changes is not None and changes == seen:
                continue
            seen = changes
            with call.database.read() as view:
                rows = lists_web.events(view, call.organisation_id, after, kinds, query.limit)
            if rows:
                return rows
        return []
    finally:
        waiting.give_back()


def shown_event(row: Row) -> dict[str, Any]:
    """An event, shaped as the webhooks send it."""
    return {"id": row["id"], "type": row["type"], "timestamp": moment(row["at"]), "data": json.loads(row["body"])}
