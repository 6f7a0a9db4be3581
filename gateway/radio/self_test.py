"""A modem's self test: each thing that sending needs, asked in turn; writes nothing to the network, the card or the settings."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from modem.driver import Modem
from modem.errors import CommandRefused

WEAKEST_DBM = -103
"""Below that texts still leave, but slowly and not always."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing looked at: `result` is good, weak or bad, `found` what the modem said."""

    name: str
    result: str
    found: str


def run(modem: Modem, tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Look at everything, telling after each step how far it is. Raises what the driver raises when the modem falls silent."""
    steps: list[Step] = []
    for name, look in _STEPS:
        result, found = _looked(look, modem)
        steps.append(Step(name, result, found))
        tell({"steps": [asdict(step) for step in steps], "of": len(_STEPS)})
    signal, registration = modem.signal(), modem.registration()
    return {
        "steps": [asdict(step) for step in steps],
        "of": len(_STEPS),
        "signal_dbm": signal.dbm,
        "registered": registration.is_registered,
        "operator": modem.network(),
    }


def _looked(look: Callable[[Modem], tuple[str, str]], modem: Modem) -> tuple[str, str]:
    try:
        return look(modem)
    except CommandRefused as refused:
        return "bad", str(refused)


def _answers(modem: Modem) -> tuple[str, str]:
    modem.probe()
    return "good", "AT: OK"


def _card(modem: Modem) -> tuple[str, str]:
    lines = modem.query("AT+CPIN?")
    return ("good" if "READY" in lines[0] else "bad"), lines[0]


def _centre(modem: Modem) -> tuple[str, str]:
    known = modem.identity is not None and bool(modem.identity.smsc)
    return ("good", modem.identity.smsc) if known and modem.identity is not None else ("bad", "")


def _network(modem: Modem) -> tuple[str, str]:
    registration = modem.registration()
    technology = registration.technology or ""
    if not registration.is_registered:
        return "bad", technology
    return "weak" if registration.is_roaming else "good", f"{modem.network() or ''} {technology}".strip()


def _signal(modem: Modem) -> tuple[str, str]:
    dbm = modem.signal().dbm
    if dbm is None:
        return "bad", ""
    return "good" if dbm >= WEAKEST_DBM else "weak", f"{dbm} dBm"


def _reports(modem: Modem) -> tuple[str, str]:
    comes = modem.identity is not None and modem.identity.reports > 0
    return ("good" if comes else "weak"), ""


_STEPS: tuple[tuple[str, Callable[[Modem], tuple[str, str]]], ...] = (
    ("answers", _answers),
    ("card", _card),
    ("centre", _centre),
    ("network", _network),
    ("signal", _signal),
    ("reports", _reports),
)
