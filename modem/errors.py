"""Everything that can go wrong with a stick, as one tree of exceptions.

Every leaf is a `ModemError`, which is a `gsmmodem.exceptions.GsmModemException`, so that whoever knows python-gsmmodem
catches what they expect; where one of its own classes fits, the leaf is that too. `ModemError` itself is never raised.

    ModemError
      PortLost             the tty went away, or will not take bytes: reopen it
        PortUnavailable    it could not be opened at all (missing, busy, not ours)
      ModemSilent          no answer, not even to AT: recovery ladder
      ModemRestarted       a boot banner came instead of the answer: initialise again
      CommandRefused       an ordinary command ended in ERROR, +CME ERROR or +CMS ERROR
      SimProblem           the card, not the stick: PIN, PUK, absent, failed
      QueryRefused         ours: this console refuses what is not a plain question
      NotSent              a submission that certainly did not leave: send again freely
        PromptMissing      the modem gave no prompt
      Rejected             the modem or the network said no to a submission
      OutcomeUnknown       it may have left: never folded into failure

This is also the one place that imports python-gsmmodem (and by it pyserial): its source compiles with SyntaxWarnings,
which `python -W error` would turn into a crash. `link.py` and `driver.py` take `gsmmodem` from here.
"""

import warnings
from enum import StrEnum

from modem.faults import Fault

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import gsmmodem
    import gsmmodem.exceptions as library
    import gsmmodem.modem
    import gsmmodem.serial_comms

__all__ = [
    "CommandRefused",
    "ModemError",
    "ModemRestarted",
    "ModemSilent",
    "NotSent",
    "OutcomeUnknown",
    "PortLost",
    "PortUnavailable",
    "PromptMissing",
    "QueryRefused",
    "Rejected",
    "SimProblem",
    "SimTrouble",
    "gsmmodem",
]


class ModemError(library.GsmModemException):  # type: ignore[misc]
    """Base of all; never raised itself."""


class PortLost(ModemError):
    """The tty went away (unplugged, re-enumerated) or stopped taking bytes. The port is closed; open it again."""

    def __init__(self, port: str, reason: str) -> None:
        super().__init__(f"{port}: {reason}")
        self.port = port
        self.reason = reason


class PortUnavailable(PortLost):
    """The port could not be opened: missing, held by another program, or not permitted."""


class ModemSilent(ModemError, library.TimeoutException):  # type: ignore[misc]
    """The modem does not answer; `command` is what it was asked."""

    def __init__(self, command: str) -> None:
        super().__init__(f"no answer to {command}")
        self.command = command


class ModemRestarted(ModemError, library.InterruptedException):  # type: ignore[misc]
    """The modem restarted while `command` waited for its answer; its settings are gone."""

    def __init__(self, command: str, banner: str) -> None:
        super().__init__(f"the modem restarted ({banner}) during {command}")
        self.command = command
        self.banner = banner


class CommandRefused(ModemError, library.CommandError):  # type: ignore[misc]
    """The modem refused an ordinary command; `fault` says what it meant, `reply` is the result line itself."""

    def __init__(self, command: str, reply: str, fault: Fault) -> None:
        super().__init__(f"{command}: {reply} ({fault.meaning})")
        self.command = command
        self.reply = reply
        self.fault = fault
        self.type = fault.kind.upper()
        self.code = fault.code


class SimTrouble(StrEnum):
    """What a card can be in the way with."""

    PIN_REQUIRED = "pin_required"  # no PIN configured
    PIN_WITHHELD = "pin_withheld"  # a PIN is configured, but the guard or the tries left forbid an attempt
    PIN_REFUSED = "pin_refused"  # our one attempt was wrong
    PUK = "puk"
    ABSENT = "absent"
    FAILED = "failed"
    WRONG = "wrong"
    LOCKED = "locked"  # personalisation lock of the stick or the network
    BUSY = "busy"  # +CME ERROR: 14 for longer than we wait
    UNKNOWN = "unknown"  # a state nobody told us of


class SimProblem(ModemError, library.InvalidStateException):  # type: ignore[misc]
    """The card cannot be used; `kind` says why, `tries_left` how many PIN attempts remain where that is known, `iccid` which."""

    def __init__(self, kind: SimTrouble, detail: str, tries_left: int | None = None, *, iccid: str | None = None) -> None:
        super().__init__(f"SIM {kind.value}: {detail}")
        self.iccid = iccid
        self.kind = kind
        self.detail = detail
        self.tries_left = tries_left


class QueryRefused(ModemError, ValueError):
    """`command` is not a plain question; it was not written to the modem."""

    def __init__(self, command: str) -> None:
        super().__init__(f"{command!r} is not a question this console may ask")
        self.command = command


class NotSent(ModemError):
    """The submission certainly did not leave the modem: Ctrl-Z was never written. Safe to send again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PromptMissing(NotSent, library.TimeoutException):  # type: ignore[misc]
    """AT+CMGS brought no prompt; the modem was told ESC. Safe to send again."""


class Rejected(ModemError, library.CommandError):  # type: ignore[misc]
    """The modem or the network refused the submission; `fault` says whether trying again can help."""

    def __init__(self, reply: str, fault: Fault) -> None:
        super().__init__(f"{reply} ({fault.meaning})")
        self.command = "AT+CMGS"
        self.reply = reply
        self.fault = fault
        self.type = fault.kind.upper()
        self.code = fault.code


class OutcomeUnknown(ModemError):
    """The submission may or may not have left. Only evidence (or a person) may decide; never send again blindly."""

    def __init__(self, reason: str, fault: Fault | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fault = fault
