"""One PIN attempt per card, remembered in the store before AT+CPIN is written (modems.md: three tries, then the card is dead)."""

from collections.abc import Callable

from gateway.flows import stations
from gateway.store.database import Transaction

Transact = Callable[[Callable[[Transaction, int], object]], None]
"""Run a step in a short write transaction of the worker's own epoch."""


class OncePerCard:
    """The driver's `PinGuard` on the store: a card whose PIN was refused is not tried again until a person lifts the mark."""

    def __init__(self, transact: Transact) -> None:
        self._transact = transact

    def may_try(self, iccid: str | None, tries_left: int | None) -> bool:
        """Only with all tries left, and only once; the mark is on disk when this returns True."""
        if iccid is None or (tries_left is not None and tries_left < 3):
            return False
        allowed = False

        def step(tx: Transaction, now: int) -> None:
            nonlocal allowed
            stations.sim_seen(tx, iccid, "", now)
            if not stations.sim_memory(tx, iccid).pin_refused:
                stations.remember_sim(tx, iccid, pin_refused=1)
                allowed = True

        self._transact(step)
        return allowed

    def accepted(self, iccid: str | None) -> None:
        """The card took the PIN: the mark goes."""
        if iccid is not None:
            self._transact(lambda tx, now: stations.remember_sim(tx, iccid, pin_refused=0))
