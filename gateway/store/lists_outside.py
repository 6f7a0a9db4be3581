"""What stands in the database and not yet in the files beside it: STOPs, their lifting, erasures."""

from gateway.store.database import Row, Transaction, View


def newest_audit(view: View) -> int:
    """The newest audit row's serial number."""
    return int(view.value("SELECT MAX(serial) AS newest FROM audit") or 0)


def says_something(view: View, after: int) -> bool:
    """Whether the audit tells of a STOP, a START or an erasure behind this serial number."""
    return (
        view.one(
            "SELECT 1 AS yes FROM audit WHERE serial > ?"
            " AND action IN ('suppression.add', 'suppression.lift', 'erase.run') LIMIT 1",
            after,
        )
        is not None
    )


def unwritten(view: View) -> tuple[list[Row], list[Row], list[Row]]:
    """STOPs that no file knows, STOPs that were lifted since, erasures that no file knows."""
    stops = view.all(
        "SELECT s.phone_hash, s.channel, s.since_at FROM suppression s LEFT JOIN suppression_copy c"
        " ON c.phone_hash = s.phone_hash AND c.channel = s.channel AND c.since_at = s.since_at"
        " WHERE c.phone_hash IS NULL ORDER BY s.since_at"
    )
    starts = view.all(
        "SELECT c.phone_hash, c.channel FROM suppression_copy c LEFT JOIN suppression s"
        " ON s.phone_hash = c.phone_hash AND s.channel = c.channel WHERE s.phone_hash IS NULL"
    )
    erasures = view.all(
        "SELECT id, candidate_id, done_at FROM erasure WHERE state = 'done' AND written_at IS NULL ORDER BY done_at"
    )
    return stops, starts, erasures


def written(tx: Transaction, stops: list[Row], starts: list[Row], erasures: list[Row], now: int) -> None:
    """They stand in the files now."""
    for row in stops:
        tx.execute(
            "INSERT INTO suppression_copy (phone_hash, channel, since_at) VALUES (?, ?, ?)"
            " ON CONFLICT (phone_hash, channel) DO UPDATE SET since_at = excluded.since_at",
            row["phone_hash"],
            row["channel"],
            row["since_at"],
        )
    for row in starts:
        tx.execute("DELETE FROM suppression_copy WHERE phone_hash = ? AND channel = ?", row["phone_hash"], row["channel"])
    for row in erasures:
        tx.execute("UPDATE erasure SET written_at = ? WHERE id = ?", now, row["id"])
