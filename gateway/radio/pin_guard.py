"""One PIN attempt per card, remembered in the store before AT+CPIN is written (modems.md: three tries, then the card is dead)."""

from collections.abc import Callable

from gateway.flows import pins, stations
from gateway.store.database import Transaction

Transact = Callable[[Callable[[Transaction, int], object]], None]
"""Run a step in a short write transaction of the worker's own epoch."""


class OncePerCard:
    """The driver's `PinGuard` on the store: a card whose PIN was refused is not tried again until a person lifts the mark."""

    def __init__(self, transact: Transact) -> None:
        self._transact = transact

    def may_try(self, iccid: str | None, tries_left: int | None) -> bool:
        """Only once, and below three tries only what a person has just given knowing that (flows/pins.py); on disk by then."""
        if iccid is None:
            return False
        allowed = False

        def step(tx: Transaction, now: int) -> None:
            nonlocal allowed
            allowed = pins.allow(tx, iccid, tries_left, now)

        self._transact(step)
        return allowed

    def accepted(self, iccid: str | None) -> None:
        """The card took the PIN: the mark goes."""
        if iccid is not None:
            self._transact(lambda tx, now: stations.remember_sim(tx, iccid, pin_refused=0))
