"""The box's trust in its clock, kept in the store so that web and gateway agree (design.md §4).

While it is untrusted, whatever needs wall time is held with `clock_untrusted`: scheduled messages, quiet hours, expiry. Inbound,
STOP, reports and settling go on. When trust returns, what was held by a wrong clock is looked at again from the start.
"""

from gateway.clock import rfc3339
from gateway.errors import Refused
from gateway.flows.endings import locked_message, move
from gateway.flows.onward import queue_or_schedule
from gateway.flows.timing import is_untrusted
from gateway.rules.clock_trust import Seen, Trust, judge
from gateway.rules.lifecycle import Hold, State
from gateway.store.database import Database, Row, Transaction, View

KEEP_MS = 10_000
"""So often the newest time is stored while all is well."""
_TIMED = (Hold.QUIET_HOURS, Hold.SIM_BUDGET)
_MOST = 500


def newest_stored(view: View, gateway: str) -> int:
    """The newest time this box has believed: the last look, or at the very first look the last audit row."""
    row = view.one("SELECT looked_at FROM clock_trust WHERE gateway = ?", gateway)
    if row is not None:
        return int(row["looked_at"])
    return int(view.value("SELECT at FROM audit ORDER BY serial DESC LIMIT 1") or 0)


def look(database: Database, gateway: str, wall_ms: int, drift_ms: int, source: str, is_cold: bool) -> Trust:
    """Judge the clock once and keep the verdict; what waited for trust goes on when it returns."""
    with database.read() as view:
        before = view.one("SELECT * FROM clock_trust WHERE gateway = ?", gateway)
        seen = Seen(wall_ms, newest_stored(view, gateway), drift_ms, source, is_cold)
    known = None if before is None else Trust(bool(before["trusted"]), before["reason"])
    trust = judge(known, seen)
    stepped = abs(drift_ms) > 30_000
    if trust == known and not stepped and before is not None and (not trust.trusted or _is_recent(before, wall_ms)):
        return trust
    database.transact(lambda tx: _keep(tx, gateway, known, trust, seen, stepped))
    return trust


def _is_recent(before: Row, wall_ms: int) -> bool:
    return 0 <= wall_ms - int(before["looked_at"]) < KEEP_MS


def _keep(tx: Transaction, gateway: str, known: Trust | None, trust: Trust, seen: Seen, stepped: bool) -> None:
    now = seen.wall_ms
    newest = now if trust.trusted else max(seen.newest_stored_ms, 0)
    tx.execute(
        "INSERT INTO clock_trust (gateway, trusted, reason, source, since_at, looked_at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (gateway) DO UPDATE SET trusted = excluded.trusted, reason = excluded.reason, source = excluded.source,"
        " since_at = CASE WHEN clock_trust.trusted = excluded.trusted THEN clock_trust.since_at ELSE excluded.since_at END,"
        " looked_at = excluded.looked_at",
        gateway,
        int(trust.trusted),
        trust.reason,
        seen.source,
        now,
        newest,
    )
    changed = known is not None and known.trusted != trust.trusted
    if stepped or changed or (known is None and not trust.trusted):
        facts = {"step_s": round(seen.drift_ms / 1000), "trusted": trust.trusted, "reason": trust.reason, "source": seen.source}
        tx.audit(now, f"gateway:{gateway}", "clock.step", gateway, facts)
    if trust.trusted and (changed or stepped):
        look_again(tx, now)


def confirm(tx: Transaction, actor: str, now: int) -> int:
    """An administrator says that the time is right. How many gateways had lost trust. Raises Refused `clock_trusted`."""
    found = tx.execute(
        "UPDATE clock_trust SET trusted = 1, reason = '', source = 'person', since_at = ?, confirmed_at = ?, looked_at = ?"
        " WHERE trusted = 0",
        now,
        now,
        now,
    )
    if not found:
        raise Refused("clock_trusted", 409, "The box trusts its clock already.")
    tx.memo.clear()
    tx.audit(now, actor, "clock.step", "clock", {"trusted": True, "source": "person"})
    look_again(tx, now)
    return found


def look_again(tx: Transaction, now: int) -> None:
    """Times that a wrong clock worked out are void: holds by hour or budget are due now, and the claim judges them afresh."""
    marks = ", ".join("?" * len(_TIMED))
    tx.execute(f"UPDATE message SET not_before = ? WHERE state = 'held' AND hold_reason IN ({marks})", now, *_TIMED)
    tx.execute("UPDATE sim_budget SET free_at = 0")
    tx.execute("UPDATE message SET due_at = ? WHERE state = 'queued' AND due_at > ? AND accepted_at > ?", now, now, now)
    tx.wake = True


def waiting_for_trust(view: View) -> list[str]:
    """Messages held only because nobody knew the time."""
    if is_untrusted(view):
        return []
    rows = view.all("SELECT id FROM message WHERE state = 'held' AND hold_reason = 'clock_untrusted' ORDER BY id LIMIT ?", _MOST)
    return [row["id"] for row in rows]


def let_go(tx: Transaction, message_id: str, now: int) -> None:
    """One of them: to its schedule where it has one, else to the queue."""
    message = locked_message(tx, message_id)
    if message["state"] != State.HELD or message["hold_reason"] != Hold.CLOCK_UNTRUSTED:
        return
    queue_or_schedule(tx, message, now, "gateway", move)


def vouched_by_sms(view: View, now: int) -> bool:
    """Whether an SMS centre's time stamp of the last minutes agrees with the clock."""
    row = view.one("SELECT sent_at, received_at FROM received ORDER BY id DESC LIMIT 1")
    if row is None or row["sent_at"] is None or not 0 <= now - row["received_at"] <= 5 * 60_000:
        return False
    return bool(abs(row["received_at"] - row["sent_at"]) <= 5 * 60_000)


def shown(view: View, now: int) -> dict[str, object]:
    """The clock as the box sees it."""
    rows = view.all("SELECT * FROM clock_trust ORDER BY trusted, gateway")
    worst = rows[0] if rows else None
    return {
        "now": rfc3339(now),
        "trusted": worst is None or bool(worst["trusted"]),
        "reason": None if worst is None else worst["reason"] or None,
        "source": None if worst is None else worst["source"] or None,
        "since": None if worst is None else rfc3339(worst["since_at"]),
    }
