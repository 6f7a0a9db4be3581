"""When a part that the modem or the network refused is tried again, and when it is given up.

Pure: a fault with its remedy (modem.faults), how often the part was tried, a random number in; a delay or the end out.
"""

from dataclasses import dataclass

from modem.faults import Fault, Remedy

_SOON_S = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0)
_LATER_S = (60.0, 300.0, 900.0, 3600.0)
_NOT_THE_MESSAGE = frozenset({Remedy.MODEM, Remedy.HOLD, Remedy.CONFIG, Remedy.WAIT, Remedy.PARK_SIM})
_MODEM_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after `delay_s`; `counted` says whether this was an attempt of the message's own."""

    delay_s: float
    counted: bool = True


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The message fails now."""

    reason: str


def after(fault: Fault, attempt: int, chance: float) -> Again | GiveUp:
    """What follows refusal number `attempt` (1 is the first); `chance` in [0, 1) spreads retries by ±20 %.

    Faults of the modem or the SIM are not the message's: they wait without counting, and the message's validity bounds them.
    Raises ValueError for a fault that may have been sent: nothing here may repeat it.
    """
    if fault.may_have_been_sent:
        raise ValueError(f"{fault} is no refusal")
    spread = 0.8 + 0.4 * chance
    remedy = fault.remedy
    if fault.tries and attempt > fault.tries:
        remedy = fault.then
    if remedy is Remedy.FAIL:
        return GiveUp(fault.meaning)
    if remedy in _NOT_THE_MESSAGE:
        return Again(max(_MODEM_PAUSE_S, fault.min_delay_s) * spread, counted=False)
    steps = _LATER_S if remedy is Remedy.RETRY_LATER else _SOON_S
    return Again(max(steps[min(max(attempt, 1), len(steps)) - 1], fault.min_delay_s) * spread)
