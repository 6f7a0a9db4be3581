"""Why a message is where it is: waiting for what, until when, in plain words."""

from dataclasses import dataclass

from gateway.errors import Refused
from gateway.rules.lifecycle import Hold, State
from gateway.store.database import Row, View


@dataclass(frozen=True, slots=True)
class Explanation:
    """`waiting_for` is a word for programs, `text` a sentence for people; times in ms UTC, None where nobody knows."""

    state: str
    waiting_for: str | None
    text: str
    until_ms: int | None = None
    eta_ms: int | None = None
    ahead: int | None = None


_HOLDS = {
    Hold.PENDING_OPT_IN: "The candidate must answer START first.",
    Hold.WAITS_FOR: "An earlier message to the candidate must leave first.",
    Hold.THREAD_PAUSED: "The candidate may have asked for no more messages; a colleague must look at their message first.",
    Hold.QUIET_HOURS: "It is outside the hours in which the candidate may be written to.",
    Hold.SCHEDULED: "It was scheduled for later.",
    Hold.SIM_BUDGET: "The SIM card has used up its allowance for now.",
    Hold.NO_MODEM: "No modem with the right SIM card is connected.",
    Hold.CLOCK_UNTRUSTED: "The box does not know the right time; an administrator can confirm it.",
}
_ENDS = {
    State.SENDING: "A modem is sending it right now.",
    State.SENT: "The network took every part; the delivery report is still to come.",
    State.DELIVERED: "The candidate's phone has it.",
    State.UNDELIVERED: "The network could not deliver it.",
    State.FAILED: "It could not be sent.",
    State.EXPIRED: "Its time ran out before it could be delivered.",
    State.CANCELLED: "It was cancelled before it left.",
    State.UNKNOWN: "Nobody can say whether it left: the modem fell silent in the middle. Choose “send again” or “treat as sent”.",
}


def explain(view: View, message_id: str, organisation_id: str | None, now: int) -> Explanation:
    """The explanation of one message. Raises Refused `message_not_found`."""
    message = view.one("SELECT * FROM message WHERE id = ?", message_id)
    if message is None or (organisation_id is not None and message["organisation_id"] != organisation_id):
        raise Refused("message_not_found", 404, "No message with this id.", field="id")
    state = State(message["state"])
    if state is State.HELD:
        return Explanation(
            state,
            message["hold_reason"],
            _HOLDS[Hold(message["hold_reason"])],
            message["not_before"],
            message["not_before"],
        )
    if state is not State.QUEUED:
        error = "" if message["error"] is None else f" ({message['error']})"
        return Explanation(state, None, _ENDS[state] + error)
    return _queued(view, message, now)


def _queued(view: View, message: Row, now: int) -> Explanation:
    modem = view.one(
        "SELECT m.state, m.parked FROM sender s JOIN modem m ON m.iccid = s.iccid WHERE s.id = ? ORDER BY m.seen_at DESC LIMIT 1",
        message["sender_id"],
    )
    ahead = int(
        view.value(
            "SELECT COUNT(*) AS n FROM message WHERE state = 'queued' AND sender_id = ? AND (lane < ? OR (lane = ? AND id < ?))",
            message["sender_id"],
            message["lane"],
            message["lane"],
            message["id"],
        )
    )
    pace = view.one(
        "SELECT s.gap_ms, i.slowest_ms FROM sender s LEFT JOIN sim i ON i.iccid = s.iccid WHERE s.id = ?",
        message["sender_id"],
    )
    state, parked = (None, False) if modem is None else (modem["state"], bool(modem["parked"]))
    return in_queue(message, state, parked, 0 if pace is None else pace_ms(pace), ahead, now)


def pace_ms(sender: Row) -> int:
    """How long each message of a number takes: its gap, or its slowest submission where that is longer."""
    return max(int(sender["gap_ms"]), int(sender["slowest_ms"] or 0))


def in_queue(message: Row, modem: str | None, parked: bool, each_ms: int, ahead: int | None, now: int) -> Explanation:
    """Why a queued message has not left, given its modem's state, its number's pace and its place (None: far behind)."""
    if message["due_at"] > now and message["error"] is not None:
        text = f"The last attempt was refused ({message['error']}); it is tried again."
        return Explanation(State.QUEUED, "retry", text, message["due_at"], message["due_at"])
    if modem != "ready":
        return Explanation(State.QUEUED, Hold.NO_MODEM, _HOLDS[Hold.NO_MODEM])
    if parked:
        return Explanation(State.QUEUED, "modem_parked", "The modem is parked; an administrator can start it again.")
    if ahead is None:
        return Explanation(State.QUEUED, "queue", "Thousands of messages are before it in the queue.")
    text = f"{ahead} messages are before it in the queue."
    return Explanation(State.QUEUED, "queue", text, None, now + (ahead + 1) * each_ms, ahead)
