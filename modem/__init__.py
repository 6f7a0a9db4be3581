"""One GSM stick: its octets, its language, its faults. Knows no database, no HTTP, no customer.

The map. Pure half: bytes and values only, no I/O, no clock, no thread.

| module | what it is |
|---|---|
| `gsm7` | text and septets, default alphabet, extension, national tables (TS 23.038) |
| `segments` | a text and its parts; the one place that counts segments (TS 23.040 §9.2.3.24.1) |
| `pdu` | octets and `Submit`, `Deliver`, `StatusReport` (TS 23.040 §9.2) |
| `faults` | +CMS and +CME error codes, what they mean and what helps |
| `lines`, `commands`, `dialogue`, `profiles` | the AT language, sans-IO (V.250, TS 27.005, 27.007) |

Shell: the only code that touches a tty.

| module | what it is |
|---|---|
| `link` | the tty; the only import of pyserial |
| `driver` | one stick as blocking verbs |
| `discovery` | which ttys belong to which stick |
| `simulator` | a whole pretend stick at the far end of a pty |

Decisions. The codec is our own, because no library found covers the job and the obvious one cannot send an emoji or
read a 16-bit reference (docs, codec verdict). This page re-exports the codec and the fault table only, so that
`import modem` needs no pyserial: the web process counts segments and never opens a port.
"""

from modem.faults import Fault, Remedy, cme, cms
from modem.gsm7 import Language, NationalTable, NotEncodable
from modem.pdu import (
    Address,
    BadNumber,
    Concat,
    Deliver,
    Outcome,
    PduError,
    StatusReport,
    Submit,
    TextTooLong,
    decode,
    describe,
    join_text,
    outcome_of,
    split_smsc,
    unwrap,
)
from modem.segments import Alphabet, Analysis, Piece, TooManyParts, analyse, join, split, transliterate

__all__ = [
    "Address",
    "Alphabet",
    "Analysis",
    "BadNumber",
    "Concat",
    "Deliver",
    "Fault",
    "Language",
    "NationalTable",
    "NotEncodable",
    "Outcome",
    "PduError",
    "Piece",
    "Remedy",
    "StatusReport",
    "Submit",
    "TextTooLong",
    "TooManyParts",
    "analyse",
    "cme",
    "cms",
    "decode",
    "describe",
    "join",
    "join_text",
    "outcome_of",
    "split",
    "split_smsc",
    "transliterate",
    "unwrap",
]
