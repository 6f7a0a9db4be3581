"""Status reports: which part they speak of, and what they make of its message (design.md §3.9, §4 evidence b).

Reports match on (SIM, TP-MR, recipient's last 8 digits), the newest unmatched part inside its validity. They survive the wrap of
TP-MR, come before the +CMGS answer, in duplicate or never; those that match nothing stay as orphans and are tried again.
"""

from datetime import datetime

from gateway.flows.endings import locked_message, message_row, move
from gateway.rules.lifecycle import State
from gateway.rules.numbers import tail
from gateway.store.database import Row, Transaction
from modem.pdu import Outcome, StatusReport, outcome_of

_EARLY_MS = 120_000
"""A service centre's clock may be this much behind ours."""
_LATE_MS = 48 * 3_600_000
"""How long after a message's validity a report may still come."""

_PART_STATE = {
    Outcome.DELIVERED: "delivered",
    Outcome.PERMANENT: "undelivered",
    Outcome.TEMPORARY: "undelivered",
    Outcome.EXPIRED: "undelivered",
}


def apply_report(tx: Transaction, iccid: str, report: StatusReport, now: int, *, heard_at: int | None = None) -> bool:
    """Apply a report to the part it speaks of. False when no part fits (yet): the caller keeps it as an orphan.

    `heard_at` is when it came in, where that was not now.
    """
    found = _find(tx, iccid, report, now, now if heard_at is None else heard_at)
    return found is not None and _record(tx, found, report, now)


def match_orphans(tx: Transaction, message_id: str, number: int, now: int) -> None:
    """A part's TP-MR has just become known, or its fate has become open: its report may have come before."""
    part = tx.one("SELECT iccid, address_tail FROM part WHERE message_id = ? AND number = ?", message_id, number)
    assert part is not None
    orphans = tx.all(
        "SELECT id, hex, received_at FROM inbound_pdu WHERE state = 'orphan' AND iccid = ? AND address_tail = ? ORDER BY id",
        part["iccid"],
        part["address_tail"],
    )
    for orphan in orphans:
        report = decode_stored(orphan["hex"])
        assert isinstance(report, StatusReport)
        if apply_report(tx, part["iccid"], report, now, heard_at=orphan["received_at"]):
            tx.execute("UPDATE inbound_pdu SET state = 'done' WHERE id = ?", orphan["id"])


def decode_stored(pdu_hex: str) -> object:
    """A stored PDU, SMSC prefix included, as Deliver or StatusReport. Raises PduError."""
    from modem.pdu import decode, split_smsc

    _, tpdu = split_smsc(bytes.fromhex(pdu_hex))
    return decode(tpdu, from_network=True)


def milliseconds(moment: datetime | None) -> int | None:
    """An aware datetime as ms since the epoch."""
    return None if moment is None else int(moment.timestamp() * 1000)


def _find(tx: Transaction, iccid: str, report: StatusReport, now: int, heard_at: int) -> Row | None:
    """The part a report speaks of: by TP-MR first, then a part whose fate is open and that nothing else claims.

    A clock of ours that is ahead makes every report look too old. Then TP-MR and number decide alone, for parts that the
    network has surely taken, unless the report may be a second copy of one that an earlier part has had.
    """
    address_tail = tail(report.recipient.number)
    scts = milliseconds(report.sent_at)
    rows = tx.all(
        "SELECT p.*, m.valid_until FROM part p JOIN message m ON m.id = p.message_id WHERE p.iccid = ? AND p.tp_mr = ?"
        " AND p.address_tail = ? AND p.reported_at IS NULL AND p.state IN ('sent', 'submitting', 'unknown')"
        " ORDER BY p.submitted_at DESC",
        iccid,
        report.tp_mr,
        address_tail,
    )
    for row in rows:
        if _in_time(row, scts, now):
            return row
    for row in rows[:1]:
        is_sent = row["state"] == "sent" and heard_at >= row["submitted_at"]
        if is_sent and _in_time(row, None, now) and not _already_told(tx, row, report):
            return row
    rows = tx.all(
        "SELECT p.*, m.valid_until FROM part p JOIN message m ON m.id = p.message_id WHERE p.iccid = ? AND p.tp_mr IS NULL"
        " AND p.address_tail = ? AND p.reported_at IS NULL AND p.state IN ('submitting', 'unknown')",
        iccid,
        address_tail,
    )
    open_rows = [
        row for row in rows if row["error"] is not None and _in_time(row, scts, now) and not _already_told(tx, row, report)
    ]
    return open_rows[0] if len(open_rows) == 1 else None


def _in_time(row: Row, scts: int | None, now: int) -> bool:
    if now > row["valid_until"] + _LATE_MS:
        return False
    return scts is None or row["submitted_at"] is None or scts >= row["submitted_at"] - _EARLY_MS


def _already_told(tx: Transaction, row: Row, report: StatusReport) -> bool:
    """Whether this report is a second copy of one that another part has already had."""
    told = tx.one(
        "SELECT 1 AS yes FROM part WHERE iccid = ? AND tp_mr = ? AND address_tail = ? AND reported_at IS NOT NULL"
        " AND submitted_at > ? LIMIT 1",
        row["iccid"],
        report.tp_mr,
        row["address_tail"],
        (row["submitted_at"] or 0) - _LATE_MS,
    )
    return told is not None


def _record(tx: Transaction, row: Row, report: StatusReport, now: int) -> bool:
    locked_message(tx, row["message_id"])
    outcome = outcome_of(report.status)
    state = _PART_STATE.get(outcome, "sent")
    final = outcome is not Outcome.PENDING
    changed = tx.execute(
        "UPDATE part SET state = ?, tp_mr = ?, report_status = ?, reported_at = ?, sent_at = COALESCE(sent_at, ?), error = NULL"
        " WHERE message_id = ? AND number = ? AND reported_at IS NULL AND state IN ('sent', 'submitting', 'unknown')",
        state,
        report.tp_mr,
        report.status,
        now if final else None,
        now,
        row["message_id"],
        row["number"],
    )
    if changed:
        roll_up(tx, row["message_id"], now)
    return bool(changed)


def roll_up(tx: Transaction, message_id: str, now: int) -> None:
    """One state from all parts: delivered when every part is, undelivered as soon as one cannot be; an open message waits."""
    message = message_row(tx, message_id)
    parts = tx.all("SELECT state, report_status FROM part WHERE message_id = ?", message_id)
    states = {part["state"] for part in parts}
    if message["state"] in (State.SENDING, State.UNKNOWN):
        if "unknown" in states or "submitting" in states:
            return
        if "ready" in states:
            if message["state"] == State.UNKNOWN:  # proved sent: the rest may follow
                move(tx, message, State.QUEUED, now, "gateway", error=None, due_at=now, gateway=None, modem=None)
                tx.wake = True
            return
        move(tx, message, State.SENT, now, "gateway")
        message = message_row(tx, message_id)
    if message["state"] not in (State.SENT, State.EXPIRED, State.UNDELIVERED):
        return
    if states == {"delivered"}:
        move(tx, message, State.DELIVERED, now, "network")
    elif "undelivered" in states and message["state"] == State.SENT:
        expired = any(part["report_status"] == 0x46 for part in parts)
        worst = max(part["report_status"] or 0 for part in parts)
        move(
            tx,
            message,
            State.EXPIRED if expired else State.UNDELIVERED,
            now,
            "network",
            error=f"network status {worst:#04x}",
        )
