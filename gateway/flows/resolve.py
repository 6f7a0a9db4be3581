"""A person decides what an `unknown` message counts as: sent, or to be sent again."""

from gateway.errors import Refused
from gateway.flows.endings import move, owned_message
from gateway.flows.report import roll_up
from gateway.rules.lifecycle import State
from gateway.store.database import Transaction

CHOICES = ("send_again", "treat_as_sent")


def resolve(tx: Transaction, message_id: str, organisation_id: str | None, choice: str, actor: str, now: int) -> str:
    """The message's state afterwards.

    Raises Refused `message_not_found`, `unknown_choice` or `not_unknown`.
    """
    if choice not in CHOICES:
        raise Refused("unknown_choice", 422, f"Choice must be one of {', '.join(CHOICES)}.", field="choice")
    message = owned_message(tx, message_id, organisation_id)
    if message["state"] != State.UNKNOWN:
        raise Refused("not_unknown", 409, f"This message is {message['state']}; only an unknown one can be resolved.", field="id")
    if choice == "send_again" and message["settled_at"] is not None:
        raise Refused("too_old", 409, "This message was charged as sent; write a new one.", field="id")
    if choice == "send_again" and message["wiped_at"] is not None:
        raise Refused("erased", 409, "The text of this message was erased.", field="id")
    state = "ready" if choice == "send_again" else "sent"
    tx.execute(
        "UPDATE part SET state = ?, error = NULL, sent_at = CASE WHEN ? = 'sent' THEN submitted_at ELSE NULL END,"
        " tp_mr = CASE WHEN ? = 'sent' THEN tp_mr ELSE NULL END WHERE message_id = ? AND state = 'unknown'",
        state,
        state,
        state,
        message_id,
    )
    tx.audit(now, actor, "message.override", message_id, {"choice": choice})
    if choice == "send_again":
        move(tx, message, State.QUEUED, now, actor, due_at=now, gateway=None, modem=None)
        tx.wake = True
    else:
        roll_up(tx, message_id, now)
    return str(tx.value("SELECT state FROM message WHERE id = ?", message_id))
