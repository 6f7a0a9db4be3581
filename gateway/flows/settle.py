"""What became of a part: intent before the PDU is written, outcome after, and what follows for its message.

The intent (`intend`) is committed before the first byte leaves; the outcome of one part and the intent of the next share a
commit. A part in `submitting` without an outcome is the one thing a start has to resolve (design.md §4).
"""

from gateway.flows import followers
from gateway.flows.claim import Station
from gateway.flows.endings import locked_message, move
from gateway.flows.report import match_orphans, roll_up
from gateway.rules.kinds import COMPANIONS
from gateway.rules.lifecycle import State
from gateway.rules.retry import Again, GiveUp
from gateway.store.database import Row, Transaction
from gateway.store.parts import Part


class IntentLost(Exception):
    """The part is not where the caller left it; nothing may be written to the modem."""


def next_reference(tx: Transaction, iccid: str) -> int:
    """The next concatenation reference of a SIM, 0..255, never the same twice in a row (TS 23.040 §9.2.3.24.1)."""
    value = tx.value("UPDATE sim SET next_reference = (next_reference + 1) % 256 WHERE iccid = ? RETURNING next_reference", iccid)
    return int(value or 0)


def intend(
    tx: Transaction,
    part: Part,
    station: Station,
    *,
    reference: int | None,
    baseline: int | None,
    trusted: bool,
    now: int,
) -> None:
    """Write down that this part is about to leave. Raises IntentLost when it is not `ready` any more."""
    changed = tx.execute(
        "UPDATE part SET state = 'submitting', attempt = attempt + 1, gateway = ?, modem = ?, imei = ?, iccid = ?,"
        " submitted_at = ?, reference = ?, smss_baseline = ?, smss_trusted = ?, tp_mr = NULL, error = NULL"
        " WHERE message_id = ? AND number = ? AND state = 'ready'",
        station.gateway,
        station.modem,
        station.imei,
        station.iccid,
        now,
        reference,
        baseline,
        int(trusted),
        part.message_id,
        part.number,
    )
    if not changed:
        raise IntentLost(f"{part.message_id} part {part.number}")


def sent(tx: Transaction, part: Part, tp_mr: int | None, now: int) -> bool:
    """The network took the part. True when that was the last one and the message is `sent`."""
    locked_message(tx, part.message_id)
    changed = tx.execute(
        "UPDATE part SET state = 'sent', tp_mr = ?, sent_at = ?, error = NULL WHERE message_id = ? AND number = ?"
        " AND state IN ('submitting', 'unknown')",
        tp_mr,
        now,
        part.message_id,
        part.number,
    )
    if not changed:
        raise IntentLost(f"{part.message_id} part {part.number}")
    roll_up(tx, part.message_id, now)
    match_orphans(tx, part.message_id, part.number, now)
    left = "SELECT 1 AS yes FROM part WHERE message_id = ? AND state IN ('ready', 'submitting', 'unknown') LIMIT 1"
    return tx.one(left, part.message_id) is None


def returned(tx: Transaction, part: Part, now: int, *, delay_ms: int = 0, reason: str | None = None) -> None:
    """The part never left: it is ready again and its message waits its turn; the attempt does not count."""
    message = locked_message(tx, part.message_id)
    _ready_again(tx, part, counted=False)
    if message["state"] == State.SENDING:
        requeue(tx, message, now, delay_ms=delay_ms, error=reason)


def refused(tx: Transaction, part: Part, verdict: Again | GiveUp, meaning: str, now: int) -> None:
    """The modem or the network refused the part: try again later, or fail the message and refund what never left."""
    message = locked_message(tx, part.message_id)
    if isinstance(verdict, GiveUp):
        changed = tx.execute(
            "UPDATE part SET state = 'failed', error = ? WHERE message_id = ? AND number = ? AND state = 'submitting'",
            meaning,
            part.message_id,
            part.number,
        )
        if not changed:
            raise IntentLost(f"{part.message_id} part {part.number}")
        move(tx, message, State.FAILED, now, "gateway", error=meaning)
        return
    _ready_again(tx, part, counted=verdict.counted)
    requeue(tx, message, now, delay_ms=int(verdict.delay_s * 1000), error=meaning)


def unknown(tx: Transaction, part: Part, reason: str, now: int) -> None:
    """Nobody can say whether the part left: plainly marked, never sent again by itself (design.md §4).

    Does nothing when a report has told the part's fate meanwhile.
    """
    message = locked_message(tx, part.message_id)
    changed = tx.execute(
        "UPDATE part SET state = 'unknown', error = ? WHERE message_id = ? AND number = ? AND state = 'submitting'",
        reason,
        part.message_id,
        part.number,
    )
    if changed and message["state"] == State.SENDING:
        move(tx, message, State.UNKNOWN, now, "gateway", error=reason)


def await_report(tx: Transaction, part: Part, moved_to: int | None, now: int) -> None:
    """The part may have left: a status report with this TP-MR (None: any that fits) would prove it."""
    locked_message(tx, part.message_id)
    tx.execute(
        "UPDATE part SET tp_mr = ?, error = 'awaiting_report' WHERE message_id = ? AND number = ? AND state = 'submitting'",
        moved_to,
        part.message_id,
        part.number,
    )
    match_orphans(tx, part.message_id, part.number, now)


def requeue(tx: Transaction, message: Row, now: int, *, delay_ms: int = 0, error: str | None = None) -> None:
    """Back to the queue, or ended: expired when the delay would outlive it, cancelled where it is a companion of nothing.

    Later ones of the same candidate and lane wait behind it.
    """
    due = now + delay_ms
    if message["kind"] in COMPANIONS and not followers.serves(tx, message):  # what it went before was ended meanwhile
        move(tx, message, State.CANCELLED, now, "gateway", error="no_follower")
        return
    if due >= message["valid_until"]:
        move(tx, message, State.EXPIRED, now, "gateway", error=error or "expired")
        return
    move(tx, message, State.QUEUED, now, "gateway", error=error, due_at=due, gateway=None, modem=None)
    if message["candidate_id"] is not None and delay_ms:
        tx.execute(
            "UPDATE message SET due_at = ? WHERE candidate_id = ? AND lane = ? AND state = 'queued' AND seq > ? AND due_at < ?",
            due,
            message["candidate_id"],
            message["lane"],
            message["seq"],
            due,
        )
    tx.wake = True


def _ready_again(tx: Transaction, part: Part, *, counted: bool) -> None:
    changed = tx.execute(
        "UPDATE part SET state = 'ready', tp_mr = NULL, error = NULL, attempt = attempt - ? WHERE message_id = ? AND number = ?"
        " AND state IN ('submitting', 'unknown')",
        0 if counted else 1,
        part.message_id,
        part.number,
    )
    if not changed:
        raise IntentLost(f"{part.message_id} part {part.number}")
