"""What every flow that writes a message leaves beside its row: the parts as they will be sent, and the event of its state."""

from typing import Any

from gateway.rules.gates import Wait
from gateway.rules.lifecycle import LANES, State
from gateway.rules.numbers import tail
from gateway.store import ids
from gateway.store.database import Transaction
from modem.segments import Piece, split


def insert_parts(tx: Transaction, message_id: str, pieces: tuple[Piece, ...], address: str) -> None:
    """Store a message's parts as they will be sent; TP-MR, reference and TPDU are made at claim."""
    for piece in pieces:
        tx.insert(
            "part",
            message_id=message_id,
            number=piece.number,
            total=piece.total,
            text=piece.text,
            alphabet=piece.alphabet,
            address_tail=tail(address),
        )


def insert_own(
    tx: Transaction, *, organisation_id: str, candidate_id: str | None, text: str, address: str, now: int, **columns: Any
) -> tuple[str, int]:
    """Queue a text of the box's own: first in line, free of charge, no gate passed. Its message id and how many parts it has."""
    pieces, message_id = split(text), ids.new("msg")
    tx.insert(
        "message",
        id=message_id,
        organisation_id=organisation_id,
        candidate_id=candidate_id,
        channel="sms",
        lane=LANES["critical"],
        state=State.QUEUED,
        due_at=now,
        address=address,
        alphabet=pieces[0].alphabet,
        parts=len(pieces),
        price=0,
        credits=0,
        month="",
        accepted_at=now,
        **columns,
    )
    insert_parts(tx, message_id, pieces, address)
    tell_state(tx, organisation_id, message_id, candidate_id, State.QUEUED, now)
    tx.wake = True
    return message_id, len(pieces)


def tell_state(
    tx: Transaction,
    organisation_id: str,
    message_id: str,
    candidate_id: str | None,
    state: str,
    now: int,
    *,
    hold: Wait | None = None,
    error: str | None = None,
    client_ref: str | None = None,
) -> None:
    """The event `message.state`, on the message's own stream."""
    data: dict[str, Any] = {
        "message_id": message_id,
        "candidate_id": candidate_id,
        "state": state,
        "client_ref": client_ref,
    }
    if hold is not None:
        data["hold"] = {"reason": hold.reason, "not_before": hold.not_before}
    if error is not None:
        data["error"] = error
    tx.event(now, organisation_id, "message.state", message_id, data)
