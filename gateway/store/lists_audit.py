"""The audit as a list, newest first, by position."""

import json
from typing import Any

from gateway.store.database import View

_COMMON = ("message.accept", "message.send", "message.status")
"""What every message writes: found soon without an index, which would cost every message a page."""


def entries(view: View, subject: str | None, action: str | None, after: int | None, limit: int) -> list[dict[str, Any]]:
    """Up to `limit + 1` sealed rows before position `after`."""
    where, values = ["position IS NOT NULL", "position < ?"], [2**63 - 1 if after is None else after]
    for column, value in (("subject", subject), ("action", action)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)  # type: ignore[arg-type]
    if action is not None and action not in _COMMON:
        where.append(f"action NOT IN ({', '.join(repr(each) for each in _COMMON)})")  # the index of rare ones serves then
    rows = view.all(
        f"SELECT position, at, actor, action, subject, data, hash FROM audit WHERE {' AND '.join(where)}"
        " ORDER BY position DESC LIMIT ?",
        *values,
        limit + 1,
    )
    return [{**dict(row), "data": json.loads(row["data"])} for row in rows]
