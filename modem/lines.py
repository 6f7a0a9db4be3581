"""Bytes from the wire as lines, prompts and garbage; and what a line is on its own, whatever was asked.

A modem frames every line by CR LF on both sides (V.250 §5.7.1); field firmware also writes CR alone, LF alone, CR CR
LF, and NUL, FF or FE between lines. The prompt for a PDU is CR LF `>` blank, with nothing behind it (27.005 §3.5.1), so
it must be seen before any line end. Refuses to know which command is waiting: that is the dialogue's business.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from modem import faults
from modem.events import (
    Event,
    MessageStored,
    Noise,
    RegistrationChanged,
    ReportStored,
    Ring,
    SignalChanged,
    StorageFull,
    UssdAnswer,
)
from modem.faults import Fault

LONGEST_LINE = 8192
"""Octets. The longest honest line is AT+CLAC in one line, some 4 KiB; a PDU line has at most 700 characters."""

_HEAD = 80


@dataclass(frozen=True, slots=True)
class Text:
    """One line, without its ends, blanks and unprintable octets around it."""

    line: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """`>` at the start of a line."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """A line too long to be one (its beginning), or one of nothing but octets above 127."""

    head: str


Token = Text | Prompt | Garbage

PROMPT = Prompt()

# What may stand before a line and means nothing: blanks, control characters other than CR and LF, octets above 126.
_LEAD = re.compile(rb"[\x00-\x09\x0b\x0c\x0e-\x20\x7f-\xff]+")
_HIGH = re.compile(rb"[\x80-\xff]")
_END = re.compile(rb"[\r\n]")
# Whatever was announced, glued to the prompt without a line end between (modems.md §2); never inside a USSD text.
_GLUED = re.compile(rb"((?!\+CUSD|\+CMT:|\+CDS:)[^\r\n]*?)> ")
_UNPRINTABLE = "".join(map(chr, [*range(0x21), *range(0x7F, 0x100)]))


class Splitter:
    """Cuts the stream into tokens; the same tokens however the stream was chopped. Never raises, never grows."""

    __slots__ = ("_buffer", "_dirty", "_skipping")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._dirty = False
        self._skipping = False

    def push(self, data: bytes) -> None:
        """Take what was read. NULs are dropped here: modems pad with them."""
        self._buffer += data.replace(b"\x00", b"") if b"\x00" in data else data

    def next(self, *, prompts: bool = True, awaited: bool = False) -> Token | None:
        """The next token, None when more octets are needed.

        `prompts` False: a `>` is a letter like any other. `awaited`: a prompt is due and may stick to another line.
        """
        buffer = self._buffer
        while buffer:
            if self._skipping:
                end = _END.search(buffer)
                del buffer[: end.end() if end else len(buffer)]
                self._skipping = end is None
                continue
            if lead := _LEAD.match(buffer):
                self._dirty = self._dirty or _HIGH.search(buffer, 0, lead.end()) is not None
                del buffer[: lead.end()]
                continue
            if buffer[0] in b"\r\n":
                del buffer[:1]
                if self._dirty:
                    self._dirty = False
                    return Garbage("unprintable")
                continue
            if prompts and buffer[0] == 0x3E:
                del buffer[:1]
                return PROMPT
            if awaited and (glued := _GLUED.match(buffer)):
                line = glued.group(1)
                del buffer[: len(line)]
                return Text(line.decode("latin-1").strip(_UNPRINTABLE))
            end = _END.search(buffer)
            if end is None and len(buffer) <= LONGEST_LINE:
                return None
            size = end.start() if end else len(buffer)
            # A line that just ended may be as long as it likes in one chunk: judge it as if it had come octet by octet.
            if size > LONGEST_LINE:
                head = buffer[:_HEAD].decode("latin-1")
                del buffer[:size]
                self._skipping, self._dirty = True, False
                return Garbage(head)
            text = buffer[:size].decode("latin-1").strip(_UNPRINTABLE)
            del buffer[:size]
            self._dirty = False
            return Text(text)
        return None


class FinalKind(StrEnum):
    """How an answer ends (V.250 §5.7.1, 27.007 §9.1, 27.005 §3.2.5)."""

    OK = "OK"
    ERROR = "ERROR"
    CME = "+CME ERROR"
    CMS = "+CMS ERROR"
    ABORTED = "ABORTED"  # also the call results, which end a command when nobody is calling


@dataclass(frozen=True, slots=True)
class Final:
    """A result line; `code` where it carries one, also where the modem wrote it in words (CMEE=2)."""

    kind: FinalKind
    line: str
    code: int | None = None

    @property
    def ok(self) -> bool:
        return self.kind is FinalKind.OK

    @property
    def fault(self) -> Fault:
        """What it means. A bare ERROR counts as the transient +CMS 500 "unknown" (modems.md §3)."""
        if self.kind is FinalKind.CME:
            return faults.cme(100 if self.code is None else self.code)
        return faults.cms(500 if self.code is None else self.code)


_OK = Final(FinalKind.OK, "OK")
_ERROR = Final(FinalKind.ERROR, "ERROR")
_FINALS = {
    "OK": _OK,
    "ERROR": _ERROR,
    "COMMAND NOT SUPPORT": Final(FinalKind.ERROR, "COMMAND NOT SUPPORT"),
    "TOO MANY PARAMETERS": Final(FinalKind.ERROR, "TOO MANY PARAMETERS"),
    "ABORTED": Final(FinalKind.ABORTED, "ABORTED"),
    "NO CARRIER": Final(FinalKind.ABORTED, "NO CARRIER"),
    "NO ANSWER": Final(FinalKind.ABORTED, "NO ANSWER"),
    "NO DIALTONE": Final(FinalKind.ABORTED, "NO DIALTONE"),
    "BUSY": Final(FinalKind.ABORTED, "BUSY"),
}
_CALL_RESULTS = frozenset({"NO CARRIER", "NO ANSWER", "NO DIALTONE", "BUSY"})
_CODED = re.compile(r"\+CM([ES]) ERROR ?: ?(.*)$", re.IGNORECASE)


def final(line: str) -> Final | None:
    """The result a line is, None when it is none. The whole line must be the result: "OK see you at 8" is a text."""
    known = _FINALS.get(line)
    if known is not None:
        return known
    if not line.startswith(("+CM", "+cm", "+Cm")):
        return None
    coded = _CODED.match(line)
    if coded is None:
        return None
    kind = FinalKind.CME if coded[1] in "Ee" else FinalKind.CMS
    rest = coded[2].strip()
    if rest.isascii() and rest.isdigit():
        return Final(kind, line, int(rest[:6]))
    named = faults.named("cme" if kind is FinalKind.CME else "cms", rest)
    return Final(kind, line, named.code if named else None)


def is_call_result(line: str) -> bool:
    """True for the results of a call, which come unasked when somebody who rang gives up."""
    return line in _CALL_RESULTS


# Banners after which the settings are certainly gone (modems.md §1, "Noise / boot URCs").
_BOOTS = frozenset(
    {"RDY", "^SYSSTART", "+READY", "READY", "*ATREADY: 1", "*ATREADY:1", "MODEM:STARTUP", "START", "STARTUP"}
    | {"NORMAL POWER DOWN", "POWERED DOWN", "POWER DOWN", "^SHUTDOWN", "^EXIT"}
)
# Banners that follow a boot, but may also come after a SIM was inserted or a PIN entered.
_BOOT_HINTS = frozenset({"CALL READY", "SMS READY", "SMS DONE", "PB DONE", "+QIND: SMS DONE", "+QIND: PB DONE"})
_BOOT_HINT = re.compile(r"\+CFUN: ?\d\b")


def boot(line: str) -> bool | None:
    """True for a banner of a restart, False for one that only hints at it, None for any other line."""
    if line in _BOOTS:
        return True
    if line.upper() in _BOOT_HINTS or _BOOT_HINT.match(line):
        return False
    return None


_STORED = re.compile(r'\+C(MT|DS)I: ?"?(\w*)"?, ?(\d{1,5})\b')
_CUSD = re.compile(r'\+CUSD: ?(\d)(?:, ?"?(.*?)"?(?:, ?(\d{1,3})?)?)?$', re.DOTALL)
_CREG = re.compile(r"\+(CG?REG|CEREG|C5GREG): ?(\d{1,2})\b")
_CLIP = re.compile(r'\+CLIP: ?"([^"]*)"')
_SIGNAL = re.compile(r"(?:\^RSSI|\+CSQ): ?(\d{1,3})\b")
_FULL = re.compile(r"(?:\+SMS FULL|\^SMMEMFULL|\+CIEV: ?\"?SMSFULL|\+QIND: ?\"?SMSFULL)", re.IGNORECASE)


def _stored(line: str) -> Event | None:
    match = _STORED.match(line)
    if match is None:
        return None
    kind = MessageStored if match[1] == "MT" else ReportStored
    return kind(match[2], int(match[3]))


def _ussd(line: str) -> Event | None:
    match = _CUSD.match(line)
    if match is None:
        return None
    return UssdAnswer(int(match[1]), match[2] or "", None if match[3] is None else int(match[3]))


def _registration(line: str) -> Event | None:
    match = _CREG.match(line)
    return match and RegistrationChanged(int(match[2]), match[1])


def _signal(line: str) -> Event | None:
    match = _SIGNAL.match(line)
    return match and SignalChanged(int(match[1]) if int(match[1]) <= 31 else None)


def _caller(line: str) -> Event | None:
    match = _CLIP.match(line)
    return match and Ring(match[1] or None)


_READERS: tuple[tuple[str, Callable[[str], Event | None]], ...] = (
    ("+CMTI:", _stored),
    ("+CDSI:", _stored),
    ("+CUSD:", _ussd),
    ("+CREG:", _registration),
    ("+CGREG:", _registration),
    ("+CEREG:", _registration),
    ("+C5GREG:", _registration),
    ("^RSSI:", _signal),
    ("+CSQ:", _signal),
    ("+CLIP:", _caller),
)
_PIN = re.compile(r"\+CPIN=.*", re.IGNORECASE)  # a late echo: what is told may be logged
_RINGS = frozenset({"RING", "+CRING: VOICE"})


def announcement(line: str) -> Event:
    """The event an unasked line is; `Noise` for what nobody needs. Never raises."""
    for prefix, read in _READERS:
        if line.startswith(prefix):
            return read(line) or Noise(line)
    if line in _RINGS:
        return Ring()
    if _FULL.match(line):
        return StorageFull(line)
    return Noise(_PIN.sub("+CPIN=…", line))


# V.250 §5.4.1 and every vendor: an unasked line is a sign, a name and a colon; the few without are listed.
_SIGNED = re.compile(r"[+^*#$%&!][A-Z0-9_]+ ?:", re.IGNORECASE)
_BARE = re.compile(r"RING$|(?:UNDER|OVER)-VOLTAGE|\+SMS FULL|DST:|NORMAL POWER|\^[A-Z]+$")


def looks_unasked(line: str) -> bool:
    """True for a line that cannot be free text such as a maker's name."""
    return _SIGNED.match(line) is not None or _BARE.match(line) is not None or boot(line) is not None


