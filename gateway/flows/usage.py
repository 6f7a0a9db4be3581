"""What reports count beside messages and the ledger: whose message an answer answers, and who opted out after whose message."""

from typing import Any

from gateway.flows import usage_days
from gateway.rules.numbers import normalise
from gateway.store.database import Row, Transaction, View

UNKNOWN = "ZZ"


def _last_author(view: View, candidate_id: str | None) -> tuple[str | None, str | None]:
    """User and case of the newest message that a person wrote to the candidate."""
    row = view.one(
        "SELECT user_id, case_id FROM message WHERE candidate_id = ? AND origin = 'user' ORDER BY seq DESC LIMIT 1", candidate_id
    )
    return (None, None) if row is None else (row["user_id"], row["case_id"])


def answered(view: View, candidate: Row | None, address: str) -> dict[str, Any]:
    """Columns of `received`: fixed at arrival, as the country of a message is at sending."""
    user_id, case_id = (None, None) if candidate is None else _last_author(view, candidate["id"])
    country = normalise(address, None).country if candidate is None else candidate["country"]
    return {"answers_user_id": user_id, "answers_case_id": case_id, "from_country": country or UNKNOWN}


def opted_out(tx: Transaction, candidate: Row, now: int) -> None:
    """Count one opt-out, however many purposes it ended."""
    user_id, case_id = _last_author(tx, candidate["id"])
    usage_days.changed(tx, candidate["organisation_id"], now, now)
    tx.execute(
        "INSERT INTO opt_out (organisation_id, candidate_id, user_id, case_id, country, at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        candidate["organisation_id"],
        candidate["id"],
        user_id,
        case_id,
        candidate["country"] or UNKNOWN,
        now,
    )


def stranger_opted_out(tx: Transaction, phone: str, iccid: str, now: int) -> None:
    """The same from a number that no candidate has."""
    sender = tx.one("SELECT organisation_id FROM sender WHERE iccid = ?", iccid)
    if sender is None:
        return
    usage_days.changed(tx, sender["organisation_id"], now, now)
    country = normalise(phone, None).country or UNKNOWN
    tx.insert("opt_out", organisation_id=sender["organisation_id"], country=country, at=now)
