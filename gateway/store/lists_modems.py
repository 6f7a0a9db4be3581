"""What the pages of one modem show: its signal over time, what happened to it, commands with their answers, test messages."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.store.database import Row, View

LOGGED: Final = "action IN ('modem.state', 'modem.park', 'modem.command')"
"""Word for word what the partial index audit_modem holds."""
_PERSON = "LEFT JOIN app_user u ON u.id = substr({0}.actor, 6) AND {0}.actor LIKE 'user:%'"


@dataclass(frozen=True, slots=True)
class Slot:
    """A stretch of a curve: the middle of what was measured in it, None where nothing was."""

    at: int
    dbm: int | None


@dataclass(frozen=True, slots=True)
class LogLine:
    """One thing that happened to a modem; `who` is a person's name, None for the box itself."""

    serial: int
    at: int
    action: str
    state: str
    reason: str
    verb: str
    who: str | None
    actor: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A command: what was asked, by whom, and what came of it; `is_over` once nothing more will."""

    id: str
    verb: str
    args: Mapping[str, Any]
    state: str
    result: Mapping[str, Any]
    who: str | None
    actor: str
    created_at: int

    @property
    def is_over(self) -> bool:
        """Whether its answer stands."""
        return self.state not in ("waiting", "running")


@dataclass(frozen=True, slots=True)
class Trial:
    """A test message and what became of it."""

    message_id: str
    staff_number_id: str
    number: str
    is_confirmed: bool
    wants_code: bool
    state: str
    error: str | None
    accepted_at: int
    sent_at: int | None
    done_at: int | None


def curve(view: View, modem_id: str, *, until: int, slot_ms: int, slots: int) -> list[Slot]:
    """The signal in stretches of equal length, oldest first, the last one ending with `until`."""
    since = until - slots * slot_ms
    rows = view.all(
        "SELECT (at - ?) / ? AS slot, CAST(AVG(dbm) AS INTEGER) AS dbm FROM signal_sample"
        " WHERE modem_id = ? AND at > ? AND at <= ? AND dbm IS NOT NULL GROUP BY 1 ORDER BY 1",
        since,
        slot_ms,
        modem_id,
        since,
        until,
    )
    found = {int(row["slot"]): int(row["dbm"]) for row in rows}
    return [Slot(since + number * slot_ms, found.get(number)) for number in range(slots)]


def log(view: View, modem_id: str, *, before: int | None = None, limit: int = 50) -> list[LogLine]:
    """What happened to a modem, newest first; one more than `limit` says that there is more."""
    rows = view.all(
        f"SELECT a.serial, a.at, a.action, a.data, a.actor, u.name FROM audit a {_PERSON.format('a')}"
        f" WHERE a.subject = ? AND a.{LOGGED} AND a.serial < ? ORDER BY a.serial DESC LIMIT ?",
        modem_id,
        2**62 if before is None else before,
        limit + 1,
    )
    return [_logged(row) for row in rows]


def _logged(row: Row) -> LogLine:
    data = json.loads(row["data"])
    told = {name: str(data.get(name) or "") for name in ("state", "reason", "verb")}
    return LogLine(
        row["serial"], row["at"], row["action"], told["state"], told["reason"], told["verb"], row["name"], row["actor"]
    )


def commands(view: View, modem: Row, verbs: Sequence[str], now: int, *, limit: int = 30) -> list[Asked]:
    """The newest commands of these verbs, newest first; one that nobody picked up in time has expired."""
    rows = view.all(
        f"SELECT c.*, u.name FROM command c {_PERSON.format('c')} WHERE c.gateway = ? AND c.modem = ?"
        f" AND c.verb IN ({', '.join('?' * len(verbs))}) ORDER BY c.id DESC LIMIT ?",
        modem["gateway"],
        modem["name"],
        *verbs,
        limit,
    )
    return [_asked(row, now) for row in rows]


def _asked(row: Row, now: int) -> Asked:
    late = row["state"] == "waiting" and row["expires_at"] <= now
    try:
        result = json.loads(row["result"] or "{}")
    except ValueError:
        result = {"error": row["result"]}
    return Asked(
        id=row["id"],
        verb=row["verb"],
        args=json.loads(row["args"]),
        state="expired" if late else row["state"],
        result=result if isinstance(result, dict) else {"error": str(result)},
        who=row["name"],
        actor=row["actor"],
        created_at=row["created_at"],
    )


def trials(view: View, modem_id: str, organisation_id: str, *, limit: int = 10) -> list[Trial]:
    """The newest test messages through a modem, newest first; `wants_code` on the newest one of a number not confirmed yet."""
    rows = view.all(
        "SELECT m.id, m.state, m.error, m.accepted_at, m.sent_at, m.done_at, s.id AS staff, s.number, s.confirmed_at, s.code_hash"
        " FROM modem_test t JOIN message m ON m.id = t.message_id JOIN staff_number s ON s.id = t.staff_number_id"
        " WHERE t.modem_id = ? AND m.organisation_id = ? ORDER BY t.created_at DESC, t.message_id DESC LIMIT ?",
        modem_id,
        organisation_id,
        limit,
    )
    found, seen = [], set()
    for row in rows:
        open_code = row["confirmed_at"] is None and row["code_hash"] is not None and row["staff"] not in seen
        seen.add(row["staff"])
        found.append(
            Trial(
                message_id=row["id"],
                staff_number_id=row["staff"],
                number=row["number"],
                is_confirmed=row["confirmed_at"] is not None,
                wants_code=open_code,
                state=row["state"],
                error=row["error"],
                accepted_at=row["accepted_at"],
                sent_at=row["sent_at"],
                done_at=row["done_at"],
            )
        )
    return found


def trial_message(view: View, organisation_id: str, message_id: str | None) -> Row | None:
    """A test message's state and times."""
    return view.one(
        "SELECT id, state, error, accepted_at, sent_at, done_at, address FROM message WHERE id = ? AND organisation_id = ?"
        " AND origin = 'test'",
        message_id or "",
        organisation_id,
    )


def sender_of(view: View, modem: Row, organisation_id: str) -> Row | None:
    """The sender number on a modem's card."""
    sql = "SELECT * FROM sender WHERE iccid = ? AND organisation_id = ?"
    return view.one(sql, modem["iccid"] or "none", organisation_id)


def waiting(view: View, sender: Row | None, *, most: int = 1_000) -> int:
    """How many messages are in the queue for a sender number; counted up to `most`."""
    if sender is None:
        return 0
    sql = "SELECT COUNT(*) AS n FROM (SELECT 1 FROM message WHERE state = 'queued' AND sender_id = ? LIMIT ?) AS some"
    return int(view.value(sql, sender["id"], most) or 0)