# Headers whose PDU comes on the next line. PDU mode ends in the length (`+CMT: ,28`, `+CDS: 25`, ZTE `+CDS: ,25`);
# text mode, which we never ask for, has quoted fields: then the next line is somebody's text and must not be judged.
_PAIR = re.compile(r"\+(CMT|CDS|CBM): ?(?:.*?,)? ?(\d{1,3})$")
_TEXT_PAIR = re.compile(r"\+(CMT|CDS|CBM): ?.*\d{2}/\d{2}/\d{2}")


@dataclass(frozen=True, slots=True)
class Paired:
    """The header of an unasked PDU: `kind` CMT, CDS or CBM; `length` of the TPDU, None in text mode."""

    kind: str
    length: int | None


def paired(line: str) -> Paired | None:
    """The header this line is, if the next line belongs to it."""
    if not line.startswith(("+CMT:", "+CDS:", "+CBM:")):
        return None
    if match := _TEXT_PAIR.match(line):
        return Paired(match[1], None)
    if match := _PAIR.match(line):
        return Paired(match[1], int(match[2]))
    return None


_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")


def pdu(line: str, length: int | None) -> str | None:
    """The PDU a line is, cut to the announced length (some sticks pad it with 300 characters of junk, [S hist]).

    None when it is no PDU at all. One shorter than announced is handed on as it is: the decoder will say why it is bad.
    """
    match = _HEX.match(line)
    if match is None or match.end() < 4:
        return None
    found = match[0]
    if length is None:
        return found if match.end() == len(line) else None
    wanted = 2 * (1 + int(found[:2], 16) + length)
    if match.end() >= wanted:
        return found[:wanted]
    return found if match.end() == len(line) else None


def fits(line: str, length: int | None) -> bool:
    """True when `line` holds exactly the PDU that was announced, or more."""
    found = pdu(line, length)
    return found is not None and (length is None or len(found) == 2 * (1 + int(found[:2], 16) + length))
