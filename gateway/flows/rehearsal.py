"""A rehearsal: an act is done in full and then undone, so that what a page foretells is what the act itself would do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from gateway.flows.accept import Accepted
from gateway.store import lists_candidates
from gateway.store.database import Transaction

T = TypeVar("T")


class _Undone(Exception):
    """Ends a rehearsal."""


@dataclass(frozen=True, slots=True)
class Foretold:
    """A message as it would be: its whole text and what accepting it would tell."""

    text: str
    message: Accepted


def rehearse(tx: Transaction, act: Callable[[], T]) -> T:
    """What `act` gives, with everything it did undone. Raises what it raises."""
    given: list[T] = []
    try:
        with tx.savepoint():
            given.append(act())
            raise _Undone
    except _Undone:
        return given[0]


def foretell(tx: Transaction, act: Callable[[], Accepted | None]) -> Foretold | None:
    """The message that `act` would send; None where it sends none."""

    def tried() -> Foretold | None:
        message = act()
        if message is None:
            return None
        tx.flush()
        return Foretold(lists_candidates.message_texts(tx, [message.id])[message.id], message)

    return rehearse(tx, tried)
