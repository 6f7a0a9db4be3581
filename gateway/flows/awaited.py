"""What was waited for is here: a modem that is back, another that may stand in, a clock that can be trusted again."""

from collections.abc import Callable

from gateway.flows import clock_trust, senders
from gateway.flows.endings import StateMoved
from gateway.store.database import Database, Transaction


def sweep(database: Database, now: int) -> int:
    """Let go what waits for a modem that is back or for trust in the clock, one short transaction each. How many."""
    with database.read() as view:
        by_modem, by_clock = senders.waiting(view, now), clock_trust.waiting_for_trust(view)
        runaway = view.one("SELECT 1 AS yes FROM sim_budget WHERE free_at > ?", now + 60_000) is not None
    if runaway:  # the clock was set back: a minute is never further off than a minute
        database.transact(lambda tx: tx.execute("UPDATE sim_budget SET free_at = 0 WHERE free_at > ?", now + 60_000))
    for message_id in by_modem:
        _quietly(database, senders.move_on, message_id, now)
    for message_id in by_clock:
        _quietly(database, clock_trust.let_go, message_id, now)
    return len(by_modem) + len(by_clock)


def _quietly(database: Database, flow: Callable[[Transaction, str, int], None], message_id: str, now: int) -> None:
    try:
        database.transact(lambda tx: flow(tx, message_id, now))
    except StateMoved:
        pass  # somebody was faster: the next sweep sees what is left
