"""What a stick says unasked, as values.

A dialogue yields them in the order the bytes came; the driver hands them to its owner at once, in the owner's thread,
in the middle of whatever verb is running. Refuses to know PDUs: `pdu_hex` is what the modem printed (SMSC and TPDU).
"""

import re
from dataclasses import dataclass

from modem import gsm7
from modem.faults import Fault


@dataclass(frozen=True, slots=True)
class ReportArrived:
    """+CDS: a status report, routed to us directly (27.005 §3.4.1, ds=1). `length` counts the TPDU's octets."""

    pdu_hex: str
    length: int | None


@dataclass(frozen=True, slots=True)
class ReportStored:
    """+CDSI: a status report lies in the storage (27.005 §3.4.1, ds=2)."""

    storage: str
    index: int


@dataclass(frozen=True, slots=True)
class MessageArrived:
    """+CMT: a received message, routed to us directly (27.005 §3.4.1, mt=2)."""

    pdu_hex: str
    length: int | None


@dataclass(frozen=True, slots=True)
class MessageStored:
    """+CMTI: a received message lies in the storage (27.005 §3.4.1, mt=1)."""

    storage: str
    index: int


@dataclass(frozen=True, slots=True)
class Rebooted:
    """A boot banner. `certain` ones (RDY) end whatever was waiting; the others (SMS Ready) only hint at a restart."""

    banner: str
    certain: bool = True


@dataclass(frozen=True, slots=True)
class LateResult:
    """The result of a submission nobody waits for any more.

    `tp_mr` from a +CMGS, `fault` from an error, neither from a bare OK: the modem is done and does not say how.
    """

    tp_mr: int | None = None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class StrayPrompt:
    """A prompt nobody waits for: the modem sits in PDU entry and has not been given a PDU."""


@dataclass(frozen=True, slots=True)
class Ring:
    """Somebody calls; the number where +CLIP tells it."""

    number: str | None = None


@dataclass(frozen=True, slots=True)
class UssdAnswer:
    """+CUSD: `status` 0 done, 1 asks back, 2 ended by the network …; `raw` as printed (27.007 §7.15)."""

    status: int
    raw: str
    dcs: int | None = None

    @property
    def text(self) -> str:
        """The readable text, decoded by content since modems mislabel it."""
        return ussd_text(self.raw, self.dcs)


@dataclass(frozen=True, slots=True)
class SignalChanged:
    """An unasked signal report; `rssi` in the steps of +CSQ (0..31), None when unknown (27.007 §8.5)."""

    rssi: int | None

    @property
    def dbm(self) -> int | None:
        """-113 + 2 × rssi."""
        return None if self.rssi is None else -113 + 2 * self.rssi


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """+CREG, +CGREG or +CEREG unasked: `stat` as in 27.007 §7.2, `domain` "CREG", "CGREG" or "CEREG"."""

    stat: int
    domain: str = "CREG"


@dataclass(frozen=True, slots=True)
class StorageFull:
    """The modem says that its message storage is full; nothing more arrives until it is emptied."""

    line: str


@dataclass(frozen=True, slots=True)
class Slow:
    """A submission has taken longer than usual; nothing is wrong yet."""

    command: str
    waited_s: float


@dataclass(frozen=True, slots=True)
class Noise:
    """A line that means nothing to us: vendor chatter, garbage, the rest of a late answer."""

    line: str


Event = (
    ReportArrived
    | ReportStored
    | MessageArrived
    | MessageStored
    | Rebooted
    | LateResult
    | StrayPrompt
    | Ring
    | UssdAnswer
    | SignalChanged
    | RegistrationChanged
    | StorageFull
    | Slow
    | Noise
)


_HEX_TEXT = re.compile(r"(?:[0-9A-Fa-f]{2})+")


def ussd_text(raw: str, dcs: int | None) -> str:
    """Readable USSD text, by content since sticks mislabel it (modems.md §1): UCS-2 hex, packed septets, else as is."""
    if not _HEX_TEXT.fullmatch(raw):
        return raw.partition("\x00")[0]
    octets = bytes.fromhex(raw)
    if len(octets) % 2 == 0:
        wide = octets.decode("utf-16-be", "replace").partition("\x00")[0].rstrip("\r\n")
        if _readable(wide) and (dcs in _WIDE or _plausible(wide)):
            return wide
    if dcs in (0, 15, None) and not raw.isdigit():
        packed = gsm7.text(gsm7.unpack(octets, len(octets) * 8 // 7)).rstrip("@\r\n")
        if _readable(packed):
            return packed
    return raw


_WIDE = frozenset({8, 17, 72})  # data codings that mean UCS-2 (23.038 §5)


def _readable(text: str) -> bool:
    return bool(text) and "\ufffd" not in text and all(c.isprintable() or c in "\r\n\t" for c in text)


def _plausible(text: str) -> bool:
    """Digits or packed septets read as UCS-2 give letters from everywhere; a real text stays within few blocks."""
    blocks = {ord(letter) >> 8 for letter in text}
    return blocks == {0} or (len(text) >= 4 and len(blocks) <= 3)
