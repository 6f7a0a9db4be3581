"""What the simulated stick is made of: its settings, its card, its storages, what is on the air; and who refuses what.

Values only; the behaviour is in `modem.simulator_line`, `…_commands`, `…_messages` and `…_core`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any

from modem.pdu import Submit

IMEI, ICCID, IMSI = "004999010640000", "8946000000000000017", "001010000000017"  # test ranges, nobody's

CME_TEXTS = {
    3: "operation not allowed",
    4: "operation not supported",
    10: "SIM not inserted",
    11: "SIM PIN required",
    12: "SIM PUK required",
    13: "SIM failure",
    14: "SIM busy",
    16: "incorrect password",
    20: "memory full",
    21: "invalid index",
    30: "no network service",
    50: "incorrect parameters",
    100: "unknown",
}
CMS_TEXTS = {
    302: "Operation not allowed",
    303: "Operation not supported",
    304: "Invalid PDU mode parameter",
    305: "Invalid text mode parameter",
    310: "SIM not inserted",
    311: "SIM PIN required",
    314: "SIM busy",
    316: "SIM PUK required",
    321: "Invalid memory index",
    322: "Memory full",
    331: "No network service",
    332: "Network timeout",
    340: "No +CNMA acknowledgement expected",
}


class BusyInput(StrEnum):
    """What a byte does that arrives between Ctrl-Z and the answer (V.250 §5.6.1; Fibocom documents `LOSE`)."""

    LOSE = "lose"  # the command is aborted, its answer lost, the modem listens again at once; the SMS goes all the same
    ABORT = "abort"  # the command and the SMS are aborted, unless the network has it already
    IGNORE = "ignore"  # the bytes are dropped, the answer comes
    QUEUE = "queue"  # the bytes are obeyed after the answer


class SmssHabit(StrEnum):
    """When EF_SMSS on the card moves; sticks that do it at the wrong time or never make it worthless as evidence."""

    LEAVES = "leaves"  # when the network has the message, or refused it (23.040 §9.2.3.6)
    EARLY = "early"  # at Ctrl-Z
    NEVER = "never"


class Registered(Enum):
    """Registration states of +CREG (27.007 §7.2)."""

    OFF = 0
    HOME = 1
    SEARCHING = 2
    DENIED = 3
    UNKNOWN = 4
    ROAMING = 5


@dataclass(slots=True)
class Behaviour:
    """Everything the control verb `set` can change while the modem runs. Times are seconds of the simulator's clock."""

    latency_s: float = 1.0  # Ctrl-Z until the network has the TPDU and +CMGS is printed
    more_latency_s: float | None = None  # the same while AT+CMMS keeps the link open; None: no gain
    answer_delay_s: float = 0.0  # before the answer to any other command
    prompt_delay_s: float = 0.0
    report_delay_s: float = 0.5  # from the network taking it until the status report
    report_before_answer: bool = False  # the report overtakes +CMGS (needs report_delay_s = 0)
    report_status: dict[str, int] = field(default_factory=dict)  # TP-ST by recipient; "*" for all others
    busy_input: BusyInput = BusyInput.LOSE
    smss_habit: SmssHabit = SmssHabit.LEAVES
    boot_s: float = 1.0
    sim_busy_s: float = 0.0  # after each boot: +CME ERROR: 14
    pin_settle_s: float = 0.0  # the same after AT+CPIN=
    ack_s: float = 15.0  # how long the modem waits for AT+CNMA
    resend_s: float = 5.0  # then the network sends it again after this
    pair_gap_s: float = 0.0  # between a +CMT/+CDS line and its PDU
    signal: int = 17
    ber: int = 99
    registration: int = 1
    technology: int = 7
    operator: str = "Simtel"
    plmn: str = "00101"
    smsc: str = "+46701740600"
    ussd_delay_s: float = 0.2
    ussd: dict[str, str] = field(default_factory=lambda: {"*100#": "Saldo: 100,00 kr"})
    answers: dict[str, list[str]] = field(default_factory=dict)  # command (or its beginning, without AT) → lines and result
    msisdn: str = ""


@dataclass(slots=True)
class Identity:
    """Who the stick and the card are."""

    imei: str = IMEI
    iccid: str = ICCID
    imsi: str = IMSI
    smss: bool = True
    pin: str | None = None
    puk: str = "12345678"
    sim: bool = True


@dataclass(slots=True)
class Slot:
    """One stored message; `status` as in +CMGL (27.005 §3.1), `pdu` with its SMSC in front."""

    status: int
    pdu: str
    length: int


@dataclass(slots=True)
class Storage:
    name: str
    total: int
    first: int
    slots: dict[int, Slot] = field(default_factory=dict)

    def free_index(self) -> int | None:
        return next((i for i in range(self.first, self.first + self.total) if i not in self.slots), None)


@dataclass(slots=True)
class Fault:
    """One queued fault; `left` None means until `clear`."""

    kind: str
    left: int | None
    facts: dict[str, Any]


@dataclass(slots=True)
class Sending:
    """A TPDU between Ctrl-Z and the network."""

    tpdu: bytes
    submit: Submit
    verb: str
    fault: Fault | None
    heard: bool = True  # False: nobody will be told the result
    over: bool = False


@dataclass(slots=True)
class Incoming:
    """What the network holds for this SIM: a DELIVER or a STATUS-REPORT."""

    event: str
    tpdu: str
    facts: dict[str, Any]
    tries: int = 0
    not_before: float = 0.0


class Refused(Exception):
    """A command's refusal, turned into the words of the current +CMEE level."""

    def __init__(self, kind: str, code: int = 0) -> None:
        super().__init__(kind, code)
        self.kind = kind  # "cme", "cms" or "plain"
        self.code = code


class ControlError(ValueError):
    """A control request that cannot be obeyed; the text goes back to who asked."""


class State(Enum):
    OFF = "off"  # unplugged, or booting: bytes vanish
    COMMAND = "command"
    WAITING = "waiting"  # a command is being worked on; bytes queue
    PROMPT = "prompt"
    SENDING = "sending"


class Outcome(Enum):
    """What a handler returns when its answer is not there yet."""

    LATER = "later"


BEFORE_PROMPT = frozenset({"no_prompt"})
SEND_FAULTS = frozenset({"cms", "cms_after", "lose_answer", "late_answer", "bare_ok", "no_ok", "drop"})
ALL_FAULTS = SEND_FAULTS | {
    "no_prompt", "cme", "stray", "noise", "sim_busy", "reboot_mid_send", "unplug", "reboot",
    "storage_full", "no_network", "silence", "echo",
}  # fmt: skip


def acts_at_prompt(fault: Fault) -> bool:
    return "on" not in fault.facts and (
        fault.kind in BEFORE_PROMPT
        or (fault.kind in ("reboot_mid_send", "unplug", "cms") and fault.facts.get("at") in ("prompt", "pdu"))
    )


def acts_on_send(fault: Fault) -> bool:
    if "on" in fault.facts:
        return False
    if fault.kind in SEND_FAULTS:
        return fault.facts.get("at") != "prompt"
    return fault.kind in ("reboot_mid_send", "unplug") and fault.facts.get("at") == "after_ctrl_z"


def seconds_of(value: Any) -> float | None:
    return None if value is None else float(value)


def status_of(value: Any) -> int:
    """A TP-ST as a number or as "0x46"."""
    return int(value, 0) if isinstance(value, str) else int(value)
