"""Parts as values, and the small updates that a part goes through."""

from dataclasses import dataclass

from gateway.store.database import Row, View


@dataclass(frozen=True, slots=True)
class Part:
    """One TPDU of a message, as stored."""

    message_id: str
    number: int
    total: int
    text: str
    alphabet: str
    state: str
    attempt: int
    reference: int | None
    tp_mr: int | None
    submitted_at: int | None
    smss_baseline: int | None
    smss_trusted: bool
    gateway: str | None
    modem: str | None
    imei: str | None
    iccid: str | None
    error: str | None


_COLUMNS = (
    "message_id, number, total, text, alphabet, state, attempt, reference, tp_mr, submitted_at, smss_baseline, smss_trusted,"
    " gateway, modem, imei, iccid, error"
)


def part_of(row: Row) -> Part:
    """A part from its row."""
    return Part(
        row["message_id"],
        row["number"],
        row["total"],
        row["text"],
        row["alphabet"],
        row["state"],
        row["attempt"],
        row["reference"],
        row["tp_mr"],
        row["submitted_at"],
        row["smss_baseline"],
        bool(row["smss_trusted"]),
        row["gateway"],
        row["modem"],
        row["imei"],
        row["iccid"],
        row["error"],
    )


def parts_of(view: View, message_id: str) -> list[Part]:
    """All parts of a message in order."""
    return [part_of(row) for row in view.all(f"SELECT {_COLUMNS} FROM part WHERE message_id = ? ORDER BY number", message_id)]


def parts_on_air(view: View, gateway: str, modem: str, iccid: str | None = None) -> list[Part]:
    """Parts whose outcome nobody has seen: this modem's, and those of its card wherever it was before."""
    rows = view.all(
        f"SELECT {_COLUMNS} FROM part WHERE state = 'submitting' AND ((gateway = ? AND modem = ?) OR iccid = ?)"
        " ORDER BY submitted_at",
        gateway,
        modem,
        iccid,
    )
    return [part_of(row) for row in rows]
