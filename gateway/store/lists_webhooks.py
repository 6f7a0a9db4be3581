"""Webhooks as their pages show them: endpoints with how they are, deliveries newest event first, how far a replay has come.

Lists go along the key (endpoint, event), whose ids are in order of time. What is dead is spelled out for a partial index.
"""

from dataclasses import dataclass
from typing import Final

from gateway.store.database import Row, View

MOST: Final = 1_000
"""So far is counted; beyond it the page says "more than"."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint and what became of what it was sent."""

    row: Row
    waiting: int
    dead: int
    last: Row | None


@dataclass(frozen=True, slots=True)
class Replay:
    """How many dead letters were sent again, and how many of them are still on their way."""

    total: int
    left: int

    @property
    def done(self) -> int:
        """Those that have come to an end."""
        return max(0, self.total - self.left)


def endpoint(view: View, row: Row) -> Endpoint:
    """One endpoint with its figures."""
    return Endpoint(row, _count(view, row["id"], "waiting"), _count(view, row["id"], "dead"), _last(view, row["id"]))


def deliveries(view: View, endpoint_id: str, state: str | None, after: str | None, limit: int) -> list[Row]:
    """Up to `limit + 1` deliveries before the event `after`."""
    where, values = ["d.endpoint_id = ?"], [endpoint_id]
    if state in ("waiting", "delivered", "dead"):
        where.append(f"d.state = '{state}'")  # spelled out: only then a partial index serves
    if after is not None:
        where.append("d.event_id < ?")
        values.append(after)
    return view.all(
        "SELECT d.*, e.type, e.at AS event_at FROM delivery d JOIN event e ON e.id = d.event_id"
        f" WHERE {' AND '.join(where)} ORDER BY d.event_id DESC LIMIT ?",
        *values,
        limit + 1,
    )


def delivery(view: View, endpoint_id: str, event_id: str) -> Row | None:
    """What became of one event at an endpoint."""
    return view.one("SELECT * FROM delivery WHERE endpoint_id = ? AND event_id = ?", endpoint_id, event_id)


def replay(view: View, endpoint_id: str, began_at: int, total: int) -> Replay:
    """How far a replay has come; its deliveries began anew at that time."""
    left = view.value(
        "SELECT COUNT(*) AS n FROM delivery WHERE endpoint_id = ? AND state = 'waiting' AND first_at = ?", endpoint_id, began_at
    )
    return Replay(total, int(left or 0))


def _count(view: View, endpoint_id: str, state: str) -> int:
    found = view.value(
        f"SELECT COUNT(*) AS n FROM (SELECT 1 AS one FROM delivery WHERE endpoint_id = ? AND state = '{state}' LIMIT ?) AS some",
        endpoint_id,
        MOST,
    )
    return int(found or 0)


def _last(view: View, endpoint_id: str) -> Row | None:
    """The newest event's delivery that was tried."""
    return view.one(
        "SELECT state, answer, attempts, done_at FROM delivery WHERE endpoint_id = ? AND attempts > 0"
        " ORDER BY event_id DESC LIMIT 1",
        endpoint_id,
    )
