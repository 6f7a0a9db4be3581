"""Octets of the SMS transfer layer: `Submit`, `Deliver`, `StatusReport`, both ways.

Knows one TPDU at a time; refuses to know parts that belong together (segments.py counts and cuts, the gateway
remembers), AT commands and time: a timestamp is what the network wrote.
Source: 3GPP TS 23.040 §9.2 (TPDUs), TS 23.038 §4 (data coding), TS 24.011 §8.2.5 (the SMSC address in front).

Decoding raises PduError and nothing else, whatever the octets. It is strict about lengths, for a wrong length makes
every later field wrong, and forgiving about everything the reader of a message could do without: a nonsense
timestamp, a broken header, a reserved coding cost a field, never the text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import ClassVar, Literal, NamedTuple

from modem import gsm7
from modem.gsm7 import DEFAULT_TABLE, NationalTable
from modem.segments import USER_DATA_OCTETS, Alphabet

_TYPE_OF_NUMBER = {
    0: "unknown",
    1: "international",
    2: "national",
    3: "network specific",
    4: "subscriber",
    5: "alphanumeric",
    6: "abbreviated",
    7: "reserved",
}

Timestamp = datetime  # always aware: the network tells the zone it means


class PduError(ValueError):
    """These octets are no TPDU: `reason` says why in a sentence, `offset` where (octets from the start)."""

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"{reason} (octet {offset})")
        self.reason = reason
        self.offset = offset

    def __reduce__(self) -> tuple[type["PduError"], tuple[str, int]]:
        return type(self), (self.reason, self.offset)


class BadNumber(ValueError):
    """Not a number a message could be sent to."""

    def __init__(self, number: str, reason: str) -> None:
        super().__init__(f"{number!r} is not a number: {reason}")
        self.number = number
        self.reason = reason

    def __reduce__(self) -> tuple[type["BadNumber"], tuple[str, str]]:
        return type(self), (self.number, self.reason)


class TextTooLong(ValueError):
    """Header and text do not fit into the 140 octets of one TPDU; segments.split cuts a text to size."""

    def __init__(self, octets: int) -> None:
        super().__init__(f"header and text take {octets} octets, a TPDU carries {USER_DATA_OCTETS}")
        self.octets = octets

    def __reduce__(self) -> tuple[type["TextTooLong"], tuple[int]]:
        return type(self), (self.octets,)


class _Reader:
    """Octets taken one field after the other."""

    __slots__ = ("at", "octets")

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.at = 0

    def octet(self, field: str) -> int:
        if self.at >= len(self.octets):
            raise PduError(f"ends before {field}", self.at)
        self.at += 1
        return self.octets[self.at - 1]

    def take(self, count: int, field: str) -> bytes:
        if self.at + count > len(self.octets):
            raise PduError(f"ends inside {field}", self.at)
        self.at += count
        return self.octets[self.at - count : self.at]

    @property
    def left(self) -> int:
        return len(self.octets) - self.at


# ----------------------------------------------------------------------------------------------------------------
# Addresses


_SEMI_OCTETS = "0123456789*#abc"  # §9.1.2.3: 1010 is *, 1011 #, then a to c
_SEMI_OCTET = {digit: value for value, digit in enumerate(_SEMI_OCTETS)}
_SEPARATORS = str.maketrans("", "", " -.()/\u00a0\u2009\u202f\u2010\u2011\u2012\u2013")
_MAX_DIGITS = 20  # an address is at most 12 octets, 10 of them digits (§9.1.2.5)


@dataclass(frozen=True, slots=True)
class Address:
    """A TP-OA, TP-DA or TP-RA (§9.1.2.5). `digits` holds the text if the type of number is alphanumeric."""

    digits: str
    ton: int = 0
    npi: int = 1

    INTERNATIONAL: ClassVar[int] = 1
    ALPHANUMERIC: ClassVar[int] = 5

    @property
    def number(self) -> str:
        """As people write it: `+46701740601`, `72456`, `Ringpost`."""
        return "+" + self.digits if self.ton == self.INTERNATIONAL and self.digits else self.digits

    @property
    def is_alphanumeric(self) -> bool:
        return self.ton == self.ALPHANUMERIC

    @classmethod
    def parse(cls, number: str) -> "Address":
        """The address of a number as written: `+46 70 174 06 01`, `72456`, `*100#`.

        With a plus it is international, without one "unknown" (§9.1.2.5): calling a short code national makes some
        networks put the country in front. Letters are refused: a name can send but not receive, so as a
        destination it is a typing error. Raises BadNumber.
        """
        bare = number.translate(_SEPARATORS)
        is_international = bare.startswith("+")
        digits = bare.removeprefix("+")
        if not digits:
            raise BadNumber(number, "it has no digits")
        if len(digits) > _MAX_DIGITS:
            raise BadNumber(number, f"it has more than {_MAX_DIGITS} digits")
        # Not str.isdigit(): that accepts ² and digits of other scripts.
        if not re.fullmatch("[0-9]+" if is_international else "[0-9*#]+", digits):
            raise BadNumber(number, "it holds something else than digits")
        return cls(digits, cls.INTERNATIONAL if is_international else 0, 1)

    @classmethod
    def alphanumeric(cls, name: str) -> "Address":
        """A sender name of at most 11 septets. Raises BadNumber."""
        if not name or not gsm7.is_encodable(name) or len(gsm7.encode(name)) > 11:
            raise BadNumber(name, "a sender name is 1 to 11 characters of the GSM 7 bit alphabet")
        return cls(name, cls.ALPHANUMERIC, 0)

    def encode(self) -> bytes:
        """Address length (in useful semi-octets), type of address, value. Raises BadNumber."""
        kind = 0x80 | self.ton << 4 | self.npi
        if self.is_alphanumeric:
            try:
                septets = gsm7.encode(self.digits)
            except gsm7.NotEncodable:
                raise BadNumber(self.digits, "a sender name is of the GSM 7 bit alphabet") from None
            if len(septets) > 11:
                raise BadNumber(self.digits, "a sender name has at most 11 septets")
            # Useful semi-octets, not octets times two: 7 characters are 13, and a receiver told 14 reads an eighth.
            return bytes((-(-7 * len(septets) // 4), kind)) + gsm7.pack(septets)
        if len(self.digits) > _MAX_DIGITS:
            raise BadNumber(self.digits, f"it has more than {_MAX_DIGITS} digits")
        return bytes((len(self.digits), kind)) + _encode_digits(self.digits)

    @classmethod
    def _read(cls, reader: _Reader, field: str) -> "Address":
        start = reader.at
        length = reader.octet(field)
        if length > _MAX_DIGITS:
            raise PduError(f"{field} announces {length} semi-octets, at most {_MAX_DIGITS} are possible", start)
        kind = reader.octet(field)
        value = reader.take((length + 1) // 2, field)
        ton, npi = kind >> 4 & 7, kind & 15
        if ton == cls.ALPHANUMERIC:
            return cls(gsm7.text(gsm7.unpack(value, length * 4 // 7)), ton, npi)
        return cls(_decode_digits(value, length), ton, npi)


def _encode_digits(digits: str) -> bytes:
    """Semi-octets, low one first, an odd number filled up with 1111 (§9.1.2.3)."""
    try:
        values = [_SEMI_OCTET[digit] for digit in digits]
    except KeyError:
        raise BadNumber(digits, "it holds something else than digits") from None
    if len(values) % 2:
        values.append(15)
    return bytes(low | high << 4 for low, high in zip(values[::2], values[1::2], strict=True))


def _decode_digits(octets: bytes, count: int) -> str:
    digits: list[int] = []
    for octet in octets:
        digits += (octet & 15, octet >> 4)
    # 1111 is the filler; some networks announce one digit more and fill that.
    return "".join([_SEMI_OCTETS[digit] for digit in digits[:count] if digit != 15])


# ----------------------------------------------------------------------------------------------------------------
# Time


def _encode_timestamp(moment: datetime | None) -> bytes:
    """TP-SCTS (§9.2.3.11): year to second and zone in quarters of an hour, swapped digits. None gives zeros."""
    if moment is None:
        return bytes(7)
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError("a timestamp needs a time zone")
    if offset % timedelta(minutes=15) or abs(offset) >= timedelta(hours=20):
        moment, offset = moment.astimezone(UTC), timedelta(0)
    if not 2000 <= moment.year <= 2099:
        raise ValueError("a timestamp has two digits for the year, 2000 to 2099")
    fields = (moment.year % 100, moment.month, moment.day, moment.hour, moment.minute, moment.second)
    quarters = abs(offset) // timedelta(minutes=15)
    zone = quarters % 10 << 4 | quarters // 10 | (0x08 if offset < timedelta(0) else 0)
    return bytes(value % 10 << 4 | value // 10 for value in fields) + bytes((zone,))


def _decode_timestamp(octets: bytes) -> datetime | None:
    """None for what is no time: zeros, FF, a 13th month. Seen from real SMSCs; the text is worth more."""
    low, high = [octet & 15 for octet in octets], [octet >> 4 for octet in octets]
    negative, low[6] = low[6] & 8, low[6] & 7
    if max(low) > 9 or max(high) > 9:
        return None
    year, month, day, hour, minute, second, quarters = (tens * 10 + ones for tens, ones in zip(low, high, strict=True))
    zone = timezone(timedelta(minutes=-15 * quarters if negative else 15 * quarters))
    try:
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=zone)
    except ValueError:
        return None


def validity_octet(minutes: int) -> int:
    """TP-VP, relative (§9.2.3.12.1): the shortest period that is not shorter than asked for.

    Rounding down would let a message die before its time. 5 minutes at least; raises ValueError for a negative
    period and for more than 63 weeks.
    """
    if minutes < 0:
        raise ValueError("a validity period is not negative")
    if minutes <= 720:
        return max(0, -(-minutes // 5) - 1)
    if minutes <= 1440:
        return 143 + -(-(minutes - 720) // 30)
    if minutes <= 30 * 1440:
        return 166 + -(-minutes // 1440)
    if minutes <= 63 * 10080:
        # 31 to 34 days have no octet of their own: the next is five weeks.
        return max(197, 192 + -(-minutes // 10080))
    raise ValueError("a validity period is at most 63 weeks")


def validity_minutes(octet: int) -> int:
    """The minutes of a relative TP-VP octet (§9.2.3.12.1)."""
    if octet <= 143:
        return (octet + 1) * 5
    if octet <= 167:
        return 720 + (octet - 143) * 30
    if octet <= 196:
        return (octet - 166) * 1440
    return (octet - 192) * 10080


def _decode_enhanced_validity(octets: bytes) -> int | None:
    """Minutes of an enhanced TP-VP (§9.2.3.12.3), None where it says nothing we know."""
    form = octets[0] & 7
    if octets[0] & 0x80:
        return None  # an extension octet follows; none is defined
    if form == 1:
        return validity_minutes(octets[1])
    if form == 2:
        return -(-octets[1] // 60) if octets[1] else None
    if form == 3:
        hours, minutes, seconds = ((octet & 15) * 10 + (octet >> 4) for octet in octets[1:4])
        return hours * 60 + minutes + (seconds > 0)
    return None


# ----------------------------------------------------------------------------------------------------------------
# Data coding


@dataclass(frozen=True, slots=True)
class Coding:
    """What a TP-DCS octet means (TS 23.038 §4).

    `alphabet` is None for 8 bit data. `indication` is the message waiting group: "discard" or "store" this text
    once the indication is shown; `waiting` is (kind, active).
    """

    dcs: int
    alphabet: Alphabet | None
    compressed: bool = False
    message_class: int | None = None
    automatic_deletion: bool = False
    indication: Literal["discard", "store"] | None = None
    waiting: tuple[str, bool] | None = None
    reserved: bool = False


_WAITING = ("voicemail", "fax", "email", "other")


def coding_of(dcs: int) -> Coding:
    """Read a TP-DCS octet. Reserved codings are the default alphabet, as §4 tells a receiver to assume."""
    group = dcs >> 4
    if group < 8:  # 00xx general, 01xx the same marked for automatic deletion
        bits = dcs >> 2 & 3
        alphabet = (Alphabet.GSM7, None, Alphabet.UCS2, Alphabet.GSM7)[bits]
        return Coding(
            dcs,
            alphabet,
            compressed=bool(dcs & 0x20),
            message_class=dcs & 3 if dcs & 0x10 else None,
            automatic_deletion=bool(dcs & 0x40),
            reserved=bits == 3,
        )
    if group < 12:
        return Coding(dcs, Alphabet.GSM7, reserved=True)
    if group < 15:
        return Coding(
            dcs,
            Alphabet.UCS2 if group == 14 else Alphabet.GSM7,
            indication="discard" if group == 12 else "store",
            waiting=(_WAITING[dcs & 3], bool(dcs & 8)),
        )
    return Coding(dcs, None if dcs & 4 else Alphabet.GSM7, message_class=dcs & 3, reserved=bool(dcs & 8))


def _dcs(alphabet: Alphabet | None, message_class: int | None) -> int:
    if message_class is not None and not 0 <= message_class <= 3:
        raise ValueError("a message class is 0 to 3")
    bits = {Alphabet.GSM7: 0x00, None: 0x04, Alphabet.UCS2: 0x08}[alphabet]
    return bits if message_class is None else bits | 0x10 | message_class


# ----------------------------------------------------------------------------------------------------------------
# User data and its header


class Element(NamedTuple):
    """An information element of the user data header (§9.2.3.24)."""

    identifier: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Concat:
    """This part is `number` of `total` of message `reference` (§9.2.3.24.1 with 8 bits, §9.2.3.24.8 with 16)."""

    reference: int
    total: int
    number: int
    bits: Literal[8, 16] = 8

    def __post_init__(self) -> None:
        if self.bits not in (8, 16) or not 0 <= self.reference < 1 << self.bits:
            raise ValueError("a concatenation reference has 8 or 16 bits")
        if not 1 <= self.number <= self.total <= 255:
            raise ValueError("parts count from 1 to a total of at most 255")

    @property
    def element(self) -> Element:
        reference = self.reference.to_bytes(self.bits // 8, "big")
        return Element(0x00 if self.bits == 8 else 0x08, reference + bytes((self.total, self.number)))


class Ports(NamedTuple):
    """Application port addresses (§9.2.3.24.3 with 8 bits, §9.2.3.24.4 with 16)."""

    destination: int
    source: int
    bits: Literal[8, 16] = 16

    @property
    def element(self) -> Element:
        size = self.bits // 8
        try:
            content = self.destination.to_bytes(size, "big") + self.source.to_bytes(size, "big")
        except OverflowError:
            raise ValueError(f"ports have {self.bits} bits") from None
        return Element(0x04 if self.bits == 8 else 0x05, content)


_OWN_ELEMENTS = frozenset({0x00, 0x04, 0x05, 0x08, gsm7.SINGLE_SHIFT, gsm7.LOCKING_SHIFT})


class _UserData(NamedTuple):
    """TP-UD read with its header; `body` is one septet per octet for GSM-7, else the octets."""

    text: str
    data: bytes
    body: bytes
    concat: Concat | None
    ports: Ports | None
    table: NationalTable
    elements: tuple[Element, ...]
    length: int


def _read_user_data(reader: _Reader, coding: Coding, has_header: bool) -> _UserData:
    start = reader.at
    length = reader.octet("TP-UDL")
    in_septets = coding.alphabet is Alphabet.GSM7 and not coding.compressed
    octets_announced = -(-7 * length // 8) if in_septets else length
    if octets_announced > USER_DATA_OCTETS:
        raise PduError(f"TP-UDL announces {octets_announced} octets, at most {USER_DATA_OCTETS} are possible", start)
    octets = reader.take(octets_announced, "TP-UD")
    elements: tuple[Element, ...] = ()
    skip = 0
    if has_header:
        elements, skip = _read_header(octets)
    if in_septets:
        header_septets = -(-8 * skip // 7)
        if header_septets > length:  # the header leaves no room for itself: no header then
            elements, skip, header_septets = (), 0, 0
        body = bytes(gsm7.unpack(octets[skip:], length - header_septets, 7 * header_septets - 8 * skip))
    else:
        body = octets[skip:]
    concat, ports, table = _known(elements)
    if coding.compressed or coding.alphabet is None:
        return _UserData("", body, body, concat, ports, table, elements, length)
    return _UserData(_text(body, coding.alphabet, table), b"", body, concat, ports, table, elements, length)


def _text(body: bytes, alphabet: Alphabet, table: NationalTable) -> str:
    if alphabet is Alphabet.GSM7:
        return gsm7.text(body, table if table != DEFAULT_TABLE else None)
    # UTF-16, not UCS-2: everybody sends emoji as surrogate pairs. A lone one becomes U+FFFD, for a str that holds
    # it can be neither stored nor sent as JSON.
    return body.decode("utf-16-be", "replace")


def _read_header(octets: bytes) -> tuple[tuple[Element, ...], int]:
    """The elements of a header, and how many octets it takes.

    A header that does not add up is ignored as a whole (§9.2.3.24); where even its own length runs out of the user
    data, all of that is text.
    """
    if not octets or octets[0] >= len(octets):
        return (), 0
    end = octets[0] + 1
    elements = []
    at = 1
    while at < end:
        if at + 2 > end or at + 2 + octets[at + 1] > end:
            return (), end
        elements.append(Element(octets[at], octets[at + 2 : at + 2 + octets[at + 1]]))
        at += 2 + octets[at + 1]
    return tuple(elements), end


def _known(elements: Sequence[Element]) -> tuple[Concat | None, Ports | None, NationalTable]:
    """The elements we act on. Of several that say the same the last valid one counts (§9.2.3.24)."""
    concat: Concat | None = None
    ports: Ports | None = None
    locking = single = 0
    for identifier, content in elements:
        size = len(content)
        if (identifier == 0x00 and size == 3) or (identifier == 0x08 and size == 4):
            total, number = content[-2:]
            if 1 <= number <= total:  # else the element is to be ignored (§9.2.3.24.1)
                concat = Concat(int.from_bytes(content[:-2], "big"), total, number, 8 if size == 3 else 16)
        elif identifier == 0x04 and size == 2:
            ports = Ports(content[0], content[1], 8)
        elif identifier == 0x05 and size == 4:
            ports = Ports(int.from_bytes(content[:2], "big"), int.from_bytes(content[2:], "big"), 16)
        elif identifier == gsm7.SINGLE_SHIFT and size == 1:
            single = content[0]
        elif identifier == gsm7.LOCKING_SHIFT and size == 1:
            locking = content[0]
    return concat, ports, NationalTable(locking, single) if locking or single else DEFAULT_TABLE


def _write_user_data(
    text: str,
    data: bytes,
    coding: Coding,
    concat: Concat | None,
    ports: Ports | None,
    table: NationalTable,
    others: Sequence[Element],
) -> tuple[bytes, bool]:
    """TP-UDL and TP-UD, and whether there is a header."""
    elements = [concat.element] if concat else []
    if ports:
        elements.append(ports.element)
    if coding.alphabet is Alphabet.GSM7:
        elements += [Element(*element) for element in table.elements]
    elements += [element for element in others if element.identifier not in _OWN_ELEMENTS]
    header = b"".join(bytes((element.identifier, len(element.content))) + element.content for element in elements)
    if header:
        if len(header) >= USER_DATA_OCTETS:
            raise TextTooLong(len(header) + 1)
        header = bytes((len(header),)) + header
    if coding.alphabet is Alphabet.GSM7 and not coding.compressed:
        septets = gsm7.encode(text, table if table != DEFAULT_TABLE else None)
        header_septets = -(-8 * len(header) // 7)
        packed = gsm7.pack(septets, 7 * header_septets - 8 * len(header))
        length = header_septets + len(septets)
    else:
        packed = data
        if coding.alphabet is Alphabet.UCS2 and not coding.compressed:
            packed = text.encode("utf-16-be", "surrogatepass")
            if any(0xD800 <= ord(c) <= 0xDFFF for c in text):
                packed = packed.decode("utf-16-be", "replace").encode("utf-16-be")
        length = len(header) + len(packed)
    octets = len(header) + len(packed)
    if octets > USER_DATA_OCTETS:
        raise TextTooLong(octets)
    return bytes((length,)) + header + packed, bool(header)


# ----------------------------------------------------------------------------------------------------------------
# The TPDUs


@dataclass(frozen=True, slots=True)
class Submit:
    """SMS-SUBMIT, from us to the network (§9.2.2.2).

    `alphabet` None means 8 bit `data`. `validity_min` None sends no validity period. `dcs` None is worked out from
    alphabet and class; decoding keeps the octet that came. `udl` and `surplus` are what decoding met: the TP-UDL and
    the number of octets behind the announced end.
    """

    destination: Address
    text: str = ""
    alphabet: Alphabet | None = Alphabet.GSM7
    concat: Concat | None = None
    tp_mr: int = 0
    report: bool = True
    reject_duplicates: bool = False
    validity_min: int | None = None
    message_class: int | None = None
    pid: int = 0
    reply_path: bool = False
    data: bytes = b""
    ports: Ports | None = None
    table: NationalTable = DEFAULT_TABLE
    valid_until: Timestamp | None = None
    dcs: int | None = None
    elements: tuple[Element, ...] = ()
    udl: int = 0
    surplus: int = 0

    @property
    def coding(self) -> Coding:
        return coding_of(_dcs(self.alphabet, self.message_class) if self.dcs is None else self.dcs)

    def encode(self) -> bytes:
        """The TPDU, without the SMSC address in front.

        Raises NotEncodable, TextTooLong, BadNumber, and ValueError for a field out of its range.
        """
        for name, value in (("TP-MR", self.tp_mr), ("TP-PID", self.pid)):
            if not 0 <= value <= 255:
                raise ValueError(f"{name} is one octet")
        coding = self.coding
        user_data, has_header = _write_user_data(self.text, self.data, coding, self.concat, self.ports, self.table, self.elements)
        first = 0x01 | self.reject_duplicates << 2 | self.report << 5 | has_header << 6 | self.reply_path << 7
        period = b""
        if self.valid_until is not None:
            first |= 0x18
            period = _encode_timestamp(self.valid_until)
        elif self.validity_min is not None:
            first |= 0x10
            period = bytes((validity_octet(self.validity_min),))
        return bytes((first, self.tp_mr)) + self.destination.encode() + bytes((self.pid, coding.dcs)) + period + user_data

    @classmethod
    def decode(cls, tpdu: bytes) -> "Submit":
        """Raises PduError."""
        reader = _Reader(bytes(tpdu))
        first = reader.octet("TP-MTI")
        if first & 3 != 1:
            raise PduError(f"TP-MTI is {first & 3}, an SMS-SUBMIT has 1")
        tp_mr = reader.octet("TP-MR")
        destination = Address._read(reader, "TP-DA")
        pid = reader.octet("TP-PID")
        coding = coding_of(reader.octet("TP-DCS"))
        validity_min: int | None = None
        valid_until: datetime | None = None
        match first >> 3 & 3:
            case 1:
                validity_min = _decode_enhanced_validity(reader.take(7, "TP-VP"))
            case 2:
                validity_min = validity_minutes(reader.octet("TP-VP"))
            case 3:
                valid_until = _decode_timestamp(reader.take(7, "TP-VP"))
        ud = _read_user_data(reader, coding, bool(first & 0x40))
        return cls(
            destination=destination,
            text=ud.text,
            alphabet=None if coding.compressed else coding.alphabet,
            concat=ud.concat,
            tp_mr=tp_mr,
            report=bool(first & 0x20),
            reject_duplicates=bool(first & 0x04),
            validity_min=validity_min,
            message_class=coding.message_class,
            pid=pid,
            reply_path=bool(first & 0x80),
            data=ud.data,
            ports=ud.ports,
            table=ud.table,
            valid_until=valid_until,
            dcs=coding.dcs,
            elements=ud.elements,
            udl=ud.length,
            surplus=reader.left,
        )


@dataclass(frozen=True, slots=True)
class Deliver:
    """SMS-DELIVER, from the network to us (§9.2.2.1).

    `alphabet` None means 8 bit (or compressed) `data` and no text. `body` is what the text was made of, one septet
    per octet for GSM-7, octets for UCS-2: `join_text` puts the bodies of parts together before reading them, for
    some senders cut an escape or surrogate pair in two. `udl` is the TP-UDL received, `surplus` counts the octets
    behind the announced end.
    """

    originator: Address
    text: str = ""
    alphabet: Alphabet | None = Alphabet.GSM7
    concat: Concat | None = None
    sent_at: Timestamp | None = None
    pid: int = 0
    dcs: int | None = None
    message_class: int | None = None
    data: bytes = b""
    more: bool = False
    report_indication: bool = False
    reply_path: bool = False
    loop_prevention: bool = False
    ports: Ports | None = None
    table: NationalTable = DEFAULT_TABLE
    elements: tuple[Element, ...] = ()
    body: bytes = b""
    udl: int = 0
    surplus: int = 0

    @property
    def coding(self) -> Coding:
        return coding_of(_dcs(self.alphabet, self.message_class) if self.dcs is None else self.dcs)

    def encode(self) -> bytes:
        """The TPDU as an SMSC would send it. Raises as `Submit.encode`."""
        coding = self.coding
        user_data, has_header = _write_user_data(self.text, self.data, coding, self.concat, self.ports, self.table, self.elements)
        # TP-MMS counts backwards: 0 means that more messages wait (§9.2.3.2).
        first = (not self.more) << 2 | self.loop_prevention << 3 | self.report_indication << 5
        first |= has_header << 6 | self.reply_path << 7
        return (
            bytes((first,))
            + self.originator.encode()
            + bytes((self.pid, coding.dcs))
            + _encode_timestamp(self.sent_at)
            + user_data
        )

    @classmethod
    def decode(cls, tpdu: bytes) -> "Deliver":
        """Raises PduError."""
        reader = _Reader(bytes(tpdu))
        first = reader.octet("TP-MTI")
        if first & 3 not in (0, 3):  # 3 is reserved and to be treated as a DELIVER (§9.2.3.1)
            raise PduError(f"TP-MTI is {first & 3}, an SMS-DELIVER has 0")
        originator = Address._read(reader, "TP-OA")
        pid = reader.octet("TP-PID")
        coding = coding_of(reader.octet("TP-DCS"))
        sent_at = _decode_timestamp(reader.take(7, "TP-SCTS"))
        ud = _read_user_data(reader, coding, bool(first & 0x40))
        return cls(
            originator=originator,
            text=ud.text,
            alphabet=None if coding.compressed else coding.alphabet,
            concat=ud.concat,
            sent_at=sent_at,
            pid=pid,
            dcs=coding.dcs,
            message_class=coding.message_class,
            data=ud.data,
            more=not first & 0x04,
            report_indication=bool(first & 0x20),
            reply_path=bool(first & 0x80),
            loop_prevention=bool(first & 0x08),
            ports=ud.ports,
            table=ud.table,
            elements=ud.elements,
            body=ud.body,
            udl=ud.length,
            surplus=reader.left,
        )


@dataclass(frozen=True, slots=True)
class StatusReport:
    """SMS-STATUS-REPORT, from the network to us (§9.2.2.3): what became of the message `tp_mr` to `recipient`.

    Everything behind `status` is optional; a part of it that does not add up is dropped, for the status counts.
    """

    tp_mr: int
    recipient: Address
    sent_at: Timestamp | None = None
    discharged_at: Timestamp | None = None
    status: int = 0
    more: bool = False
    loop_prevention: bool = False
    is_command_result: bool = False
    parameters: int | None = None
    pid: int | None = None
    dcs: int | None = None
    text: str | None = None
    data: bytes = b""
    elements: tuple[Element, ...] = ()
    surplus: int = 0

    @property
    def outcome(self) -> "Outcome":
        return outcome_of(self.status)

    def encode(self) -> bytes:
        """The TPDU as an SMSC would send it; `parameters` None sends no TP-PI and nothing behind it."""
        user_data, has_header = b"", False
        parameters = self.parameters
        if parameters is None and (self.pid is not None or self.dcs is not None or self.text is not None):
            parameters = (self.pid is not None) | (self.dcs is not None) << 1 | (self.text is not None or bool(self.data)) << 2
        if parameters is not None and parameters & 4:
            user_data, has_header = _write_user_data(
                self.text or "", self.data, coding_of(self.dcs or 0), None, None, DEFAULT_TABLE, self.elements
            )
        first = 0x02 | (not self.more) << 2 | self.loop_prevention << 3
        first |= self.is_command_result << 5 | has_header << 6
        tail = b""
        if parameters is not None:
            tail = bytes((parameters & 0x7F,))
            tail += bytes((self.pid or 0,)) if parameters & 1 else b""
            tail += bytes((self.dcs or 0,)) if parameters & 2 else b""
        return (
            bytes((first, self.tp_mr))
            + self.recipient.encode()
            + _encode_timestamp(self.sent_at)
            + _encode_timestamp(self.discharged_at)
            + bytes((self.status,))
            + tail
            + user_data
        )

    @classmethod
    def decode(cls, tpdu: bytes) -> "StatusReport":
        """Raises PduError."""
        reader = _Reader(bytes(tpdu))
        first = reader.octet("TP-MTI")
        if first & 3 != 2:
            raise PduError(f"TP-MTI is {first & 3}, an SMS-STATUS-REPORT has 2")
        tp_mr = reader.octet("TP-MR")
        recipient = Address._read(reader, "TP-RA")
        sent_at = _decode_timestamp(reader.take(7, "TP-SCTS"))
        discharged_at = _decode_timestamp(reader.take(7, "TP-DT"))
        status = reader.octet("TP-ST")
        tail = _read_parameters(reader, bool(first & 0x40))
        return cls(
            tp_mr=tp_mr,
            recipient=recipient,
            sent_at=sent_at,
            discharged_at=discharged_at,
            status=status,
            more=not first & 0x04,
            loop_prevention=bool(first & 0x08),
            is_command_result=bool(first & 0x20),
            parameters=tail.parameters,
            pid=tail.pid,
            dcs=tail.dcs,
            text=tail.user_data.text if tail.user_data else None,
            data=tail.user_data.data if tail.user_data else b"",
            elements=tail.user_data.elements if tail.user_data else (),
            surplus=reader.left,
        )


class _Parameters(NamedTuple):
    parameters: int | None = None
    pid: int | None = None
    dcs: int | None = None
    user_data: _UserData | None = None


def _read_parameters(reader: _Reader, has_header: bool) -> _Parameters:
    """TP-PI and what it announces (§9.2.3.27); nothing at all where that does not add up."""
    start = reader.at
    if not reader.left:
        return _Parameters()
    try:
        parameters = extension = reader.octet("TP-PI")
        while extension & 0x80:
            extension = reader.octet("TP-PI")
        pid = reader.octet("TP-PID") if parameters & 1 else None
        dcs = reader.octet("TP-DCS") if parameters & 2 else None
        user_data = _read_user_data(reader, coding_of(dcs or 0), has_header) if parameters & 4 else None
    except PduError:
        reader.at = start
        return _Parameters()
    return _Parameters(parameters & 0x7F, pid, dcs, user_data)


Tpdu = Submit | Deliver | StatusReport


# ----------------------------------------------------------------------------------------------------------------
# As modems print them


def unwrap(line: str | bytes, length: int | None = None) -> tuple[str, bytes]:
    """The SMSC's number and the TPDU from a line of hex digits as a modem prints it.

    `length` is the number of TPDU octets the modem announced (27.005 §3.1 <length>, the SMSC address not counted).
    Some pad the line with junk, so what is more is cut off; what is less is a PduError, like anything but hex.
    """
    digits = line.decode("latin-1") if isinstance(line, bytes) else line
    try:
        octets = bytes.fromhex(digits)
    except ValueError:
        raise PduError("not a line of hex digits") from None
    smsc, tpdu = split_smsc(octets)
    if length is not None:
        if len(tpdu) < length:
            raise PduError(f"{len(tpdu)} octets where {length} were announced", len(octets))
        tpdu = tpdu[:length]
    return smsc, tpdu


def split_smsc(octets: bytes) -> tuple[str, bytes]:
    """Take the SMSC address off the front: its number ("" if there is none) and the TPDU.

    Its length counts octets, unlike every other address (TS 24.011 §8.2.5.1). Raises PduError.
    """
    reader = _Reader(bytes(octets))
    length = reader.octet("the SMSC address")
    if length > 11:
        raise PduError(f"the SMSC address announces {length} octets, at most 11 are possible")
    address = reader.take(length, "the SMSC address")
    tpdu = reader.octets[reader.at :]
    if length < 2:
        return "", tpdu
    return Address(_decode_digits(address[1:], 2 * length - 2), address[0] >> 4 & 7, address[0] & 15).number, tpdu


def decode(tpdu: bytes, *, from_network: bool) -> Submit | Deliver | StatusReport:
    """The TPDU by its type. The same type bits mean other TPDUs on the way out, so say which way it went.

    Raises PduError, also for the types a gateway never meets (the reports of §9.2.2.1a and .2a, SMS-COMMAND).
    """
    if not tpdu:
        raise PduError("ends before TP-MTI")
    kind = tpdu[0] & 3
    if from_network:
        if kind == 2:
            return StatusReport.decode(tpdu)
        if kind == 1:
            raise PduError("this is an SMS-SUBMIT-REPORT, which carries no message")
        return Deliver.decode(tpdu)
    if kind == 1:
        return Submit.decode(tpdu)
    raise PduError(f"TP-MTI {kind} is not a message on its way out")


def join_text(parts: Sequence[Deliver]) -> str:
    """The text of the parts of one message, in whatever order.

    Parts of the same alphabet are put together before they are read: senders exist that cut in the middle of an
    escape pair, a surrogate pair, even a UTF-16 unit.
    """
    text = ""
    run: list[Deliver] = []
    for part in [*sorted(parts, key=lambda part: part.concat.number if part.concat else 0), None]:
        if run and (part is None or (part.alphabet, part.table) != (run[0].alphabet, run[0].table)):
            alphabet = run[0].alphabet
            if alphabet is not None and all(earlier.body or not earlier.text for earlier in run):
                text += _text(b"".join(earlier.body for earlier in run), alphabet, run[0].table)
            else:
                text += "".join(earlier.text for earlier in run)
            run = []
        if part is not None:
            run.append(part)
    return text


# ----------------------------------------------------------------------------------------------------------------
# Status


class Outcome(StrEnum):
    """What a status report says about a part."""

    DELIVERED = "delivered"
    UNCONFIRMED = "unconfirmed"  # the network has done its work and cannot say whether it arrived
    PENDING = "pending"  # still trying: another report will come
    PERMANENT = "permanent"
    EXPIRED = "expired"
    TEMPORARY = "temporary"  # a passing cause, but the network has given up


_STATUS = {
    0x00: "delivered",
    0x01: "forwarded, delivery cannot be confirmed",
    0x02: "replaced by a later message",
    0x20: "congestion, still trying",
    0x21: "recipient busy, still trying",
    0x22: "no response from recipient, still trying",
    0x23: "service rejected, still trying",
    0x24: "quality of service not available, still trying",
    0x25: "error in the recipient's device, still trying",
    0x40: "remote procedure error",
    0x41: "incompatible destination",
    0x42: "connection rejected by recipient",
    0x43: "not obtainable",
    0x44: "quality of service not available",
    0x45: "no interworking available",
    0x46: "validity period expired",
    0x47: "deleted by sender",
    0x48: "deleted by the network's administration",
    0x49: "message does not exist",
    0x60: "congestion, given up",
    0x61: "recipient busy, given up",
    0x62: "no response from recipient, given up",
    0x63: "service rejected, given up",
    0x64: "quality of service not available, given up",
    0x65: "error in the recipient's device, given up",
}


def outcome_of(status: int) -> Outcome:
    """What a TP-ST octet means (§9.2.3.15); reserved values belong to the group they stand in.

    From 0x80 on all is reserved and to be read as "service rejected", which is 0x63.
    """
    if status == 0x00:
        return Outcome.DELIVERED
    if status < 0x20:
        return Outcome.UNCONFIRMED
    if status < 0x40:
        return Outcome.PENDING
    if status == 0x46:
        return Outcome.EXPIRED
    return Outcome.PERMANENT if status < 0x60 else Outcome.TEMPORARY


def meaning_of(status: int) -> str:
    """A TP-ST octet in words."""
    known = _STATUS.get(status)
    if known:
        return known
    return {
        Outcome.UNCONFIRMED: "completed, for a reason of the network's own",
        Outcome.PENDING: "still trying, for a reason of the network's own",
        Outcome.PERMANENT: "failed for good, for a reason of the network's own",
        Outcome.TEMPORARY: "given up, for a reason of the network's own",
    }[outcome_of(status)]


# ----------------------------------------------------------------------------------------------------------------
# For people


def describe(tpdu: bytes | Submit | Deliver | StatusReport, *, from_network: bool = True) -> dict[str, object]:
    """Every field by its name in TS 23.040, in the order of the octets, as values JSON can carry.

    Takes octets (`from_network` as for `decode`) or a TPDU, which is encoded first. Raises PduError.
    """
    if isinstance(tpdu, Submit | Deliver | StatusReport):
        octets, from_network = tpdu.encode(), not isinstance(tpdu, Submit)
    else:
        octets = bytes(tpdu)
    pdu = decode(octets, from_network=from_network)
    has_header, period = bool(octets[0] & 0x40), octets[0] >> 3 & 3
    match pdu:
        case Submit():
            until = f"{pdu.validity_min} min" if pdu.validity_min is not None else _describe_time(pdu.valid_until)
            return {
                "TP-MTI": "SMS-SUBMIT",
                "TP-RD": pdu.reject_duplicates,
                "TP-VPF": ("none", "enhanced", "relative", "absolute")[period],
                "TP-SRR": pdu.report,
                "TP-UDHI": has_header,
                "TP-RP": pdu.reply_path,
                "TP-MR": pdu.tp_mr,
                "TP-DA": _describe_address(pdu.destination),
                "TP-PID": pdu.pid,
                "TP-DCS": _describe_coding(pdu.coding),
                "TP-VP": until,
                **_describe_user_data(pdu),
            }
        case Deliver():
            return {
                "TP-MTI": "SMS-DELIVER",
                "TP-MMS": pdu.more,
                "TP-LP": pdu.loop_prevention,
                "TP-SRI": pdu.report_indication,
                "TP-UDHI": has_header,
                "TP-RP": pdu.reply_path,
                "TP-OA": _describe_address(pdu.originator),
                "TP-PID": pdu.pid,
                "TP-DCS": _describe_coding(pdu.coding),
                "TP-SCTS": _describe_time(pdu.sent_at),
                **_describe_user_data(pdu),
            }
        case StatusReport():
            return {
                "TP-MTI": "SMS-STATUS-REPORT",
                "TP-MMS": pdu.more,
                "TP-LP": pdu.loop_prevention,
                "TP-SRQ": "SMS-COMMAND" if pdu.is_command_result else "SMS-SUBMIT",
                "TP-UDHI": has_header,
                "TP-MR": pdu.tp_mr,
                "TP-RA": _describe_address(pdu.recipient),
                "TP-SCTS": _describe_time(pdu.sent_at),
                "TP-DT": _describe_time(pdu.discharged_at),
                "TP-ST": {
                    "value": f"{pdu.status:02X}",
                    "meaning": meaning_of(pdu.status),
                    "outcome": pdu.outcome.value,
                },
                "TP-PI": pdu.parameters,
                "TP-PID": pdu.pid,
                "TP-DCS": None if pdu.dcs is None else _describe_coding(coding_of(pdu.dcs)),
                "TP-UD": pdu.data.hex().upper() if pdu.data else pdu.text,
                "surplus octets": pdu.surplus,
            }


def _describe_time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _describe_address(address: Address) -> dict[str, object]:
    return {"number": address.number, "TON": _TYPE_OF_NUMBER[address.ton], "NPI": address.npi}


def _describe_coding(coding: Coding) -> dict[str, object]:
    kind, active = coding.waiting or (None, None)
    return {
        "value": f"{coding.dcs:02X}",
        "alphabet": coding.alphabet.value if coding.alphabet else "8 bit data",
        "compressed": coding.compressed,
        "class": coding.message_class,
        "message waiting": {"kind": kind, "active": active, "text": coding.indication} if kind else None,
        "automatic deletion": coding.automatic_deletion,
        "reserved": coding.reserved,
    }


def _describe_user_data(pdu: Submit | Deliver) -> dict[str, object]:
    concat, ports, table = pdu.concat, pdu.ports, pdu.table
    return {
        "TP-UDL": pdu.udl,
        "TP-UDH": [{"IEI": f"{iei:02X}", "data": content.hex().upper()} for iei, content in pdu.elements],
        "concatenation": concat
        and {"reference": concat.reference, "bits": concat.bits, "part": concat.number, "of": concat.total},
        "ports": ports and {"destination": ports.destination, "source": ports.source, "bits": ports.bits},
        "language": {"locking": table.locking, "single": table.single} if table.elements else None,
        "TP-UD": pdu.data.hex().upper() if pdu.alphabet is None else pdu.text,
        "surplus octets": pdu.surplus,
    }
